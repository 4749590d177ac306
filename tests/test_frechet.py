"""Frechet and kernel distances: closed forms, the matrix root of scipy, and what bias and sums must be."""

import numpy as np
import pytest
import scipy.linalg

from rolling.common.errors import InputError
from rolling.metrics.frechet import Gaussian, Sampled, frechet_distance, kernel_distance

pytestmark = pytest.mark.slow


def drawn(seed, count, size=12, scale=1.0, shift=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) * scale + shift


def by_matrix_root(a, b, ddof=1):
    """The textbook formula, by means of scipy's root of a matrix."""
    s, t = (np.cov(x, rowvar=False, ddof=ddof) for x in (a, b))
    root = scipy.linalg.sqrtm(s @ t).real
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(s + t - 2 * root)


def distance(a, b, ddof=1):
    return frechet_distance(Gaussian.of(a), Gaussian.of(b), ddof=ddof)


@pytest.mark.parametrize("ddof", [0, 1])
def test_it_is_the_textbook_formula(ddof):
    a, b = drawn(0, 60), drawn(1, 45, shift=0.3)
    np.testing.assert_allclose(distance(a, b, ddof), by_matrix_root(a, b, ddof), rtol=1e-9)


def test_gaussians_whose_covariances_commute():
    """`|m - n|^2 + sum (s_i - t_i)^2` for standard deviations `s`, `t` along the same axes."""
    deviations, others, shift = np.array([3.0, 1.0, 0.0]), np.array([1.0, 2.0, 0.5]), np.array([1.0, 0, -2])
    corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T  # covariance: the identity
    turn = scipy.linalg.expm(np.array([[0, 0.3, -1.0], [-0.3, 0, 0.2], [1.0, -0.2, 0]]))
    a, b = corners * deviations @ turn, (corners * others + shift) @ turn
    expected = np.sum(shift**2) + np.sum((deviations - others) ** 2)
    np.testing.assert_allclose(distance(a, b, ddof=0), expected, rtol=1e-12)


def test_fewer_clips_than_features():
    """Sets that span a few dimensions only are as far apart there as in all dimensions."""
    a, b = drawn(2, 8, size=5), drawn(3, 9, size=5, shift=1.0)
    basis = np.linalg.qr(np.random.default_rng(4).normal(size=(40, 5)))[0]
    np.testing.assert_allclose(distance(a @ basis.T, b @ basis.T), by_matrix_root(a, b), rtol=1e-9)


@pytest.mark.parametrize(("count", "size"), [(5, 40), (300, 12), (3000, 7)])
def test_a_set_is_at_distance_zero_from_itself(count, size):
    a = drawn(5, count, size, scale=100.0, shift=7.0).astype(np.float32)
    assert distance(a, a.copy()) == 0.0
    weights, sampled = np.ones((1, count)), Sampled(features=a, start=np.arange(count))
    assert kernel_distance(sampled, sampled, weights) == 0.0


def test_sums_of_parts_are_those_of_the_whole():
    a = drawn(6, 100, shift=50.0)
    whole, parts = Gaussian.of(a), Gaussian.of(a[:7]) + Gaussian.of(a[7:60]) + Gaussian.of(a[60:])
    assert parts.weight == whole.weight and parts.factor.shape == whole.factor.shape == (12, 12)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(parts.factor.T @ parts.factor, 99 * np.cov(a, rowvar=False), rtol=1e-9)


def test_large_sets_are_summed_block_by_block(monkeypatch):
    a, b = drawn(7, 90), drawn(8, 70)
    at_once = distance(a, b)
    starts = Sampled(features=a, start=np.arange(90)), Sampled(features=b, start=np.arange(70))
    kernel = kernel_distance(*starts, np.ones((1, 90)))
    monkeypatch.setattr("rolling.metrics.frechet.BLOCK", 16)
    np.testing.assert_allclose(distance(a, b), at_once, rtol=1e-10)
    np.testing.assert_allclose(kernel_distance(*starts, np.ones((1, 90))), kernel, rtol=1e-10)


def test_weights_count_repetitions():
    a, counts = drawn(9, 30), np.random.default_rng(9).integers(0, 4, size=30)
    weighted, repeated = Gaussian.of(a, counts), Gaussian.of(np.repeat(a, counts, axis=0))
    b = Gaussian.of(drawn(10, 20))
    np.testing.assert_allclose(frechet_distance(weighted, b), frechet_distance(repeated, b), rtol=1e-9)


@pytest.mark.parametrize(("count", "expected"), [(256, 298.0), (2048, 40.0)])
def test_the_bias_of_small_sets(count, expected):
    """Both sets of N(0, I_400): the distance is all bias."""
    rng = np.random.default_rng(11)
    a, b = rng.normal(size=(2, count, 400))
    np.testing.assert_allclose(distance(a, b), expected, rtol=0.02)


def test_features_that_cannot_be_used_are_refused():
    with pytest.raises(InputError, match="not finite"):
        Gaussian.of(np.array([[0.0, np.nan], [1.0, 2.0]]))
    with pytest.raises(InputError, match="without clips"):
        Gaussian.of(np.zeros((0, 3)))
    assert np.isnan(distance(np.ones((1, 3)), drawn(0, 5, size=3)))


def test_kernel_distance_of_independent_sets():
    """The unbiased estimate in its textbook form, with loops."""
    x, y = drawn(12, 6, size=3), drawn(13, 4, size=3, shift=0.5)
    k = lambda a, b: (a @ b / 3 + 1) ** 3  # noqa: E731
    expected = np.mean([k(x[i], x[j]) for i in range(6) for j in range(6) if i != j])
    expected += np.mean([k(y[i], y[j]) for i in range(4) for j in range(4) if i != j])
    expected -= 2 * np.mean([k(a, b) for a in x for b in y])
    sets = Sampled(features=x, start=np.arange(6)), Sampled(features=y, start=6 + np.arange(4))
    np.testing.assert_allclose(kernel_distance(*sets, np.ones((1, 10))), expected, rtol=1e-10)


def test_kernel_distance_has_no_bias_though_forecasts_continue_the_truth():
    """Sets of one distribution; clips of the two that have the same start are correlated."""
    rng, values = np.random.default_rng(14), []
    for _ in range(400):
        common, own, others = rng.normal(size=(3, 8, 5))
        x = Sampled(features=common + 0.3 * own, start=np.arange(8))
        y = Sampled(features=common + 0.3 * others, start=np.arange(8))
        values.append(kernel_distance(x, y, np.ones((1, 8)))[0])
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


def test_rows_of_weights_are_repetitions_of_starts():
    x, y = drawn(15, 5, size=3), drawn(16, 5, size=3)
    counts = np.array([2, 0, 1, 3, 1])
    sets = Sampled(features=x, start=np.arange(5)), Sampled(features=y, start=np.arange(5))
    again = [
        Sampled(features=np.repeat(z, counts, axis=0), start=np.repeat(np.arange(5), counts)) for z in (x, y)
    ]
    rows = np.stack([np.ones(5), counts])
    np.testing.assert_allclose(
        kernel_distance(*sets, rows)[1], kernel_distance(*again, np.ones((1, 5)))[0], rtol=1e-10
    )
