"""What the tests of solvers share: steps, sweeps without a loop, and the solvers themselves."""

import jax
import jax.numpy as jnp
import numpy as np

from rolling.oracle import UNCLIPPED, autoregressive_covariance, exact_denoiser
from rolling.solvers import (
    Ancestral,
    Ddim,
    Deis,
    DpmSolverPlusPlus,
    DpmSolverPlusPlus2S,
    Heun,
    TimeShift,
    UniPC,
    step_between,
)
from rolling.windows import Rolling

SHAPE = (2, 5, 3, 2, 1)
ONE_STEP = [Ddim(), Ddim(eta=0.5), Ddim(eta=1.0), Ancestral(), Ancestral(interpolation=0.3)]
MULTISTEP = [
    DpmSolverPlusPlus(),
    DpmSolverPlusPlus(order=3, eta=1.0),
    Deis(),
    UniPC(),
    UniPC(order=4),
    UniPC(order=3, corrector=False),
]
TWO_CALLS = [Heun(), Heun(churn=0.3, churn_low=-8.0, churn_high=8.0), DpmSolverPlusPlus2S()]
SOLVERS = [*ONE_STEP, *MULTISTEP, *TWO_CALLS, TimeShift(solver=UniPC()), TimeShift(solver=Heun())]


def normal(seed: int, shape=SHAPE):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def a_step(tau_t=(1.0, 0.9, 0.5, 0.3, 0.2), tau_s=(0.8, 0.4, 0.3, 0.1, 0.0), schedule=UNCLIPPED):
    return step_between(schedule, jnp.asarray([tau_t]), jnp.asarray([tau_s]))


def swept(solver, denoise, z, tau, schedule=UNCLIPPED, noise=None, jit=True):
    """`(z, history)` after the steps of `tau [steps + 1, 1, time]`, masked as the loop does it."""
    draws = jnp.zeros((len(tau) - 1, 1, 1, 1, 1, 1), z.dtype) if noise is None else noise

    def advance(state, given):
        step, drawn = given
        moved = solver.step(denoise, *state, step, lambda draw: jnp.broadcast_to(drawn, z.shape))
        return jax.tree.map(step.hold, moved, state), None

    plan = (step_between(schedule, tau[:-1], tau[1:]), draws)
    run = lambda start, plan: jax.lax.scan(advance, start, plan)[0]  # noqa: E731
    return (jax.jit(run) if jit else run)((z, solver.init(z)), plan)


def flow_map(solver, steps: int) -> np.ndarray:
    """The linear map of a sweep of the rolling clocks from `t = 0.97` to `t = 0.03`, for AR(1)."""
    window = Rolling(size=6, context=1)
    denoise = exact_denoiser(jnp.asarray(autoregressive_covariance((0.9,), window.size)))
    tau = window.cycle(jnp.linspace(0.97, 0.03, steps + 1))[:, None]
    return np.asarray(swept(solver, denoise, jnp.eye(window.size)[None, :, None, None, :], tau)[0])


def moments(solver, step):
    """Coefficients of `(z, x, noise)` in the step of a fresh frame with `D = x`: `[3, time]`."""
    unit, nothing = jnp.ones((1, 5, 1, 1, 1)), jnp.zeros((1, 5, 1, 1, 1))

    def run(z, x, noise):
        return solver.step(lambda *_: x, z, solver.init(z), step, lambda _: noise)[0]

    cases = np.eye(3)
    return np.stack([np.ravel(run(*(unit * c if c else nothing for c in case))) for case in cases])
