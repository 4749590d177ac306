"""The Kuramoto-Sivashinsky equation on a line."""

import dataclasses
import math
from typing import Any, ClassVar

import jax
from jaxtyping import Array, Float

from rolling.common.checks import check_finite
from rolling.layout import Layout, Variable
from rolling.physics.fourier_fields import (
    advance,
    check,
    check_fronts,
    periodic_layout,
    random_field,
    shown,
    spin_up_frames,
)

Field = Float[Array, " grid"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class KuramotoSivashinsky1D:
    """Spatio-temporal chaos of the slope `u` of an unstable front, in one dimension:

        du/dt + u du/dx + dxx u + viscosity dxxxx u = 0,    x in [0, domain)

    (the form of PDE-Refiner, arXiv 2308.05732, section 4.1: domain 64, viscosity 1). Wavenumbers below
    `viscosity^(-1/2)` grow, the fastest at `(2 viscosity)^(-1/2)`. Lengths and times are dimensionless.
    """

    resolution: int = 64
    """Cells of the frames."""
    grid: int = 128
    """Cells of the simulation, no fewer."""
    domain: float = 64.0
    """Length of the line."""
    viscosity: float = 1.0
    """The factor of the fourth derivative."""
    dt: float = 0.1
    """Time step of the simulation."""
    interval: float = 0.8
    """Time between frames."""
    spin_up: float = 60.0
    """Time that is simulated before the first frame."""
    varying: ClassVar[tuple[str, ...]] = ("viscosity",)

    def __post_init__(self):
        check(self)
        check_finite("simulator", self, "domain", "viscosity", above=0)
        check_fronts(self, self.viscosity, f" at a viscosity of {self.viscosity}")

    @property
    def layout(self) -> Layout:
        slope = Variable(name="u", long_name="slope of the front")
        return periodic_layout((slope,), self.domain, self.resolution, self.interval, 1)

    @property
    def spin_up_frames(self) -> int:
        return spin_up_frames(self)

    def initial(self, key: jax.Array) -> Field:
        return random_field(key, self.grid, self.domain / (2 * math.pi), 1)

    def stepper(self):
        from exponax.stepper import KuramotoSivashinskyConservative

        return KuramotoSivashinskyConservative(
            1, self.domain, self.grid, self.dt, fourth_order_scale=self.viscosity, order=4
        )

    def advance(self, stepper: Any, state: Field) -> Field:
        return advance(self, stepper, state[None])[0]

    def frame(self, state: Field) -> Float[Array, "cells channel"]:
        return shown(state[None], self.resolution)
