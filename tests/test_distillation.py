"""Distillation on the linear-Gaussian sequence: all maps are matrices, and the fixed points are known."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.distillation import (
    Segments,
    addim,
    consistency_loss,
    consistency_target,
    ddim_step,
    diffused_to,
    inverse_ddim,
    moment_matching_losses,
    renoise,
    sample_segments,
    segments_at,
    small_steps,
    whole_segment,
)
from rolling.losses import VLoss, XLoss
from rolling.noise import alpha_sigma, diffuse
from rolling.oracle import UNCLIPPED, Oracle, autoregressive_covariance, exact_denoiser
from rolling.solvers import step_between
from rolling.windows import Autoregressive, FullSequence, Rolling, warmup_steps

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("double")]

ROLLING = Rolling(size=6, context=1)
WINDOWS = {"rolling": ROLLING, "full": FullSequence(size=4, context=1), "next": Autoregressive(context=1)}
FINE = 8


def frames(matrix):
    """`[batch, window, noise]` as frames whose channels are the noise variables."""
    return jnp.asarray(matrix)[:, :, None, None, :]


def grid(window, calls=1, fine=FINE):
    """Every place of `small_steps(fine)` in all segments of the warm-up and the cycle, in one batch."""

    def build():
        parts, steps = [], calls * window.stride
        for clocks, count in ((window.warmup, warmup_steps(window, steps)), (window.cycle, steps)):
            u = (jnp.arange(count * fine) + 0.5) / (count * fine)
            parts.append(segments_at(clocks, count, u, small_steps(fine)))
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)

    return jax.jit(build)()


def tabulated(clocks, matrices):
    """The linear denoiser that has a matrix for each row of clocks, and takes the nearest row."""

    def denoise(z, logsnr, condition=None):
        tau = UNCLIPPED.tau(logsnr)
        row = jnp.argmin(jnp.abs(clocks[None] - tau[:, None]).sum(axis=2), axis=1)
        return jnp.einsum(
            "bij,bjhwc->bihwc", jnp.broadcast_to(matrices[row], (len(z), *matrices.shape[1:])), z
        )

    return denoise


def teacher_of(window, correlation=(0.9,)):
    return exact_denoiser(jnp.asarray(autoregressive_covariance(correlation, window.size)))


def matrices_of(denoise, clocks):
    """`x` as a matrix for each row of clocks."""
    eye = frames(np.broadcast_to(np.eye(clocks.shape[1]), (*clocks.shape, clocks.shape[1])))
    return jax.jit(lambda clocks: denoise(eye, UNCLIPPED.logsnr(clocks))[:, :, 0, 0])(clocks)


@functools.cache
def iterate(window, rounds, calls=1, fine=FINE):
    """The student's table after so many rounds of: the student becomes its own target."""
    segments, teacher = grid(window, calls, fine), teacher_of(window)
    student = matrices_of(teacher, segments.t)
    eye, x = frames(np.broadcast_to(np.eye(window.size), student.shape)), frames(student)

    @jax.jit
    def once(student):
        target = consistency_target(tabulated(segments.t, student), eye, x, segments, UNCLIPPED)
        return target[:, :, 0, 0]

    found = [student]
    for _ in range(rounds):
        found.append(once(found[-1]))
    return segments, found


@pytest.mark.parametrize(("name", "calls"), [("rolling", 1), ("full", 1), ("next", 2)])
def test_the_fixed_point_is_the_teacher_with_many_calls(name, calls):
    """One small step of each segment is learned in a round, and the rollout is the teacher's to the bit."""
    window = WINDOWS[name]
    segments, found = iterate(window, FINE + 1, calls)
    moving = np.asarray(segments.rate > 0)[:, :, None]
    change = [np.abs((b - a) * moving).max() for a, b in itertools.pairwise(found)]
    assert min(change[: FINE - 1]) > 1e-3 and change[-1] < 1e-12
    few = Oracle(window=window, calls_per_frame=calls, frames=12)
    many = dataclasses.replace(few, calls_per_frame=calls * FINE)
    student = few.coefficients(tabulated(segments.t, found[-1]))
    found = student @ student.T
    fine, coarse = (oracle.coefficients() for oracle in (many, few))
    np.testing.assert_allclose(found, fine @ fine.T, atol=1e-12)
    truth = autoregressive_covariance((0.9,), len(found))
    assert np.abs(coarse @ coarse.T - truth).max() > 2.5 * np.abs(found - truth).max()


