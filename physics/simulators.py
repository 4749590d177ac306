"""Simulators: the protocol, trajectories of any of them, and flows on a doubly periodic square.

Trajectories are advanced in parallel under `vmap`, many frames per call of a jitted function.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from rolling.common.checks import check_finite
from rolling.common.errors import InputError
from rolling.layout import Layout, Variable
from rolling.physics.fourier_fields import (
    advance,
    check,
    check_force,
    check_fronts,
    periodic_layout,
    random_field,
    shown,
    spin_up_frames,
    truncate,
    waves,
)
from rolling.physics.parameter_ranges import with_parameters

Field = Float[Array, "grid grid"]
Modes = Complex[Array, "grid half"]
Frame = Float[Array, "*space channel"]
State = Any  # one array or a tree of arrays
Parameters = Mapping[str, Float[Array, " batch"]]
NONE: Parameters = {}
CHUNK = 10  # frames of each trajectory per call; a spin-up is rounded up to a multiple of it

# CF defines these for air only; tools recognise the quantities by these names.
VORTICITY = Variable(name="vorticity", long_name="vorticity", standard_name="atmosphere_relative_vorticity")
VELOCITY = (
    Variable(name="u", long_name="velocity along x", standard_name="x_wind"),
    Variable(name="v", long_name="velocity along y", standard_name="y_wind"),
)


@runtime_checkable
class Simulator(Protocol):
    """A frozen dataclass. States of flows are physical fields, `[*space]` or `[field, *space]`, on the
    simulator's own grid.

    Some settle in a statistically steady state, from which all frames are taken. Others are transients: their
    statistics change with the time since the start, and frames begin with it.

    An attribute `varying` names those of its settings that trajectories may have of their own: only `stepper`
    may look at them. One that is also `WithConstants` has fields to tell with each trajectory.
    """

    @property
    def layout(self) -> Layout:
        """The layout of the frames; `layout.step` is the time between them."""
        ...

    @property
    def spin_up_frames(self) -> int:
        """Number of frames to discard until a trajectory is in the steady state; 0 of a transient."""
        ...

    def initial(self, key: jax.Array) -> State:
        """A random state, one that reaches the steady state within `spin_up_frames` if there is one."""
        ...

    def stepper(self) -> Any:
        """Coefficients for `advance`, made once for many frames, in exponax's own axes and signs."""
        ...

    def advance(self, stepper: Any, state: State) -> State:
        """The state one frame later."""
        ...

    def frame(self, state: State) -> Frame:
        """The frame that shows a state."""
        ...


@runtime_checkable
class WithConstants(Protocol):
    """A simulator whose trajectories each have fields that do not change, such as obstacles, in their
    states."""

    @property
    def constant_names(self) -> tuple[str, ...]:
        """Of these fields."""
        ...

    def constants(self, state: State) -> Float[Array, "*space constant"]:
        """On the cells of the frames; the same for each state of a trajectory."""
        ...


@functools.partial(jax.jit, static_argnames="simulator")
def start(simulator: Simulator, keys: jax.Array) -> State:
    """Random states, one per key."""
    return jax.vmap(simulator.initial)(keys)


@functools.partial(jax.jit, static_argnames="simulator")
def constants(simulator: WithConstants, states: State) -> Float[Array, "batch *space constant"]:
    """The constant fields of each of the batch."""
    return jax.vmap(simulator.constants)(states)


@functools.partial(jax.jit, static_argnames=("simulator", "frames"))
def roll(simulator: Simulator, states: State, frames: int, parameters: Parameters = NONE):
    """States after `frames` frames, and those frames `[batch, frames, *space, channel]`, where `parameters`
    are those settings of the simulator that each of the batch has of its own."""

    def trajectory(state, stepper):
        def forward(state, _):
            state = simulator.advance(stepper, state)
            return state, simulator.frame(state)

        return jax.lax.scan(forward, state, None, length=frames)

    def stepper(values):
        with jax.numpy_rank_promotion("allow"):  # exponax relies on it
            return with_parameters(simulator, values).stepper()

    if not parameters:
        return jax.vmap(functools.partial(trajectory, stepper=stepper(NONE)))(states)
    return jax.vmap(lambda state, values: trajectory(state, stepper(values)))(states, parameters)


