"""Sound as frames, and frames that can be heard again: the MDCT, and levels of frequency bands."""

import functools
import math

import numpy as np
from jaxtyping import Float

from rolling.common.errors import InputError
from rolling.geometry import Axis
from rolling.layout import Layout, Variable

MDCT, LEVEL, FREQUENCY = "mdct", "level", "frequency"
SCALE = 1e-3
"""Coefficients far below it are kept in proportion, those far above it by their logarithm."""
RATES = (8000, 16000, 22050, 32000, 44100, 48000)
"""Samples per second at which levels of bands are played: what players know."""
HIGHEST = 20_000.0  # Hz that can be heard


def mdct(samples: Float[np.ndarray, " samples"], hop: int) -> Float[np.ndarray, "time hop"]:
    """Frame `j` of `M = hop` coefficients, from the samples of its own interval and of the one before,
    `x[(j - 1) M : (j + 1) M]`, so that it knows nothing of what comes after it:

        X_jk = sqrt(2 / M) sum_n w_n x[(j - 1) M + n] cos(pi / M (n + 1/2 + M / 2) (k + 1/2)),

    `w_n = sin(pi / (2 M) (n + 1/2))`, `n < 2 M`, in float64 (Princen, Johnson and Bradley 1987).
    Before the first sample there is silence. The map is orthogonal but for the last frame: where that is
    silent, energies of samples and coefficients are the same. Raises `InputError` for a `hop` that is
    not even, or does not divide the number of samples.
    """
    _check_hop(hop)
    if len(samples) % hop:
        raise InputError(f"{len(samples)} samples are no whole number of frames of {hop}: cut them")
    intervals = np.concatenate([np.zeros(hop), np.asarray(samples, np.float64)]).reshape(-1, hop)
    rising, falling = _window(hop)
    before, now = intervals[:-1] * rising, intervals[1:] * falling
    half = hop // 2
    folded = np.concatenate(
        [-now[:, half - 1 :: -1] - now[:, half:], before[:, :half] - before[:, : half - 1 : -1]], axis=1
    )
    return _dct4(folded)


def inverse_mdct(coefficients: Float[np.ndarray, "time hop"]) -> Float[np.ndarray, " samples"]:
    """The samples, `hop` to a frame, float64: those of `mdct` to rounding, but for the last `hop`.

    Each interval is the sum of what two frames say of it. Of the last one only the first frame is there: it
    fades out, and is mixed with itself reversed.
    """
    hop = coefficients.shape[1]
    _check_hop(hop)
    folded, half = _dct4(np.asarray(coefficients, np.float64)), hop // 2
    rising, falling = _window(hop)
    first, second = folded[:, :half], folded[:, half:]
    now = np.concatenate([-first[:, ::-1], -first], axis=1) * falling
    before = np.concatenate([second, -second[:, ::-1]], axis=1) * rising
    now[:-1] += before[1:]
    return now.reshape(-1)


def companded(coefficients: np.ndarray) -> np.ndarray:
    """`sign(x) log(1 + |x| / SCALE)`: coefficients have heavy tails, and this has none."""
    return np.sign(coefficients) * np.log1p(np.abs(coefficients) / SCALE)


def expanded(values: np.ndarray) -> np.ndarray:
    """The inverse of `companded`."""
    return np.sign(values) * SCALE * np.expm1(np.abs(values))


def mdct_layout(rate: int, hop: int) -> Layout:
    """That of frames of `hop` companded coefficients, of sound of `rate` samples a second, in seconds."""
    _check_hop(hop)
    step = hop / rate
    centres = tuple((k + 0.5) / (2 * step) for k in range(hop))
    return Layout(
        variables=(Variable(name=MDCT, long_name="MDCT coefficient, companded"),),
        axes=(Axis(name=FREQUENCY, values=centres, units="Hz"),),
        step=step,
        time_units="s",
    )


