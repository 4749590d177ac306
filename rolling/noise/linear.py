"""The schedule whose `logsnr` is linear in time."""

import dataclasses
import math

import jax.numpy as jnp

from rolling.common.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearLogsnr:
    """`logsnr = maximum + tau (minimum - maximum)`: equal steps of a sampler change the signal-to-noise
    ratio by equal factors."""

    minimum: float = -14.0
    """logsnr at `tau = 1`."""
    maximum: float = 14.0
    """logsnr at `tau = 0`."""

    def __post_init__(self):
        if not -math.inf < self.minimum < self.maximum < math.inf:
            raise InputError(
                f"the linear schedule needs finite limits, minimum < maximum, not {self.minimum} and"
                f" {self.maximum}"
            )

    def logsnr(self, tau):
        return self.maximum + tau * (self.minimum - self.maximum)

    def tau(self, logsnr):
        return (logsnr - self.maximum) / (self.minimum - self.maximum)

    def derivative(self, tau):
        return jnp.full_like(tau, self.minimum - self.maximum)
