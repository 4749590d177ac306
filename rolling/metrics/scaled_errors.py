"""Errors frame by frame, most of them relative to the size of the truth, as archives of simulations report
them.

In every equation `x` is the mean of the members or one of them, `y` the truth, `<.>` the plain mean over
cells, whatever their areas, and `E` the mean over starts; values are in physical units. With `member="each"`
the error is that of every member, averaged over members after the square root.
"""

import dataclasses
from typing import ClassVar, Literal

import numpy as np

from rolling.metrics.area import averaged
from rolling.metrics.ensemble import PerVariable
from rolling.metrics.members import MeanOrEach
from rolling.metrics.obstacles import fluid_of, place_of
from rolling.metrics.protocol import About, EvaluationSetup, Sample


class FrameError(MeanOrEach, PerVariable):
    """Base of errors of every variable of fields without masked cells."""

    stem: ClassVar[str]
    title: ClassVar[str]
    note: ClassVar[str]

    @property
    def name(self) -> str:
        return self.named(self.stem)

    @property
    def about(self) -> About:
        return About(title=self.titled(self.title), note=self.note, section="skill", order=22)

    def tools(self, setup: EvaluationSetup):
        whole = setup.mask is None or setup.mask.all()
        return averaged(setup.layout) if whole and not setup.layout.is_video else None

    def values(self, sums):
        return sums.mean("error")


class ScaledError(FrameError):
    """`E sqrt(<(x - y)^2> / scale(y))`."""

    dimensionless: ClassVar[bool] = True

    def scale(self, truth: np.ndarray) -> np.ndarray:
        """`[lead, variable]` of `truth [lead, cell, variable]`."""
        raise NotImplementedError

    def terms(self, tools, sample: Sample):
        forecast = self.scored(sample)
        truth = sample.truth.astype(np.float64).reshape(len(sample.truth), -1, sample.truth.shape[-1])
        square = np.square(forecast.reshape(len(forecast), *truth.shape) - truth).mean(axis=2)
        with np.errstate(divide="ignore", invalid="ignore"):  # a truth of zeros has no size
            return {"error": np.sqrt(square / self.scale(truth)).mean(axis=0)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vrmse(ScaledError):
    """`E sqrt(<(x - y)^2> / (s^2 + 1e-7))`, where `s^2` is the variance of `y` over the `N` cells of its
    frame, with `N - 1` in the denominator (The Well, Ohana et al., 2024)."""

    member: Literal["mean", "each"] = "mean"
    """Whether the mean of the members is scored, or each of them."""
    stem: ClassVar[str] = "vrmse"
    title: ClassVar[str] = "VRMSE"
    note: ClassVar[str] = "Over the truth's standard deviation in space: its spatial mean scores 1."

    def scale(self, truth):
        return truth.var(axis=1, ddof=1) + 1e-7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nrmse(ScaledError):
    """`E sqrt(<(x - y)^2> / <y^2>)`. PDEBench (Takamoto et al., 2022) reports its mean over variables and
    leads, APEBench (Koehler et al., 2024) its sum over variables."""

    member: Literal["mean", "each"] = "mean"
    """Whether the mean of the members is scored, or each of them."""
    stem: ClassVar[str] = "nrmse"
    title: ClassVar[str] = "nRMSE"
    note: ClassVar[str] = "Over the root mean square of the truth."

    def scale(self, truth):
        return np.square(truth).mean(axis=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mse(FrameError):
    """`E <(x - y)^2>`, in squared units, of fields that are 0 in `obstacles`: their cells count, without an
    error. ACDM (Kohl et al., 2023) reports its mean over variables and frames."""

    member: Literal["mean", "each"] = "mean"
    """Whether the mean of the members is scored, or each of them."""
    obstacles: str = ""
    """A constant field by which forecast and truth are multiplied, 0 in obstacles and 1 elsewhere; empty:
    none. Data without any constant field have no obstacles."""
    stem: ClassVar[str] = "mse"
    title: ClassVar[str] = "Mean square error"
    note: ClassVar[str] = "In squared units, a plain mean over cells; lower is better."

    def tools(self, setup):
        variables = super().tools(setup)
        return None if variables is None else (place_of(self.obstacles, setup.layout, "mse"),)

    def terms(self, tools, sample):
        fluid = fluid_of(sample, *tools)
        error = self.scored(sample) - sample.truth
        square = np.square(error if fluid is None else error * fluid)
        return {"error": square.mean(axis=(0, *range(2, square.ndim - 1)), dtype=np.float64)}

    def scores(self, sums):
        return tuple(
            dataclasses.replace(score, units="1" if score.units == "1" else f"({score.units})^2")
            for score in super().scores(sums)
        )
