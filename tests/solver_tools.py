"""What the tests of solvers share: steps, sweeps without a loop, and the solvers themselves."""

from functools import cache, partial

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
CHURNED = Heun(churn=0.3, churn_low=-8.0, churn_high=8.0)
TWO_CALLS = [Heun(), CHURNED, DpmSolverPlusPlus2S()]
SOLVERS = [
    *ONE_STEP,
    *MULTISTEP,
    *TWO_CALLS,
    TimeShift(solver=UniPC(), variance=0.3),
    TimeShift(solver=Heun(), variance=0.3),
]


def normal(seed: int, shape=SHAPE):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def a_step(tau_t=(1.0, 0.9, 0.5, 0.3, 0.2), tau_s=(0.8, 0.4, 0.3, 0.1, 0.0), schedule=UNCLIPPED):
    return step_between(schedule, jnp.asarray([tau_t]), jnp.asarray([tau_s]))


@partial(jax.jit, static_argnums=(0, 1, 2))
def trajectory(solver, denoise, schedule, z, tau, noise):
    """`z [steps, batch, time, ...]` after each step of `tau [steps + 1, 1, time]`, masked as the loop does
    it; `noise` is like it."""

    def advance(state, given):
        step, drawn = given
        moved = solver.step(denoise, *state, step, lambda draw: drawn)
        state = jax.tree.map(step.hold, moved, state)
        return state, state[0]

    plan = step_between(schedule, tau[:-1], tau[1:]), noise
    return jax.lax.scan(advance, (z, solver.init(z)), plan)[1]


@cache
def ar1_denoiser(size: int):
    return exact_denoiser(jnp.asarray(autoregressive_covariance((0.9,), size)))


def moments(solver, step):
    """Coefficients of `(z, x, noise)` in the step of a fresh frame with `D = x`: `[3, time]`."""
    unit, nothing = jnp.ones((1, 5, 1, 1, 1)), jnp.zeros((1, 5, 1, 1, 1))

    def run(z, x, noise):
        return solver.step(lambda *_: x, z, solver.init(z), step, lambda _: noise)[0]

    cases = np.eye(3)
    return np.stack([np.ravel(run(*(unit * c if c else nothing for c in case))) for case in cases])


def draws_noise(solver) -> bool:
    """Whether a solver's step draws noise of its own."""
    drawn = []
    z = jnp.zeros((1, 1, 1, 1, 1))

    def trace(z):
        step = step_between(UNCLIPPED, jnp.full((1, 1), 0.5), jnp.full((1, 1), 0.4))
        return solver.step(lambda z, _: z, z, solver.init(z), step, lambda i: drawn.append(i) or z)

    jax.eval_shape(trace, z)
    return bool(drawn)
