"""Weightings in closed form, and the evidence lower bound that does not depend on the path of the clocks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import lognorm

from rolling.common.errors import InputError
from rolling.losses import (
    Elbo,
    EpsLoss,
    LogNormal,
    MinSnr,
    SigmoidWeighting,
    VLoss,
    Weighting,
    XLoss,
    diffusion_loss,
    frame_weights,
)
from rolling.noise import Cosine, Edm, FlowMatching, alpha_sigma, diffuse, v_from_x
from rolling.oracle import UNCLIPPED, autoregressive_covariance, elbo_along, exact_denoiser
from rolling.run.experiment.objectives import Denoising
from rolling.windows import FullSequence, IndependentTimes, Rolling, SampledTimes

WEIGHTINGS = [
    Elbo(),
    SigmoidWeighting(bias=-1.0),
    VLoss(),
    XLoss(),
    EpsLoss(),
    MinSnr(gamma=3.0),
    LogNormal(),
]
every_weighting = pytest.mark.parametrize("weighting", WEIGHTINGS, ids=lambda w: type(w).__name__)
KEY = jax.random.key(3)
SHAPE = (4, 6, 3, 5, 2)


def frames(seed: int, shape=SHAPE):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def half(z, logsnr):
    return 0.5 * z


def erdm_weight(s, mean, std):
    """`lambda(s) f(s)` of ERDM with `sigma_data = 1`, for noise of standard deviation `s`."""
    return (s**2 + 1) / s**2 * lognorm(s=std, scale=np.exp(mean)).pdf(s)


def test_closed_forms():
    logsnr = jnp.linspace(-9.0, 9.0, 19)[None]
    speed = jnp.full_like(logsnr, 3.0)
    snr = np.exp(np.asarray(logsnr))
    alpha, sigma = map(np.asarray, alpha_sigma(logsnr))
    expected = {
        Elbo(): 1.5 * snr,
        SigmoidWeighting(bias=-1.0): 1.5 * snr / (1 + np.exp(1.0) * snr),
        VLoss(): 1 / sigma**2,
        XLoss(): np.ones_like(snr),
        EpsLoss(): alpha**2 / sigma**2,
        MinSnr(gamma=3.0): np.where(snr < 3, snr, 3.0),
        LogNormal(mean=0.3, std=0.9): erdm_weight(sigma / alpha, 0.3, 0.9),
    }
    for weighting, value in expected.items():
        assert isinstance(weighting, Weighting)
        np.testing.assert_allclose(weighting(logsnr, speed), value, rtol=1e-4, err_msg=repr(weighting))


@pytest.mark.parametrize(("mean", "std"), [(0.5, 0.0), (0.5, -1.0), (float("nan"), 1.2)])
def test_a_log_normal_weighting_checks_itself(mean, std):
    with pytest.raises(InputError, match="std > 0 and a finite mean"):
        LogNormal(mean=mean, std=std)


@pytest.mark.parametrize("schedule", [Cosine(), Edm(rho=-10.0), FlowMatching()])
def test_every_weighting_is_the_elbo_times_a_function_of_the_noise(schedule):
    """`1/2 w(logsnr) (-dlogsnr/dtau) SNR`, with `w` in closed form, `x`- and `v`-loss included."""
    tau = jnp.linspace(0.1, 0.9, 9)[None]
    logsnr, speed = schedule.logsnr(tau), -schedule.derivative(tau)
    elbo, snr = np.asarray(Elbo()(logsnr, speed)), np.exp(np.asarray(logsnr))
    w = {
        SigmoidWeighting(bias=0.5): 1 / (1 + np.exp(-0.5) * snr),
        EpsLoss(): 2 / speed,
        XLoss(): 2 / (speed * snr),
        VLoss(): 2 * (1 + 1 / snr) / speed,
    }
    for weighting, value in w.items():
        np.testing.assert_allclose(weighting(logsnr, speed), elbo * value, rtol=1e-4)


def loss_of(weighting, times, denoise=half, schedule=None, **rest):
    schedule = schedule or Cosine()
    return diffusion_loss(denoise, frames(0), times, KEY, schedule=schedule, weighting=weighting, **rest)


def test_v_loss_of_x_is_the_loss_of_v():
    schedule = Cosine()
    times = SampledTimes(
        jax.random.uniform(jax.random.key(1), SHAPE[:2], minval=0.05, maxval=0.95), jnp.ones(SHAPE[:2])
    )
    logsnr, x = schedule.logsnr(times.tau), frames(0)
    z = diffuse(x, jax.random.normal(KEY, SHAPE), logsnr)
    v, v_hat = v_from_x(z, x, logsnr), v_from_x(z, half(z, logsnr), logsnr)
    expected = np.mean(np.sum(np.mean((v - v_hat) ** 2, axis=(2, 3, 4)), axis=1))
    assert loss_of(VLoss(), times) == pytest.approx(float(expected), rel=1e-4)


@every_weighting
def test_the_loss_is_the_weighted_sum_over_frames(weighting):
    schedule, times = Cosine(), Rolling(size=6, context=2).sample_times(KEY, SHAPE[0])
    logsnr, x = schedule.logsnr(times.tau), frames(0)
    z = diffuse(x, jax.random.normal(KEY, SHAPE), logsnr)
    weights = np.asarray(frame_weights(weighting, schedule, times))
    error = np.mean((np.asarray(x) - 0.5 * np.asarray(z)) ** 2, axis=(2, 3, 4))
    assert loss_of(weighting, times) == pytest.approx((weights * error).sum(axis=1).mean(), rel=1e-5)


@every_weighting
def test_frames_outside_the_sweep_weigh_nothing(weighting):
    """Clean context and pure noise, under an unclipped schedule: no NaN in the loss nor in its gradient."""
    tau = jnp.asarray([[0.0, 0.0, 0.3, 0.8, 1.0, 1.0]] * SHAPE[0])
    times = SampledTimes(tau, jnp.where((tau > 0) & (tau < 1), 0.25, 0.0))
    weights = np.asarray(frame_weights(weighting, UNCLIPPED, times))
    assert (weights[:, [0, 1, 4, 5]] == 0).all() and (weights[:, 2:4] > 0).all()

    def loss(scale):
        # The v-prediction: it holds at both ends.
        def denoise(z, logsnr):
            alpha, sigma = (part[..., None, None, None] for part in alpha_sigma(logsnr))
            return alpha * z - sigma * jnp.tanh(scale * z)

        return loss_of(weighting, times, denoise, UNCLIPPED)

    value, slope = jax.value_and_grad(loss)(jnp.asarray(0.7))
    assert np.isfinite(value) and value > 0
    assert np.isfinite(slope) and slope != 0


@every_weighting
def test_clocks_that_meet_an_end_give_no_nan(weighting):
    """`t = 0` is drawn once in eight million times."""
    times = SampledTimes(jnp.asarray([[0.0, 0.5, 1.0]]), jnp.asarray([[0.5, 0.5, 0.5]]))
    weights = np.asarray(frame_weights(weighting, UNCLIPPED, times))
    assert weights[0, 0] == weights[0, 2] == 0 and weights[0, 1] > 0
    slope = jax.grad(lambda tau: frame_weights(weighting, UNCLIPPED, times._replace(tau=tau)).sum())(
        times.tau
    )
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    "window", [Rolling(size=6, context=2), FullSequence(size=6), IndependentTimes(inner=Rolling(size=6))]
)
def test_training_losses_are_finite(window):
    times = window.sample_times(KEY, SHAPE[0])
    for weighting in WEIGHTINGS:
        value, slope = jax.value_and_grad(lambda s, w=weighting: loss_of(w, times, lambda z, _: s * z))(0.5)
        assert np.isfinite(value) and np.isfinite(slope)


def test_masked_cells_carry_no_loss():
    times = Rolling(size=6, context=2).sample_times(KEY, SHAPE[0])
    mask = np.ones(SHAPE[2:], np.float32)
    mask[1, 2:, 0] = 0

    def wrong_at(cells):
        return lambda z, logsnr: jnp.where(jnp.asarray(cells)[None, None], 1e3, 0.5 * z)

    whole = loss_of(VLoss(), times, mask=jnp.asarray(mask))
    assert loss_of(VLoss(), times, wrong_at(mask == 0), mask=jnp.asarray(mask)) == whole
    assert loss_of(VLoss(), times, wrong_at(mask == 1), mask=jnp.asarray(mask)) > 1e3
    assert loss_of(VLoss(), times, mask=jnp.ones(SHAPE[2:])) == loss_of(VLoss(), times)
    # A mean over the cells that count, not over all of them.
    one = np.zeros(SHAPE[2:], np.float32)
    one[0, 0, 0] = 1
    constant = lambda z, logsnr: frames(0) - 2.0  # noqa: E731
    assert loss_of(XLoss(), times, constant, mask=jnp.asarray(one)) == pytest.approx(
        float(loss_of(XLoss(), times, constant)), rel=1e-5
    )


SQUARES = (4, 6, 4, 8, 2)


def loss_of_error(error, mask=None, scales=()):
    """The x-loss of frames of SQUARES and a denoiser that errs by `error`."""
    x, times = frames(0, SQUARES), SampledTimes(jnp.full((4, 6), 0.5), jnp.ones((4, 6)))
    setting = {"schedule": Cosine(), "weighting": XLoss(), "mask": mask, "scales": scales}
    return float(diffusion_loss(lambda z, _: x - error, x, times, KEY, **setting))


def test_the_terms_of_coarser_scales():
    """Each against numpy; a constant error is one at any scale, one that alternates is none."""
    scales = (2, 4)
    assert loss_of_error(jnp.full(SQUARES, 0.5), scales=scales) == pytest.approx(0.25 * 6 * (1 + 2 + 4))
    rows, columns = np.indices(SQUARES[2:4])
    board = jnp.broadcast_to(((-1.0) ** (rows + columns))[..., None], SQUARES)
    assert loss_of_error(board, scales=scales) == pytest.approx(loss_of_error(board))
    error, mask = np.asarray(frames(1, SQUARES)), np.ones(SQUARES[2:], np.float32)
    mask[:3, 1:3], mask[2:, 6:, 1] = 0, 0
    for cells in (None, mask):
        kept = np.ones(SQUARES[2:]) if cells is None else cells
        expected = (error**2 * kept).mean((0, 1)).sum() / kept.sum() * 6
        for f in scales:
            for i in range(0, 4, f):
                for j in range(0, 8, f):
                    part = np.s_[..., i : i + f, j : j + f, :]
                    count = kept[part].sum((0, 1))
                    mean = (error * kept)[part].sum((2, 3)) / np.maximum(count, 1)
                    expected += f * 6 * ((mean**2).mean((0, 1)) * count).sum() / kept.sum()
        given = None if cells is None else jnp.asarray(cells)
        assert loss_of_error(jnp.asarray(error), given, scales) == pytest.approx(expected, rel=1e-5)


def test_scales_that_do_not_divide_the_grid():
    with pytest.raises(InputError, match=r"4 x 8 cells.*3 x 3"):
        loss_of_error(jnp.zeros(SQUARES), scales=(3,))
    for scales in ((1,), (2, 2), (-2,)):
        with pytest.raises(InputError, match="different whole numbers from 2 on"):
            Denoising(scales=scales)


def test_losses_are_reproducible():
    times = Rolling(size=6).sample_times(KEY, SHAPE[0])
    assert loss_of(VLoss(), times) == loss_of(VLoss(), times)


# Paths from `tau = 0.9` to `tau = 0.1` of three frames, all monotone: `u` runs from 0 to 1. Their bends lie
# at multiples of 1/9, between the nodes of the midpoint rule.
NODES = 1800
SPAN = 0.8
PATHS = {
    "together": lambda u: 0.1 + SPAN * jnp.stack([u, u, u], -1),
    "one after another": lambda u: 0.1 + SPAN * jnp.clip(3 * u[:, None] - jnp.arange(3)[None], 0, 1),
    "staggered": lambda u: 0.1 + SPAN * jnp.clip((1.8 * u[:, None] - 0.4 * jnp.arange(3)[None]), 0, 1),
    "curved": lambda u: 0.1 + SPAN * jnp.stack([u, u**2, jnp.sin(jnp.pi * u / 2)], -1),
    "the last frame first": lambda u: 0.1 + SPAN * jnp.clip(3 * u[:, None] - jnp.arange(3)[None, ::-1], 0, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [UNCLIPPED, Edm(rho=-10.0)], ids=["cosine", "EDM"])
def test_the_elbo_does_not_depend_on_the_path(schedule):
    covariance = autoregressive_covariance((0.9,), 3)
    values = {name: elbo_along(path, schedule, covariance, nodes=NODES) for name, path in PATHS.items()}
    reference = values.pop("together")
    for name, value in values.items():
        assert value == pytest.approx(reference, rel=3e-5), name
    # Path independence is a property of the weights: a wrong power of the rate loses it.
    assert reference > 1


def mutual_information(covariance, schedule, tau) -> float:
    """`1/2 log det(I + SNR K)` between the frames and their noisy versions at clocks `tau`, in nats."""
    snr = np.exp(np.asarray(schedule.logsnr(jnp.asarray(tau))))
    return 0.5 * np.linalg.slogdet(np.eye(len(snr)) + np.sqrt(np.outer(snr, snr)) * covariance)[1]


def test_the_elbo_is_a_difference_of_information():
    """Its closed form: `I(x; z(tau_0)) - I(x; z(tau_1))`, by Guo, Shamai and Verdu (2005)."""
    covariance = autoregressive_covariance((1.6, -0.8), 3)
    with jax.enable_x64(True):
        ends = [mutual_information(covariance, UNCLIPPED, tau) for tau in ([0.1] * 3, [0.9] * 3)]
    for name, path in PATHS.items():
        assert elbo_along(path, UNCLIPPED, covariance, nodes=NODES) == pytest.approx(
            ends[0] - ends[1], rel=3e-5
        ), name


@pytest.mark.parametrize("window", [Rolling(size=5, context=2), Rolling(size=3, context=0)])
def test_warm_up_and_cycles_add_up_to_the_whole(window):
    """From noise to the rolling state, and on by as many cycles as empty the window, without new frames:
    the same as all frames at once. A clipped schedule stops short of the infinite information of a clean
    frame; the context is clean from the start and given to all."""
    schedule, size, n = Cosine(minimum=-8.0, maximum=4.0), window.size, window.context
    covariance = autoregressive_covariance((0.9,), size)
    free = covariance[n:, n:] - covariance[n:, :n] @ np.linalg.solve(covariance[:n, :n], covariance[:n, n:])
    behind = size - n
    parts = [elbo_along(lambda t: window.warmup(t)[:, n:], schedule, free, nodes=NODES)]
    for i in range(behind - 1):
        # After i shifts of a window that drains: frames that are finished stay, and no noise enters.
        def drained(t, i=i):
            ahead = jnp.arange(behind, dtype=t.dtype)[None] - (i + 1)
            return jnp.clip((ahead + t[:, None]) / behind, 0.0, 1.0)

        parts.append(elbo_along(drained, schedule, free, nodes=NODES))
    at_once = elbo_along(lambda t: jnp.stack([t] * behind, -1), schedule, free, nodes=NODES)
    assert sum(parts) == pytest.approx(at_once, rel=1e-4)
    with jax.enable_x64(True):
        information = [mutual_information(free, schedule, [tau] * behind) for tau in (0.0, 1.0)]
    assert at_once == pytest.approx(information[0] - information[1], rel=1e-4)


ESTIMATED = Cosine(minimum=-8.0, maximum=4.0)
PROCESS = autoregressive_covariance((0.9,), 4)


@jax.jit
def exact_loss(x, times, key):
    denoise = exact_denoiser(jnp.asarray(PROCESS, jnp.float32))
    return diffusion_loss(denoise, x, times, key, schedule=ESTIMATED, weighting=Elbo())


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_training_loss_estimates_the_elbo(share):
    """Frames of the process, the window's own times and the exact denoiser, by Monte Carlo."""
    window, batch, draws = Rolling(size=4, context=1, warmup_share=share), 128, 24
    rng, factor = np.random.default_rng(0), np.linalg.cholesky(PROCESS)
    values = []
    for key in jax.random.split(KEY, draws):
        x = np.einsum("ij,bjhwc->bihwc", factor, rng.normal(size=(batch, 4, 6, 6, 1)))
        values.append(exact_loss(jnp.asarray(x, jnp.float32), window.sample_times(key, batch), key))
    # The denoiser is told the schedule's own end for a clean frame, and so is the integral.
    expected = elbo_along(window.warmup if share else window.cycle, ESTIMATED, PROCESS, nodes=NODES)
    error = np.std(values) / np.sqrt(draws)
    assert error < 0.03 * expected
    assert abs(np.mean(values) - expected) < 4 * error


