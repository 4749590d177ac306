"""The two-scale system of Lorenz: slow and fast variables on one ring."""

import dataclasses
import math
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rolling.common.checks import check_finite, check_least
from rolling.common.errors import InputError
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.physics.fourier_fields import check_interval, check_step
from rolling.physics.simulators import check_exact_spin_up

State = Float[Array, " variables"]  # the slow ones, then the fast ones
Forcing = Array | float

VARIABLES = {
    "slow": Variable(name="slow", long_name="slow variable X"),
    "fast": Variable(name="fast", long_name="fast variable Y"),
}
WEAKEST = 10.0  # forcing to whose steady state the first values belong, whatever that of the trajectory is


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lorenz96:
    """Slow variables `X_k`, `k = 1 .. K`, each with `J` fast ones `Y_jk`, all on one ring:

        dX_k/dt  = -X_{k-1} (X_{k-2} - X_{k+1}) - X_k + F - (h c / b) sum_j Y_jk
        dY_jk/dt = -c b Y_{j+1,k} (Y_{j+2,k} - Y_{j-1,k}) - c Y_jk + (h c / b) X_k

    (Lorenz 1996, Predictability: a problem partly solved; in this form Wilks 2005,
    doi 10.1256/qj.04.03). After the last `Y` of `k` comes the first of `k + 1`. The round of the ring is `K`:
    `X_k` has the place `k - 1/2`, and the `Y_jk` divide the cell from `k - 1` to `k` evenly. What the two
    parts exchange leaves `sum X^2 + sum Y^2` as it is, and so does what moves along the ring. Time is
    dimensionless; a unit stands for 5 days of the atmosphere.

    Steps are those of Runge and Kutta, of fourth order. Nearby states part by a factor of e in about 0.04, so
    that the default step, which errs by 0.06 % of the spread of `Y` after 0.05, errs by 4 % after 0.2.

    **The same trajectories, seen twice.** The states of a trajectory depend on neither `part` nor `interval`:
    a spin-up takes exactly `spin_up`, and each time step is the same operation, wherever a frame ends. With
    all other settings equal, as many trajectories of the same seed, and on the same kind of machine,

        Simulated(simulator=Lorenz96(part="slow", interval=0.2), seed=s)
        Simulated(simulator=Lorenz96(part="fast", interval=0.05), seed=s)

    are the two parts of the same trajectories, identical to the bit, as they must be: a difference of one
    rounding would have grown to all of `Y` in a time of 1. The first frame is one interval after the
    spin-up, so that frame `i` of the slow part is at the time of frame `4 i + 3` of the fast one.
    """

    part: Literal["slow", "fast"] = "slow"
    """What a frame holds: X on `slow` cells, or Y on `slow fast` cells."""
    slow: int = 8
    """The number `K` of slow variables, 4 or more."""
    fast: int = 8
    """The number `J` of fast variables to each slow one."""
    forcing: float = 20.0
    """The `F` of the equation."""
    coupling: float = 1.0
    """The `h` of the equation; at 0 neither part acts on the other."""
    time_ratio: float = 10.0
    """The `c` of the equation: how much faster the fast ones are."""
    amplitude_ratio: float = 10.0
    """The `b` of the equation: how much smaller the fast ones are."""
    dt: float = 0.0025
    """Time step of the simulation."""
    interval: float = 0.2
    """Time between frames."""
    spin_up: float = 10.0
    """Time that is simulated before the first frame, a multiple of that of 10 frames."""
    varying: ClassVar[tuple[str, ...]] = ("forcing",)

    def __post_init__(self):
        if self.part not in VARIABLES:
            raise InputError(f"simulator.part must be one of {', '.join(VARIABLES)}, not {self.part!r}")
        check_least("simulator", self, "slow", least=4)  # with fewer, neighbours on both sides are the same
        check_least("simulator", self, "fast", least=1)
        check_finite("simulator", self, "forcing", "coupling")
        check_finite("simulator", self, "time_ratio", "amplitude_ratio", "dt", "interval", above=0)
        check_least("simulator", self, "spin_up")
        _check_dt(self)
        check_interval(self)
        check_exact_spin_up(self)

    @property
    def layout(self) -> Layout:
        each = 1 if self.part == "slow" else self.fast
        places = tuple((i + 0.5) / each for i in range(self.slow * each))
        ring = Axis(name="x", values=places, boundary="periodic")
        return Layout(variables=(VARIABLES[self.part],), axes=(ring,), step=self.interval)

    @property
    def spin_up_frames(self) -> int:
        return round(self.spin_up / self.interval)

    def initial(self, key: jax.Array) -> State:
        spread = (math.sqrt(2.5 * WEAKEST), math.sqrt(abs(self.coupling) * WEAKEST) / self.amplitude_ratio)
        each = np.repeat(spread, (self.slow, self.slow * self.fast))
        return jax.random.normal(key, each.shape) * each

    def stepper(self) -> Forcing:
        return self.forcing

    def advance(self, stepper: Forcing, state: State) -> State:
        def step(_, state: State) -> State:
            first = self.change(stepper, state)
            second = self.change(stepper, state + self.dt / 2 * first)
            third = self.change(stepper, state + self.dt / 2 * second)
            fourth = self.change(stepper, state + self.dt * third)
            return state + self.dt / 6 * (first + 2 * second + 2 * third + fourth)

        return jax.lax.fori_loop(0, round(self.interval / self.dt), step, state)

    def frame(self, state: State) -> Float[Array, "cells 1"]:
        return self._parts(state)[self.part][:, None]

    def change(self, forcing: Forcing, state: State) -> State:
        """`d state / dt` by the equation."""
        x, y = self._parts(state).values()
        c, exchange = self.time_ratio, self.coupling * self.time_ratio / self.amplitude_ratio
        above = y.reshape(self.slow, self.fast).sum(axis=1)
        # The second is the first, running the other way round the ring.
        carried_x = jnp.roll(x, 1) * (jnp.roll(x, -1) - jnp.roll(x, 2))
        carried_y = jnp.roll(y, -1) * (jnp.roll(y, 1) - jnp.roll(y, -2))
        dx = carried_x - x + forcing - exchange * above
        dy = c * self.amplitude_ratio * carried_y - c * y + exchange * jnp.repeat(x, self.fast)
        return jnp.concatenate([dx, dy])

    def _parts(self, state: State) -> dict[str, Array]:
        return {"slow": state[: self.slow], "fast": state[self.slow :]}


def _check_dt(ring: Lorenz96) -> None:
    """Raises `InputError` for a time step with which a simulation may blow up.

    Runge and Kutta's method is stable while a step is no longer than 2.8 over the rate at which disturbances
    oscillate or are damped: those of Y oscillate at up to twice `c b |Y|`, those of X at twice `|X|`. In
    simulations `|Y|` reaches 3 to 5 times `sqrt(h F) / b`, and `|X|` about 1.5 F.
    """
    forcing = max(abs(ring.forcing), WEAKEST)
    oscillates = 9 * ring.time_ratio * math.sqrt(abs(ring.coupling) * forcing) + 3 * forcing
    longest = 2.8 / (oscillates + ring.time_ratio + 1)
    words = f"at a forcing of {ring.forcing:g}, a coupling of {ring.coupling:g} and a time_ratio of"
    check_step(ring, longest, f"{words} {ring.time_ratio:g}")
