"""Conversions between predictions against their definitions, and the posterior against Bayes' rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling import denoisers, noise

hypothesis = pytest.importorskip("hypothesis")
given, st = hypothesis.given, hypothesis.strategies
INFINITE = float("inf")

pytestmark = pytest.mark.usefixtures("double")


@given(st.one_of(st.floats(-80.0, 80.0), st.sampled_from([INFINITE, -INFINITE])))
def test_variance_is_preserved(logsnr):
    alpha, sigma = noise.alpha_sigma(jnp.asarray(logsnr))
    assert alpha**2 + sigma**2 == pytest.approx(1.0, abs=1e-15)
    if np.isfinite(logsnr):
        assert 2 * (np.log(alpha) - np.log(sigma)) == pytest.approx(logsnr, abs=1e-9)


FRAMES = (2, 5, 3, 4, 2)


def noisy(logsnr):
    x, eps = (np.random.default_rng(seed).normal(size=FRAMES) for seed in (0, 1))
    x, eps = jnp.asarray(x), jnp.asarray(eps)
    return x, eps, noise.diffuse(x, eps, logsnr)


@given(st.lists(st.floats(-8.0, 8.0), min_size=10, max_size=10))
def test_conversions_agree_with_their_definitions(values):
    """Each frame of each sequence has its own `logsnr`."""
    logsnr = jnp.asarray(values).reshape(FRAMES[:2])
    x, eps, z = noisy(logsnr)
    alpha, sigma = (part[..., None, None, None] for part in noise.alpha_sigma(logsnr))
    np.testing.assert_array_equal(z, alpha * x + sigma * eps)
    definitions = {
        "eps": (eps, noise.eps_from_x, noise.x_from_eps),
        "v": (alpha * eps - sigma * x, noise.v_from_x, noise.x_from_v),
        "score": (-eps / sigma, noise.score_from_x, noise.x_from_score),
        "flow": (eps - x, noise.flow_from_x, noise.x_from_flow),
    }
    for name, (value, from_x, to_x) in definitions.items():
        np.testing.assert_allclose(from_x(z, x, logsnr), value, rtol=1e-8, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(to_x(z, value, logsnr), x, rtol=1e-8, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("logsnr", [INFINITE, -INFINITE])
def test_v_and_flow_hold_at_both_ends(logsnr):
    logsnr = jnp.full(FRAMES[:2], logsnr)
    x, eps, z = noisy(logsnr)
    alpha, sigma = (part[..., None, None, None] for part in noise.alpha_sigma(logsnr))
    if logsnr[0, 0] > 0:
        np.testing.assert_array_equal(noise.x_from_v(z, alpha * eps - sigma * x, logsnr), x)
        np.testing.assert_array_equal(noise.x_from_flow(z, eps - x, logsnr), x)
    else:  # v = -x: the network's output is the clean frame itself
        np.testing.assert_array_equal(noise.x_from_v(z, -x, logsnr), x)
        np.testing.assert_allclose(noise.x_from_flow(z, eps - x, logsnr), x, atol=1e-12)


@pytest.mark.parametrize(
    ("prediction", "from_x"),
    [
        (denoisers.X(), lambda z, x, logsnr: x),
        (denoisers.Eps(), noise.eps_from_x),
        (denoisers.V(), noise.v_from_x),
        (denoisers.ScoreFunction(), noise.score_from_x),
        (denoisers.FlowVelocity(), noise.flow_from_x),
    ],
)
def test_a_denoiser_of_every_prediction_gives_x(prediction, from_x):
    assert isinstance(prediction, denoisers.Prediction)
    logsnr = jnp.linspace(-5.0, 5.0, 10).reshape(FRAMES[:2])
    x, _, z = noisy(logsnr)
    denoise = denoisers.denoiser(lambda z, logsnr, condition: from_x(z, x, logsnr), prediction)
    np.testing.assert_allclose(denoise(z, logsnr, denoisers.NOTHING), x, rtol=1e-9, atol=1e-11)


def test_posterior_is_the_product_of_two_gaussians():
    """`q(z_s | z_t, x)` by Bayes' rule, from `q(z_s | x)` and `q(z_t | z_s)`."""
    logsnr_t, logsnr_s = jnp.asarray([[-9.0, -1.0, 2.0]]), jnp.asarray([[-8.5, 1.5, 9.0]])
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (
        [np.asarray(part)[..., None, None, None] for part in noise.alpha_sigma(logsnr)]
        for logsnr in (logsnr_t, logsnr_s)
    )
    x, z = np.random.default_rng(0).normal(size=(2, 1, 3, 2, 2, 1))
    ratio = alpha_t / alpha_s
    between = sigma_t**2 - ratio**2 * sigma_s**2
    precision = 1 / sigma_s**2 + ratio**2 / between
    mean, variance = noise.posterior(jnp.asarray(z), jnp.asarray(x), logsnr_t, logsnr_s)
    np.testing.assert_allclose(variance, 1 / precision, rtol=1e-12)
    product = (alpha_s * x / sigma_s**2 + ratio * z / between) / precision
    np.testing.assert_allclose(mean, product, rtol=1e-10)


def test_posterior_is_stable_at_the_ends_and_for_small_steps():
    x, z = jnp.full((1, 1, 1, 1, 1), 0.5), jnp.full((1, 1, 1, 1, 1), 2.0)
    at = lambda value: jnp.full((1, 1), value)  # noqa: E731
    mean, variance = noise.posterior(z, x, at(-INFINITE), at(INFINITE))
    assert mean.item() == 0.5 and variance.item() == 0.0
    alpha, sigma = noise.alpha_sigma(jnp.asarray(-1.0))
    mean, variance = noise.posterior(z, x, at(-INFINITE), at(-1.0))
    assert mean.item() == pytest.approx(float(alpha) * 0.5)
    assert variance.item() == pytest.approx(float(sigma) ** 2)
    with jax.enable_x64(False):
        single = (part.astype(jnp.float32) for part in (z, x, at(0.0), at(1e-5)))
        assert noise.posterior(*single)[1].item() == pytest.approx(1e-5 / 2, rel=1e-4)


@pytest.mark.parametrize("logsnr_s", [INFINITE, 3.0, -1.0])
def test_noising_in_two_stages_is_noising_at_once(logsnr_s):
    """`q(z_t | z_s) q(z_s | x) = q(z_t | x)`: the factor of `x`, and the variance of all noise together."""
    logsnr_s = jnp.asarray([[logsnr_s] * 3])
    logsnr_t = jnp.minimum(logsnr_s, 4.0) - jnp.asarray([[0.5, 5.0, INFINITE]])
    one, none = jnp.ones((1, 3, 1, 1, 1)), jnp.zeros((1, 3, 1, 1, 1))

    def z(x, first, second):
        return noise.diffuse_further(noise.diffuse(x, first, logsnr_s), second, logsnr_s, logsnr_t)

    alpha, sigma = noise.alpha_sigma(logsnr_t)
    np.testing.assert_allclose(z(one, none, none)[..., 0, 0, 0], alpha, rtol=1e-12)
    spread = z(none, one, none) ** 2 + z(none, none, one) ** 2
    np.testing.assert_allclose(spread[..., 0, 0, 0], sigma**2, rtol=1e-12)
