"""How sure a score is: its spread over draws of other starts."""

import numpy as np

RESAMPLES, LEVEL = 500, 0.95


def draws(count: int, stream: int, resamples: int = RESAMPLES) -> np.ndarray:
    """`[1 + resamples, count]`: how often each is drawn; the first row is the sample itself, each once.

    Of `n` there are `n - 1` drawn with replacement, which makes the variance of a mean `s^2 / n`, without
    bias however small `n` is (Rao and Wu 1988, doi 10.1080/01621459.1988.10478591).
    """
    drawn = np.random.default_rng(stream).multinomial(
        max(count - 1, 1), np.full(count, 1 / count), size=resamples
    )
    return np.vstack([np.ones((1, count)), drawn])


def interval(resampled: np.ndarray) -> np.ndarray:
    """The quantiles `[2, ...]` of level `LEVEL` of all rows but the first, the sample itself."""
    return np.quantile(resampled[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
