"""Random projections of pixels: a distance of sets of clips that needs no weights and sees phase."""

import dataclasses
import functools
from typing import ClassVar

import numpy as np

from rolling.metrics.protocol import About
from rolling.video.metrics.distances import FrechetDistance, about_distance

FEATURES = 96
GRID = 32  # pixels along each side
SEED = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelProjection:
    """`sum_i g_i x_i / sqrt(N)` for 96 fixed draws of `g ~ N(0, 1)^N`: 96 features of a clip.

    `x` are the `N` values, from 0 to 1, after averaging axes of more than 32 pixels down to 32. Mean and
    covariance of the features are those of the pixels along 96 directions. No direction is symmetric: clips
    that are mirrored or reversed in time have different features.
    """

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """`[n, 96]`, float32, from grey levels `[n, T, height, width, channel]`."""
        frames, height, width, _ = clips.shape[1:]
        rows, columns = _averages(height), _averages(width)
        planes = np.moveaxis(clips, -1, 2) / np.float32(255)
        values = (rows @ planes @ columns.T).reshape(len(clips), -1)
        return values @ _directions(frames, values.shape[1] // frames) / np.sqrt(np.float32(values.shape[1]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProjectionFrechetDistance(FrechetDistance):
    """Frechet distance of `PixelProjection`: how the sets differ in which colours occur where and when.

    It sees mirror flips, colours and the arrow of time, unless the real clips are symmetric in them, but
    hardly any fine detail: `SpectralFrechetDistance` complements it.
    """

    name = "projection_frechet_distance"
    about: ClassVar[About] = about_distance(
        "Projection Fréchet distance",
        "How unlike in where there is which colour when; lower is better. Not FVD.",
        43,
    )

    def space(self, layout):
        return PixelProjection()


def _averages(size: int) -> np.ndarray:
    """`[min(size, 32), size]`: means over equal parts of an axis; neighbouring parts may share a pixel."""
    parts = min(size, GRID)
    edges = np.linspace(0, size, parts + 1)
    low, high = np.arange(size), np.arange(1, size + 1)
    overlap = np.minimum(edges[1:, None], high) - np.maximum(edges[:-1, None], low)
    return (np.maximum(overlap, 0) * parts / size).astype(np.float32)


@functools.lru_cache(maxsize=2)
def _directions(frames: int, pixels: int) -> np.ndarray:
    """`[frames pixels, 96]`, float32, the same on every machine: NumPy has frozen this generator.

    The first frames of longer clips have the same directions as shorter clips.
    """
    draws = np.random.RandomState(SEED).standard_normal((frames * pixels, FEATURES))
    return draws.astype(np.float32)
