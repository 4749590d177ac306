"""Two-dimensional turbulence that nothing keeps going."""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rolling.common.checks import check_least
from rolling.layout import Layout
from rolling.physics.fourier_fields import (
    Transient,
    advance,
    check,
    check_resolved,
    check_step,
    periodic_layout,
    random_field,
)
from rolling.physics.simulators import VORTICITY, velocity

State = Float[Array, "1 grid grid"]
STEEPNESS = 3  # the `s` of the spectrum


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecayingTurbulence(Transient):
    """Two-dimensional turbulence without a force, in the vorticity `w = dv/dx - du/dy`:

        dw/dt + u . grad w = nu lap w,    (x, y) in [0, 2 pi)^2.

    It starts from random eddies with a mean square speed of 1, whose energy has the spectrum

        k^(2s + 1) exp(-(s + 1/2) (k / wavenumber)^2),    s = 3,

    largest at `wavenumber` (San and Staples 2012, doi 10.1016/j.compfluid.2012.04.006). From then on energy
    and enstrophy fall, and eddies merge into ever fewer: no two times have the same statistics. Lengths and
    times are dimensionless; the first eddies turn round in a time of about `2 pi / wavenumber`.
    """

    resolution: int = 32
    """Cells along a side of the frames."""
    grid: int = 64
    """Cells along a side of the simulation, no fewer."""
    viscosity: float = 0.005
    """The `nu` of the equation: lower needs a finer grid."""
    wavenumber: float = 4.0
    """Of the eddies that have most of the energy at the start."""
    dt: float = 0.02
    """Time step of the simulation."""
    interval: float = 0.2
    """Time between frames."""
    varying: ClassVar[tuple[str, ...]] = ("viscosity",)

    def __post_init__(self):
        check(self)
        check_least("simulator", self, "viscosity")
        check_resolved(f"an energy spectrum around {self.wavenumber}", self.wavenumber, self.grid, 6)
        # Somewhere the speed is at least 2, and Runge-Kutta's method of fourth order can carry the shortest
        # wave that is kept, of 3 cells, by 2.8 / 2 pi of its length in a step.
        check_step(self, 4.2 / self.grid, f"on a grid of {self.grid} cells")

    @property
    def layout(self) -> Layout:
        return periodic_layout((VORTICITY,), 2 * math.pi, self.resolution, self.interval, 2)

    def initial(self, key: jax.Array) -> State:
        # The energy in a ring of waves is its length k times the square of their amplitudes over k.
        scale = self.wavenumber * math.sqrt(2 / (STEEPNESS + 0.5))
        eddies = random_field(key, self.grid, scale, 2, power=STEEPNESS + 1)
        u, v = (jnp.fft.irfft2(part, s=eddies.shape) for part in velocity(jnp.fft.rfft2(eddies)))
        return (eddies / jnp.sqrt(jnp.mean(u**2 + v**2)))[None]

    def stepper(self):
        from exponax.stepper import NavierStokesVorticity  # here, as it takes long: it imports pyplot

        return NavierStokesVorticity(2, 2 * math.pi, self.grid, self.dt, diffusivity=self.viscosity, order=4)

    def advance(self, stepper: Any, state: State) -> State:
        return -advance(self, stepper, -state)  # exponax's vorticity is -w
