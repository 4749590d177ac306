"""The two arrays that the whole method hands on."""

from jaxtyping import Array, Float

Frames = Float[Array, "batch time height width channel"]
Clocks = Float[Array, "#batch time"]
"""Of each frame its own: a `logsnr`, a local time or a weight; one row where the batch shares them."""