def test_the_exact_flow_is_its_own_target_up_to_the_order_of_a_step():
    """DDIM's local error: half the small step, a quarter of the difference at the beginning of a segment."""
    fine = 32
    segments, found = iterate(ROLLING, fine, fine=fine)
    flow, teacher = tabulated(segments.t, found[-1]), teacher_of(ROLLING)

    def gap(count):
        coarse = grid(ROLLING, fine=count)
        own, x = matrices_of(flow, coarse.t), frames(matrices_of(teacher, coarse.t))
        eye = frames(np.broadcast_to(np.eye(6), own.shape))
        target = jax.jit(lambda x: consistency_target(flow, eye, x, coarse, UNCLIPPED))(x)[:, :, 0, 0]
        gaps = np.abs(np.where((coarse.rate > 0)[:, :, None], target - own, 0.0))
        return gaps[count - 1 :: count].max()  # where segments begin

    assert gap(4) > 1e-3
    assert gap(4) / gap(8) == pytest.approx(4, rel=0.3)


def test_training_on_data_has_the_same_fixed_point():
    """The best linear prediction of the target that is made of data is the target that the teacher makes."""
    segments, found = iterate(ROLLING, FINE)
    logsnr, size = UNCLIPPED.logsnr(segments.t), ROLLING.size
    factor = np.linalg.cholesky(autoregressive_covariance((0.9,), size))
    rows = (len(segments.t), size, 2 * size)
    x = frames(np.broadcast_to(np.concatenate([factor, np.zeros((size, size))], 1), rows))
    eps = frames(np.broadcast_to(np.concatenate([np.zeros((size, size)), np.eye(size)], 1), rows))
    z = diffuse(x, eps, logsnr)
    student = tabulated(segments.t, found[-1])
    target = consistency_target(student, z, x, segments, UNCLIPPED)[:, :, 0, 0]
    z = z[:, :, 0, 0]
    best = jnp.linalg.solve(z @ z.mT, z @ target.mT).mT
    moving = np.asarray(segments.rate > 0)[:, :, None]
    np.testing.assert_allclose(best * moving, found[-1] * moving, atol=1e-9)
    # Of a single clip the target is another one: the noise of the data averages out, it is not absent.
    assert np.abs(np.asarray(target - student(frames(z), logsnr)[:, :, 0, 0]) * moving).max() > 0.1


def test_the_loss_vanishes_at_the_fixed_point():
    segments, found = iterate(ROLLING, FINE)
    x = jax.random.normal(jax.random.key(0), (32, ROLLING.size, 4, 4, 1))
    drawn = sample_segments(ROLLING, 1, small_steps(FINE), jax.random.key(1), len(x), 0.5)
    drawn = jax.tree.map(lambda leaf: leaf.astype(float), drawn)
    teacher = teacher_of(ROLLING)

    def loss(student, teacher=teacher, **more):
        key = jax.random.key(2)
        options = {"schedule": UNCLIPPED, "weighting": VLoss(), **more}
        z = diffused_to(drawn, x, key, UNCLIPPED)
        loss = jax.jit(lambda x: consistency_loss(student, student, teacher, x, z, drawn, **options))
        return float(loss(x))

    student = tabulated(segments.t, found[-1])
    of_teacher = loss(teacher)
    assert loss(student) < 1e-8 < 1e-3 < of_teacher
    assert loss(student, teacher=None) > 1e-3
    assert loss(student, variance=0.75) > 1e-3
    half = jnp.zeros((4, 4, 1)).at[:2].set(1.0)
    assert 0 < loss(teacher, mask=half) != of_teacher