def test_coarser_scales_keep_the_minimum():
    """The slope of the loss of `c D(z)`, `D` the exact denoiser, is zero at `c = 1`, by Monte Carlo."""
    window, batch, draws = Rolling(size=4, context=1), 128, 24
    exact = exact_denoiser(jnp.asarray(PROCESS, jnp.float32))

    @jax.jit
    def slopes(x, times, key, at):
        def loss(c, scales):
            scaled = lambda z, logsnr: c * exact(z, logsnr)  # noqa: E731
            return diffusion_loss(scaled, x, times, key, schedule=ESTIMATED, weighting=VLoss(), scales=scales)

        coarse = lambda c: loss(c, (2, 4)) - loss(c, ())  # noqa: E731
        return jax.grad(coarse)(at)

    rng, factor = np.random.default_rng(0), np.linalg.cholesky(PROCESS)
    found = {1.0: [], 1.1: []}
    for key in jax.random.split(KEY, draws):
        x = np.einsum("ij,bjhwc->bihwc", factor, rng.normal(size=(batch, 4, 8, 8, 1)))
        for at, values in found.items():
            values.append(slopes(jnp.asarray(x, jnp.float32), window.sample_times(key, batch), key, at))
    error = np.std(found[1.0]) / np.sqrt(draws)
    assert abs(np.mean(found[1.0])) < 4 * error
    assert np.mean(found[1.1]) > 20 * error
