"""The Swift-Hohenberg equation."""

import dataclasses
import math
from typing import ClassVar

import jax
from jaxtyping import Array, Float

from rolling.common.checks import check_finite
from rolling.layout import Layout, Variable
from rolling.physics.fourier_fields import (
    Transient,
    check,
    check_resolved,
    check_step,
    periodic_layout,
    random_field,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwiftHohenberg(Transient):
    """Rolls, as of convection, that grow out of a weak random field and then straighten:

        du/dt = reactivity u - (wavenumber^2 + lap)^2 u - u^3,    (x, y) in [0, domain)^2

    (Swift and Hohenberg 1977, doi 10.1103/PhysRevA.15.319). Waves of wavenumber `k` grow at the rate
    `reactivity - (wavenumber^2 - k^2)^2`; weak rolls end with the amplitude `2 sqrt(reactivity / 3)`, and
    their defects heal ever more slowly. Lengths and times are dimensionless.
    """

    resolution: int = 32
    """Cells along a side of the frames."""
    grid: int = 64
    """Cells along a side of the simulation, no fewer."""
    domain: float = 30.0
    """Length of a side, on which there are `wavenumber domain / 2 pi` rolls."""
    reactivity: float = 0.3
    """The rate at which the fastest waves grow; below 0 all decay."""
    wavenumber: float = 1.0
    """Of the fastest waves, in radians per length."""
    dt: float = 0.2
    """Time step of the simulation."""
    interval: float = 2.0
    """Time between frames."""
    varying: ClassVar[tuple[str, ...]] = ("reactivity", "wavenumber")

    def __post_init__(self):
        check(self)
        check_finite("simulator", self, "domain", "wavenumber", above=0)
        check_finite("simulator", self, "reactivity")
        grows = math.sqrt(self.wavenumber**2 + math.sqrt(max(self.reactivity, 0.0)))
        waves = grows * self.domain / (2 * math.pi)
        check_resolved(f"a pattern of up to {waves:.3g} waves along a side", waves, self.grid, 4)
        if self.reactivity > 0:
            # Rolls return to their amplitude at 2 to 3 times the reactivity; Runge-Kutta's method: 2.78 / dt.
            check_step(self, 2.78 / (3 * self.reactivity), f"at a reactivity of {self.reactivity:g}")

    @property
    def layout(self) -> Layout:
        height = Variable(name="u", long_name="strength of the rolls")
        return periodic_layout((height,), self.domain, self.resolution, self.interval, 2)

    def initial(self, key: jax.Array) -> Float[Array, "1 grid grid"]:
        return 0.1 * random_field(key, self.grid, self.domain / (2 * math.pi), 2)[None]

    def stepper(self):
        from exponax.stepper.reaction import SwiftHohenberg as Stepper  # here, as it imports pyplot

        # Growth is left to the polynomial, which is taken of real values. In the linear part it would amplify
        # rounding errors that break the spectrum's symmetry, and no cubic term holds those back.
        return Stepper(
            2,
            self.domain,
            self.grid,
            self.dt,
            reactivity=0.0,
            critical_number=self.wavenumber**2,  # of exponax, the square
            polynomial_coefficients=(0.0, self.reactivity, 0.0, -1.0),
            order=4,
        )