def steps_of(tau_t, tau_s):
    return step_between(UNCLIPPED, jnp.asarray([tau_t]), jnp.asarray([tau_s]))


def test_frames_that_stand_still_are_untouched_and_ends_are_finite():
    step = steps_of([0.0, 0.3, 0.5, 1.0, 1.0], [0.0, 0.0, 0.2, 0.7, 1.0])
    z, x = jax.random.normal(jax.random.key(0), (2, 1, 5, 3, 3, 2))
    for moved in (ddim_step(z, x, step), addim(z, x, step, jnp.ones((1, 5))), renoise(z, x, step, x)):
        np.testing.assert_array_equal(moved[:, [0, 4]], z[:, [0, 4]])
        assert np.isfinite(moved).all() and (np.abs(moved - z)[:, 1:4] > 0).any(axis=(2, 3, 4)).all()
    inverse = inverse_ddim(z, ddim_step(z, x, step), step)
    np.testing.assert_allclose(inverse[:, 1:4], x[:, 1:4], rtol=1e-10)
    np.testing.assert_allclose(addim(z, x, step, jnp.zeros((1, 5))), ddim_step(z, x, step), rtol=1e-10)


def test_addim_keeps_the_energy_that_ddim_loses():
    """`x = x^ + e` with `x^`, `e` and `eps` orthogonal: `E |z_s|^2` of the truth, for a step of any size."""
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 3)))[0].T * 8
    known, lost, eps = (jnp.asarray(part).reshape(1, 1, 8, 8, 1) for part in basis)
    for tau_t, tau_s in ((0.9, 0.1), (0.5, 0.4), (1.0, 0.6)):
        step = steps_of([tau_t], [tau_s])
        alpha_t, sigma_t = alpha_sigma(step.logsnr_t)
        z = diffuse(known, eps, step.logsnr_t)  # the same z from x^ and eps, or from x and the true noise
        true_eps = eps - (alpha_t / sigma_t)[:, :, None, None, None] * lost
        np.testing.assert_allclose(diffuse(known + lost, true_eps, step.logsnr_t), z, atol=1e-12)
        wanted = jnp.mean(diffuse(known + lost, true_eps, step.logsnr_s) ** 2)
        adjusted = addim(z, known, step, jnp.ones((1, 1)))
        np.testing.assert_allclose(jnp.mean(adjusted**2), wanted, rtol=1e-12)
        assert jnp.mean(ddim_step(z, known, step) ** 2) < wanted


def test_segments_are_those_of_the_sampler():
    """`k (size - context)` segments in the local time of a frame, whose ends are the sampler's clocks."""
    for window, calls in ((ROLLING, 1), (Rolling(size=8, context=2), 3)):
        count = calls * (window.size - window.context)
        drawn = sample_segments(window, calls, small_steps(4), jax.random.key(0), 64, 0.5)
        t, s, end, rate = (np.asarray(part, float) for part in drawn)
        moving = rate > 0
        assert ((t > end) == moving).all() and (t >= s).all() and (s >= end).all()
        assert (rate[:, : window.context] == 0).all()
        np.testing.assert_allclose(end * count, np.round(end * count), atol=1e-4)
        small = np.unique(np.round(((t - end) * 4 * count)[moving], 3))
        np.testing.assert_allclose(small, [1, 2, 3, 4])
        np.testing.assert_allclose(((t - s) * 4 * count)[moving], 1, rtol=1e-3)
        speeds = np.unique(np.round(rate[moving], 3))
        np.testing.assert_allclose(speeds, [1 / (window.size - window.context), 1], atol=1e-3)
    whole = sample_segments(ROLLING, 1, whole_segment, jax.random.key(0), 64, 0.0)
    np.testing.assert_allclose((whole.t - whole.end)[whole.rate > 0], 1 / 5, rtol=1e-4)
    assert len(np.unique(whole.s[:, 3])) == 64


FULL = WINDOWS["full"]


