"""Distances between sets of features: the Frechet distance of fitted Gaussians, and a kernel distance.

Both are computed by numpy in float64 on the host: they cost little beside the features, and a Frechet
distance is a small difference of large traces. Neither forms the root of a matrix.
"""

import dataclasses
from typing import cast

import numpy as np

from rolling.common.errors import InputError

BLOCK = 2048  # features factored, or compared with each other, at a time


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Gaussian:
    """Sums over a set of features: their weight, mean `[d]` and scatter, kept as a factor `[k, d]`, `k <= d`.

    `factor^T factor = sum_i w_i (x_i - mean)(x_i - mean)^T`. `a + b` are the sums of both sets together,
    exact and without the cancellation of `E x x^T - mean mean^T` (Chan, Golub and LeVeque 1983, doi
    10.1080/00031305.1983.10483115; by QR: Demmel et al. 2012, arXiv 0808.2664), so any number of features
    takes the memory of one matrix `[d, d]`.
    """

    weight: float
    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, weights: np.ndarray | None = None) -> "Gaussian":
        """The sums over `features [n, d]`, each counted `weights [n]` times (default: once).

        Raises `InputError` where a feature is not finite or there is none.
        """
        weights = np.ones(len(features)) if weights is None else np.asarray(weights, np.float64)
        there = weights > 0
        features, weights = features[there], weights[there]
        if not len(features):
            raise InputError("a set without clips has no distance from another: give at least two")
        if not np.isfinite(features).all():
            raise InputError(
                "features of clips are not finite: check that the pictures and the network's weights are"
            )
        parts = range(0, len(features), BLOCK)
        gaussian = _of_block(features[:BLOCK], weights[:BLOCK])
        for i in parts[1:]:
            gaussian = gaussian + _of_block(features[i : i + BLOCK], weights[i : i + BLOCK])
        return gaussian

    def __add__(self, other: "Gaussian") -> "Gaussian":
        weight = self.weight + other.weight
        difference = other.mean - self.mean
        between = np.sqrt(self.weight / weight * other.weight) * difference
        return Gaussian(
            weight=weight,
            mean=self.mean + other.weight / weight * difference,
            factor=_triangular(np.vstack([self.factor, other.factor, between[None]])),
        )


def _of_block(features: np.ndarray, weights: np.ndarray) -> Gaussian:
    features = features.astype(np.float64)
    mean = weights @ features / weights.sum()
    factor = np.sqrt(weights)[:, None] * (features - mean[None])
    return Gaussian(weight=float(weights.sum()), mean=mean, factor=_triangular(factor))


def _triangular(rows: np.ndarray) -> np.ndarray:
    """`R` with `R^T R = rows^T rows`: the rows themselves where there are no more of them than columns."""
    return rows if len(rows) <= rows.shape[1] else cast(np.ndarray, np.linalg.qr(rows, mode="r"))


def frechet_distance(a: Gaussian, b: Gaussian, *, ddof: int = 1) -> float:
    """`|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^{1/2})`, covariances over `weight - ddof`.

    The squared 2-Wasserstein distance of two Gaussians (Dowson and Landau 1982, doi
    10.1016/0047-259X(82)90077-X). With `S = R^T R` the last trace is the nuclear norm of `R_a R_b^T`. This
    needs no root of a matrix and holds for singular covariances, as with fewer clips than features. A value
    within rounding error is set to 0, so that a set is at distance 0 from itself. NaN unless both weights
    exceed `ddof`.

    The distance of two sets from one distribution is above 0 by about `1 / n`: compare at equal `n` only.
    """
    if min(a.weight, b.weight) <= ddof:
        return float("nan")
    between_means = float(np.sum((a.mean - b.mean) ** 2))
    scale_a, scale_b = a.weight - ddof, b.weight - ddof
    traces = float(np.sum(a.factor**2) / scale_a + np.sum(b.factor**2) / scale_b)
    common = np.linalg.svd(a.factor @ b.factor.T, compute_uv=False).sum() / np.sqrt(scale_a * scale_b)
    distance = traces - 2 * float(common)
    rounding = a.mean.size * np.finfo(np.float64).eps * traces
    return between_means + (distance if distance > rounding else 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sampled:
    """A set of `features [n, d]`; those with equal `start [n]`, whole numbers, are not independent."""

    features: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, which) -> "Sampled":
        return Sampled(features=self.features[which], start=self.start[which])


def kernel_distance(x: Sampled, y: Sampled, weights: np.ndarray) -> np.ndarray:
    """`E k(x, x') + E k(y, y') - 2 E k(x, y)` with `k(x, y) = (x . y / d + 1)^3`; `[row]`.

    The squared maximum mean discrepancy with the kernel of KID (Binkowski et al. 2018, arXiv 1801.01401): 0
    in the mean for two sets of any size from one distribution, so it may be below 0. The means are over pairs
    of different starts, which are independent even where the clips of `y` continue those of `x` (Gretton et
    al. 2012, eq. 4). `weights [row, start]` counts each start in each row.
    """
    within = _mean_kernel(x, x, weights) + _mean_kernel(y, y, weights)
    return within - 2 * _mean_kernel(x, y, weights)


def _mean_kernel(x: Sampled, y: Sampled, weights: np.ndarray) -> np.ndarray:
    """`[row]`: the weighted mean of `k` over pairs of different starts, block by block."""
    total, count = np.zeros((2, len(weights)))
    for i in range(0, len(x), BLOCK):
        for j in range(0, len(y), BLOCK):
            a, b = x[i : i + BLOCK], y[j : j + BLOCK]
            product = a.features.astype(np.float64) @ b.features.astype(np.float64).T
            independent = (a.start[:, None] != b.start[None]).astype(np.float64)
            kernel = (product / a.features.shape[1] + 1) ** 3 * independent
            of_a, of_b = weights[:, a.start], weights[:, b.start]
            total += np.sum(of_a @ kernel * of_b, axis=1)
            count += np.sum(of_a @ independent * of_b, axis=1)
    with np.errstate(invalid="ignore"):
        return total / count
