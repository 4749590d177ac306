"""Uncertainty of a score: how it changes as each independent part of the data is left out.

Forecasts whose windows overlap share their weather, so starts are not independent, but *blocks* of them are.
For `n` blocks the variance of a score is that of the jackknife, `(n - 1) / n sum_i (s_i - mean s)^2` with
`s_i` the score without block `i` (Tukey 1958; block by block: Kunsch 1989, doi 10.1214/aos/1176347265): exact
for means, rather too large for other smooth scores (Efron and Stein 1981, doi 10.1214/aos/1176345462). Seeds
are left out in the same way. An interval is

    s -+ t_nu sqrt(sum_k v_k),    nu = (sum_k v_k)^2 / sum_k (v_k^2 / (n_k - 1)),

with `v_k` the variance over one kind of units and Student's `t` for the few that there are (Satterthwaite
1946, doi 10.2307/3002019). `python benchmarks/intervals.py` measures how often such intervals hold the truth.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
REDRAWN = 1000  # times that blocks are drawn
MOST = 64
"""Blocks are larger where there would be more of them than this: a score is computed without each."""


def blocks(sequence: np.ndarray, frame: np.ndarray, leads: int, *, whole: bool) -> np.ndarray:
    """`[start]`: the number of each start's block, from 0 on without gaps.

    A forecast of `leads` frames starts at `frame [start]` of `sequence [start]`. Starts of different
    sequences are independent. Where forecasts of one sequence overlap, what they cover is cut into pieces of
    equal duration, at least that of two forecasts, and a block is made of those whose middle lies in one
    piece: neighbours still share what crosses the cut, a small part. With `whole`, as for clips, a sequence
    is never cut.
    """
    key = np.zeros((2, len(sequence)), int)
    for index in np.unique(sequence):
        here = np.flatnonzero(sequence == index)
        key[0, here] = index
        key[1, here] = 0 if whole else _pieces(frame[here], leads)
    return joined(np.unique(key, axis=1, return_inverse=True)[1].reshape(-1))


def _pieces(frame: np.ndarray, leads: int) -> np.ndarray:
    if not len(frame) or np.diff(np.sort(frame)).min(initial=leads) >= leads:
        return np.arange(len(frame))
    first, length = frame.min(), np.ptp(frame) + leads
    return (2 * (frame - first) + leads) * max(1, length // (2 * leads)) // (2 * length)


def joined(labels: np.ndarray) -> np.ndarray:
    """Labels of blocks, from 0 on, with neighbours joined so that at most `MOST` remain."""
    count = labels.max(initial=-1) + 1
    return labels if count <= MOST else labels * MOST // count


def without_each(count: int) -> np.ndarray:
    """`[1 + count, count]`: weights of all units, then of all but each; of a single unit only the first."""
    return np.vstack([np.ones((1, count)), 1 - np.eye(count)])[: None if count > 1 else 1]


def interval(value: np.ndarray, *without: np.ndarray) -> np.ndarray:
    """`[2, ...]`: the bounds of level `LEVEL` of `value [...]`.

    Each of `without [unit, ...]` holds the values without each unit of one kind: a block of starts, a seed. A
    kind of fewer than two units tells nothing of its uncertainty and is not covered; without any, NaN.
    """
    kinds = [values for values in without if len(values) > 1]
    if not kinds:
        return np.full((2, *np.shape(value)), np.nan)
    variances = np.stack([variance(values) for values in kinds])
    total = variances.sum(axis=0)
    degrees = np.array([len(values) - 1 for values in kinds]).reshape(-1, *[1] * total.ndim)
    with np.errstate(invalid="ignore"):
        freedom = total**2 / (variances**2 / degrees).sum(axis=0)
    half = np.where(total > 0, stdtrit(freedom, (1 + LEVEL) / 2), 0.0) * np.sqrt(total)
    return np.stack([value - half, value + half])


def estimated(numbers: Callable[[np.ndarray], np.ndarray], block: np.ndarray) -> np.ndarray:
    """`[..., 3]`: `numbers(weights [start]) [...]` of all starts, and the bounds of their intervals over the
    independent `block [start]` of each, numbered from 0 on."""
    found = np.stack([numbers(weights) for weights in without_each(int(block.max()) + 1)[:, block]])
    low, high = interval(found[0], found[1:])
    return np.stack([found[0], low, high], axis=-1)


def quantile_interval(values: np.ndarray, block: np.ndarray, q: float) -> np.ndarray:
    """`[2]`: the bounds of level `LEVEL` of the `q` quantile of `values [n]`, from blocks drawn with
    replacement, as the jackknife fails for quantiles (Efron 1979, doi 10.1214/aos/1176344552); NaN for fewer
    than two blocks. `block [n]` says which values are not independent."""
    label = np.unique(block, return_inverse=True)[1].reshape(-1)
    count = int(label.max(initial=-1)) + 1
    if count < 2:
        return np.full(2, np.nan)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=REDRAWN)
    order = np.argsort(values, kind="stable")
    below = np.cumsum(drawn[:, label[order]], axis=1)
    found = values[order][(below >= q * below[:, -1:]).argmax(axis=1)]
    return np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")


def variance(without: np.ndarray) -> np.ndarray:
    """The jackknife variance of a score, from its values `[unit, ...]` without each unit."""
    with np.errstate(invalid="ignore"):  # of infinite values there is none
        return (len(without) - 1) * without.var(axis=0)
