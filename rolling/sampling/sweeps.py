"""How a sweep of the global time from 1 to 0 is stepped: where the steps lie, and in which order they run."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from rolling.array_types import Clocks, Frames
from rolling.common.errors import InputError
from rolling.solvers import Solver

State = tuple[Frames, Any]
"""Frames, and the solver's history beside them."""


@runtime_checkable
class Spacing(Protocol):
    """Where the steps of a sweep lie."""

    @property
    def even(self) -> bool:
        """Whether all steps are of the same size, for any number of them."""
        ...

    def times(self, steps: int) -> np.ndarray:
        """`[steps + 1]`, falling from 1 to 0."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Even:
    """`t_i = 1 - i / K`."""

    even = True

    def times(self, steps):
        return 1 - np.arange(steps + 1) / steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Power:
    """`t_i = (1 - i / K)^p`: with `p > 1` the steps are small where a sweep ends, with `p < 1` where it
    begins. Clocks that share a sweep's end and beginning (rolling, with more than one step) are all affected;
    the noise schedule is what places the steps along the window."""

    exponent: float = 1.5
    """The exponent `p`."""

    def __post_init__(self):
        if not 0 < self.exponent < np.inf:
            raise InputError(f"the exponent of a power spacing is positive and finite, not {self.exponent}")

    @property
    def even(self) -> bool:
        return self.exponent == 1

    def times(self, steps):
        return Even().times(steps) ** self.exponent


@runtime_checkable
class Sweep(Protocol):
    """Runs the steps of a plan."""

    def check(self, solver: Solver) -> None:
        """Raises `InputError` for a solver that cannot be run in this way."""

    def __call__(
        self,
        move: Callable[[Int[Array, ""] | int, Any, Any, Callable], Any],
        network: Callable[[Frames, Clocks], Frames],
        state: Any,
        plan: Any,
    ) -> Any:
        """The state after all steps of a plan: of a `Step`, or of one for each of several modalities.
        `move(i, step, state, denoise)` is step `i` of the plan, whose leaves are `[steps, batch, time]`;
        `network(z, logsnr)` takes any whole number of copies of the batch, one after the other."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sequential:
    """One step after the other."""

    def check(self, solver):
        pass

    def __call__(self, move, network, state, plan):
        def body(i, state):
            return move(i, jax.tree.map(lambda part: part[i], plan), state, network)

        return jax.lax.fori_loop(0, len(jax.tree.leaves(plan)[0]), body, state)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picard:
    """All steps of a sweep at once, again and again until nothing changes (ParaDiGMS, arXiv 2305.16317).

    An iteration calls the network on the whole trajectory in one batch and then lets the solver run along it
    with these predictions. After `j` iterations the first `j` steps are those of the sequential sampler, so
    that it ends after as many iterations as there are steps at the latest, and usually much sooner: fewer
    rounds of a wider batch, for the same frames. It stops when no value of the trajectories of a batch moves
    by more than `tolerance`: within it, a sequence depends on the others of its batch. The noise of
    stochastic solvers belongs to the step and does not change.
    """

    tolerance: float = 1e-4
    """Largest change of a value, in standard deviations of the data, at which it stops."""

    def __post_init__(self):
        if not 0 <= self.tolerance < np.inf:
            raise InputError(f"Picard's iteration needs a finite tolerance >= 0, not {self.tolerance}")

    def check(self, solver):
        if solver.calls != 1 or not getattr(solver, "at_own_clocks", True):
            raise InputError(
                f"Picard's iteration asks the network once for each step, at its clocks, and"
                f" {type(solver).__name__} does not: choose another solver, or --sweep sequential"
            )

    def __call__(self, move, network, state, plan):
        steps, start = len(plan.moving), state[0]
        shape = (steps, *start.shape)
        clocks = jnp.broadcast_to(plan.logsnr_t, shape[:3]).reshape(-1, shape[2])

        def iterate(carry):
            i, _, trajectory, _ = carry
            x = network(trajectory.reshape(-1, *shape[2:]), clocks).reshape(shape)

            def along(state, here):
                k, step, x = here
                return move(k, step, state, lambda z, logsnr: x), state[0]

            end, found = jax.lax.scan(along, state, (jnp.arange(steps), plan, x))
            return i + 1, end, found, jnp.max(jnp.abs(found - trajectory))

        def unfinished(carry):
            return (carry[0] < steps) & (carry[3] > self.tolerance)

        trajectory = jnp.broadcast_to(start, shape)
        far = jnp.asarray(jnp.inf, start.dtype)
        return jax.lax.while_loop(unfinished, iterate, (0, state, trajectory, far))[1]
