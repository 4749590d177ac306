"""The reaction and diffusion of Gray and Scott."""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rolling.common.checks import check_finite, check_least
from rolling.layout import Layout, Variable
from rolling.physics.fourier_fields import Transient, check, periodic_layout, shown

State = Float[Array, "2 grid grid"]
SPECIES = (
    Variable(name="concentration_u", long_name="concentration of the substance that is fed"),
    Variable(name="concentration_v", long_name="concentration of the substance that makes more of itself"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrayScott(Transient):
    """Spots, worms and mazes of a substance `v` that makes more of itself from another one, `u`:

        du/dt = diffusion_u lap u - u v^2 + feed (1 - u),
        dv/dt = diffusion_v lap v + u v^2 - (feed + kill) v,    (x, y) in [0, domain)^2

    (Pearson 1993, doi 10.1126/science.261.5118.189, with these diffusivities and a domain of 2.5). `u = 1,
    v = 0` is stable; round spots of `u = 1/2, v = 1/4` at random places grow and divide, or die if `kill` is
    too high. Few patterns come to rest within a time of 1,000. Lengths and times are dimensionless.
    """

    resolution: int = 32
    """Cells along a side of the frames."""
    grid: int = 64
    """Cells along a side of the simulation, no fewer; a wave reacts if it is longer than four of them."""
    domain: float = 0.5
    """Length of a side: worms lie about 0.1 apart."""
    feed: float = 0.035
    """The rate at which `u` is renewed and `v` washed out."""
    kill: float = 0.06
    """The rate at which `v` decays."""
    diffusion_u: float = 2e-5
    """The diffusivity of `u`."""
    diffusion_v: float = 1e-5
    """The diffusivity of `v`."""
    spots: int = 6
    """Their number at the start; some may overlap."""
    dt: float = 1.0
    """Time step of the simulation."""
    interval: float = 20.0
    """Time between frames."""
    varying: ClassVar[tuple[str, ...]] = ("feed", "kill")

    def __post_init__(self):
        check(self)
        check_finite("simulator", self, "domain", "diffusion_u", "diffusion_v", above=0)
        check_least("simulator", self, "feed", "kill")
        check_least("simulator", self, "spots", least=1)

    @property
    def layout(self) -> Layout:
        return periodic_layout(SPECIES, self.domain, self.resolution, self.interval, 2)

    def initial(self, key: jax.Array) -> State:
        angle = 2 * math.pi * jnp.arange(self.grid)[None, None] / self.grid
        centres = 2 * math.pi * jax.random.uniform(key, (self.spots, 2, 1))
        # Near its centre exp(-(distance / width)^2 / 2), and periodic; the width is one that grows on.
        width = 2 * math.pi / self.domain * 11 * math.sqrt(self.diffusion_v)
        y, x = jnp.moveaxis(jnp.exp((jnp.cos(angle - centres) - 1) / width**2), 1, 0)
        covered = 1 - jnp.prod(1 - y[:, :, None] * x[:, None, :], axis=0)
        return jnp.stack([1 - covered / 2, covered / 4])

    def stepper(self):
        from exponax.stepper.reaction import GrayScott as Stepper  # here, as it imports pyplot

        return Stepper(
            2,
            self.domain,
            self.grid,
            self.dt,
            diffusivity_1=self.diffusion_u,
            diffusivity_2=self.diffusion_v,
            feed_rate=self.feed,
            kill_rate=self.kill,
            order=4,
        )

    def frame(self, state: State) -> Float[Array, "y x 2"]:
        """Concentrations; where truncation takes them below 0, by at most some thousandths, they are 0."""
        return jnp.maximum(shown(state, self.resolution), 0.0)
