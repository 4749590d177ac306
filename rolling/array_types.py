"""The arrays that the whole method hands on."""

from jaxtyping import Array, Float, Shaped

Frames = Float[Array, "batch time *space channel"]
ContextFrames = Float[Array, "batch context *space channel"]
"""Clean frames before those that are made, of which there may be none."""
PastFrames = Float[Array, "batch past *space channel"]
"""Clean frames before those of a window."""
Clocks = Float[Array, "#batch time"]
"""Of each frame its own: a `logsnr`, a local time or a weight; one row where the batch shares them."""

SPACE = ("z", "y", "x")
"""Names of the axes of space in patterns of einops: of fewer than three, the last ones."""


def space_of(frames: Shaped[Array, "batch time *space channel"]) -> tuple[int, ...]:
    """The places of the axes of space."""
    return tuple(range(2, frames.ndim - 1))
