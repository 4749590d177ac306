"""Power at each spatial scale and frequency: a distance of sets of clips that needs no weights."""

import dataclasses
import functools
from typing import Any, ClassVar

import numpy as np
import scipy.fft

from rolling.metrics.protocol import About
from rolling.video.metrics.distances import FrechetDistance, about_distance

RADII, PACES = 12, 9
FLOOR = 1e-4
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpectralPower:
    """`log(p + 1e-4)`, `p` the power of the luma in 12 rings of wavenumber by 9 bands of frequency: 108
    features of a clip.

    Luma from 0 to 1 is multiplied by a Hann window along all three axes and Fourier transformed; `|.|^2`,
    divided by the sum of the squared window so that the power of white noise is its variance, is averaged
    over each bin. Rings are equally wide from 0 to 1/2 cycle per pixel, and the last includes the corners
    beyond; band `j` is centred on `j / 16` cycles per frame, of either sign, so that 16 frames fill each.
    Bins without any mode, as with fewer frames, carry no information: they are the same for all clips.

    Power ignores phase: clips that are mirrored or reversed in time have the same features.
    """

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """`[n, 108]`, float64, from grey levels `[n, T, height, width, channel]`, of colours or of luma."""
        window, bins, weights = _plan(*clips.shape[1:4])
        return np.stack([_features(clip, window, bins, weights) for clip in clips])


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpectralFrechetDistance(FrechetDistance):
    """Frechet distance of `SpectralPower`: how the sets differ in power at each scale and frequency.

    It rises with blur, noise, shuffled, frozen or jittering frames, and flicker. It is not FVD, and their
    values cannot be compared.
    """

    name = "spectral_frechet_distance"
    about: ClassVar[About] = about_distance(
        "Spectral Fréchet distance",
        "How unlike in what happens at each scale and pace; lower is better. Not FVD.",
        42,
    )

    def space(self, layout):
        return SpectralPower()


def _features(clip, window, bins, weights) -> np.ndarray:
    modes: Any = scipy.fft.rfftn(luma(clip) * window, axes=(1, 2, 0))  # typed as no array
    power = (modes.real**2 + modes.imag**2).ravel()
    return np.log(np.bincount(bins, power * weights, RADII * PACES) + FLOOR)


def luma(frames: np.ndarray) -> np.ndarray:
    """`[..., channel]`, grey levels of one or three channels, to `[...]` from 0 to 1, float32."""
    return (frames[..., 0] if frames.shape[-1] == 1 else frames @ LUMA) / np.float32(255)


@functools.lru_cache(maxsize=4)
def _plan(frames: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The window `[T, height, width]`, and the bin and the weight of each mode; the weights in a bin sum to
    1 over the sum of the squared window."""
    window = functools.reduce(np.multiply.outer, map(_hann, (frames, height, width))).astype(np.float32)
    frequency = np.fft.rfftfreq(frames)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    band = np.rint(frequency * 2 * (PACES - 1)).astype(int)
    ring = np.minimum((radius * 2 * RADII).astype(int), RADII - 1)
    bins = (ring[None] * PACES + band[:, None, None]).ravel()
    # A real transform omits negative frequencies; zero and the Nyquist frequency have no counterpart.
    both = np.where((frequency == 0) | (frequency == 0.5), 1.0, 2.0)
    modes = np.repeat(both, height * width)
    return window, bins, modes / np.bincount(bins, modes)[bins] / np.square(window, dtype=np.float64).sum()


def _hann(size: int) -> np.ndarray:
    """The window at the centres of `size` equal parts, so that no frame or row has weight 0."""
    return np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
