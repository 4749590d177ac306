"""Grids of any size: padded to a multiple of the network's downsampling, cut into patches, and back."""

import einops
import jax.numpy as jnp

from rolling.video.uvit.layers import Boundary, Frames


def margins(size: int, multiple: int) -> tuple[int, int]:
    """Cells to add before and after an axis to reach the next multiple."""
    extra = -size % multiple
    return extra // 2, extra - extra // 2


def pad(x: Frames, multiple: int, boundary: Boundary) -> Frames:
    """Extends height and width, each by its boundary condition, to the next multiple."""
    modes = {"periodic": "wrap", "edge": "edge", "zero": "constant"}
    for axis, kind in zip((2, 3), boundary, strict=True):
        widths = [(0, 0)] * 5
        widths[axis] = margins(x.shape[axis], multiple)
        if any(widths[axis]):
            x = jnp.pad(x, widths, mode=modes[kind])
    return x


def crop(x: Frames, height: int, width: int) -> Frames:
    """The inverse of `pad`."""
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]


def to_patches(x: Frames, patch: int) -> Frames:
    return einops.rearrange(x, "b t (h p) (w q) c -> b t h w (p q c)", p=patch, q=patch)


def from_patches(x: Frames, patch: int) -> Frames:
    return einops.rearrange(x, "b t h w (p q c) -> b t (h p) (w q) c", p=patch, q=patch)
