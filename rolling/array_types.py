"""The arrays that the whole method hands on."""

from typing import Any

from jaxtyping import Array, Float

Frames = Float[Array, "batch time *space channel"]
ContextFrames = Float[Array, "batch context *space channel"]
"""Clean frames before those that are made, of which there may be none."""
PastFrames = Float[Array, "batch past *space channel"]
"""Clean frames before those of a window."""
JointFrames = dict[str, Float[Array, "batch ..."]]
"""Frames of several modalities by name, each `[batch, time, *space, channel]` at its own rate and on its own
grid."""
JointClocks = dict[str, Float[Array, "..."]]
"""Of each modality the `Clocks` of its frames."""
Clocks = Float[Array, "#batch time"]
"""Of each frame its own: a `logsnr`, a local time or a weight; one row where the batch shares them."""

SPACE = ("z", "y", "x")
"""Names of the axes of space in patterns of einops: of fewer than three, the last ones."""


def space_of(x: Any, first: int = 2) -> tuple[int, ...]:
    """The axes of space of an array of numpy or jax, from `first` to the one before the channels: from 2 in
    frames `[batch, time, *space, channel]`, from 0 in a field `[*space, channel]`."""
    return tuple(range(first, x.ndim - 1))
