"""Similarity of a frame to the true one: PSNR and SSIM, of all members and of the best of them.

Frames are first rounded to grey levels 0 to 255, as they are when stored.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import scipy.ndimage

from rolling.layout import Variable
from rolling.metrics.protocol import About, EvaluationSetup, Sample, Score
from rolling.metrics.sums import Averaged, Sums, over_leads

PEAK = 255
CAP = 100.0  # dB
RADIUS, WIDTH = 5, 1.5  # of the Gaussian window of SSIM, in pixels: 11 taps
LEAST = 2 * RADIUS + 1
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2


class Quality(Averaged):
    """Base of metrics of single frames: a curve over lead time, the mean over starts and members.

    `best`: only the member with the highest mean over all leads counts for each start, the "best of K" of
    stochastic video prediction (Denton and Fergus 2018, arXiv 1802.07687). It needs several members.
    """

    best: bool
    """Score only the best member of each start: best of K."""
    plain: ClassVar[str]
    units: ClassVar[str]
    about_plain: ClassVar[About]
    title_of_best: ClassVar[str]

    @property
    def name(self) -> str:
        return f"best_{self.plain}" if self.best else self.plain

    @property
    def about(self) -> About:
        if not self.best:
            return self.about_plain
        note = "Of each start the member with the highest mean over all leads; it rises with their number."
        order = self.about_plain.order + 1
        return dataclasses.replace(
            self.about_plain, title=self.title_of_best, note=note, order=order, column=""
        )

    @property
    def shared(self) -> str:
        return self.plain

    def of(self, forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """`[member, T]` from uint8 frames `[member, T, height, width, channel]` and `[T, ...]`."""
        raise NotImplementedError

    def tools(self, setup: EvaluationSetup) -> np.ndarray | None:
        """`[leads, member]`: a buffer for the qualities of the current start."""
        if not setup.layout.is_video or (self.best and setup.members == 1):
            return None
        return np.full((setup.leads, setup.members), np.nan)

    def terms(self, tools, sample):
        forecast, truth = (grey_levels(frames) for frames in (sample.forecast, sample.truth))
        return {"quality": self.of(forecast, truth).T}

    def update(self, state: Sums, sample: Sample) -> Sums:
        if not self.best:
            return super().update(state, sample)
        clip, block = state.tools, self.computed(state, sample)["quality"]
        clip[sample.first : sample.first + len(block)] = block
        if sample.first + len(block) == len(clip):  # the last block of a start: its best member is known now
            state.add(0, {"quality": clip[:, [clip.mean(axis=0).argmax()]]})
        return state

    def scores(self, sums: Sums) -> tuple[Score, ...]:
        values = sums.mean("quality").mean(axis=1, keepdims=True)
        return over_leads(sums.setup, (Variable(name="frame"),), values, units=self.units)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Psnr(Quality):
    """Peak signal-to-noise ratio, `10 log10(255^2 / <(x - y)^2>)` in dB, `<.>` over all pixels and channels.

    The mean is taken over the decibels of frames, not over their errors. Equal frames have 100 dB instead of
    infinity, and nothing exceeds that.
    """

    best: bool = False
    """Score only the best member of each start: best of K."""
    plain: ClassVar[str] = "psnr"
    units: ClassVar[str] = "dB"
    about_plain: ClassVar[About] = About(
        title="Peak signal-to-noise ratio",
        note="Of single members, frame by frame; higher is better.",
        section="skill",
        order=10,
        higher=True,
        zero=False,
        column="psnr",
    )
    title_of_best: ClassVar[str] = "PSNR of the best member"

    def of(self, forecast, truth):
        difference = forecast.astype(np.int32) - truth  # squares of up to 255^2, exactly
        error = np.square(difference).mean(axis=(-3, -2, -1))
        with np.errstate(divide="ignore"):
            return np.minimum(10 * np.log10(PEAK**2 / error), CAP)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ssim(Quality):
    """Structural similarity, the mean over pixels and channels of

        `(2 m_x m_y + C1) (2 s_xy + C2) / ((m_x^2 + m_y^2 + C1) (s_x^2 + s_y^2 + C2))`,

    `m`, `s^2`, `s_xy` the local means, variances and covariance under a Gaussian window of 11 x 11 pixels and
    standard deviation 1.5, `C1 = (0.01 255)^2`, `C2 = (0.03 255)^2`; from -1 to 1, and 1 for equal frames.
    Pixels closer than 5 to the border have no full window and do not count, so pictures with a side below 11
    have no score. Colours are compared separately (Wang et al. 2004, doi 10.1109/TIP.2003.819861).
    """

    best: bool = False
    """Score only the best member of each start: best of K."""
    plain: ClassVar[str] = "ssim"
    units: ClassVar[str] = "1"
    about_plain: ClassVar[About] = About(
        title="Structural similarity",
        note="Of single members; 1 is the same picture.",
        section="skill",
        order=12,
        higher=True,
        zero=False,
        column="ssim",
    )
    title_of_best: ClassVar[str] = "Structural similarity of the best member"

    def tools(self, setup):
        return super().tools(setup) if min(setup.layout.space) >= LEAST else None

    def of(self, forecast, truth):
        y = _planes(truth)
        mean_y, square_y = _smooth(y), _smooth(y * y)
        return np.stack([_similarity(_planes(x), y, mean_y, square_y) for x in forecast])


def grey_levels(values: np.ndarray) -> np.ndarray:
    """Frames as uint8, rounded as they are when stored."""
    return Variable(name="", dtype="uint8").stored(values)


def _planes(frames: np.ndarray) -> np.ndarray:
    """`[T, height, width, channel]` to `[T, channel, height, width]`, centred: squares lose digits."""
    return np.moveaxis(frames, -1, -3).astype(np.float32) - np.float32(PEAK / 2)


def _similarity(x, y, mean_y, square_y) -> np.ndarray:
    """`[T]`: the similarity of planes, averaged over pixels and channels."""
    mean_x = _smooth(x)
    covariance = _smooth(x * y) - mean_x * mean_y
    variances = _smooth(x * x) - mean_x**2 + square_y - mean_y**2
    mean_x, mean_y = mean_x + PEAK / 2, mean_y + PEAK / 2
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return (luminance * (2 * covariance + C2) / (variances + C2)).mean(axis=(-3, -2, -1), dtype=np.float64)


def _smooth(planes: np.ndarray) -> np.ndarray:
    """Means under the window, `[..., height, width]` to `[..., height - 10, width - 10]`."""
    smooth = scipy.ndimage.gaussian_filter(planes, WIDTH, radius=RADIUS, axes=(-2, -1))
    return smooth[..., RADIUS:-RADIUS, RADIUS:-RADIUS]
