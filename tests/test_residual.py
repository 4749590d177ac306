"""Predicting what the last frame of context does not say: on AR(1) nothing is left to predict."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling import denoisers
from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.denoisers import NO_PAST, NOTHING, Past, Residual, V
from rolling.noise import alpha_sigma, diffuse
from rolling.oracle import UNCLIPPED, autoregressive_covariance, exact_denoiser
from rolling.sampling.guidance import History, HistoryGuidance
from rolling.sampling.partitions import Blocks
from rolling.sampling.recipe import Sampling
from rolling.sampling.rollout import Rollout
from rolling.sampling.sampler import Sampler
from rolling.solvers import Ancestral
from rolling.windows import Autoregressive, Rolling

NONE = jnp.inf
"""The logsnr of a clean frame."""


def nothing_predicted(z, logsnr, condition):
    return jnp.zeros_like(z)


pytestmark = pytest.mark.usefixtures("double")


def past(context, *a, lags=4):
    """After AR(1) of these coefficients, one for each variable."""
    return Past(context=context, lag_correlation=np.asarray(a) ** np.arange(1.0, lags + 1)[:, None])


def series(a, frames, count, seed=0):
    """`[count, frames, 1, 1, 1]` of AR(1), unit variance."""
    root = np.linalg.cholesky(autoregressive_covariance((a,), frames))
    return jnp.asarray(
        (np.random.default_rng(seed).normal(size=(count, frames)) @ root.T)[..., None, None, None]
    )


@pytest.mark.parametrize("shown", [NONE, 4.0, -1.0, -NONE])
@pytest.mark.parametrize("level", [6.0, 0.5, -3.0, -NONE])
def test_what_the_context_says_is_not_left_to_predict(shown, level):
    """The exact denoiser of a frame and the last one of context, which is shown with any noise or not at all;
    the correlations fall, change their sign and rise again."""
    rho = np.asarray([[0.97], [-0.3], [0.6]])
    z = jnp.asarray(np.random.default_rng(0).normal(size=(4, 4, 1, 1, 1)))
    logsnr = jnp.asarray([[shown, level, level, level]])
    residual = denoisers.denoiser(nothing_predicted, Residual(), Past(context=1, lag_correlation=rho))
    found = residual(z, logsnr, NOTHING)
    for j, (r,) in enumerate(rho, start=1):
        pair = jnp.asarray([0, j])
        exact = exact_denoiser(jnp.asarray([[1.0, r], [r, 1.0]]))(z[:, pair], logsnr[:, pair])
        np.testing.assert_allclose(found[:, j], exact[:, 1], rtol=1e-12, atol=1e-14)


def test_what_is_left_has_unit_variance_at_every_age_and_level():
    """Each frame given the last one of two of context; the third variable hardly changes."""
    a, count = (0.0, 0.9, 0.99), 40_000
    x = jnp.concatenate([series(b, 5, count, seed) for seed, b in enumerate(a)], axis=-1)
    eps = jnp.asarray(np.random.default_rng(9).normal(size=x.shape))
    logsnr = jnp.asarray([[NONE, 5.0, 3.0, 0.0, -8.0]])
    z = diffuse(x, eps, logsnr)
    zero, one = (Residual().x(z, logsnr, jnp.full_like(z, value), past(2, *a)) for value in (0.0, 1.0))
    left = ((zero - x) / (zero - one))[:, 2:]  # what must be given in place of 1
    np.testing.assert_allclose(np.std(left, axis=0), 1.0, atol=0.02)
    np.testing.assert_allclose(np.mean(left, axis=0), 0.0, atol=0.02)
    scale = np.asarray(zero - one)[0, 4, 0, 0]  # of pure noise, three frames on: sqrt(1 - a^6 alpha_c^2)
    alpha = np.asarray(alpha_sigma(logsnr)[0])[0, 1]
    np.testing.assert_allclose(scale, np.sqrt(1 - np.asarray(a) ** 6 * alpha**2), rtol=2e-3)


def test_without_correlation_and_in_the_context_it_is_v():
    z, output = jnp.asarray(np.random.default_rng(0).normal(size=(2, 2, 4, 3, 3, 2)))
    logsnr = jnp.asarray([[9.0, 2.0, -1.0, -NONE]])
    expected = V().x(z, logsnr, output)
    for unknown in (Past(context=1), past(1, 0.0)):
        np.testing.assert_allclose(Residual().x(z, logsnr, output, unknown), expected, atol=1e-12)
    found = Residual().x(z, logsnr, output, past(2, 0.9, 0.5, lags=1))
    np.testing.assert_allclose(found[:, :2], expected[:, :2], atol=1e-12)
    assert np.abs(found - expected)[:, 2].min() > 1e-4
    np.testing.assert_allclose(found[:, 3], expected[:, 3], atol=1e-12)  # further than was measured
    dropped = logsnr.at[:, 1].set(-NONE)  # the last frame of context: nothing is known
    found = Residual().x(z, dropped, output, past(2, 0.9))
    np.testing.assert_allclose(found, V().x(z, dropped, output), atol=1e-12)


NEXT_FRAME = Sampling(
    window=Autoregressive(context=1), schedule=UNCLIPPED, solver=Ancestral(), calls_per_frame=4
)
WAYS = {
    "next frame": {},
    "history guidance": {"guidance": (HistoryGuidance(histories=(History(weight=1.5),)),)},
    "queue": {"window": Rolling(size=6, context=1), "partition": Blocks(size=2)},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_network_that_predicts_nothing_rolls_out_as_the_exact_denoiser(way):
    """The same frames from the same noise, where the network sees two frames at a time: the last one of the
    context and the new one, with the context and without it, or two neighbours of a queue."""
    exact = exact_denoiser(jnp.asarray(autoregressive_covariance((0.9,), 2)))
    sampling = dataclasses.replace(NEXT_FRAME, **WAYS[way])
    given, keys = series(0.9, 1, 3), jax.random.split(jax.random.key(1), 3)

    def rolled(denoise):
        chunks = Rollout(Sampler(sampling), lambda params: denoise, cycles=10).chunks(None, given, keys, 20)
        return np.concatenate([chunk.frames for chunk in chunks], axis=1)

    found = rolled(denoisers.denoiser(nothing_predicted, Residual(), past(1, 0.9)))
    np.testing.assert_allclose(found, rolled(exact), rtol=1e-9, atol=1e-12)
    assert found.shape[1] == 20 and np.abs(found[0] - found[1]).min() > 1e-3


def test_a_negative_correlation_and_one_of_nearly_one():
    """What turns its sign is known as well; of what never changes a tenth is left to predict."""
    z = jnp.ones((1, 2, 1, 1, 2))
    logsnr = jnp.asarray([[NONE, -NONE]])
    found = Residual().x(z, logsnr, jnp.zeros_like(z), past(1, -0.5, 1.0))
    np.testing.assert_allclose(found[0, 1, 0, 0], [-0.5, 0.995], rtol=1e-12)
    left = Residual().x(z, logsnr, jnp.ones_like(z), past(1, -0.5, 1.0)) - found
    np.testing.assert_allclose(-left[0, 1, 0, 0], [np.sqrt(0.75), 0.1], rtol=2e-3)


def test_it_needs_context():
    with pytest.raises(InputError, match="choose a window with context, or --prediction v"):
        Residual().x(jnp.zeros((1, 2, 1, 1, 1)), jnp.zeros((1, 2)), jnp.zeros((1, 2, 1, 1, 1)), NO_PAST)
    experiment = dataclasses.replace(debug, prediction=Residual())
    experiment.check_layout(debug.source.layout())
    with pytest.raises(InputError, match="of this window none is given"):
        dataclasses.replace(experiment, window=Rolling(size=5, context=0)).check_layout(debug.source.layout())
