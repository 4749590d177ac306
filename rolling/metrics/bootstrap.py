"""Uncertainty of a score: its spread over resampled starts."""

import numpy as np

RESAMPLES, LEVEL = 500, 0.95


def draws(count: int, stream: int, resamples: int = RESAMPLES) -> np.ndarray:
    """`[1 + resamples, count]`: how often each is drawn; the first row is the sample itself, each once.

    With `n - 1` of `n` drawn with replacement, the variance of a mean is `s^2 / n`, unbiased for any `n` (Rao
    and Wu 1988, doi 10.1080/01621459.1988.10478591).
    """
    drawn = np.random.default_rng(stream).multinomial(
        max(count - 1, 1), np.full(count, 1 / count), size=resamples
    )
    return np.vstack([np.ones((1, count)), drawn])


def interval(resampled: np.ndarray) -> np.ndarray:
    """The quantiles `[2, ...]` of level `LEVEL`, over all rows but the first, the sample itself."""
    return np.quantile(resampled[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
