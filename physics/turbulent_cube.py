"""Turbulence in a periodic cube."""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rolling.layout import Layout, Variable
from rolling.physics.fourier_fields import (
    advance,
    check,
    check_force,
    periodic_layout,
    random_field,
    shown,
    spin_up_frames,
    waves,
)

State = Float[Array, "3 grid grid grid"]
VELOCITY = tuple(
    Variable(name=name, long_name=f"velocity along {axis}", standard_name=standard)
    for name, axis, standard in (
        ("u", "x", "x_wind"),
        ("v", "y", "y_wind"),
        ("w", "z", "upward_air_velocity"),
    )
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kolmogorov3D:
    """Three-dimensional turbulence under a sinusoidal force, in the velocity `U = (u, v, w)`:

        dU/dt + U . grad U = -grad p + nu lap U - drag U + (forcing sin(mode y), 0, 0),    div U = 0,

    for `(x, y, z)` in `[0, 2 pi)^3`. Lengths and times are dimensionless.
    """

    resolution: int = 32
    """Cells along a side of the frames."""
    grid: int = 32
    """Cells along a side of the simulation, no fewer."""
    viscosity: float = 0.03
    """The `nu` of the equation: lower needs a finer grid."""
    drag: float = 0.1
    """Linear friction, which takes energy out of the largest scales."""
    mode: int = 2
    """Wavenumber of the force."""
    forcing: float = 1.0
    """Amplitude of the force."""
    dt: float = 0.04
    """Time step of the simulation."""
    interval: float = 0.4
    """Time between frames."""
    spin_up: float = 40.0
    """Time that is simulated before the first frame."""
    varying: ClassVar[tuple[str, ...]] = ("viscosity", "drag", "forcing")

    def __post_init__(self):
        check(self)
        check_force(self)

    @property
    def layout(self) -> Layout:
        return periodic_layout(VELOCITY, 2 * math.pi, self.resolution, self.interval, 3)

    @property
    def spin_up_frames(self) -> int:
        return spin_up_frames(self)

    def initial(self, key: jax.Array) -> State:
        """Weak large eddies without divergence."""
        fields = [random_field(k, self.grid, 3.0, 3) for k in jax.random.split(key, 3)]
        return 0.5 * solenoidal(jnp.stack(fields))

    def stepper(self):
        from rolling.physics.forced_cube import ForcedFlow  # here, as exponax takes long: it imports pyplot

        wave = self.forcing * jnp.sin(self.mode * 2 * jnp.pi * jnp.arange(self.grid) / self.grid)
        force = jnp.zeros((3, *[self.grid] * 3)).at[0].set(wave[None, :, None])  # exponax: [x, y, z]
        return ForcedFlow(
            3,
            2 * math.pi,
            self.grid,
            self.dt,
            diffusivity=self.viscosity,
            drag=-self.drag,
            order=4,
            force=force,
        )

    def advance(self, stepper: Any, state: State) -> State:
        return advance(self, stepper, state)

    def frame(self, state: State) -> Float[Array, "z y x channel"]:
        return shown(state, self.resolution)


def solenoidal(velocity: State) -> State:
    """`U_k - k (k . U_k) / |k|^2`: the part without divergence."""
    grid = velocity.shape[-1]
    z, y, x = (jnp.where(jnp.abs(k) == grid / 2, 0.0, k) for k in waves(grid, 3))
    u, v, w = jnp.fft.rfftn(velocity, axes=(1, 2, 3))
    square = x**2 + y**2 + z**2
    along = (x * u + y * v + z * w) / jnp.where(square > 0, square, 1.0)
    parts = jnp.stack([u - x * along, v - y * along, w - z * along])
    return jnp.fft.irfftn(parts, s=velocity.shape[1:], axes=(1, 2, 3))
