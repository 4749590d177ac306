"""From runs to boards: forecasts at each number of calls, their scores, and all groups side by side."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.source import Sequences, Split
from rolling.errors import InputError
from rolling.metrics import Metric, Resampled
from rolling.run import job, model
from rolling.run.compare.runs import Group, Run
from rolling.run.compare.scores import (
    FORECAST,
    LONG,
    STARTS,
    Curve,
    Estimate,
    Measure,
    curves,
    draws,
    per_start,
)
from rolling.run.evaluate import evaluate
from rolling.run.experiment import Forecast
from rolling.run.forecast import Forecaster, NotFinite, write

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

    parameters: int
    starts: dict[int | None, int]
    curves: dict[int | None, dict[str, list[Curve]]]
    evaluations: dict[int | None, dict[str, Any]]
    notes: list[str]


def score_run(run: Run, calls: Sequence[int], given: int) -> Scored:
    """Forecasts of one run, each of which is kept for the next time, and their scores."""
    experiment, forecaster, split = job.open_run(run.folder)
    own, found = (
        experiment.calls_per_frame,
        Scored(parameters=model.count(forecaster.params), starts={}, curves={}, evaluations={}, notes=[]),
    )
    wanted = [(k, k, experiment.forecast, f"calls-{k}", FORECAST, experiment.metrics) for k in calls]
    wanted.append((None, own, experiment.long, f"long-calls-{own}", LONG, experiment.long_metrics))
    for key, k, forecast, stem, measures, metrics in wanted:
        if not forecast.frames:
            continue
        store = run.folder / f"{stem}.zarr"
        note = _forecast(forecaster, split.test, k, forecast, store, given)
        if note:
            found.notes.append(
                f"{run.folder.name} is left out at {k} {'call' if k == 1 else 'calls'}: {note}"
            )
            continue
        found.evaluations[key] = _evaluation(store, split, forecaster, metrics)
        found.starts[key], found.curves[key] = _curves(store, split.test, forecaster, metrics, measures)
    return found


def _forecast(
    forecaster: Forecaster, test: Sequences, calls: int, forecast: Forecast, store: Path, given: int
) -> str:
    """Writes a forecast; returns why there is none where the method cannot, or did not, make one."""
    try:
        forecaster.sample_with(dataclasses.replace(forecaster.experiment, calls_per_frame=calls))
    except InputError as error:
        return str(error)
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


def _curves(store, test, forecaster, metrics, measures) -> tuple[int, dict[str, list[Curve]]]:
    """How many starts there are, and the resampled curves of the measures that the experiment has."""
    by_name = {measure.name: measure for measure in measures}
    chosen = [m for m in metrics if m.name in by_name and isinstance(m, Resampled)]
    found = per_start(store, test, forecaster.statistics, chosen)
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
