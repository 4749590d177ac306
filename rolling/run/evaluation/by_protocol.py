"""A run scored by a published protocol: its forecasts and `protocol-NAME.json`, with the rows that others
have published.

What is in the file says `rolling.run.evaluation.protocol_tables`.
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.common.files import write_text
from rolling.data.set_apart import Place, Ranges
from rolling.data.source import Sequences, Split
from rolling.protocols.protocol import Asked, Column, PublishedProtocol
from rolling.run.evaluation.evaluate import evaluate
from rolling.run.evaluation.protocol_tables import BOUNDED, PREFIX
from rolling.run.evaluation.scores import BASELINES, Evaluation, finite
from rolling.run.evaluation.tables import NO_VALUE
from rolling.run.experiment import Forecast
from rolling.run.experiment.registry import snake
from rolling.run.forecasting.forecaster import Forecaster
from rolling.run.forecasting.streaming import write_forecast


def score_by(
    protocol: PublishedProtocol, forecaster: Forecaster, split: Split, folder: Path
) -> dict[str, Any]:
    """Makes the forecasts that a protocol asks for, scores them and writes `protocol-NAME.json`; returns its
    content. Stores that are there are continued, or used as they are."""
    name = snake(type(protocol).__name__)
    departures = [*protocol.departures(forecaster.experiment.source, split.test)]
    given = forecaster.recipe.given_frames
    if given > protocol.given:
        departures.append(f"a forecast is given {given} frames, not {protocol.given}")
    notes: list[str] = []
    rows: dict[str, dict[str, dict[str, float | None]]] = {}
    parts = [(asked, sequences_of(asked, split.test)) for asked in protocol.asked()]  # before any forecast
    for asked, test in parts:
        part = dataclasses.replace(split, test=test)
        plan = plan_of(forecaster.experiment.forecast, protocol, asked, part.test)
        forecast = plan.forecast
        departures += plan.departures(asked)
        notes += _without_number(asked, forecast.frames)
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
        "notes": notes,
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
    return content


def sequences_of(asked: Asked, test: Sequences) -> Sequences:
    """Those that the forecasts start from. A sequence that is shorter than one of the parts stays whole."""
    if not asked.named and asked.parts is None:
        return test
    chosen = [i for i in range(len(test)) if not asked.named or test.name(i).endswith(asked.named)]
    if not chosen:
        raise InputError(
            f"no held-out sequence is called {asked.named[0]}, as this protocol asks for: give the whole"
            " archive"
        )
    return Ranges(whole=test, places=tuple(p for i in chosen for p in _cut(i, test.length(i), asked.parts)))


def _cut(sequence: int, length: int, part: int | None) -> list[Place]:
    if part is None or length < part:
        return [Place(sequence, 0, length)]
    return [Place(sequence, first, first + part) for first in range(0, length - part + 1, part)]


class Plan(NamedTuple):
    """The forecasts to make, of how many starts there are, and of `sequences` those too `short` for one."""

    forecast: Forecast
    starts: int
    sequences: int
    short: int

    def departures(self, asked: Asked) -> Iterator[str]:
        """Why the numbers are not those of all forecasts that are asked for."""
        frames = self.forecast.frames
        if self.forecast.starts < self.starts:
            yield f"{self.forecast.starts} of {self.starts} starts are scored ({asked.name})"
        if self.short:
            yield (
                f"{self.short} of {self.sequences} held-out sequences end before a forecast of"
                f" {counted(frames, 'frame')} does ({asked.name})"
            )
        if frames < (asked.frames or 0) and any(column.last is None for column in asked.columns):
            yield f"forecasts are of {frames} frames, not {asked.frames}, as sequences end ({asked.name})"


def plan_of(own: Forecast, protocol: PublishedProtocol, asked: Asked, test: Sequences) -> Plan:
    """Forecasts batched as the run's own."""
    lengths = np.array([test.length(i) for i in range(len(test))]) - protocol.given
    if lengths.max(initial=0) < 1:
        raise InputError(f"no held-out sequence has more than the {protocol.given} frames that are given")
    frames = min(asked.frames or lengths.max(), lengths.max())
    places = np.maximum(lengths - frames + 1, 0)
    there = int((places if asked.every_frame else np.minimum(places, 1)).sum())
    forecast = dataclasses.replace(
        own,
        frames=int(frames),
        members=protocol.members,
        starts=min(there, protocol.starts or there),
        from_clip_start=not asked.every_frame,
    )
    return Plan(forecast, there, len(test), int((places == 0).sum()))


def _without_number(asked: Asked, frames: int) -> Iterator[str]:
    """Says which columns reach beyond the end of forecasts of so many frames."""
    titles = dict.fromkeys(column.title for column in asked.columns if not column.reaches(frames))
    if titles:
        yield (
            f"Held-out sequences end after {frames} of the {asked.frames} frames of a forecast"
            f" ({asked.name}), too early for {', '.join(titles)}"
        )


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
