"""Constraints: what the data never do, imposed on the predicted clean frame.

The exact denoiser is a mean over the data, `E[x | z]`. Where the data lie in a closed convex set it does,
too, so that going to the nearest point of the set changes nothing there, and brings the prediction of any
network nearer to whatever lies in the set. It is imposed inside the denoiser, after guidance, so that every
solver, window and sweep has it, and once more on each finished frame: what is emitted, and is context from
then on, obeys.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rolling.array_types import ContextFrames, Frames, space_of
from rolling.common.errors import InputError
from rolling.joint_layout import JointLayout
from rolling.layout import Layout

if TYPE_CHECKING:
    from rolling.sampling.recipe import Sampling


class Units(NamedTuple):
    """What normalised values stand for: `mean [C]` and `std [C]` in the units of the layout's variables;
    `mask [H, W, C]` is True where there are data (None: everywhere)."""

    layout: Layout
    mean: np.ndarray
    std: np.ndarray
    mask: np.ndarray | None = None

    @classmethod
    def standard(cls, layout: Layout) -> "Units":
        """Of values that are in the units of the layout already."""
        channels = layout.shape[-1]
        return cls(layout, np.zeros(channels, np.float32), np.ones(channels, np.float32))

    def weights(self, dtype: Any, chosen: Sequence[int] | None = None) -> Float[Array, "1 1 *space channel"]:
        """The share of each cell in the mean of its variable, by area, over cells with data; 0 in variables
        that are not chosen."""
        counted = np.zeros(self.layout.shape, bool)
        counted[..., slice(None) if chosen is None else chosen] = True
        if self.mask is not None:
            counted &= self.mask
        weights = self.layout.area_weights()[..., None] * counted
        total = weights.sum(space_of(weights, 0))
        return jnp.asarray(weights / np.maximum(total, 1e-30), dtype)[None, None]

    def physical(self, x: Frames) -> Frames:
        return x * _per_channel(self.std, x) + _per_channel(self.mean, x)

    def normalised(self, x: Frames) -> Frames:
        return (x - _per_channel(self.mean, x)) / _per_channel(self.std, x)


@dataclasses.dataclass(frozen=True)
class JointUnits:
    """What the values of several modalities stand for."""

    layout: JointLayout
    of: dict[str, Units]

    @classmethod
    def standard(cls, layout: JointLayout) -> "JointUnits":
        """Of values that are in the units of the layouts already."""
        return cls(layout, {name: Units.standard(part) for name, part in layout.of.items()})

    @property
    def mask(self) -> dict[str, np.ndarray | None]:
        return {name: part.mask for name, part in self.of.items()}


def _per_channel(values: np.ndarray, x: Frames) -> Array:
    """`values [C]` in the precision of `x`, with all of its axes."""
    return jnp.asarray(values, x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))


@runtime_checkable
class Constraint(Protocol):
    """A set of frames that holds all data, and how frames are brought into it."""

    def check(self, sampling: "Sampling", layout: Layout | None = None) -> None:
        """Raises `InputError` for a way of sampling, or for data where a layout is given, that it does not
        suit."""

    def constrain(self, x: Frames, context: ContextFrames, units: Units) -> Frames:
        """Predicted frames `x`, normalised as `units` says, brought into the set; the context, of which there
        may be none, is clean."""
        ...


def channels_of(names: tuple[str, ...], layout: Layout, who: str) -> list[int]:
    """The channels of the named variables, all of them where none are named."""
    unknown = [name for name in names if name not in layout.names]
    if unknown:
        raise InputError(
            f"{who} names the variables {', '.join(unknown)}, and the data hold {', '.join(layout.names)}"
        )
    return [layout.names.index(name) for name in names or layout.names]


def check_pictures(layout: Layout | None, what: str) -> None:
    if layout is not None and not layout.is_video:
        raise InputError(
            f"the data are no pictures, whose grey levels are known to lie from 0 to 255: {what}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """`low <= x <= high`, cell by cell: `x -> min(max(x, low), high)`, the nearest point of a box.

    Without `variables`, the grey levels of pictures, from 0 to 255. With them, those variables in their own
    units: `Limits(variables=("tp",), low=0)` keeps rain from falling upward.
    """

    variables: tuple[str, ...] = ()
    """Names of the variables that are limited; none for pictures."""
    low: float = -math.inf
    """Smallest value, in the units of the data."""
    high: float = math.inf
    """Largest value, in the units of the data."""

    def __post_init__(self):
        if not self.low < self.high:
            raise InputError(f"limits need low < high, not {self.low} and {self.high}")
        if bool(self.variables) == (self.low == -math.inf and self.high == math.inf):
            raise InputError(
                "limits are of pictures, and then without numbers, or of named variables with a low or a"
                f" high: give both or neither of variables and low or high, not {self}"
            )

    def check(self, sampling, layout=None):
        if not self.variables:
            check_pictures(layout, "name the variables, and give low or high")
        elif layout is not None:
            channels_of(self.variables, layout, "a constraint of limits")

    def constrain(self, x, context, units):
        layout = units.layout
        low, high = np.full((2, layout.shape[-1]), [[-math.inf], [math.inf]])
        chosen = channels_of(self.variables, layout, "a constraint of limits")
        low[chosen], high[chosen] = (self.low, self.high) if self.variables else (0.0, 255.0)
        low, high = (_per_channel((limit - units.mean) / units.std, x) for limit in (low, high))
        return jnp.clip(x, low, high)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DynamicThreshold:
    """Imagen's dynamic thresholding of pictures (Saharia et al., arXiv 2205.11487, section 2.3).

    With `x` scaled to [-1, 1] and `s = max(1, quantile(|x|))` over a frame, `x -> clip(x, -s, s) / s`: a
    frame that guidance has given too much contrast is compressed in place of being cut off. It is no nearest
    point: without guidance it would lower the contrast of every later frame once more, and is refused.
    """

    quantile: float = 0.995
    """Share of the values of a frame that lie within the threshold."""

    def __post_init__(self):
        if not 0 < self.quantile <= 1:
            raise InputError(f"a dynamic threshold takes a quantile in (0, 1], not {self.quantile}")

    def check(self, sampling, layout=None):
        check_pictures(layout, "leave the dynamic threshold out")
        if not sampling.guidance:
            raise InputError(
                "a dynamic threshold lowers the contrast that guidance raises, and there is none: use limits"
            )

    def constrain(self, x, context, units):
        scaled = units.physical(x) / 127.5 - 1
        axes = tuple(range(2, x.ndim))
        s = jnp.maximum(1, jnp.quantile(jnp.abs(scaled), self.quantile, axis=axes, keepdims=True))
        return units.normalised((jnp.clip(scaled, -s, s) / s + 1) * 127.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConservedMean:
    """The mean over the area is that of the last frame of the context:
    `x -> x + mean(context[-1]) - mean(x)` in cells with data, the nearest point of a plane.

    For what is neither made nor lost: dry mass, a tracer in a closed domain, the vorticity on a torus.
    """

    variables: tuple[str, ...] = ()
    """Names of the variables whose mean is conserved; none for all."""

    def check(self, sampling, layout=None):
        if sampling.window.context < 1:
            raise InputError(
                "a conserved mean is that of the last frame of the context, and this window has none: choose"
                " one with context"
            )
        if layout is not None:
            channels_of(self.variables, layout, "a conserved mean")

    def constrain(self, x, context, units):
        weights = units.weights(x.dtype, channels_of(self.variables, units.layout, "a conserved mean"))
        change = ((context[:, -1:] - x) * weights).sum(space_of(x), keepdims=True)
        return jnp.where(weights > 0, x + change, x)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Masked:
    """Cells without data are 0, the value that training shows the network there."""

    def check(self, sampling, layout=None):
        pass

    def constrain(self, x, context, units):
        if units.mask is None:
            return x
        return jnp.where(jnp.asarray(units.mask)[None, None], x, 0)
