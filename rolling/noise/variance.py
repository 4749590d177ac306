"""Schedules that prescribe the variance of the signal, `alpha^2`."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from rolling.common.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearBeta:
    """`alpha^2 = exp(-g)`, `g = beta_min t + (beta_max - beta_min) t^2 / 2`: VP-SDE (arXiv 2011.13456,
    eq. 33), with `t` from `epsilon` to 1."""

    beta_min: float = 0.1
    """Rate of the noise at `t = 0`."""
    beta_max: float = 20.0
    """Rate of the noise at `t = 1`."""
    epsilon: float = 1e-3
    """The time at which the schedule begins."""

    def __post_init__(self):
        if not (0 < self.beta_min <= self.beta_max and 0 <= self.epsilon < 1):
            raise InputError(f"a linear beta needs 0 < beta_min <= beta_max and 0 <= epsilon < 1, not {self}")

    def _time(self, tau):
        return self.epsilon + tau * (1 - self.epsilon)

    def logsnr(self, tau):
        t = self._time(tau)
        g = self.beta_min * t + (self.beta_max - self.beta_min) * t**2 / 2
        return -jnp.log(jnp.expm1(g))

    def tau(self, logsnr):
        g = jax.nn.softplus(-logsnr)
        slope = self.beta_max - self.beta_min
        # The root of the quadratic in a form that does not cancel for small g.
        t = 2 * g / (self.beta_min + jnp.sqrt(self.beta_min**2 + 2 * slope * g))
        return (t - self.epsilon) / (1 - self.epsilon)

    def derivative(self, tau):
        t = self._time(tau)
        g = self.beta_min * t + (self.beta_max - self.beta_min) * t**2 / 2
        rate = self.beta_min + (self.beta_max - self.beta_min) * t
        return rate * (1 - self.epsilon) / jnp.expm1(-g)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sigmoid:
    """`alpha^2 = (s(v_1) - s(v)) / (s(v_1) - s(v_0))`, a logistic curve (arXiv 2301.10972, alg. 1).

    `s` is the logistic function, `v = (start + t (end - start)) / temperature` with `t` from `epsilon` to
    `1 - epsilon`, and `v_0`, `v_1` are its values at `t = 0` and `t = 1`.
    """

    start: float = -3.0
    """Where on the logistic curve `t = 0` lies."""
    end: float = 3.0
    """Where on it `t = 1` lies."""
    temperature: float = 1.0
    """Above 1 the curve is straighter, below 1 steeper."""
    epsilon: float = 1e-4
    """Distance of the clipped times from 0 and 1."""

    def __post_init__(self):
        if not (self.start < self.end and self.temperature > 0 and 0 <= self.epsilon < 0.5):
            raise InputError(
                f"the sigmoid schedule needs start < end, temperature > 0 and 0 <= epsilon < 1/2, not {self}"
            )

    def _ends(self):
        logistic = lambda v: 1 / (1 + math.exp(-v / self.temperature))  # noqa: E731
        return logistic(self.start), logistic(self.end)

    def _v(self, tau):
        t = self.epsilon + tau * (1 - 2 * self.epsilon)
        return (self.start + t * (self.end - self.start)) / self.temperature

    def logsnr(self, tau):
        low, high = self._ends()
        level = jax.nn.sigmoid(self._v(tau))
        return jnp.log(high - level) - jnp.log(level - low)

    def tau(self, logsnr):
        low, high = self._ends()
        level = low + (high - low) * jax.nn.sigmoid(-logsnr)
        v = jnp.log(level) - jnp.log1p(-level)
        t = (v * self.temperature - self.start) / (self.end - self.start)
        return (t - self.epsilon) / (1 - 2 * self.epsilon)

    def derivative(self, tau):
        low, high = self._ends()
        level = jax.nn.sigmoid(self._v(tau))
        rate = (1 - 2 * self.epsilon) * (self.end - self.start) / self.temperature
        return -rate * level * (1 - level) * (1 / (high - level) + 1 / (level - low))
