"""Bilinear resizing without antialiasing, as in the protocols of FVD.

Both variants are linear in each axis: a matrix `[target, source]` with two weights per row. They differ in
where a pixel lies.
"""

from collections.abc import Callable

import numpy as np

Positions = Callable[[np.ndarray, float], np.ndarray]


def corners(index: np.ndarray, step: float) -> np.ndarray:
    """Pixel `i` is at `i`, its upper left corner: TensorFlow 1's `resize_bilinear`."""
    return index * step


def centres(index: np.ndarray, step: float) -> np.ndarray:
    """Pixel `i` is at `i + 1/2`, its centre: PyTorch, TensorFlow 2, `jax.image.resize`."""
    return (index + 0.5) * step - 0.5


def bilinear(source: int, target: int, positions: Positions) -> np.ndarray:
    """`[target, source]`, float32; edge values continue beyond the edge."""
    place = np.clip(positions(np.arange(target), source / target), 0, source - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, source - 1)
    matrix, rows = np.zeros((target, source)), np.arange(target)
    matrix[rows, low] += 1 - (place - low)
    matrix[rows, high] += place - low
    return matrix.astype(np.float32)
