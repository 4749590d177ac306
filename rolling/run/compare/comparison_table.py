"""From runs to tables: forecasts at each number of calls, their scores, and the groups side by side."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rolling.common.errors import InputError
from rolling.data.source import Sequences, Split
from rolling.fields import Layout
from rolling.metrics.bootstrap import draws
from rolling.metrics.metric import About, Metric, Resampled, about_of
from rolling.run import commands, model
from rolling.run.compare.estimates import (
    STARTS,
    Curve,
    Estimate,
    curves,
    ideal,
    per_start,
    ranked,
    ranking_of,
)
from rolling.run.compare.runs import Group, Run
from rolling.run.evaluation.evaluate import evaluate
from rolling.run.evaluation.scores import Evaluation, read
from rolling.run.experiment import Experiment, Forecast
from rolling.run.forecasting.forecaster import Forecaster
from rolling.run.forecasting.streaming import NotFinite, write_forecast


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ComparisonTable:
    """One metric of one variable for all groups, at a number of calls per frame (None: each at its own).

    `leads` are the lead times in the layout's units; a baseline is `[lead]`, NaN where it has no value.
    """

    metric: str
    about: About
    variable: str
    units: str
    calls: float | None
    leads: np.ndarray
    estimates: dict[str, Estimate]
    baselines: dict[str, np.ndarray]

    @property
    def title(self) -> str:
        return ranking_of(self.about).title or self.about.title

    @property
    def averaged(self) -> bool:
        """Whether the mean over leads is meaningful, as it is not for a ratio."""
        return ideal(self.about) is None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """The scores of a run: `curves[calls][metric]` (calls None: the long rollout), evaluations likewise."""

    layout: Layout
    parameters: int
    starts: dict[float | None, int]
    curves: dict[float | None, dict[str, list[Curve]]]
    evaluations: dict[float | None, Evaluation]
    notes: list[str]


def score_run(run: Run, calls: Sequence[float], given: int) -> Scored:
    """Makes the forecasts of one run, which are kept for reuse, and scores them."""
    experiment, forecaster, split = commands.open_run(run.folder)
    parameters = model.count(forecaster.params)
    found = Scored(
        layout=forecaster.layout, parameters=parameters, starts={}, curves={}, evaluations={}, notes=[]
    )
    for wanted in _wanted(experiment, calls):
        store = run.folder / f"{wanted.stem}.zarr"
        note = _forecast(forecaster, split.test, wanted.calls, wanted.forecast, store, given)
        if note:
            found.notes.append(f"{run.folder.name} is left out of {wanted.stem}: {note}")
            continue
        found.evaluations[wanted.key] = _evaluation(store, split, forecaster, wanted.metrics)
        found.starts[wanted.key], found.curves[wanted.key] = _curves(store, split, forecaster, wanted)
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


def _evaluation(store: Path, split: Split, forecaster: Forecaster, metrics: Sequence[Metric]) -> Evaluation:
    """The evaluation beside a store; computed again where the store is newer."""
    path = store.with_suffix(".json")
    try:
        if path.stat().st_mtime >= (store / "zarr.json").stat().st_mtime:
            return read(path)
    except (OSError, InputError):
        pass  # it does not exist yet, or is damaged
    return evaluate(store, split.test, forecaster.statistics, metrics, store.with_suffix(""))


def _curves(
    store: Path, split: Split, forecaster: Forecaster, wanted: _Wanted
) -> tuple[int, dict[str, list[Curve]]]:
    """The number of starts, and the resampled curves of the ranked metrics."""
    chosen = ranked(wanted.metrics, long=wanted.key is None)
    found = per_start(store, split.test, forecaster.statistics, chosen)
    if not found:
        return 0, {}
    starts = len(found[0][1])
    weights = draws(starts, STARTS)
    return starts, {metric.name: curves(metric, states, weights) for metric, states in found}


def tabulate(
    groups: Sequence[Group], scored: dict[str, list[Scored]], calls: Sequence[float]
) -> Iterator[ComparisonTable]:
    """Every table with scores of some group: of the forecasts by calls, then of the long rollouts."""
    for key in (*calls, None):
        parts = [g.experiment.long_metrics if key is None else g.experiment.metrics for g in groups]
        metrics = {metric.name: metric for part in reversed(parts) for metric in part}
        for metric in ranked(metrics.values(), long=key is None):
            yield from _of_metric(metric, key, groups, scored)


def _of_metric(
    metric: Resampled, key: float | None, groups: Sequence[Group], scored: dict[str, list[Scored]]
) -> Iterator[ComparisonTable]:
    """A table per variable, with the groups all of whose runs have scores."""
    there = {
        group.name: [run.curves[key][metric.name] for run in scored[group.name]]
        for group in groups
        if all(metric.name in run.curves.get(key, {}) for run in scored[group.name])
    }
    if not there:
        return
    first = next(iter(there))
    evaluation, about = scored[first][0].evaluations[key], about_of(metric)
    for index, curve in enumerate(there[first][0]):
        # Baselines are the same for all runs; cumulative metrics are compared with the truth's own value.
        score = None if about.cumulative else evaluation.score(metric.name, curve.variable)
        yield ComparisonTable(
            metric=metric.name,
            about=about,
            variable=curve.variable,
            units=curve.units,
            calls=key,
            leads=curve.coordinate,
            estimates={
                name: Estimate.over_seeds([run[index].values for run in runs]) for name, runs in there.items()
            },
            baselines={} if score is None or ranking_of(about).relative else dict(score.baselines),
        )
