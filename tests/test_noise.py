"""Noise schedules against their own inverse, their derivative and their closed forms."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling import noise
from rolling.common.errors import InputError

hypothesis = pytest.importorskip("hypothesis")
given, st = hypothesis.given, hypothesis.strategies
INFINITE = float("inf")
SCHEDULES = {
    "cosine": noise.Cosine(),
    "cosine, unclipped": noise.Cosine(minimum=-INFINITE, maximum=INFINITE),
    "cosine, shifted": noise.Cosine(resolution=256.0),
    "cosine, clipped on one side": noise.Cosine(minimum=-10.0, maximum=INFINITE),
    "cosine, interpolated": noise.InterpolatedCosine(),
    "EDM": noise.Edm(),
    "ERDM": noise.Edm(rho=-10.0, sigma_max=500.0, sigma_data=0.5),
    "flow matching": noise.FlowMatching(),
    "flow matching, shifted, unclipped": noise.FlowMatching(shift=3.0, epsilon=0.0),
    "logit": noise.Logit(),
    "logit, with an offset, unclipped": noise.Logit(scale=1.3, offset=-2.0, epsilon=0.0),
    "linear": noise.LinearLogsnr(),
    "linear beta": noise.LinearBeta(),
    "sigmoid": noise.Sigmoid(),
    "sigmoid, hot": noise.Sigmoid(start=0.0, end=3.0, temperature=0.7),
}
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())

inside = np.linspace(0.01, 0.99, 99)
widths = st.floats(1.0, 25.0)
any_schedule = st.one_of(
    st.builds(
        noise.Cosine,
        minimum=widths.map(lambda w: -w),
        maximum=widths,
        resolution=st.sampled_from([16.0, 64.0, 512.0]),
    ),
    st.builds(noise.InterpolatedCosine, low=st.floats(16.0, 64.0), high=st.floats(64.0, 340.0)),
    st.builds(
        noise.Edm,
        sigma_min=st.floats(1e-3, 0.1),
        sigma_max=st.floats(1.0, 1000.0),
        sigma_data=st.floats(0.1, 2.0),
        rho=st.sampled_from([-10.0, -1.0, 1.0, 3.0, 7.0]),
    ),
    st.builds(noise.FlowMatching, shift=st.floats(0.2, 8.0), epsilon=st.floats(0.0, 0.1)),
    st.builds(
        noise.Logit, scale=st.floats(0.5, 4.0), offset=st.floats(-3.0, 3.0), epsilon=st.floats(0.0, 0.1)
    ),
    st.builds(noise.LinearLogsnr, minimum=widths.map(lambda w: -w), maximum=widths),
    st.builds(noise.LinearBeta, beta_min=st.floats(0.01, 1.0), beta_max=st.floats(1.0, 30.0)),
    st.builds(
        noise.Sigmoid,
        start=st.floats(-6.0, -0.5),
        end=st.floats(0.5, 6.0),
        temperature=st.floats(0.5, 1.5),
    ),
)

pytestmark = pytest.mark.usefixtures("double")


def grid(points: int = 401) -> np.ndarray:
    return np.linspace(0.0, 1.0, points)


@pytest.mark.slow
@given(any_schedule)
def test_inverse_and_derivative(schedule):
    tau, h = jnp.asarray(inside), 1e-6
    np.testing.assert_allclose(schedule.tau(schedule.logsnr(tau)), tau, atol=1e-9)
    exact = jax.jvp(schedule.logsnr, (tau,), (jnp.ones_like(tau),))[1]
    np.testing.assert_allclose(schedule.derivative(tau), exact, rtol=1e-9)
    difference = (schedule.logsnr(tau + h) - schedule.logsnr(tau - h)) / (2 * h)
    np.testing.assert_allclose(schedule.derivative(tau), difference, rtol=1e-5)
    assert (np.asarray(exact) < 0).all()


@every_schedule
def test_logsnr_falls(schedule):
    assert isinstance(schedule, noise.NoiseSchedule)
    logsnr = np.asarray(schedule.logsnr(jnp.asarray(grid())))
    assert not np.isnan(logsnr).any()
    assert (np.diff(logsnr) < 0).all()
    assert (np.asarray(schedule.derivative(jnp.asarray(grid()[1:-1]))) < 0).all()


@every_schedule
def test_single_precision_keeps_the_ends(schedule):
    """No NaN, no overshoot and no reversal in float32, in which samplers run."""
    with jax.enable_x64(False):
        logsnr = np.asarray(schedule.logsnr(jnp.asarray(grid(), jnp.float32)))
    exact = np.asarray(schedule.logsnr(jnp.asarray(grid())))
    assert logsnr.dtype == np.float32
    assert (np.diff(logsnr) <= 0).all()
    np.testing.assert_allclose(logsnr[1:-1], exact[1:-1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logsnr[[0, -1]], exact[[0, -1]], rtol=2e-3)


@every_schedule
def test_inverse_at_the_ends(schedule):
    ends = schedule.tau(schedule.logsnr(jnp.asarray([0.0, 1.0])))
    np.testing.assert_allclose(ends, [0.0, 1.0], atol=1e-7)


def ends(schedule) -> list[float]:
    return schedule.logsnr(jnp.asarray([0.0, 1.0])).tolist()


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_unclipped_schedules_reach_infinity_exactly(dtype):
    for schedule in (
        SCHEDULES["cosine, unclipped"],
        noise.FlowMatching(epsilon=0.0),
        noise.Logit(epsilon=0.0),
        noise.Sigmoid(epsilon=0.0),
    ):
        logsnr = schedule.logsnr(jnp.asarray([0.0, 1.0], dtype))
        assert logsnr.tolist() == [INFINITE, -INFINITE], schedule
        alpha, sigma = noise.alpha_sigma(logsnr)
        assert alpha.tolist() == [1.0, 0.0] and sigma.tolist() == [0.0, 1.0]


def test_ends_of_clipped_schedules():
    assert ends(noise.Cosine(minimum=-12.0, maximum=17.0)) == pytest.approx([17.0, -12.0], abs=1e-9)
    shift = 2 * np.log(32 / 256)
    assert ends(noise.Cosine(resolution=256.0)) == pytest.approx([15.0 + shift, -15.0 + shift])
    assert ends(noise.InterpolatedCosine(low=32.0, high=256.0)) == pytest.approx([15.0 + shift, -15.0])
    for rho in (7.0, -10.0):
        sigma = np.exp(-np.asarray(ends(noise.Edm(rho=rho, sigma_data=0.5))) / 2) * 0.5
        np.testing.assert_allclose(sigma, [0.002, 80.0])
    assert ends(noise.FlowMatching(epsilon=1e-3)) == pytest.approx([2 * np.log(999), -2 * np.log(999)])
    reach = 2.4 * np.log(99)
    assert ends(noise.Logit(offset=1.0, epsilon=0.01)) == pytest.approx([1 + reach, 1 - reach])
    assert ends(noise.LinearLogsnr(minimum=-9.0, maximum=12.0)) == [12.0, -9.0]
    assert ends(noise.LinearBeta(epsilon=0.5))[1] == pytest.approx(-np.log(np.expm1((0.1 + 20.0) / 2)))


def test_closed_forms():
    tau = jnp.asarray(grid()[1:-1])
    alpha, sigma = noise.alpha_sigma(SCHEDULES["cosine, unclipped"].logsnr(tau))
    np.testing.assert_allclose(alpha, np.cos(np.pi * tau / 2), rtol=1e-12)
    np.testing.assert_allclose(sigma, np.sin(np.pi * tau / 2), rtol=1e-12)

    # Flow matching: the ratio of noise to signal of the straight path, at the shifted time.
    alpha, sigma = noise.alpha_sigma(noise.FlowMatching(shift=3.0, epsilon=0.0).logsnr(tau))
    t = 3 * tau / (1 + 2 * tau)
    np.testing.assert_allclose(sigma / alpha, t / (1 - t), rtol=1e-10)

    # Flow matching is a logit, and any logit has odds that are a power of those of time.
    logit = noise.Logit(scale=2.0, offset=-2 * np.log(3.0), epsilon=0.0).logsnr(tau)
    np.testing.assert_allclose(noise.FlowMatching(shift=3.0, epsilon=0.0).logsnr(tau), logit, rtol=1e-12)
    odds = np.exp(noise.Logit(scale=2.6, offset=0.5, epsilon=0.0).logsnr(tau))
    np.testing.assert_allclose(odds, np.exp(0.5) * (1 / tau - 1) ** 2.6, rtol=1e-9)

    steps = np.diff(noise.LinearLogsnr(minimum=-10.0, maximum=14.0).logsnr(jnp.asarray(grid())))
    np.testing.assert_allclose(steps, -24 / 400, rtol=1e-9)

    low, high = 0.002 ** (1 / 7), 80 ** (1 / 7)
    edm = noise.Edm(sigma_data=0.5).logsnr(tau)
    np.testing.assert_allclose(np.exp(-edm / 2) * 0.5, (low + tau * (high - low)) ** 7, rtol=1e-10)

    beta = noise.alpha_sigma(noise.LinearBeta(epsilon=0.0).logsnr(tau))[0]
    np.testing.assert_allclose(beta**2, np.exp(-0.1 * tau - 19.9 * tau**2 / 2), rtol=1e-9)

    logistic = lambda v: 1 / (1 + np.exp(-v / 0.7))  # noqa: E731
    level = noise.alpha_sigma(noise.Sigmoid(start=0.0, temperature=0.7, epsilon=0.0).logsnr(tau))[0] ** 2
    expected = (logistic(3.0) - logistic(3 * tau)) / (logistic(3.0) - logistic(0.0))
    np.testing.assert_allclose(level, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: noise.Cosine(minimum=1.0, maximum=1.0), "minimum"),
        (lambda: noise.Cosine(resolution=0.0), "resolution"),
        (lambda: noise.Cosine(base=-1.0), "base"),
        (lambda: noise.InterpolatedCosine(minimum=3.0, maximum=-3.0), "minimum"),
        (lambda: noise.InterpolatedCosine(low=256.0, high=32.0), "low"),
        (lambda: noise.InterpolatedCosine(low=0.0), "low"),
        (lambda: noise.InterpolatedCosine(low=8.0, high=256.0), "times apart"),
        (lambda: noise.Edm(sigma_min=0.0), "sigma_min"),
        (lambda: noise.Edm(sigma_min=2.0, sigma_max=1.0), "sigma_max"),
        (lambda: noise.Edm(rho=0.0), "rho"),
        (lambda: noise.Edm(sigma_data=-1.0), "sigma_data"),
        (lambda: noise.FlowMatching(shift=0.0), "shift"),
        (lambda: noise.FlowMatching(epsilon=0.5), "epsilon"),
        (lambda: noise.Logit(scale=0.0), "scale"),
        (lambda: noise.Logit(offset=INFINITE), "finite offset"),
        (lambda: noise.Logit(epsilon=0.5), "epsilon"),
        (lambda: noise.LinearLogsnr(minimum=2.0, maximum=1.0), "minimum < maximum"),
        (lambda: noise.LinearLogsnr(maximum=INFINITE), "finite limits"),
        (lambda: noise.LinearBeta(beta_min=0.0), "beta_min"),
        (lambda: noise.LinearBeta(beta_min=2.0, beta_max=1.0), "beta_max"),
        (lambda: noise.LinearBeta(epsilon=1.0), "epsilon"),
        (lambda: noise.Sigmoid(start=1.0, end=1.0), "start"),
        (lambda: noise.Sigmoid(temperature=0.0), "temperature"),
        (lambda: noise.Sigmoid(epsilon=-0.1), "epsilon"),
    ],
)
def test_bad_parameters(build, words):
    with pytest.raises(InputError, match=words) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_schedules_are_values():
    for schedule in SCHEDULES.values():
        assert dataclasses.replace(schedule) == schedule
        assert hash(dataclasses.replace(schedule)) == hash(schedule)


def test_bisection():
    values = np.linspace(-10.0, 9.9, 101)
    found = noise.invert(lambda tau: 10 - 20 * tau**3, jnp.asarray(values))
    np.testing.assert_allclose(found, np.cbrt((10 - values) / 20), atol=1e-12)