def audible(layout: Layout) -> bool:
    """Whether `waveform` makes sound of such frames: of one variable along an axis `frequency` in Hz, a step
    in seconds apart, that is

    - `mdct`: companded coefficients (`mdct_layout`), an even number `M`, the centre of coefficient `k` at
      `(k + 1/2) / (2 step)`; or
    - `level` in dB: that of a band around each frequency, of at most 20 kHz.
    """
    if len(layout.axes) != 1 or len(layout.variables) != 1 or layout.time_units != "s":
        return False
    axis, variable = layout.x, layout.variables[0]
    if axis.name != FREQUENCY or axis.units != "Hz" or not 0 < layout.step < math.inf:
        return False
    centres = np.asarray(axis.values)
    if variable.name == MDCT:
        expected = (np.arange(len(axis)) + 0.5) / (2 * layout.step)
        return len(axis) % 2 == 0 and np.allclose(centres, expected, rtol=1e-3, atol=0)
    bands = (centres > 0) & (centres <= HIGHEST)
    return variable.name == LEVEL and variable.units == "dB" and bool(bands.all())


def waveform(
    layout: Layout, frames: Float[np.ndarray, "time frequency 1"]
) -> tuple[Float[np.ndarray, " samples"], int]:
    """Samples from -1 to 1, float32, and how many there are to a second. Frame `j` sounds from `j` steps on.

    Coefficients give back their samples, see `inverse_mdct`. Of levels, a band is a sine of its frequency
    with a running phase, whose amplitude `10^(level / 20)`, at most 1, is that of a frame in the middle of
    its interval, linear from one middle to the next and constant outside of them. What is not a number is
    silent, and what is too loud is cut off. Raises `InputError` for frames that are not `audible`.
    """
    if not audible(layout):
        raise InputError(
            f"{', '.join(layout.names)} along {', '.join(axis.name for axis in layout.axes)} cannot be heard:"
            f" sound is {MDCT}, or {LEVEL} in dB, along {FREQUENCY} in Hz, with a step in seconds"
        )
    values = np.asarray(frames, np.float64)[..., 0]
    if layout.names == (MDCT,):
        loudest = companded(np.sqrt(2.0 * values.shape[1]))  # no coefficient of sound from -1 to 1 is larger
        rate = round(values.shape[1] / layout.step)
        samples = inverse_mdct(expanded(np.clip(np.nan_to_num(values, nan=0.0), -loudest, loudest)))
    else:
        samples, rate = _sines(layout, values)
    return np.clip(samples, -1, 1).astype(np.float32), rate


def _sines(layout: Layout, levels: Float[np.ndarray, "time band"]) -> tuple[np.ndarray, int]:
    centres = np.asarray(layout.x.values)
    rate = next(rate for rate in RATES if rate >= 2.2 * centres.max())
    amplitudes = 10 ** (np.minimum(np.nan_to_num(levels, nan=-np.inf), 0.0) / 20)
    times = np.arange(round(len(levels) * layout.step * rate)) / rate
    middles = (np.arange(len(levels)) + 0.5) * layout.step
    samples = np.zeros(len(times))
    for centre, amplitude in zip(centres, amplitudes.T, strict=True):
        if amplitude.any():
            samples += np.interp(times, middles, amplitude) * np.sin(2 * np.pi * centre * times)
    return samples, rate


def _check_hop(hop: int) -> None:
    if hop < 2 or hop % 2:
        raise InputError(f"a frame of sound has an even number of samples, not {hop}")


def _dct4(values: Float[np.ndarray, "time hop"]) -> Float[np.ndarray, "time hop"]:
    """`sqrt(2 / M) sum_n v_n cos(pi / M (n + 1/2) (k + 1/2))`, its own inverse, by one FFT of twice the
    length: the cosine is the real part of `exp(-i pi (n k + n / 2 + k / 2 + 1 / 4) / M)`."""
    hop = values.shape[1]
    place = np.arange(hop)
    turned = np.fft.fft(values * np.exp(-0.5j * np.pi * place / hop), 2 * hop, axis=1)[:, :hop]
    return np.sqrt(2 / hop) * (turned * np.exp(-0.5j * np.pi * (place + 0.5) / hop)).real


@functools.lru_cache(maxsize=8)
def _window(hop: int) -> tuple[np.ndarray, np.ndarray]:
    """Both halves of the window: their squares sum to 1."""
    window = np.sin(np.pi / (2 * hop) * (np.arange(2 * hop) + 0.5))
    return window[:hop], window[hop:]
