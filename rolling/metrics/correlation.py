"""Pearson correlation of a forecast with the truth over the cells of a frame, and for how long it stays high.

In every equation `x` is the mean of the members or one of them, `y` the truth, and `E` the mean over starts
and, with `member="each"`, over members. A frame without variation, of the forecast or of the truth, has no
correlation and does not count.
"""

import dataclasses
from typing import ClassVar, Literal, Protocol

import numpy as np

from rolling.common.errors import InputError
from rolling.metrics.area import Domain, averaged
from rolling.metrics.ensemble import PerVariable
from rolling.metrics.members import MeanOrEach
from rolling.metrics.protocol import HORIZON, About, Score

ROUNDING = 1e-7
"""Of the root mean square of a field: what varies less is constant, to single precision."""


class Mean(Protocol):
    """A mean over the cells of fields, as those of a `Domain` or of a derived quantity."""

    def mean(self, field: np.ndarray) -> np.ndarray: ...

    def everywhere(self, means: np.ndarray) -> np.ndarray:
        """With axes of one for the cells."""
        ...


def correlation(forecast: np.ndarray, truth: np.ndarray, over: Mean) -> np.ndarray:
    """`<x' y'> / sqrt(<x'^2> <y'^2>)`, with `x' = x - <x>` and `y' = y - <y>`, without the axes of the cells;
    NaN where a field is constant."""

    def anomaly(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        field = np.asarray(field, np.float64)
        apart = field - over.everywhere(over.mean(field))
        variance = over.mean(apart**2)
        return apart, np.where(variance > ROUNDING**2 * over.mean(field**2), variance, np.nan)

    (x, x_variance), (y, y_variance) = anomaly(forecast), anomaly(truth)
    return over.mean(x * y) / np.sqrt(x_variance * y_variance)


class OverCells(MeanOrEach, PerVariable):
    """Base of metrics of `E corr(x, y)`, in which each cell that holds data counts alike."""

    dimensionless: ClassVar[bool] = True

    @property
    def shared(self) -> str:
        return f"correlation_of_{self.member}"

    def tools(self, setup):
        return None if setup.layout.is_video else Domain.of_cells(setup)

    def terms(self, tools, sample):
        found = correlation(self.scored(sample), sample.truth, tools)
        there = np.isfinite(found)
        return {
            "correlation": np.where(there, found, 0.0).mean(axis=0),
            "there": there.mean(axis=0, dtype=np.float64),
        }

    def values(self, sums):
        return sums.mean("correlation") / sums.mean("there")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PearsonCorrelation(OverCells):
    """`E corr(x, y)` over the cells of each frame, variable by variable.

    `PearsonR` of The Well (Ohana et al., 2024) but for a factor: its covariance has `N` in the denominator
    and its standard deviations `N - 1`, so that it is `(N - 1) / N` times ours for `N` cells. PDEArena (Gupta
    and Brandstetter, 2022) correlates all variables of a frame together: the same where there is one.
    """

    member: Literal["mean", "each"] = "mean"
    """Whether the mean of the members is scored, or each of them."""

    @property
    def name(self) -> str:
        return self.named("correlation")

    @property
    def about(self) -> About:
        return About(
            title=self.titled("Correlation"),
            note="With the truth over the cells of each frame; 1 is perfect, below 0.8 the match is lost.",
            section="skill",
            order=23,
            limits=(-1.0, 1.0),
            higher=True,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorrelationTime(OverCells):
    """The lead time at which `E corr(x, y)` first falls below a threshold: linear between leads, from 1 at
    lead 0; censored where it never does.

    With `whole`, the number of leads at which it is above, times the step. That is what PDEArena and
    PDE-Refiner (Lippe et al., 2023) count, at 0.8, 0.9 and 0.95: of single forecasts, so `member="each"`, of
    all variables together, and after a first fall, too. Without, it is up to a step longer.

    Raises `InputError` for a threshold that no correlation can fall below.
    """

    threshold: float = 0.8
    """The correlation below which the truth is no longer followed."""
    whole: bool = False
    """Whether whole steps are counted, as in publications."""
    member: Literal["mean", "each"] = "mean"
    """Whether the mean of the members is scored, or each of them."""

    def __post_init__(self):
        super().__post_init__()
        if not -1 < self.threshold < 1:
            raise InputError(f"the threshold of a correlation is between -1 and 1, not {self.threshold:g}")

    @property
    def name(self) -> str:
        stem = "correlation_time" + ("_in_whole_steps" if self.whole else "")
        return self.named(stem if self.threshold == 0.8 else f"{stem}_above_{self.threshold:g}")

    @property
    def about(self) -> About:
        what = self.titled("correlation")
        title = f"Leads with a {what} above" if self.whole else f"Lead at which the {what} falls below"
        return About(
            title=f"{title} {self.threshold:g}",
            order=56,
            higher=True,
            duration=True,
        )

    def scores(self, sums):
        layout, horizon = sums.setup.layout, sums.setup.leads
        after = steps_above if self.whole else fall_or_end
        return tuple(
            Score(
                variable=variable.name,
                units=layout.time_units,
                axis=HORIZON,
                coordinate=np.array([horizon * layout.step]),
                values=np.array([layout.step * after(curve, self.threshold)]),
            )
            for variable, curve in zip(averaged(layout), self.values(sums).T, strict=True)
        )


def fall(curve: np.ndarray, threshold: float) -> float:
    """Where a curve, 1 at 0 and `curve[i]` at `i + 1`, first falls below a threshold; NaN if never."""
    curve = np.concatenate([[1.0], curve])
    below = np.flatnonzero(curve < threshold)
    if not below.size or not np.isfinite(curve[: below[0]]).all():
        return float("nan")
    last = below[0] - 1
    return last + (curve[last] - threshold) / (curve[last] - curve[last + 1])


def fall_or_end(curve: np.ndarray, threshold: float) -> float:
    """As `fall`, or the length of a curve that never does."""
    return float(len(curve)) if (curve >= threshold).all() else fall(curve, threshold)


def steps_above(curve: np.ndarray, threshold: float) -> float:
    """At how many points a curve is above a threshold; NaN where a value is missing."""
    return float(np.count_nonzero(curve > threshold)) if np.isfinite(curve).all() else float("nan")
