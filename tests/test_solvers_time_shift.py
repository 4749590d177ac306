"""The time-shift sampler finds the noise level of a frame, where that can be told."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.noise import diffuse
from rolling.solvers import DpmSolverPlusPlus, TimeShift
from tests.solver_tools import a_step, normal

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compilation")]
LARGE = (1, 5, 200, 200, 1)
CLOCK = jnp.asarray([[-1.0, -0.5, 0.0, 0.5, 1.0]])


def frames(variance: float, logsnr):
    x = np.sqrt(variance) * normal(0, LARGE)
    return diffuse(x, normal(1, LARGE), logsnr)


@pytest.mark.parametrize("offset", [0.3, -0.3])
@pytest.mark.parametrize("variance", [0.2, 3.0])
def test_the_noise_level_is_found(variance, offset):
    """Frames that are off their clocks by 0.3: the standard error at 40,000 cells is about 0.04."""
    found = TimeShift().level(frames(variance, CLOCK + offset), jnp.full((1, 5), variance), CLOCK)
    np.testing.assert_allclose(found, CLOCK + offset, atol=0.1)


def test_it_reaches_no_further_than_it_may():
    solver = TimeShift(reach=0.2)
    for offset in (2.0, -2.0):
        found = solver.level(frames(0.2, CLOCK + offset), jnp.full((1, 5), 0.2), CLOCK)
        np.testing.assert_allclose(found, CLOCK + np.sign(offset) * 0.2, rtol=1e-5, atol=1e-6)


def test_a_clock_that_cannot_be_told_is_left():
    """At both ends, for an x of unit variance, and for frames without a prediction so far."""
    ends = jnp.asarray([[-jnp.inf, -9.0, 0.0, 9.0, jnp.inf]])
    variance = jnp.asarray([[0.2, 0.2, 0.95, 0.2, 0.2]])
    np.testing.assert_array_equal(TimeShift().level(normal(0, LARGE), variance, ends), ends)
    fresh = TimeShift().init(normal(0, LARGE))
    np.testing.assert_array_equal(TimeShift().level(normal(0, LARGE), fresh.variance, CLOCK), CLOCK)


def test_the_network_sees_the_level_and_the_solver_its_clock():
    solver, inner = TimeShift(solver=DpmSolverPlusPlus()), DpmSolverPlusPlus()
    step = a_step((0.6, 0.5, 0.5, 0.4, 0.4), (0.5, 0.4, 0.5, 0.3, 0.3))
    z, x = frames(0.2, step.logsnr_t + 0.3), 0.4 * normal(2, LARGE)
    history = solver.init(z)._replace(variance=jnp.full((1, 5), 0.2))
    shown = []
    moved, history = solver.step(lambda z, clock: shown.append(clock) or x, z, history, step, None)
    off = np.asarray(shown[0] - step.logsnr_t)[0]
    np.testing.assert_allclose(off, [0.3, 0.3, 0.0, 0.3, 0.3], atol=0.1)
    assert off[2] == 0
    plain, known = inner.step(lambda *_: x, z, inner.init(z), step, None)
    np.testing.assert_array_equal(moved, plain)
    np.testing.assert_array_equal(history.inner.logsnr, known.logsnr)
    np.testing.assert_allclose(history.variance, 0.16, rtol=0.05)


def test_without_reach_it_is_the_inner_solver():
    z, step = normal(0), a_step()
    denoise = lambda z, logsnr: jnp.tanh(z) * jax.nn.sigmoid(logsnr)[..., None, None, None]  # noqa: E731
    solver = TimeShift(solver=DpmSolverPlusPlus(), reach=0.0)
    history = solver.init(z)._replace(variance=jnp.full((2, 5), 0.2))
    expected = solver.solver.step(denoise, z, history.inner, step, None)[0]
    np.testing.assert_array_equal(solver.step(denoise, z, history, step, None)[0], expected)
