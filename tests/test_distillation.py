"""Distillation on the linear-Gaussian sequence: all maps are matrices, and the fixed points are known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.distillation import (
    addim,
    consistency_loss,
    consistency_target,
    ddim,
    inverse_ddim,
    moment_matching_losses,
    sample_segments,
    segments_at,
    small_steps,
    whole_segment,
)
from rolling.losses import VLoss, XLoss
from rolling.noise import Cosine, alpha_sigma, diffuse
from rolling.oracle import UNCLIPPED, Oracle, autoregressive_covariance, exact_denoiser
from rolling.solvers import step_between
from rolling.windows import Autoregressive, FullSequence, Rolling, warmup_steps

pytestmark = pytest.mark.usefixtures("quick_compilation")

ROLLING = Rolling(size=6, context=1)
WINDOWS = {"rolling": ROLLING, "full": FullSequence(size=4, context=1), "next": Autoregressive(context=1)}
FINE = 8


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def frames(matrix):
    """`[batch, window, noise]` as frames whose channels are the noise variables."""
    return jnp.asarray(matrix)[:, :, None, None, :]


def grid(window, calls=1, fine=FINE):
    """Every place of `small_steps(fine)` in all segments of the warm-up and the cycle, in one batch."""
    parts = []
    steps = calls * window.stride
    for clocks, count in ((window.warmup, warmup_steps(window, steps)), (window.cycle, steps)):
        u = (jnp.arange(count * fine) + 0.5) / (count * fine)
        parts.append(segments_at(clocks, count, u, small_steps(fine)))
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


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
    eye = jnp.broadcast_to(jnp.eye(clocks.shape[1]), (len(clocks), clocks.shape[1], clocks.shape[1]))
    return denoise(frames(eye), UNCLIPPED.logsnr(clocks))[:, :, 0, 0]


def iterate(window, rounds, calls=1, fine=FINE):
    """The student's table after so many rounds of: the student becomes its own target."""
    segments, teacher = grid(window, calls, fine), teacher_of(window)
    student = matrices_of(teacher, segments.t)
    eye = frames(jnp.broadcast_to(jnp.eye(window.size), student.shape))
    x = teacher(eye, UNCLIPPED.logsnr(segments.t))

    @jax.jit
    def once(student):
        target = consistency_target(tabulated(segments.t, student), eye, x, segments, UNCLIPPED)
        return target[:, :, 0, 0]

    found = [student]
    for _ in range(rounds):
        found.append(once(found[-1]))
    return segments, found


def print_():
    for name, window in WINDOWS.items():
        segments, found = iterate(window, FINE + 1)
        moving = segments.rate > 0
        gaps = [
            float(jnp.abs(jnp.where(moving[..., None], a - b, 0)).max())
            for a, b in zip(found[1:], found[:-1])
        ]
        print(name, gaps)
        oracle = Oracle(window=window, calls_per_frame=1, frames=12)
        s = tabulated(segments.t, found[-1])
        many = dataclasses.replace(oracle, calls_per_frame=FINE)
        z, y = oracle.coefficients(s), many.coefficients()
        print(
            np.abs(z @ z.T - y @ y.T).max(),
            oracle.max_covariance_error(),
            many.max_covariance_error(),
            oracle.max_covariance_error(s),
        )
