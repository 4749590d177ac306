"""Scores with their uncertainty: a bootstrap over seeds and starts, paired across what is compared.

Every run forecasts the same starts, so seeds and starts are crossed. A resample draws starts, the same for
all runs, and seeds, the same for all groups with as many, and computes the measure anew from the sums over
the starts drawn: a root mean square error is the root of the mean over those starts, a spectrum's error that
of their mean spectrum. Drawing rows and columns of a crossed table independently errs to the side of wide
intervals (Owen 2007, arXiv 0712.1111).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rolling.data.source import Sequences
from rolling.data.statistics import Statistics
from rolling.metrics.bootstrap import draws, interval
from rolling.metrics.metric import Metric, Resampled
from rolling.run.evaluation.evaluate import samples, setting_of
from rolling.run.forecasting.zarr_reader import open_forecast

STARTS, SEEDS = 0, 1  # seeds of the two streams of draws


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
    """A measure by which forecasts are ranked: the smaller the better, or the nearer to `ideal`.

    `relative`: its curve over the truth's own. `averaged`: its mean over leads is worth a number, too.
    `last`: only the value at the last lead counts, as of a measure that is cumulative over leads.
    """

    name: str
    title: str
    ideal: float | None = None
    relative: bool = False
    averaged: bool = False
    last: bool = False

    def loss(self, values: np.ndarray) -> np.ndarray:
        """What is smallest for the best."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return values if self.ideal is None else np.abs(np.log(values / self.ideal))


FORECAST = (
    Measure(name="crps", title="CRPS", averaged=True),
    Measure(name="rmse", title="RMSE of the ensemble mean", averaged=True),
    Measure(name="spread_skill_ratio", title="Spread over error", ideal=1.0),
)
LONG = (
    Measure(name="cumulative_spectrum_log_error", title="Error of the energy spectrum", last=True),
    Measure(
        name="cumulative_standard_deviation",
        title="Standard deviation over the truth's",
        ideal=1.0,
        relative=True,
        last=True,
    ),
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A measure of one run at every lead: `values [weights, lead]`, a row for each row of weights."""

    variable: str
    units: str
    coordinate: np.ndarray
    values: np.ndarray


def per_start(
    store: Path, test: Sequences, statistics: Statistics, metrics: Sequence[Metric]
) -> list[tuple[Metric, list[Any]]]:
    """Every measure with its sums over each start alone; those that make no sense for the data are left out.

    Raises `InputError` where the store is missing, incomplete, damaged or does not belong to `test`.
    """
    forecast = open_forecast(store, test.layout)
    with forecast.dataset:
        setup = setting_of(forecast, test, statistics, forecast.truth_leads(test))
        useful = [metric for metric in metrics if metric.start(setup) is not None]
        rows = []
        for start in range(forecast.starts):
            states = [metric.start(setup) for metric in useful]
            for sample in samples(forecast, start, test, statistics, setup):
                states = [m.update(state, sample) for m, state in zip(useful, states, strict=True)]
            rows.append(states)
    return list(zip(useful, map(list, zip(*rows, strict=True)), strict=True))


def curves(metric: Resampled, states: Sequence[Any], weights: np.ndarray, measure: Measure) -> list[Curve]:
    """A measure's curves for each row of `weights [row, start]`, one for each variable."""
    found = [metric.result(state) for state in metric.resample(states, weights)]
    return [
        Curve(
            variable=scores[0].variable,
            units="1" if measure.relative else scores[0].units,
            coordinate=np.asarray(scores[0].coordinate)[_leads(measure)],
            values=np.stack([_values(score, measure) for score in scores]),
        )
        for scores in zip(*found, strict=True)
    ]


def _leads(measure: Measure) -> slice:
    return slice(-1, None) if measure.last else slice(None)


def _values(score, measure: Measure) -> np.ndarray:
    values = score.values / score.reference if measure.relative else score.values
    return values[_leads(measure)]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """A curve of a group of runs: `runs [seed, lead]` of each, and `draws [1 + resample, lead]` of their
    mean, of which the first is that of the sample itself."""

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
class Ranking:
    """At each lead the name of the best, whether the others are tied with it, and the intervals `[2, lead]`
    of what they lose against it."""

    best: list[str]
    tied: dict[str, np.ndarray]
    difference: dict[str, np.ndarray]


def rank(estimates: Mapping[str, Estimate], measure: Measure) -> Ranking:
    """Ranks groups; tied with the best are those whose paired difference from it may be zero."""
    names = list(estimates)
    losses = np.stack([measure.loss(estimates[name].draws) for name in names])
    losses = np.where(np.isfinite(losses), losses, np.inf)
    best = np.argmin(losses[:, 0], axis=0)
    smallest = np.take_along_axis(losses, best[None, None], axis=0)
    with np.errstate(invalid="ignore"):
        bounds = {name: interval(loss - smallest[0]) for name, loss in zip(names, losses, strict=True)}
    return Ranking(
        best=[names[i] for i in best],
        tied={name: (low <= 0) & (high >= 0) for name, (low, high) in bounds.items()},
        difference=bounds,
    )
