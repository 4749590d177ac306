"""Grids of any size: padded to a multiple of the network's downsampling, cut into patches, and back."""

import einops
import jax.numpy as jnp

from rolling.array_types import SPACE
from rolling.video.uvit.layers import Boundary, Frames, half_round


def margins(size: int, multiple: int) -> tuple[int, int]:
    """Cells to add before and after an axis to reach the next multiple."""
    extra = -size % multiple
    return extra // 2, extra - extra // 2


def pad(x: Frames, multiple: int, boundary: Boundary) -> Frames:
    """Extends each axis of space, by its boundary condition, to the next multiple."""
    modes = {"periodic": "wrap", "edge": "edge", "zero": "constant", "pole": "symmetric"}
    for axis, kind in enumerate(boundary, start=2):
        widths = [(0, 0)] * x.ndim
        before, after = widths[axis] = margins(x.shape[axis], multiple)
        if not after:
            continue
        x = jnp.pad(x, widths, mode=modes[kind])
        if kind == "pole":
            first, inner, last = jnp.split(x, [before, x.shape[axis] - after], axis)
            x = jnp.concatenate([half_round(first, axis + 1), inner, half_round(last, axis + 1)], axis)
    return x


def crop(x: Frames, space: tuple[int, ...]) -> Frames:
    """The inverse of `pad`."""
    starts = [(padded - cells) // 2 for padded, cells in zip(x.shape[2:], space, strict=False)]
    return x[:, :, *(slice(start, start + cells) for start, cells in zip(starts, space, strict=True))]


def to_patches(x: Frames, patch: int) -> Frames:
    """`[batch, time, *space / patch, cells of the patch x channels]`."""
    whole, cut, cells, sizes = _patterns(x.ndim - 3, patch)
    return einops.rearrange(x, f"b t {cut} c -> b t {whole} ({cells} c)", **sizes)


def from_patches(x: Frames, patch: int) -> Frames:
    """The inverse of `to_patches`."""
    whole, cut, cells, sizes = _patterns(x.ndim - 3, patch)
    return einops.rearrange(x, f"b t {whole} ({cells} c) -> b t {cut} c", **sizes)


def _patterns(axes: int, patch: int) -> tuple[str, str, str, dict[str, int]]:
    """Of einops: the axes of patches, those of cells, the axes inside a patch, and their sizes."""
    names = SPACE[-axes:]
    cells = [f"{name}_cell" for name in names]
    cut = " ".join(f"({name} {cell})" for name, cell in zip(names, cells, strict=True))
    return " ".join(names), cut, " ".join(cells), dict.fromkeys(cells, patch)
