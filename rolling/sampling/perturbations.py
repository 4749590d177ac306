"""Small errors of certain shapes, to see which of them a window passes on, and which grow."""

import dataclasses
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from rolling.array_types import Frames, space_of
from rolling.sampling.constraints import Units

APART = 2**31 - 1
"""Folded into the keys, so that no noise of a frame is drawn again."""


@runtime_checkable
class Shape(Protocol):
    """A direction in which frames can be wrong."""

    @property
    def name(self) -> str: ...

    def direction(self, x: Frames, key: Key[Array, " batch"], units: Units) -> Frames:
        """`d(x)`, of which a share is added to the normalised frames `x`; 0 in cells without data."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class White:
    """White noise of unit variance, the same in all frames of a sequence."""

    name: str = "white noise"

    def direction(self, x, key, units):
        draw = lambda key: jax.random.normal(jax.random.fold_in(key, APART), x.shape[2:], x.dtype)  # noqa: E731
        return _where_data(jnp.broadcast_to(jax.vmap(draw)(key)[:, None], x.shape), units)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blur:
    """`B x - x`, with `B` the mean of neighbours in each direction of space with weights 1/4, 1/2, 1/4."""

    name: str = "blur"

    def direction(self, x, key, units):
        blurred = x
        for place in space_of(x):
            before, after = _beside(blurred, units, place)
            blurred = (before + 2 * blurred + after) / 4
        return _where_data(blurred - x, units)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contrast:
    """`x - <x>`, with `<x>` the mean of each frame and variable over the cells with data."""

    name: str = "contrast"

    def direction(self, x, key, units):
        return _where_data(x - (x * units.weights(x.dtype)).sum(space_of(x), keepdims=True), units)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Brightness:
    """One standard deviation of the data everywhere."""

    name: str = "brightness"

    def direction(self, x, key, units):
        return _where_data(jnp.ones_like(x), units)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Swelling:
    """`|D x|`, by central differences: what is brighter than its surroundings swells on all sides, by one
    cell for an error of 1."""

    name: str = "swelling"

    def direction(self, x, key, units):
        beside = (_beside(x, units, place) for place in space_of(x))
        squares = [((after - before) / 2) ** 2 for before, after in beside]
        return _where_data(jnp.sqrt(sum(squares[1:], squares[0])), units)


def _beside(x: Frames, units: Units, place: int) -> tuple[Frames, Frames]:
    """Of each cell the ones before and after it along an axis; at an end the cell itself."""
    axis = units.layout.axes[place - 2]
    pads = [(int(i == place),) * 2 for i in range(x.ndim)]
    padded = jnp.pad(x, pads, mode="wrap" if axis.periodic else "edge")
    before, after = (jax.lax.slice_in_dim(padded, i, i + x.shape[place], axis=place) for i in (0, 2))
    return before, after


def _where_data(d: Frames, units: Units) -> Frames:
    return d if units.mask is None else jnp.where(jnp.asarray(units.mask)[None, None], d, 0)


SHAPES: tuple[Shape, ...] = (White(), Blur(), Contrast(), Brightness(), Swelling())
