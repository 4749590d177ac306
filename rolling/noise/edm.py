"""EDM's schedule: a power of the noise's standard deviation is linear in time."""

import dataclasses
import math

import jax.numpy as jnp

from rolling.common.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Edm:
    """`logsnr = -2 log(s / sigma_data)`, `s^(1/rho)` linear in tau from `sigma_min` to `sigma_max`.

    EDM (arXiv 2206.00364, eq. 5, with tau = 1 - u) uses rho = 7; ERDM (arXiv 2506.20024) applies the same
    formula along the window with rho = -10. `z` is the variance-preserving frame: EDM's is `z / alpha`.
    """

    sigma_min: float = 0.002
    """Lowest noise level."""
    sigma_max: float = 80.0
    """Highest noise level."""
    sigma_data: float = 1.0
    """Standard deviation of the data, in the same units: 1 after standardisation."""
    rho: float = 7.0
    """Curvature of the levels along `tau`: a negative one spends more of it at low noise, a small positive
    one at high noise."""

    def __post_init__(self):
        if not 0 < self.sigma_min < self.sigma_max:
            raise InputError(f"EDM's schedule needs 0 < sigma_min < sigma_max, not {self}")
        if self.rho == 0 or self.sigma_data <= 0:
            raise InputError(f"EDM's schedule needs rho != 0 and sigma_data > 0, not {self}")

    @property
    def _roots(self) -> tuple[float, float]:
        low = self.sigma_min ** (1 / self.rho)
        return low, self.sigma_max ** (1 / self.rho) - low

    def logsnr(self, tau):
        low, span = self._roots
        return -2 * (self.rho * jnp.log(low + tau * span) - math.log(self.sigma_data))

    def tau(self, logsnr):
        low, span = self._roots
        return (jnp.exp((-logsnr / 2 + math.log(self.sigma_data)) / self.rho) - low) / span

    def derivative(self, tau):
        low, span = self._roots
        return -2 * self.rho * span / (low + tau * span)
