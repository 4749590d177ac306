"""Burgers' equation in a plane."""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rolling.common.checks import check_finite
from rolling.common.errors import InputError
from rolling.layout import Layout
from rolling.physics.fourier_fields import (
    Transient,
    check,
    check_resolved,
    periodic_layout,
    random_field,
)
from rolling.physics.simulators import VELOCITY


@dataclasses.dataclass(frozen=True, kw_only=True)
class Burgers(Transient):
    """Waves that steepen to fronts, which run into each other and fade, in the velocity `U = (u, v)`:

        dU/dt + U . grad U = nu lap U,    (x, y) in [0, 2 pi)^2

    (Burgers 1948, doi 10.1016/S0065-2156(08)70100-5, in two dimensions). It starts from large random waves,
    with wavenumbers up to about `2 scale`, whose largest |u| or |v| is 1; neither grows beyond it. A front
    across which the velocity falls by `2 U` has the form `-U tanh(U x / 2 nu)`. Lengths and times are
    dimensionless.
    """

    resolution: int = 32
    """Cells along a side of the frames."""
    grid: int = 64
    """Cells along a side of the simulation, no fewer."""
    viscosity: float = 0.05
    """The `nu` of the equation: lower needs a finer grid."""
    scale: float = 2.0
    """Wavenumber beyond which the amplitudes of the first waves fall."""
    dt: float = 0.04
    """Time step of the simulation."""
    interval: float = 0.4
    """Time between frames."""
    varying: ClassVar[tuple[str, ...]] = ("viscosity",)

    def __post_init__(self):
        check(self)
        check_finite("simulator", self, "viscosity", above=0)
        check_resolved(f"a scale of {self.scale}", self.scale, self.grid, 6)
        # Below, |u| rises above its bound: by 3 % at 1.3 / grid, by 15 % at half of that.
        if self.viscosity * self.grid < 1.5:
            raise InputError(
                f"a grid of {self.grid} cells does not resolve fronts at a viscosity of {self.viscosity}: it"
                f" needs at least {math.ceil(1.5 / self.viscosity)}, or a higher viscosity"
            )

    @property
    def layout(self) -> Layout:
        return periodic_layout(VELOCITY, 2 * math.pi, self.resolution, self.interval, 2)

    def initial(self, key: jax.Array) -> Float[Array, "2 grid grid"]:
        waves = jnp.stack([random_field(k, self.grid, self.scale, 2) for k in jax.random.split(key)])
        return waves / jnp.abs(waves).max()

    def stepper(self):
        from exponax.stepper import Burgers as Stepper  # here, as it takes long: it imports pyplot

        # Its other form, which it calls conservative, is half of `div(U U)`: that is another equation.
        return Stepper(2, 2 * math.pi, self.grid, self.dt, diffusivity=self.viscosity, order=4)
