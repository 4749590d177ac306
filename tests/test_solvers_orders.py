"""How fast solvers converge on the linear-Gaussian sequence, and what one call per frame can do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.noise import Cosine, FlowMatching
from rolling.oracle import UNCLIPPED, Oracle
from rolling.sampling.recipe import Sampling
from rolling.sampling.rollout import Rollout
from rolling.sampling.sampler import Sampler
from rolling.solvers import Ddim, Deis, DpmSolverPlusPlus, DpmSolverPlusPlus2S, Heun, UniPC
from rolling.windows import Rolling
from tests.solver_tools import ar1_denoiser, trajectory

pytestmark = pytest.mark.slow
MOST = 512


def flow_map(solver, steps: int, most: int = MOST) -> np.ndarray:
    """The linear map of a sweep of the rolling clocks from `t = 0.97` to `t = 0.03`, for AR(1).

    The steps grow from a small one, as a multistep solver begins at first order; what is missing to `most`
    are steps in which no clock runs.
    """
    window = Rolling(size=6, context=1)
    share = np.minimum(np.arange(most + 1) / steps, 1.0) ** 1.5
    with jax.enable_x64(True):
        tau = window.cycle(jnp.asarray(0.97 - 0.94 * share))[:, None]
        z = jnp.eye(window.size)[None, :, None, None, :]
        noise = jnp.zeros((most, 1, 1, 1, 1, 1))
        return np.asarray(trajectory(solver, ar1_denoiser(window.size), UNCLIPPED, z, tau, noise)[-1])


@pytest.fixture(scope="module")
def exact_flow():
    return flow_map(UniPC(order=4), 2000, 2000)


@pytest.mark.parametrize(
    ("solver", "order"),
    [
        (Ddim(), 1),
        (Heun(), 2),
        (DpmSolverPlusPlus2S(), 2),
        (DpmSolverPlusPlus(), 2),
        (DpmSolverPlusPlus(order=3), 3),
        (DpmSolverPlusPlus(order=4), 4),
        (Deis(), 3),
        (UniPC(), 3),
        (UniPC(order=3), 4),
    ],
    ids=repr,
)
def test_order_of_convergence(solver, order, exact_flow):
    """Multistep solvers have the order of their nodes; UniPC's corrector adds one."""
    coarse, fine = (np.abs(flow_map(solver, steps) - exact_flow).max() for steps in (MOST // 2, MOST))
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.15)


STRAIGHT = FlowMatching(epsilon=0.0)


@pytest.mark.parametrize(
    ("solver", "schedule", "value"),
    [
        (DpmSolverPlusPlus(order=3), UNCLIPPED, 0.0398),
        (Deis(), UNCLIPPED, 0.0400),
        (UniPC(), UNCLIPPED, 0.0114),
        (UniPC(), STRAIGHT, 0.0061),
        (UniPC(order=4), STRAIGHT, 0.0086),
    ],
)
def test_one_call_for_each_frame(solver, schedule, value):
    """Where DDIM errs by 0.1241: histories cross every shift of the window with their frames."""
    oracle = Oracle(window=Rolling(size=24, context=1), solver=solver, schedule=schedule, calls_per_frame=1)
    assert oracle.max_covariance_error() == pytest.approx(value, abs=1e-4)


def test_the_sde_form_of_second_order_errs_by_less():
    """The distribution is the same; the noise in its history leaves a smaller first-order error."""
    first, second = (
        Oracle(
            window=Rolling(size=4, context=2),
            solver=DpmSolverPlusPlus(order=order, eta=1.0),
            calls_per_frame=32,
            correlation=(0.8,),
            frames=2,
        ).max_covariance_error()
        for order in (1, 2)
    )
    assert first < 0.08 and second < 0.4 * first


def test_a_rollout_does_not_depend_on_how_it_is_cut():
    """Noise and histories come from the key and the frame, not from the place in a chunk."""

    def noise(key, frame, fold, shape, dtype):
        phase = 7.0 * frame + 13.0 * jnp.asarray(fold)
        return jnp.broadcast_to(
            2 * jnp.sin(phase.astype(dtype))[None, :, None, None, None], (1, len(frame), *shape)
        )

    solver = DpmSolverPlusPlus(order=3, eta=0.5)
    sampler = Sampler(Sampling(window=Rolling(size=4, context=1), schedule=Cosine(), solver=solver), noise)
    context, key = jnp.full((1, 1, 2, 2, 1), 0.5), jax.random.split(jax.random.key(3), 1)

    def rolled(rollout):
        return np.concatenate([chunk.frames for chunk in rollout.chunks(None, context, key, 5)], axis=1)

    def bind(params):
        return lambda z, logsnr, condition: jnp.tanh(z)

    whole, cut = (Rollout(sampler, bind, cycles=cycles) for cycles in (5, 2))
    np.testing.assert_array_equal(rolled(cut), rolled(whole))
    np.testing.assert_array_equal(rolled(whole), rolled(whole))
    assert np.isfinite(rolled(whole)).all()
