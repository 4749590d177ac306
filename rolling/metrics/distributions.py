"""Distances between the distributions of the values of forecasts and truth, wherever these values are."""

import dataclasses
from typing import ClassVar

import numpy as np

from rolling.metrics.correlation import ROUNDING
from rolling.metrics.ensemble import PerVariable
from rolling.metrics.protocol import About, EvaluationSetup, Sample


@dataclasses.dataclass(frozen=True, kw_only=True)
class HistogramDistance(PerVariable):
    """`E mean_i W1(x_i, y) / s(y)`, of the values in all cells of a frame that hold data.

    `W1`, the Wasserstein distance of order 1, is the mean of `|x_(n) - y_(n)|` over the `n`-th smallest
    values of a member `x_i` and of the truth `y`; `s(y)` is the standard deviation of the truth over these
    cells, each of which counts alike. So a forecast that is too large by one standard deviation everywhere
    scores 1. Of single members: the mean of an ensemble is rightly narrow. Frames whose truth is constant do
    not count.

    `HistogramW1` of The Well (Ohana et al., 2024) sorts the values of all frames of a trajectory together and
    divides by the mean of `y^2`, which leaves a unit: its numbers are others.
    """

    name = "histogram_distance"
    about: ClassVar[About] = About(
        title="Distance between distributions",
        note="Wasserstein distance of the values in the cells of one member from the truth's, over the"
        " truth's standard deviation.",
        section="scales",
        order=56,
    )
    dimensionless: ClassVar[bool] = True

    def tools(self, setup: EvaluationSetup):
        """`[cell, variable]`: where there are data."""
        mask = np.ones(setup.layout.shape, bool) if setup.mask is None else setup.mask
        return None if setup.layout.is_video else mask.reshape(-1, mask.shape[-1])

    def terms(self, tools, sample: Sample):
        parts = [self._of_variable(channel, cells, sample) for channel, cells in enumerate(tools.T)]
        return {name: np.stack([part[name] for part in parts], axis=-1) for name in parts[0]}

    @staticmethod
    def _of_variable(channel: int, cells: np.ndarray, sample: Sample) -> dict[str, np.ndarray]:
        def ordered(frames: np.ndarray) -> np.ndarray:
            found = frames[..., channel].reshape(*frames.shape[: -sample.initial.ndim], -1)
            return np.sort(found[..., cells], axis=-1).astype(np.float64)

        truth = ordered(sample.truth)
        distance = np.abs(ordered(sample.forecast) - truth).mean(axis=(0, -1))
        scale = truth.std(axis=-1)
        there = scale > ROUNDING * np.sqrt(np.square(truth).mean(axis=-1))
        distance = np.where(there, distance, 0.0) / np.where(there, scale, 1.0)
        return {"distance": distance, "there": there.astype(np.float64)}

    def values(self, sums):
        return sums.mean("distance") / sums.mean("there")
