"""Fourier fields on periodic lines, squares and cubes: what the simulated flows have in common.

All but the wake are solved by `exponax` with a Fourier pseudo-spectral fourth-order exponential integrator
(ETDRK4, Cox and Matthews 2002), on a grid that may be finer than the frames; frames are truncated in Fourier
space, so that they contain exactly the resolved scales without aliasing. Arrays are `[z, y, x]`, or the last
of these axes; exponax's are the other way round, which `advance` alone has to know.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from rolling.array_types import SPACE
from rolling.common.checks import check_finite, check_least
from rolling.common.errors import InputError
from rolling.geometry import Axis
from rolling.layout import Layout, Variable

Field = Float[Array, "*space"]
Modes = Complex[Array, "*modes"]


def waves(grid: int, axes: int) -> list[Array]:
    """The wavenumbers of a real transform along each axis, in waves along a side, to broadcast."""
    along = [jnp.fft.fftfreq(grid, 1 / grid)] * (axes - 1) + [jnp.fft.rfftfreq(grid, 1 / grid)]
    return [k.reshape([-1 if place == axis else 1 for place in range(axes)]) for axis, k in enumerate(along)]


def truncate(spectrum: Modes, grid: int, resolution: int) -> Field:
    """The field on `resolution` cells along each side with the wavenumbers `|k| < resolution / 2` of one on
    `grid` cells; see `truncate_box`."""
    axes = spectrum.ndim
    return truncate_box(spectrum, (grid,) * axes, (resolution,) * axes)


def truncate_box(spectrum: Modes, grid: Sequence[int], resolution: Sequence[int]) -> Field:
    """The field on cells that are larger by one factor along all axes, with the waves that they resolve.

    The Nyquist wavenumber of the coarse grid is left out: real values cannot represent its phase.
    """
    if tuple(resolution) == tuple(grid):
        return jnp.fft.irfftn(spectrum, s=tuple(grid))
    tops = [(count - 1) // 2 for count in resolution]
    both = [np.concatenate([np.arange(top + 1), np.arange(-top, 0)]) for top in tops[:-1]]
    kept = np.ix_(*both, np.arange(tops[-1] + 1))
    coarse = jnp.zeros((*resolution[:-1], resolution[-1] // 2 + 1), spectrum.dtype)
    coarse = coarse.at[kept].set(spectrum[kept])
    return jnp.fft.irfftn(coarse * (resolution[-1] / grid[-1]) ** len(grid), s=tuple(resolution))


def random_field(key: Array, grid: int, scale: float, axes: int, power: int = 0) -> Field:
    """A Gaussian field of mean 0 and standard deviation 1 whose waves have amplitudes as
    `k^power exp(-(k / scale)^2)`."""
    square = sum(k**2 for k in reversed(waves(grid, axes)))
    envelope = jnp.where(square == 0, 0.0, jnp.exp(-square / scale**2))
    envelope = envelope * square ** (power / 2) if power else envelope
    shape = (grid,) * axes
    field = jnp.fft.irfftn(jnp.fft.rfftn(jax.random.normal(key, shape)) * envelope, s=shape)
    return field / field.std()


def advance(simulator: Any, stepper: Any, state: Float[Array, "channel *space"]) -> Array:
    """Advances fields by a simulator's time steps of one frame, in Fourier space."""
    # Back to real values once a frame: rounding errors that break the spectrum's symmetry cannot build up.
    return stepped(stepper, state, round(simulator.interval / simulator.dt))


def stepped(stepper: Any, state: Float[Array, "channel *space"], steps: int) -> Array:
    """Advances fields by time steps in Fourier space."""
    space = tuple(range(1, state.ndim))
    turned = (0, *reversed(space))
    spectrum = jnp.fft.rfftn(state.transpose(turned), axes=space)
    with jax.numpy_rank_promotion("allow"):  # exponax relies on it
        spectrum = jax.lax.fori_loop(0, steps, lambda _, s: stepper.step_fourier(s), spectrum)
    return jnp.fft.irfftn(spectrum, s=state.shape[1:], axes=space).transpose(turned)


