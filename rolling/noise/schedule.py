"""The protocol of a noise schedule: `logsnr(tau)`, its inverse and its derivative."""

from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Times = Float[Array, "..."]


@runtime_checkable
class NoiseSchedule(Protocol):
    """`logsnr(tau)`, decreasing; infinite at an end where the schedule is not clipped."""

    def logsnr(self, tau: Times) -> Times: ...

    def tau(self, logsnr: Times) -> Times:
        """The inverse of `logsnr`."""
        ...

    def derivative(self, tau: Times) -> Times:
        """`dlogsnr / dtau`, negative."""
        ...


def invert(decreasing, value: Times, steps: int = 60) -> Times:
    """The `tau` in [0, 1] at which a decreasing function takes `value`, by bisection to the last bit."""

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) / 2
        left = decreasing(middle) < value  # the function is already below it: look to the left
        return jnp.where(left, low, middle), jnp.where(left, middle, high)

    value = jnp.asarray(value)
    low, high = jax.lax.fori_loop(0, steps, halve, (jnp.zeros_like(value), jnp.ones_like(value)))
    return (low + high) / 2
