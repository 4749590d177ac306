"""From the scores of runs to those of groups, side by side: one result per metric and variable, as data.

`tables.py` makes the printed tables of them.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from rolling.metrics.protocol import About, Resampled, about_of
from rolling.run.compare.estimates import Estimate, ideal, ranked, ranking_of
from rolling.run.compare.run_scores import Scored
from rolling.run.compare.runs import Group
from rolling.run.evaluation.scores import BASELINES


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """One metric of one variable for all groups, at a number of calls per frame (None: each at its own).

    `leads` are the lead times in the layout's units; a baseline is an estimate without seeds.
    """

    metric: str
    about: About
    variable: str
    units: str
    calls: float | None
    leads: np.ndarray
    estimates: dict[str, Estimate]
    baselines: dict[str, Estimate]

    @property
    def title(self) -> str:
        return ranking_of(self.about).title or self.about.title

    @property
    def averaged(self) -> bool:
        """Whether the mean over leads is meaningful, as it is not for a ratio."""
        return ideal(self.about) is None


def tabulate(
    groups: Sequence[Group], scored: dict[str, list[Scored]], calls: Sequence[float]
) -> Iterator[Result]:
    """Every table with scores of some group: of the forecasts by calls, then of the long rollouts."""
    for key in (*calls, None):
        parts = [g.experiment.long_metrics if key is None else g.experiment.metrics for g in groups]
        metrics = {metric.name: metric for part in reversed(parts) for metric in part}
        for metric in ranked(metrics.values(), long=key is None):
            yield from _of_metric(metric, key, groups, scored)


def _of_metric(
    metric: Resampled, key: float | None, groups: Sequence[Group], scored: dict[str, list[Scored]]
) -> Iterator[Result]:
    """A table per variable, with the groups all of whose runs have scores."""
    there = {
        group.name: [run.kept[key].curves for run in scored[group.name]]
        for group in groups
        if all(key in run.kept and metric.name in run.kept[key].curves["model"] for run in scored[group.name])
    }
    if not there:
        return
    about, first = about_of(metric), next(iter(there.values()))[0]
    # Baselines are the same for all runs; cumulative metrics are compared with the truth's own value.
    shown = () if about.cumulative or ranking_of(about).relative else BASELINES
    for index, curve in enumerate(first["model"][metric.name]):
        found = {name: first.get(name, {}).get(metric.name) for name in shown}
        yield Result(
            metric=metric.name,
            about=about,
            variable=curve.variable,
            units=curve.units,
            calls=key,
            leads=curve.coordinate,
            estimates={
                name: Estimate.over_seeds([run["model"][metric.name][index].values for run in runs])
                for name, runs in there.items()
            },
            baselines={
                name: Estimate.over_seeds([curves[index].values])
                for name, curves in found.items()
                if curves and np.isfinite(curves[index].values[0]).any()
            },
        )