def chunks(
    simulator: Simulator, keys: jax.Array, frames: int, chunk: int = CHUNK, parameters: Parameters = NONE
) -> Iterator[Array | None]:
    """Trajectories after their spin-up, one per key, as blocks of at most `chunk` frames.

    Yields None for each block of spin-up, then arrays `[batch, time, *space, channel]` of `frames`
    frames in total. Every block is computed by the same compiled function. `parameters` are as in `roll`.
    """
    states = start(simulator, keys)
    for _ in range(math.ceil(simulator.spin_up_frames / chunk)):
        states, _ = roll(simulator, states, chunk, parameters)
        yield None
    for first in range(0, frames, chunk):
        states, block = roll(simulator, states, chunk, parameters)
        yield block[:, : frames - first]


def simulate(simulator: Simulator, keys: jax.Array, frames: int) -> Float[Array, "batch time *space channel"]:
    """Trajectories after their spin-up, one per key of `keys [batch]`."""
    return jnp.concatenate([block for block in chunks(simulator, keys, frames) if block is not None], axis=1)


def check_exact_spin_up(simulator: Any) -> None:
    """Raises `InputError` for a spin-up that would be rounded up: trajectories of another interval would not
    be at the same time."""
    block = CHUNK * simulator.interval
    blocks = simulator.spin_up / block
    if abs(blocks - round(blocks)) > 1e-6:
        raise InputError(
            f"{type(simulator).__name__} needs a spin_up that is a multiple of {block:g}, the time of {CHUNK}"
            f" frames, not {simulator.spin_up:g}: take {math.ceil(blocks) * block:g}, or another interval"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class KolmogorovFlow:
    """What simulators of `Kolmogorov`'s flow have in common: its settings, and the eddies of its start."""

    resolution: int = 32
    """Cells along a side of the frames."""
    grid: int = 48
    """Cells along a side of the simulation, no fewer."""
    viscosity: float = 0.01
    """The `nu` of the equation: lower needs a finer grid."""
    drag: float = 0.1
    """Linear friction, which takes energy out of the largest scales."""
    mode: int = 4
    """Wavenumber of the force."""
    forcing: float = 1.0
    """Amplitude of the force."""
    dt: float = 0.04
    """Time step of the simulation."""
    interval: float = 0.4
    """Time between frames."""
    spin_up: float = 24.0
    """Time that is simulated before the first frame."""
    varying: ClassVar[tuple[str, ...]] = ("viscosity", "drag", "forcing")

    def __post_init__(self):
        check(self)
        check_force(self)

    @property
    def spin_up_frames(self) -> int:
        return spin_up_frames(self)

    def eddies(self, key: jax.Array) -> Field:
        """Weak large ones: they reach the steady state sooner than strong ones, which must first decay."""
        return random_field(key, self.grid, 4.0, 2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kolmogorov(KolmogorovFlow):
    """Two-dimensional turbulence under a sinusoidal force, in the vorticity `w = dv/dx - du/dy`:

        dw/dt + u . grad w = nu lap w - drag w - mode forcing cos(mode y),    (x, y) in [0, 2 pi)^2,

    the curl of a force `forcing sin(mode y)` along x (Kochkov et al. 2021, doi 10.1073/pnas.2101784118, with
    nu = 1e-3, drag = 0.1, mode = 4). Lengths and times are dimensionless.

    ETDRK4 is stable here up to `dt` of about 0.04 on 64 cells and 0.015 on 128. Good values: the
    defaults on a laptop; the paper's viscosity on a grid of 128 with `dt = 0.01`.
    """

    fields: Literal["vorticity", "velocity"] = "vorticity"
    """What a frame holds."""

    @property
    def layout(self) -> Layout:
        variables = (VORTICITY,) if self.fields == "vorticity" else VELOCITY
        return periodic_layout(variables, 2 * math.pi, self.resolution, self.interval, 2)

    def initial(self, key: jax.Array) -> Field:
        return self.eddies(key)

    def stepper(self):
        from exponax.stepper import KolmogorovFlowVorticity  # here, as it takes long: it imports pyplot

        # exponax's vorticity is -w, so its force, -mode injection_scale cos(mode y), must change sign too;
        # that force varies along exponax's second axis.
        return KolmogorovFlowVorticity(
            2,
            2 * math.pi,
            self.grid,
            self.dt,
            diffusivity=self.viscosity,
            drag=-self.drag,
            injection_mode=self.mode,
            injection_scale=-self.forcing,
            order=4,
        )

    def advance(self, stepper: Any, state: Field) -> Field:
        return -advance(self, stepper, -state[None])[0]

    def frame(self, state: Field) -> Frame:
        spectrum = jnp.fft.rfft2(state)
        parts = (spectrum,) if self.fields == "vorticity" else velocity(spectrum)
        return jnp.stack([truncate(part, self.grid, self.resolution) for part in parts], axis=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class KuramotoSivashinsky:
    """Spatio-temporal chaos of an unstable front of height `h` (combustion form, mean height removed):

        dh/dt + 1/2 |grad h|^2 + (dxx + dyy) h + (dxxxx + dyyyy) h = 0,    (x, y) in [0, domain)^2.

    Along an axis wavenumbers below 1 grow, the fastest at 0.7: a domain of 20 holds about two of its waves,
    and a small disturbance grows e-fold in a time of about 4. Lengths and times are dimensionless. The grid
    needs about 1.3 cells per unit of `domain`.
    """

    resolution: int = 32
    """Cells along a side of the frames."""
    grid: int = 32
    """Cells along a side of the simulation, no fewer."""
    domain: float = 20.0
    """Length of a side."""
    dt: float = 0.1
    """Time step of the simulation."""
    interval: float = 0.5
    """Time between frames."""
    spin_up: float = 30.0
    """Time that is simulated before the first frame."""

    def __post_init__(self):
        check(self)
        check_finite("simulator", self, "domain", above=0)
        check_fronts(self)

    @property
    def layout(self) -> Layout:
        height = Variable(name="height", long_name="height of the front above its mean")
        return periodic_layout((height,), self.domain, self.resolution, self.interval, 2)

    @property
    def spin_up_frames(self) -> int:
        return spin_up_frames(self)

    def initial(self, key: jax.Array) -> Field:
        return random_field(key, self.grid, self.domain / (2 * math.pi), 2)

    def stepper(self):
        from exponax.stepper import KuramotoSivashinsky as Stepper

        return Stepper(2, self.domain, self.grid, self.dt, order=4)

    def advance(self, stepper: Any, state: Field) -> Field:
        return advance(self, stepper, state[None])[0]

    def frame(self, state: Field) -> Frame:
        return shown(state[None], self.resolution)


def velocity(vorticity: Modes) -> tuple[Modes, Modes]:
    """Spectra of `u = -dpsi/dy`, `v = dpsi/dx`, `lap psi = w`, on a square of side 2 pi without mean flow."""
    grid = vorticity.shape[0]
    ky, kx = waves(grid, 2)
    square = jnp.where(kx**2 + ky**2 == 0, 1.0, kx**2 + ky**2)
    psi = -vorticity / square
    # The derivative of a Nyquist wave vanishes on the grid; its wavenumber has no sign.
    odd_y, odd_x = (jnp.where(jnp.abs(k) == grid / 2, 0.0, k) for k in (ky, kx))
    return -1j * odd_y * psi, 1j * odd_x * psi
