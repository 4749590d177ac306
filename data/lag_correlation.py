"""How alike neighbouring frames are: what forecasting them begins with."""

import numpy as np

from rolling.data.source import Sequences

MOST = 64
"""Pairs of frames, evenly spread, that it is estimated from."""


def lag_correlation(sequences: Sequences) -> np.ndarray:
    """`[C]`: the correlation of each variable with itself in the next frame, about its mean over those frames
    and unmasked cells; NaN where no frame follows another one, or nothing varies."""
    pairs = [
        (index, frame) for index in range(len(sequences)) for frame in range(sequences.length(index) - 1)
    ]
    places = np.linspace(0, len(pairs) - 1, min(MOST, len(pairs))).round().astype(int)
    # Of each variable: values, and sums of a, b, a b and a^2 + b^2 over pairs (a, b), one pair at a time.
    count, *sums = np.zeros((5, len(sequences.layout.variables)))
    shift = None
    for index, frame in (pairs[place] for place in places):
        two = sequences.read(index, frame, frame + 2).astype(np.float64)
        known = np.isfinite(two).all(axis=0) if sequences.mask is None else sequences.mask
        if shift is None:  # of the size of the mean: the squares keep their digits
            shift = np.where(known, two[0], 0).sum((0, 1)) / known.sum((0, 1))
        a, b = np.where(known, two - shift, 0)
        count += known.sum((0, 1))
        for total, values in zip(sums, (a, b, a * b, a**2 + b**2), strict=True):
            total += values.sum((0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        first, second, product, squares = (total / count for total in sums)
        mean = (first + second) / 2
        return (product - mean**2) / (squares / 2 - mean**2)
