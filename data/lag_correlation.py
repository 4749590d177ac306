"""How alike frames are that lie some steps apart: what forecasting them begins with."""

import numpy as np
from jaxtyping import Float

from rolling.array_types import space_of
from rolling.common.indices import spaced
from rolling.data.pipeline import Cuts
from rolling.data.source import Sequences, present

CLIPS = 64
"""Evenly spread over the sequences: enough for the second digit."""


def lag_correlation(sequences: Sequences, lags: int) -> Float[np.ndarray, "lags channel"]:
    """The correlation of each variable with itself `1 .. lags` frames later, about its mean over those frames
    and unmasked cells; 0 where nothing varies. Pairs of which one is missing do not count. Raises
    `InputError` if no sequence has `lags + 1` frames."""
    clips = Cuts(sequences, frames=lags + 1, stride=1, places=True)
    channels = len(sequences.layout.variables)
    # Of each lag and variable: values, and sums of a, b, a b and a^2 + b^2 over pairs (a, b).
    count, *sums = np.zeros((5, lags, channels))
    shift = None
    for index in spaced(len(clips), CLIPS):
        found = clips[index]
        clip, (sequence, start) = found["x"], found["place"]
        there = present(sequences, sequence, start, start + len(clip))
        space = space_of(clip[0], 0)
        known = np.isfinite(clip).all(axis=0) if sequences.mask is None else sequences.mask
        if shift is None:  # of the size of the mean: the squares keep their digits
            shift = np.where(known, clip[0], 0.0).sum(space) / known.sum(space)
        pairs = there[1:] & there[0]
        count += pairs[:, None] * known.sum(space)
        a = np.where(known, clip[0] - shift, 0.0)
        for lag in np.flatnonzero(pairs):  # one at a time: frames may be large
            frame = clip[lag + 1]
            b = np.where(known, frame - shift, 0.0)
            for total, values in zip(sums, (a, b, a * b, a**2 + b**2), strict=True):
                total[lag] += values.sum(space)
    with np.errstate(invalid="ignore", divide="ignore"):
        first, second, product, squares = (total / count for total in sums)
        mean = (first + second) / 2
        return np.nan_to_num((product - mean**2) / (squares / 2 - mean**2), posinf=0, neginf=0)
