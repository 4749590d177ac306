"""The arrays that the whole method hands on."""

from jaxtyping import Array, Float

Frames = Float[Array, "batch time height width channel"]
ContextFrames = Float[Array, "batch context height width channel"]
"""Clean frames before those that are made, of which there may be none."""
PastFrames = Float[Array, "batch past height width channel"]
"""Clean frames before those of a window."""
Clocks = Float[Array, "#batch time"]
"""Of each frame its own: a `logsnr`, a local time or a weight; one row where the batch shares them."""