def shown(state: Float[Array, "channel *space"], resolution: int) -> Float[Array, "*cells channel"]:
    """The frame of fields on a finer grid, truncated to `resolution` cells along each side."""
    spectra = jnp.fft.rfftn(state, axes=tuple(range(1, state.ndim)))
    return jnp.stack([truncate(part, state.shape[-1], resolution) for part in spectra], axis=-1)


def periodic_layout(
    variables: Sequence[Variable], domain: float, resolution: int, interval: float, axes: int
) -> Layout:
    """Frames on a line, square or cube of side `domain`."""
    values = tuple(domain * i / resolution for i in range(resolution))
    sides = tuple(Axis(name=name, values=values, boundary="periodic") for name in SPACE[-axes:])
    return Layout(variables=tuple(variables), axes=sides, step=interval)


def spin_up_frames(simulator: Any) -> int:
    """Frames in the time `simulator.spin_up`."""
    return math.ceil(simulator.spin_up / simulator.interval)


class Transient:
    """A simulator that is watched from its random start on: its first frame is one interval later. States are
    fields `[field, *space]`, all of which frames show."""

    resolution: int
    spin_up: ClassVar[float] = 0.0
    spin_up_frames = 0

    def advance(self, stepper: Any, state: Float[Array, "field *space"]) -> Array:
        return advance(self, stepper, state)

    def frame(self, state: Float[Array, "field *space"]) -> Float[Array, "*cells field"]:
        return shown(state, self.resolution)


def check(simulator) -> None:
    """Raises `InputError` if the settings common to all simulators do not fit together."""
    name = type(simulator).__name__
    check_finite("simulator", simulator, "resolution", "grid", "dt", "interval", above=0)
    check_least("simulator", simulator, "spin_up")
    if simulator.resolution > simulator.grid:
        raise InputError(
            f"{name} cannot show {simulator.resolution} cells of a simulation on {simulator.grid}: make the"
            " grid at least as fine as the resolution"
        )
    check_interval(simulator)


def check_interval(simulator: Any) -> None:
    """Raises `InputError` unless frames are a whole number of time steps apart."""
    steps = simulator.interval / simulator.dt
    if round(steps) < 1 or abs(steps - round(steps)) > 1e-6 * steps:
        raise InputError(
            f"{type(simulator).__name__} needs an interval between frames ({simulator.interval}) that is a"
            f" whole number of time steps ({simulator.dt})"
        )


def check_resolved(what: str, wavenumber: float, grid: int, share: int) -> None:
    """Raises `InputError` unless a number of waves along a side lies between 1 and one in `share` cells."""
    if not 1 <= wavenumber < grid / share:
        raise InputError(
            f"{what} is not resolved by a grid of {grid} cells: it must lie between 1 and"
            f" {math.ceil(grid / share) - 1}, or the grid must be finer"
        )


def check_force(simulator: Any) -> None:
    """Raises `InputError` where a flow under a sinusoidal force has one that the grid does not resolve, or
    gains energy by friction."""
    check_resolved(f"the force of mode {simulator.mode}", simulator.mode, simulator.grid, 3)
    check_least("simulator", simulator, "viscosity", "drag")
    check_finite("simulator", simulator, "forcing")


def check_step(simulator: Any, longest: float, where: str) -> None:
    """Raises `InputError` for a time step beyond which a simulation blows up, or is far from its equation."""
    if simulator.dt > longest:
        raise InputError(
            f"a time step of {simulator.dt:g} is too long for {type(simulator).__name__} {where}:"
            f" simulator.dt must be at most {longest:.2g}"
        )


def check_fronts(simulator: Any, viscosity: float = 1.0, at: str = "") -> None:
    """Raises `InputError` where the grid is too coarse for the fronts of Kuramoto and Sivashinsky.

    Dealiasing keeps wavenumbers up to a third of the grid. If they end below about 2.7 times the largest that
    grows, crests are cut off and the front blows up, however small the time step. `at` is what is told of the
    viscosity.
    """
    needed = math.ceil(2.7 / math.sqrt(viscosity) * simulator.domain / (2 * math.pi)) * 3
    if simulator.grid < needed:
        raise InputError(
            f"a grid of {simulator.grid} cells does not resolve fronts on a domain of {simulator.domain}{at}:"
            f" it needs at least {max(needed, 6)}, or a smaller domain"
        )
