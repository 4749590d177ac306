"""Estimates of scores with their uncertainty: a bootstrap over seeds and starts, paired across groups.

Every run forecasts the same starts, so seeds and starts are crossed. A resample draws starts, the same for
all runs, and seeds, the same for all groups of equal size, and recomputes the score from the sums over the
starts drawn: a root mean square error is the root of the mean over those starts, a spectral error that of
their mean spectrum. Drawing rows and columns of a crossed table independently errs on the side of wide
intervals (Owen 2007, arXiv 0712.1111).
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from rolling.data.source import Sequences
from rolling.data.statistics import Statistics
from rolling.metrics.bootstrap import draws, interval
from rolling.metrics.metric import About, Metric, Ranking, Resampled, Score, about_of
from rolling.run.evaluation.evaluate import samples, setup_of
from rolling.run.forecasting.zarr_reader import open_forecast

M = TypeVar("M", bound=Metric)

STARTS, SEEDS = 0, 1  # seeds of the two random streams


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
    """A score of one run at every lead: `values [weights, lead]`, one row per row of weights."""

    variable: str
    units: str
    coordinate: np.ndarray
    values: np.ndarray


def per_start(
    store: Path, test: Sequences, statistics: Statistics, metrics: Sequence[M]
) -> list[tuple[M, list[Any]]]:
    """Every metric with its sums over each single start; metrics that do not suit the data are left out.

    Raises `InputError` where the store is missing, incomplete, damaged or does not belong to `test`.
    """
    forecast = open_forecast(store, test.layout)
    with forecast.dataset:
        setup = setup_of(forecast, test, statistics, forecast.truth_leads(test))
        useful = [metric for metric in metrics if metric.start(setup) is not None]
        rows = []
        for start in range(forecast.starts):
            states = [metric.start(setup) for metric in useful]
            for sample in samples(forecast, start, test, statistics, setup):
                states = [m.update(state, sample) for m, state in zip(useful, states, strict=True)]
            rows.append(states)
    return list(zip(useful, map(list, zip(*rows, strict=True)), strict=True))


def curves(metric: Resampled, states: Sequence[Any], weights: np.ndarray) -> list[Curve]:
    """A metric's curves for each row of `weights [row, start]`, one per variable."""
    about = about_of(metric)
    chosen = slice(-1, None) if about.cumulative else slice(None)
    found = [metric.result(state) for state in metric.resample(states, weights)]
    return [
        Curve(
            variable=scores[0].variable,
            units="1" if ranking_of(about).relative else scores[0].units,
            coordinate=np.asarray(scores[0].coordinate)[chosen],
            values=np.stack([_values(score, about)[chosen] for score in scores]),
        )
        for scores in zip(*found, strict=True)
    ]


def _values(score: Score, about: About) -> np.ndarray:
    return score.values / score.reference if ranking_of(about).relative else score.values


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """A curve of a group of runs: `runs [seed, lead]` of each run, and `draws [1 + resample, lead]` of their
    mean, the first row being that of the sample itself."""

    runs: np.ndarray
    draws: np.ndarray

    @classmethod
    def over_seeds(cls, curves: Sequence[np.ndarray]) -> "Estimate":
        """From the curves `[1 + resample, lead]` of a group's runs, resampled by the same starts."""
        stacked = np.stack(curves)
        weights = draws(len(stacked), SEEDS, stacked.shape[1] - 1)
        weights = weights / weights.sum(axis=1, keepdims=True)
        return cls(runs=stacked[:, 0], draws=np.einsum("rs,srl->rl", weights, stacked))

    @property
    def value(self) -> np.ndarray:
        return self.draws[0]

    @property
    def interval(self) -> np.ndarray:
        """`[2, lead]`: the bounds of the interval of level `bootstrap.LEVEL`."""
        return interval(self.draws)

    def over_leads(self) -> "Estimate":
        """The mean over leads, as a curve of one value."""
        return Estimate(
            runs=self.runs.mean(axis=1, keepdims=True), draws=self.draws.mean(axis=1, keepdims=True)
        )


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
    losses = np.stack([loss(about, estimates[name].draws) for name in names])
    losses = np.where(np.isfinite(losses), losses, np.inf)
    best = np.argmin(losses[:, 0], axis=0)
    smallest = np.take_along_axis(losses, best[None, None], axis=0)
    with np.errstate(invalid="ignore"):
        bounds = {name: interval(loss - smallest[0]) for name, loss in zip(names, losses, strict=True)}
    return Ranks(
        best=[names[i] for i in best],
        tied={name: (low <= 0) & (high >= 0) for name, (low, high) in bounds.items()},
        difference=bounds,
    )