def sampling_map(window):
    """A linear map of clean context and unit noise to exact samples of the frames after it."""
    k, n = autoregressive_covariance((0.9,), window.size), window.context
    gain = np.linalg.solve(k[:n, :n], k[:n, n:]).T
    left = k[n:, n:] - gain @ k[:n, n:]
    return np.block(
        [[np.eye(n), np.zeros((n, window.size - n))], [gain, np.linalg.cholesky(left)]],
    )


def means_given_noisy(student, tau):
    """`E[x~ | z_s]` as a matrix, for `x~ = student z_t` with pure noise after the context, and `z_s`."""
    size, n = FULL.size, FULL.context
    k = autoregressive_covariance((0.9,), size)
    root = np.eye(2 * size)  # context, fresh noise, noise of q
    root[:n, :n] = np.linalg.cholesky(k[:n, :n])
    z, noise = (frames(part[None]) for part in (root[:size], root[size:]))
    made = jnp.einsum("ij,bjhwc->bihwc", student, z)
    step = steps_of([0.0] * n + [1.0] * (size - n), [0.0] * n + [tau] * (size - n))
    z_s, made = renoise(z, made, step, noise)[0, :, 0, 0], made[0, :, 0, 0]
    return np.linalg.solve(z_s @ z_s.T, z_s @ made.T).T, step.logsnr_s


def test_moments_match_for_exact_samples_only():
    teacher, exact = teacher_of(FULL), sampling_map(FULL)
    step_of_teacher = matrices_of(teacher, jnp.asarray([[0.0, 1.0, 1.0, 1.0]]))[0]
    for tau in (0.1, 0.5, 0.9):
        found, logsnr = means_given_noisy(exact, tau)
        wanted = teacher(frames(np.eye(4)[None]), logsnr)[0, :, 0, 0]
        np.testing.assert_allclose(found, wanted, atol=1e-10)
        assert np.abs(means_given_noisy(step_of_teacher, tau)[0] - wanted).max() > 0.05


def test_gradients_of_moment_matching():
    """The auxiliary's optimum lies half-way to the teacher; the student's loss leads to exact samples."""
    teacher, exact = teacher_of(FULL), jnp.asarray(sampling_map(FULL))
    n, size, tau = FULL.context, FULL.size, 0.5
    factor = np.linalg.cholesky(autoregressive_covariance((0.9,), size))
    noise = np.random.default_rng(0).normal(size=(1, size, 100, 100, 1))
    x = jnp.einsum("ij,bjhwc->bihwc", jnp.asarray(factor), jnp.asarray(noise))
    behind = jnp.asarray([[0.0] * n + [1.0] * (size - n)])
    segments = Segments(t=behind, s=tau * behind, end=0 * behind, rate=behind)

    def matrix(m):
        return lambda z, logsnr: jnp.einsum("ij,bjhwc->bihwc", m, z)

    def gradients(student, auxiliary):
        def losses(student, auxiliary):
            z_key, s_key = jax.random.split(jax.random.key(0))
            z, options = diffused_to(segments, x, z_key, UNCLIPPED), {"schedule": UNCLIPPED}
            return moment_matching_losses(
                matrix(student), matrix(auxiliary), teacher, z, segments, s_key, weighting=XLoss(), **options
            )

        one, other = jax.jit(jax.jacrev(losses, argnums=(0, 1)))(student, auxiliary)
        np.testing.assert_array_equal(one[0], 0.0)
        np.testing.assert_array_equal(other[1], 0.0)
        return one[1][n:], other[0][n:]

    for scale in (1.0, 0.6, 1.4):
        student = exact.at[n:, n:].multiply(scale)
        mean, logsnr = means_given_noisy(student, tau)
        best = (mean + teacher(frames(np.eye(size)[None]), logsnr)[0, :, 0, 0]) / 2
        of_auxiliary, of_student = gradients(student, best)
        assert np.abs(of_auxiliary).max() < 0.03  # of 10,000 samples
        towards = jnp.sum(of_student * (student - exact)[n:])
        assert (np.abs(of_student).max() < 1e-12) if scale == 1 else (towards > 5e-3)
