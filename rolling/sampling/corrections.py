"""Corrections of finished frames: what holds a long rollout to the frames that it was given.

A constraint (`rolling.sampling.constraints`) says what the data never do, and is imposed on every prediction.
A correction is no law of the data: it is applied once to each finished frame, before the frame is emitted and
becomes context.
"""

import dataclasses
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float

from rolling.array_types import ContextFrames, Frames, space_of
from rolling.common.errors import InputError
from rolling.layout import Layout
from rolling.sampling.constraints import Units

if TYPE_CHECKING:
    from rolling.sampling.recipe import Sampling


@runtime_checkable
class Correction(Protocol):
    """A change of finished frames, in terms of the context with which the rollout began."""

    def check(self, sampling: "Sampling", layout: Layout | None = None) -> None:
        """Raises `InputError` for a way of sampling, or for data where a layout is given, that it does not
        suit."""

    def correct(self, x: Frames, given: ContextFrames, units: Units) -> Frames:
        """Finished frames `x`, normalised as `units` says, corrected."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Anchor:
    """Mean and standard deviation of each variable are drawn to those of the given frames:

        mu' = (1 - w) mu + w mu_given,  sd' = (1 - w) sd + w sd_given,
        x -> mu' + (x - mu) sd' / sd,

    over the cells with data, weighted by area. Where each frame adds `b` to a mean that is else copied, the
    mean goes to `b (1 - w) / w` in place of infinity. It does not see what leaves both alone, such as a shape
    that grows as its brightness fades, and is wrong where a scene changes its brightness, or a field its
    season. Anchoring by low-order statistics is AdaIN's (Huang and Belongie, arXiv 1703.06868) with a
    weight.

    Raises `InputError` for a weight that is not in (0, 1], and for a window without context.
    """

    weight: float = 0.05
    """How far to go with each frame: 1 sets them to those of the given frames."""
    what: Literal["mean", "std", "both"] = "both"
    """The mean, the standard deviation, or both."""

    def __post_init__(self):
        if not 0 < self.weight <= 1:
            raise InputError(f"an anchor has a weight in (0, 1], not {self.weight}")

    def check(self, sampling, layout=None):
        if sampling.window.context < 1:
            raise InputError(
                "an anchor holds the statistics of the context that a rollout begins with, and this window"
                " has none: choose one with context"
            )

    def correct(self, x, given, units):
        cells = units.weights(x.dtype)
        mean, std = _moments(x, cells)
        mean_given, std_given = (part.mean(1, keepdims=True) for part in _moments(given, cells))
        w_mean, w_std = (self.weight * (self.what in (name, "both")) for name in ("mean", "std"))
        scale = jnp.where(std > 0, 1 + w_std * (std_given - std) / jnp.where(std > 0, std, 1), 1)
        corrected = mean + w_mean * (mean_given - mean) + (x - mean) * scale
        return jnp.where(cells > 0, corrected, x)


Moment = Float[Array, "batch time *ones channel"]


def _moments(x: Frames, cells: Float[Array, "1 1 *space channel"]) -> tuple[Moment, Moment]:
    """Mean and standard deviation of each frame and variable."""
    mean = (cells * x).sum(space_of(x), keepdims=True)
    return mean, jnp.sqrt((cells * (x - mean) ** 2).sum(space_of(x), keepdims=True))
