"""The time-shift sampler finds the noise level of a frame, where that can be told."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.noise import alpha_sigma, diffuse
from rolling.oracle import UNCLIPPED
from rolling.solvers import DpmSolverPlusPlus, TimeShift
from tests.solver_tools import a_step, normal

pytestmark = pytest.mark.slow
LARGE = (1, 5, 200, 200, 1)
CLOCK = jnp.asarray([[-1.0, -0.5, 0.0, 0.5, 1.0]])


def frames(variance: float, logsnr):
    x = np.sqrt(variance) * normal(0, LARGE)
    return diffuse(x, normal(1, LARGE), logsnr)


@pytest.mark.parametrize("offset", [0.3, -0.3])
@pytest.mark.parametrize("variance", [0.2, 3.0])
def test_the_noise_level_is_found(variance, offset):
    """Frames that are off their clocks by 0.3: the standard error at 40,000 cells is about 0.04."""
    found = TimeShift(variance=variance).level(frames(variance, CLOCK + offset), CLOCK)
    np.testing.assert_allclose(found, CLOCK + offset, atol=0.1)


def test_it_reaches_no_further_than_it_may():
    solver = TimeShift(variance=0.2, reach=0.2)
    for offset in (2.0, -2.0):
        found = solver.level(frames(0.2, CLOCK + offset), CLOCK)
        np.testing.assert_allclose(found, CLOCK + np.sign(offset) * 0.2, rtol=1e-5, atol=1e-6)


def test_a_clock_that_cannot_be_told_is_left():
    """At both ends, and wherever the variance is too near that of noise."""
    ends = jnp.asarray([[-jnp.inf, -9.0, 4.0, 9.0, jnp.inf]])
    np.testing.assert_array_equal(TimeShift(variance=0.2).level(normal(0, LARGE), ends), ends)
    near = TimeShift(variance=0.9, low=0.0249)
    np.testing.assert_array_equal(near.level(normal(0, LARGE), CLOCK) == CLOCK, [[1, 1, 0, 1, 1]])


def test_frames_that_follow_their_clocks_are_shown_at_them():
    """An exact denoiser, all the way down. Its prediction has less variance than the data, by what is still
    unknown, and taking the one for the other would move every clock."""
    variance, tau = 0.25, np.linspace(0.7, 0.3, 9)[:, None, None] * np.ones((1, 1, 5))
    logsnr, x = UNCLIPPED.logsnr(jnp.asarray(tau)), np.sqrt(variance) * normal(0, LARGE)
    solver, shown = TimeShift(variance=variance), []

    def denoise(z, clock):
        shown.append(clock)
        alpha, sigma = (part[..., None, None, None] for part in alpha_sigma(clock))
        return variance * alpha * z / (variance * alpha**2 + sigma**2)

    z = diffuse(x, normal(1, LARGE), logsnr[0])
    for here, there in itertools.pairwise(tau):
        step = a_step(tuple(here[0]), tuple(there[0]))
        z, _ = solver.step(denoise, z, solver.init(z), step, None)
    np.testing.assert_allclose(shown, logsnr[:-1], atol=0.2)  # of a reach of 0.5


def test_the_network_sees_the_level_and_the_solver_its_clock():
    inner = DpmSolverPlusPlus()
    solver = TimeShift(solver=inner, variance=0.2)
    step = a_step((0.6, 0.5, 0.5, 0.4, 0.4), (0.5, 0.4, 0.5, 0.3, 0.3))
    z, x = frames(0.2, step.logsnr_t + 0.3), 0.4 * normal(2, LARGE)
    shown = []
    moved, history = solver.step(lambda z, clock: shown.append(clock) or x, z, solver.init(z), step, None)
    off = np.asarray(shown[0] - step.logsnr_t)[0]
    np.testing.assert_allclose(off, [0.3, 0.3, 0.0, 0.3, 0.3], atol=0.1)
    assert off[2] == 0
    plain, known = inner.step(lambda *_: x, z, inner.init(z), step, None)
    np.testing.assert_array_equal(moved, plain)
    np.testing.assert_array_equal(history.logsnr, known.logsnr)


def test_without_reach_it_is_the_inner_solver():
    z, step = normal(0), a_step()
    denoise = lambda z, logsnr: jnp.tanh(z) * jax.nn.sigmoid(logsnr)[..., None, None, None]  # noqa: E731
    solver = TimeShift(solver=DpmSolverPlusPlus(), variance=0.2, reach=0.0)
    expected = solver.solver.step(denoise, z, solver.init(z), step, None)[0]
    np.testing.assert_array_equal(solver.step(denoise, z, solver.init(z), step, None)[0], expected)
