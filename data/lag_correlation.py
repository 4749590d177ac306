"""How alike neighbouring frames are: what forecasting them begins with."""

from collections.abc import Iterable

import numpy as np

from rolling.data.source import Sequences


def lag_correlation(sequences: Sequences, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """`[C]`: the correlation of each variable with itself in the next frame, about its mean over those frames
    and unmasked cells; NaN where nothing varies. Of each pair of frames, `pairs` has the sequence and the
    frame of the first."""
    # Of each variable: values, and sums of a, b, a b and a^2 + b^2 over pairs (a, b), one pair at a time.
    count, *sums = np.zeros((5, len(sequences.layout.variables)))
    shift = None
    for index, frame in pairs:
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
