"""Estimates of scores with their uncertainty: over seeds and blocks of starts, paired across groups.

Every run forecasts the same starts, so seeds and starts are crossed: the variance of a group's mean is the
sum of that over its seeds and that over the blocks of starts (`rolling.metrics.intervals`). A score without
a block is computed from the sums over the other ones: a root mean square error is the root of their mean, a
spectral error that of their mean spectrum. Differences between groups are taken without the same block, or
the same seed, in both.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from rolling.metrics.intervals import interval, without_each
from rolling.metrics.protocol import About, Metric, Ranking, Resampled, Score, about_of


def ranked(metrics: Iterable[Metric], *, long: bool = False) -> list[Resampled]:
    """The metrics that rank forecasts or, with `long`, long rollouts: those cumulative over leads, of which
    only the last value counts. The metric of the verdict comes first."""
    chosen = [
        (not about.ranking.first, about.order, metric)
        for metric in metrics
        if isinstance(metric, Resampled) and (about := about_of(metric)).ranking and about.cumulative == long
    ]
    return [metric for *_, metric in sorted(chosen, key=lambda entry: entry[:2])]


def ranking_of(about: About) -> Ranking:
    """The `Ranking` of one of the `ranked` metrics."""
    assert about.ranking is not None
    return about.ranking


def ideal(about: About) -> float | None:
    """The best value of a ranked metric, where there is one."""
    return 1.0 if ranking_of(about).relative else about.ideal


def loss(about: About, values: np.ndarray) -> np.ndarray:
    """Smallest for the best: the score, or its distance from the ideal, logarithmic for a ratio."""
    best = ideal(about)
    if best is None:
        return -values if about.higher else values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.abs(np.log(values / best)) if best > 0 else np.abs(values - best)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A score of one run at every lead: `values [1 + block, lead]`, of all starts and without each block."""

    variable: str
    units: str
    coordinate: np.ndarray
    values: np.ndarray


def curve(score: Score, about: About) -> Curve:
    """What ranks forecasts in a score: over the truth's where the metric says so, at the last lead where it
    is cumulative."""
    chosen = slice(-1, None) if about.cumulative else slice(None)
    relative = ranking_of(about).relative
    rows = [each.values / each.reference if relative else each.values for each in (score, *score.without)]
    return Curve(
        variable=score.variable,
        units="1" if relative else score.units,
        coordinate=np.asarray(score.coordinate)[chosen],
        values=np.stack(rows)[:, chosen],
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """A curve of a group of runs: `runs [seed, lead]` of each run, `value [lead]` their mean, and the mean
    without each block of starts, `blocks [block, lead]`, and without each seed, `seeds [seed, lead]`."""

    runs: np.ndarray
    value: np.ndarray
    blocks: np.ndarray
    seeds: np.ndarray

    @classmethod
    def over_seeds(cls, curves: Sequence[np.ndarray]) -> "Estimate":
        """From the curves `[1 + block, lead]` of a group's runs, of the same blocks of starts."""
        stacked = np.stack(curves)
        weights = without_each(len(stacked))[1:]
        mean = stacked.mean(axis=0)
        return cls(
            runs=stacked[:, 0],
            value=mean[0],
            blocks=mean[1:],
            seeds=weights @ stacked[:, 0] / max(len(stacked) - 1, 1),
        )

    @property
    def interval(self) -> np.ndarray:
        """`[2, lead]`: the bounds, of level `intervals.LEVEL`; NaN for a single seed and a single block."""
        return interval(self.value, self.blocks, self.seeds)

    def over_leads(self) -> "Estimate":
        """The mean over leads, as a curve of one value."""
        mean = {name: each.mean(axis=-1, keepdims=True) for name, each in vars(self).items()}
        return Estimate(**mean)


def difference(about: About, one: Estimate, other: Estimate) -> np.ndarray:
    """`[3, lead]`: the loss of one estimate less that of another, and the bounds of its interval.

    The seeds of groups of equal size are paired, as their starts always are.
    """
    a, b = ({name: loss(about, each) for name, each in vars(e).items()} for e in (one, other))
    with np.errstate(invalid="ignore"):
        seeds = (
            [a["seeds"] - b["seeds"]]
            if len(a["seeds"]) == len(b["seeds"])
            else [a["seeds"] - b["value"], a["value"] - b["seeds"]]
        )
        value = a["value"] - b["value"]
        return np.stack([value, *interval(value, a["blocks"] - b["blocks"], *seeds)])


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ranks:
    """At each lead the name of the best group, whether the others are tied with it, and the intervals
    `[2, lead]` of their loss against it."""

    best: list[str]
    tied: dict[str, np.ndarray]
    difference: dict[str, np.ndarray]


def rank(estimates: Mapping[str, Estimate], about: About) -> Ranks:
    """Ranks groups; those whose paired difference from the best may be zero are tied with it."""
    names = list(estimates)
    losses = np.stack([loss(about, estimates[name].value) for name in names])
    best = [names[i] for i in np.argmin(np.where(np.isfinite(losses), losses, np.inf), axis=0)]
    bounds = {
        name: np.stack(
            [difference(about, estimates[name], estimates[b])[1:, i] for i, b in enumerate(best)], axis=-1
        )
        for name in names
    }
    return Ranks(
        best=best,
        tied={name: (low <= 0) & (high >= 0) for name, (low, high) in bounds.items()},
        difference=bounds,
    )
