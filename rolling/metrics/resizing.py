"""Bilinear resizing without antialiasing, as in networks that metrics compare fields and pictures with.

All variants are linear in each axis: a matrix `[target, source]` with two weights per row. They differ in
where a pixel lies.
"""

from collections.abc import Callable

import numpy as np

Positions = Callable[[int, int], np.ndarray]
"""Where each of the `target` pixels lies among the `source` ones, from these two numbers."""


def corners(source: int, target: int) -> np.ndarray:
    """Pixel `i` is at `i`, its upper left corner: TensorFlow 1's `resize_bilinear`."""
    return np.arange(target) * (source / target)


def centres(source: int, target: int) -> np.ndarray:
    """Pixel `i` is at `i + 1/2`, its centre: PyTorch, TensorFlow 2, `jax.image.resize`."""
    return (np.arange(target) + 0.5) * (source / target) - 0.5


def ends(source: int, target: int) -> np.ndarray:
    """The first and the last pixels coincide: PyTorch's `align_corners`; a single one is the first."""
    return np.arange(target) * ((source - 1) / max(target - 1, 1))


def bilinear(source: int, target: int, positions: Positions) -> np.ndarray:
    """`[target, source]`, float32; edge values continue beyond the edge."""
    place = np.clip(positions(source, target), 0, source - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, source - 1)
    matrix, rows = np.zeros((target, source)), np.arange(target)
    matrix[rows, low] += 1 - (place - low)
    matrix[rows, high] += place - low
    return matrix.astype(np.float32)
