"""From runs to boards: forecasts at each number of calls, their scores, and all groups side by side."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common.errors import InputError
from rolling.data.source import Sequences, Split
from rolling.fields import Layout
from rolling.metrics.bootstrap import draws
from rolling.metrics.metric import Metric, Resampled
from rolling.run import commands, model
from rolling.run.compare.runs import Group, Run
from rolling.run.compare.scores import (
    FORECAST,
    LONG,
    STARTS,
    Curve,
    Estimate,
    Measure,
    curves,
    per_start,
)
from rolling.run.evaluation.evaluate import evaluate
from rolling.run.experiment import Experiment, Forecast
from rolling.run.forecasting.forecaster import Forecaster
from rolling.run.forecasting.streaming import NotFinite, write

BASELINES = ("persistence", "climatology")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Board:
    """One measure of one variable for all groups, at a number of calls per frame (None: each at its own).

    `leads` are the lead times in the layout's units; a baseline is `[lead]`, NaN where it has no value.
    """

    measure: Measure
    variable: str
    units: str
    calls: int | None
    leads: np.ndarray
    estimates: dict[str, Estimate]
    baselines: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """What a run scored: `curves[calls][measure]` (calls None: the long rollout), evaluations likewise."""

    layout: Layout
    parameters: int
    starts: dict[int | None, int]
    curves: dict[int | None, dict[str, list[Curve]]]
    evaluations: dict[int | None, dict[str, Any]]
    notes: list[str]


def score_run(run: Run, calls: Sequence[int], given: int) -> Scored:
    """Forecasts of one run, each of which is kept for the next time, and their scores."""
    experiment, forecaster, split = commands.open_run(run.folder)
    parameters = model.count(forecaster.params)
    found = Scored(
        layout=forecaster.layout, parameters=parameters, starts={}, curves={}, evaluations={}, notes=[]
    )
    for wanted in _wanted(experiment, calls):
        store = run.folder / f"{wanted.stem}.zarr"
        note = _forecast(forecaster, split.test, wanted.calls, wanted.forecast, store, given)
        if note:
            found.notes.append(f"{run.folder.name} is left out in {wanted.stem}: {note}")
            continue
        found.evaluations[wanted.key] = _evaluation(store, split, forecaster, wanted.metrics)
        found.starts[wanted.key], found.curves[wanted.key] = _curves(store, split, forecaster, wanted)
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Wanted:
    """A forecast that is to be made and scored; `stem` names its files, `key` its scores."""

    key: int | None
    calls: int
    stem: str
    forecast: Forecast
    measures: Sequence[Measure]
    metrics: Sequence[Metric]


def _wanted(experiment: Experiment, calls: Sequence[int]) -> Iterator[_Wanted]:
    """The ensemble at each number of calls, and the long rollouts at the experiment's own."""
    for k in calls:
        yield _Wanted(
            key=k,
            calls=k,
            stem=f"calls-{k}",
            forecast=experiment.forecast,
            measures=FORECAST,
            metrics=experiment.metrics,
        )
    if experiment.long.frames:
        own = experiment.calls_per_frame
        yield _Wanted(
            key=None,
            calls=own,
            stem=f"long-calls-{own}",
            forecast=experiment.long,
            measures=LONG,
            metrics=experiment.long_metrics,
        )


def _forecast(
    forecaster: Forecaster, test: Sequences, calls: int, forecast: Forecast, store: Path, given: int
) -> str:
    """Writes a forecast; returns why there is none where the method cannot, or did not, make one."""
    try:
        sampling = dataclasses.replace(forecaster.experiment, calls_per_frame=calls)
    except InputError as error:
        return str(error)
    forecaster.sample_with(sampling)
    try:
        write(forecaster, test, forecast, store, str(store), overwrite=True, given=given)
    except NotFinite as error:
        return str(error)
    return ""


def _evaluation(
    store: Path, split: Split, forecaster: Forecaster, metrics: Sequence[Metric]
) -> dict[str, Any]:
    """The evaluation beside a store; made anew where the store is the newer of the two."""
    path = store.with_suffix(".json")
    try:
        if path.stat().st_mtime >= (store / "zarr.json").stat().st_mtime:
            return json.loads(path.read_text())
    except (OSError, ValueError):
        pass  # there is none yet, or it is damaged
    return evaluate(store, split.test, forecaster.statistics, metrics, store.with_suffix(""))


def _curves(
    store: Path, split: Split, forecaster: Forecaster, wanted: _Wanted
) -> tuple[int, dict[str, list[Curve]]]:
    """How many starts there are, and the resampled curves of the measures that the experiment has."""
    by_name = {measure.name: measure for measure in wanted.measures}
    chosen = [m for m in wanted.metrics if m.name in by_name and isinstance(m, Resampled)]
    found = per_start(store, split.test, forecaster.statistics, chosen)
    if not found:
        return 0, {}
    starts = len(found[0][1])
    weights = draws(starts, STARTS)
    return starts, {m.name: curves(m, states, weights, by_name[m.name]) for m, states in found}


def boards(groups: Sequence[Group], scored: dict[str, list[Scored]], calls: Sequence[int]) -> Iterator[Board]:
    """Every board for which some group has scores: of the forecasts by calls, then of the long rollouts."""
    for key, measures in (*((k, FORECAST) for k in calls), (None, LONG)):
        there = {g.name: scored[g.name] for g in groups if all(key in run.curves for run in scored[g.name])}
        for measure in measures:
            first = next((runs[0].curves[key].get(measure.name, []) for runs in there.values()), [])
            for index, curve in enumerate(first):
                yield Board(
                    measure=measure,
                    variable=curve.variable,
                    units=curve.units,
                    calls=key,
                    leads=curve.coordinate,
                    estimates={
                        name: Estimate.over_seeds([r.curves[key][measure.name][index].values for r in runs])
                        for name, runs in there.items()
                    },
                    baselines=_baselines(
                        next(iter(there.values()))[0].evaluations[key], measure, curve.variable
                    ),
                )


def _baselines(evaluation: dict[str, Any], measure: Measure, variable: str) -> dict[str, np.ndarray]:
    """Persistence and climatology, which are the same for all runs."""
    score = evaluation.get(measure.name, {}).get(variable, {})
    if measure.last or measure.relative:
        return {}
    return {name: np.array(score[name], float) for name in BASELINES if name in score}
