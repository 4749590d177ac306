"""A run scored by a published protocol: its forecasts, `protocol-NAME.json`, and a table beside the rows that
others have published.

What is in the file says `rolling.run.evaluation.protocol_tables`.
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rolling.common.errors import InputError
from rolling.common.files import write_text
from rolling.data.set_apart import Place, Ranges
from rolling.data.source import Sequences, Split
from rolling.protocols.protocol import Asked, Column, PublishedProtocol
from rolling.run.evaluation.evaluate import evaluate
from rolling.run.evaluation.protocol_tables import BOUNDED, PREFIX, table_of
from rolling.run.evaluation.scores import BASELINES, Evaluation, finite
from rolling.run.evaluation.tables import NO_VALUE, Table
from rolling.run.experiment import Forecast
from rolling.run.experiment.registry import snake
from rolling.run.forecasting.forecaster import Forecaster
from rolling.run.forecasting.streaming import write_forecast


def score_by(protocol: PublishedProtocol, forecaster: Forecaster, split: Split, folder: Path) -> Table:
    """Makes the forecasts that a protocol asks for, scores them and writes `protocol-NAME.json`; returns its
    table. Stores that are there are continued, or used as they are."""
    name = snake(type(protocol).__name__)
    departures = [*protocol.departures(forecaster.experiment.source, split.test)]
    if forecaster.recipe.given > protocol.given:
        departures.append(f"a forecast is given {forecaster.recipe.given} frames, not {protocol.given}")
    rows: dict[str, dict[str, dict[str, float | None]]] = {}
    parts = [(asked, _named(split.test, asked.named)) for asked in protocol.asked()]  # before any forecast
    for asked, test in parts:
        part = dataclasses.replace(split, test=test)
        forecast, there = _forecast(forecaster.experiment.forecast, protocol, asked, part.test)
        if forecast.starts < there:
            departures.append(f"{forecast.starts} of {there} starts are scored ({asked.name})")
        store = folder / f"{PREFIX}{name}-{asked.name}.zarr"
        label = f"{name}, {asked.name}"
        write_forecast(forecaster, part.test, forecast, store, label, given=protocol.given)
        found = evaluate(store, part, forecaster.statistics, asked.metrics, store.with_suffix(""))
        for column in asked.columns:
            for row, numbers in _numbers(column, found):
                rows.setdefault(row, {}).setdefault(column.title, numbers)
    titles = list(dict.fromkeys(column.title for asked in protocol.asked() for column in asked.columns))
    content = {
        "title": protocol.title,
        "version": protocol.version,
        "members": protocol.members,
        "departures": departures,
        "columns": titles,
        "rows": [
            {"name": row, **{key: [found.get(t, {}).get(key) for t in titles] for key in BOUNDED}}
            for row, found in rows.items()
        ],
        "published": [
            {"name": r.name, "numbers": [r.numbers.get(t, NO_VALUE) for t in titles], "source": r.source}
            for r in protocol.published(forecaster.experiment.source)
        ],
    }
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    write_text(folder / f"{PREFIX}{name}.json", text)
    return table_of(content)


def _named(test: Sequences, endings: tuple[str, ...]) -> Sequences:
    """Those whose names end so; all where none are asked for."""
    if not endings:
        return test
    places = tuple(Place(i, 0, test.length(i)) for i in range(len(test)) if test.name(i).endswith(endings))
    if not places:
        raise InputError(
            f"no held-out sequence is called {endings[0]}, as this protocol asks for: give the whole archive"
        )
    return Ranges(whole=test, places=places)


def _forecast(
    own: Forecast, protocol: PublishedProtocol, asked: Asked, test: Sequences
) -> tuple[Forecast, int]:
    """The forecasts to make, batched as the run's own, and how many starts there are."""
    lengths = np.array([test.length(i) for i in range(len(test))]) - protocol.given
    if lengths.max(initial=0) < 1:
        raise InputError(f"no held-out sequence has more than the {protocol.given} frames that are given")
    frames = min(asked.frames or lengths.max(), lengths.max())
    places = np.maximum(lengths - frames + 1, 0)
    there = int((places if asked.every_frame else np.minimum(places, 1)).sum())
    chosen = min(there, protocol.starts or there)
    forecast = dataclasses.replace(
        own,
        frames=int(frames),
        members=protocol.members,
        starts=chosen,
        from_clip_start=not asked.every_frame,
    )
    return forecast, there


def _numbers(column: Column, found: Evaluation) -> Iterator[tuple[str, dict[str, float | None]]]:
    """The row of this run, and those of the baselines."""
    scores = [*found.scores.get(column.metric.name, {}).values()]
    low, high = finite(column.bounds(scores))
    (value,) = finite([column.value(scores)])
    yield column.of, {"values": value, "low": low, "high": high}
    for baseline in BASELINES:
        (value,) = finite([column.value(scores, baseline)])
        if value is not None:
            yield baseline, {"values": value, "low": None, "high": None}
