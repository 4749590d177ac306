"""Where drift comes from: how far a statistic of the first own frames is from that of the true ones.

A rollout whose window begins on the truth makes its first frames from true ones and all later ones from its
own. What is wrong in the first was learnt, and is there whatever it continues; what is wrong in the later
ones only comes from continuing its own. Neither is seen in a loss of one step: with a lag correlation near
one a small error of each step adds up for as long as nothing in the data pulls back.
"""

import dataclasses

import numpy as np

from rolling.metrics.intervals import estimated


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ErrorGrowth:
    """Numbers of one statistic, in standard deviations of the truth's, each `[3]`: the estimate, and the
    bounds of its interval. A standard deviation is `least` at least, as some data conserve a number.

    With `e_k` the mean over rollouts of the statistic `k` frames after the truth, less that of the true
    frame, and T frames in all:

    `at_once`: `e_k` over the frames that the first cycle finishes.
    `later`: `(e_T - e_h) / (T - h)`, `h = T / 2`: what each frame adds, on frames of the rollout's own.
    `gain`, `true_gain`: the slope of the statistic of a frame on that of the frame before, in what rollouts,
    or true sequences, differ by; a deviation grows where it is above 1. NaN where they differ by rounding.
    """

    at_once: np.ndarray
    later: np.ndarray
    gain: np.ndarray
    true_gain: np.ndarray

    @classmethod
    def of(
        cls, made: np.ndarray, true: np.ndarray, at_once: int, block: np.ndarray, least: float = 0.0
    ) -> "ErrorGrowth":
        """From `made`, `true [start, 1 + T]`, of which the first are of the last true frame before, with the
        number of frames that the first cycle finishes, and the independent `block [start]` of each start."""
        scale = max(true.std(), least) or 1.0
        found = estimated(lambda weights: _numbers(made / scale, true / scale, at_once, weights), block)
        return cls(**dict(zip(NAMES, found, strict=True)))

    @property
    def is_biased(self) -> bool:
        """Whether frames made from true ones are certainly wrong."""
        return excludes_zero(self.at_once)

    @property
    def drifts(self) -> bool:
        """Whether the error certainly grows, and as fast as a tenth of a standard deviation in 100 frames."""
        return excludes_zero(self.later) and abs(self.later[0]) > 1e-3


ROUNDING = 1e-4
"""Standard deviations by which single precision may tell conserved numbers apart."""

NAMES = tuple(field.name for field in dataclasses.fields(ErrorGrowth))


def excludes_zero(number: np.ndarray) -> bool:
    """Whether an estimate certainly is not 0."""
    return bool(number[1] > 0 or number[2] < 0)


def _numbers(made: np.ndarray, true: np.ndarray, at_once: int, weights: np.ndarray) -> np.ndarray:
    error = weights @ (made - true) / weights.sum()
    last = len(error) - 1
    half = last // 2
    later = (error[last] - error[half]) / (last - half)
    return np.array([error[1 : 1 + at_once].mean(), later, _gain(made, weights), _gain(true, weights)])


def _gain(series: np.ndarray, weights: np.ndarray) -> float:
    """The slope on the frame before, over all frames but the first, which is true."""
    apart = series - weights @ series / weights.sum()
    before, after = apart[:, 1:-1], apart[:, 2:]
    square = (weights @ before**2).sum()
    rounding = weights.sum() * before.shape[1] * ROUNDING**2
    return float((weights @ (before * after)).sum() / square) if square > rounding else np.nan
