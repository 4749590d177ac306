"""Errors relative to the size of the truth, frame by frame, as archives of simulations report them.

In every equation `x` is the mean of the members or one of them, `y` the truth, `<.>` the plain mean over
cells, whatever their areas, and `E` the mean over starts; values are in physical units. With `member="each"`
the error is that of every member, averaged over members after the square root.
"""

import dataclasses
from typing import ClassVar, Literal

import numpy as np

from rolling.common.errors import InputError
from rolling.metrics.area import averaged
from rolling.metrics.ensemble import PerVariable, ensemble_mean
from rolling.metrics.protocol import About, EvaluationSetup, Sample


class ScaledError(PerVariable):
    """`E sqrt(<(x - y)^2> / scale(y))` for every variable of fields without masked cells."""

    member: Literal["mean", "each"]
    stem: ClassVar[str]
    title: ClassVar[str]
    note: ClassVar[str]
    dimensionless: ClassVar[bool] = True

    def __post_init__(self):
        if self.member not in ("mean", "each"):
            raise InputError(f"the member that is scored is 'mean' or 'each', not {self.member!r}")

    @property
    def name(self) -> str:
        return self.stem if self.member == "mean" else f"{self.stem}_of_members"

    @property
    def about(self) -> About:
        of = "" if self.member == "mean" else " of one member"
        return About(title=self.title + of, note=self.note, section="skill", order=22)

    def tools(self, setup: EvaluationSetup):
        whole = setup.mask is None or setup.mask.all()
        return averaged(setup.layout) if whole and not setup.layout.is_video else None

    def scale(self, truth: np.ndarray) -> np.ndarray:
        """`[lead, variable]` of `truth [lead, cell, variable]`."""
        raise NotImplementedError

    def terms(self, tools, sample: Sample):
        forecast = ensemble_mean(sample)[None] if self.member == "mean" else sample.forecast
        truth = sample.truth.astype(np.float64).reshape(len(sample.truth), -1, sample.truth.shape[-1])
        square = np.square(forecast.reshape(len(forecast), *truth.shape) - truth).mean(axis=2)
        with np.errstate(divide="ignore", invalid="ignore"):  # a truth of zeros has no size
            return {"error": np.sqrt(square / self.scale(truth)).mean(axis=0)}

    def values(self, sums):
        return sums.mean("error")


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
