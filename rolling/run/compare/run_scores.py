"""The scores of one run: its forecasts at each number of calls, made and scored once and kept beside them.

A run keeps `calls-1.zarr`, the forecast, `calls-1.json` and `.nc`, its evaluation, and `calls-1.scores.json`,
what a comparison needs of it. The last one names all that determines the scores; where that has changed, the
forecast is scored again.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from rolling.common import forecast_schema as schema
from rolling.common.documents import read_json
from rolling.common.errors import InputError
from rolling.common.files import write_text
from rolling.data.source import Sequences, Split
from rolling.layout import Layout
from rolling.metrics.protocol import Metric, about_of
from rolling.run import model
from rolling.run.compare.estimates import Curve, curve, ranked
from rolling.run.compare.runs import Run
from rolling.run.evaluation.evaluate import tally
from rolling.run.evaluation.scores import Drawn, finite
from rolling.run.experiment import Experiment, Forecast, codec, user_code
from rolling.run.forecasting.forecaster import Forecaster
from rolling.run.forecasting.streaming import NotFinite, write_forecast
from rolling.run.opened_run import open_run

FORMAT = 1
"""Of the kept scores; another one makes them anew."""
Curves = dict[str, dict[str, list[Curve]]]
"""By forecast (the model, the baselines) and metric, one curve per variable."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """What a comparison needs of one scored forecast."""

    drawn: Drawn
    curves: Curves


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """The scores of a run by calls per frame (None: the long rollout)."""

    layout: Layout
    parameters: int
    kept: dict[float | None, Kept]
    notes: list[str]


def score_run(run: Run, calls: Sequence[float], given: int) -> Scored:
    """Makes the forecasts of one run, and scores them, as far as that was not done before."""
    experiment, forecaster, split = open_run(run.folder)
    parameters = model.count(forecaster.params)
    found = Scored(layout=forecaster.layout, parameters=parameters, kept={}, notes=[])
    for wanted in _wanted(experiment, calls):
        store = run.folder / f"{wanted.stem}.zarr"
        note = _forecast(forecaster, split.test, wanted.calls, wanted.forecast, store, given)
        if note:
            found.notes.append(f"{run.folder.name} is left out of {wanted.stem}: {note}")
            continue
        found.kept[wanted.key] = _scores(store, split, forecaster, wanted)
        made = forecaster.recipe.network_calls
        if made != wanted.calls:
            found.notes.append(
                f"{run.folder.name} makes {made:g} calls per frame in {wanted.stem}: it restarts"
            )
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Wanted:
    """A forecast to make and score; `stem` names its files, `key` its scores."""

    key: float | None
    calls: float
    stem: str
    forecast: Forecast
    metrics: Sequence[Metric]


def _wanted(experiment: Experiment, calls: Sequence[float]) -> Iterator[_Wanted]:
    """The ensemble at each number of calls, and the long rollouts at the experiment's own."""
    own, forecast, long = experiment.calls_per_frame, experiment.forecast, experiment.long
    for k in calls:
        yield _Wanted(key=k, calls=k, stem=f"calls-{k}", forecast=forecast, metrics=experiment.metrics)
    if long.frames:
        stem, metrics = f"long-calls-{own}", experiment.long_metrics
        yield _Wanted(key=None, calls=own, stem=stem, forecast=long, metrics=metrics)


def _forecast(
    forecaster: Forecaster, test: Sequences, calls: float, forecast: Forecast, store: Path, given: int
) -> str:
    """Writes a forecast; returns the reason where the method cannot, or did not, make one."""
    try:
        sampling = dataclasses.replace(forecaster.experiment, calls_per_frame=calls)
    except InputError as error:
        return str(error)
    forecaster.sample_with(sampling)
    try:
        write_forecast(forecaster, test, forecast, store, str(store), overwrite=True, given=given)
    except NotFinite as error:
        return str(error)
    return ""


def _scores(store: Path, split: Split, forecaster: Forecaster, wanted: _Wanted) -> Kept:
    """The scores of a store: those kept beside it, if they are of this forecast, these data and metrics."""
    path, identity = store.with_suffix(".scores.json"), _identity(store, forecaster, wanted)
    known = _read(path, identity)
    if known is not None:
        return known
    found = tally(store, split, forecaster.statistics, wanted.metrics)
    found.write(store.with_suffix(""))
    chosen = ranked(wanted.metrics, long=wanted.key is None)
    curves = {
        forecast: {
            metric.name: [curve(score, about_of(metric)) for score in scores[metric.name]]
            for metric in chosen
            if scores.get(metric.name)
        }
        for forecast, scores in found.scores.items()
    }
    kept = Kept(drawn=found.drawn, curves=curves)
    _write(kept, path, identity)
    return kept


def _identity(store: Path, forecaster: Forecaster, wanted: _Wanted) -> dict[str, Any]:
    """All that determines the scores: the forecast with its parameters and starts, the data, the metrics."""
    metrics = [codec.encode(metric) for metric in wanted.metrics]
    return {
        "format": FORMAT,
        "forecast": zarr.open_group(store, mode="r").attrs[schema.IDENTITY],
        "source": codec.encode(forecaster.experiment.source),
        "metrics": metrics,
        "code": user_code.digests((forecaster.experiment.source, wanted.metrics)),
    }


def _read(path: Path, identity: Mapping[str, Any]) -> Kept | None:
    """None where nothing is kept, or something else, or it is damaged."""
    try:
        content = read_json(path)
        if content["identity"] != json.loads(json.dumps(identity)):
            return None
        curves = {
            forecast: {name: [_decoded(entry) for entry in found] for name, found in metrics.items()}
            for forecast, metrics in content["curves"].items()
        }
        return Kept(drawn=Drawn(**content["drawn"]), curves=curves)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _decoded(entry: Mapping[str, Any]) -> Curve:
    arrays = {name: np.array(entry[name], float) for name in ("coordinate", "values")}
    return Curve(variable=entry["variable"], units=entry["units"], **arrays)


def _write(kept: Kept, path: Path, identity: Mapping[str, Any]) -> None:
    def encoded(found: Curve) -> dict[str, Any]:
        values = [finite(row) for row in found.values]
        return vars(found) | {"coordinate": found.coordinate.tolist(), "values": values}

    curves = {
        forecast: {name: [encoded(each) for each in found] for name, found in metrics.items()}
        for forecast, metrics in kept.curves.items()
    }
    content = {"identity": identity, "drawn": dataclasses.asdict(kept.drawn), "curves": curves}
    text = json.dumps(content, allow_nan=False, ensure_ascii=False) + "\n"
    write_text(path, text)
