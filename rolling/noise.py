"""Noise schedules, and conversions between what a network may predict.

A frame `x` at local time `tau` in [0, 1] is `z = alpha x + sigma eps` with
`alpha^2 = sigmoid(logsnr(tau))` and `sigma^2 = sigmoid(-logsnr(tau))`: variance preserving. A
variance-exploding or a flow-matching process is the same up to a known scale of `z`, so that a schedule is
nothing but the decreasing function `logsnr(tau)`, its inverse and its derivative.
"""

import dataclasses
import math
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from rolling.errors import InputError

Times = Float[Array, "..."]
Frames = Float[Array, "batch time height width channel"]
Clocks = Float[Array, "#batch time"]


@runtime_checkable
class NoiseSchedule(Protocol):
    """`logsnr(tau)`, decreasing; infinite at an end where the schedule is not clipped."""

    def logsnr(self, tau: Times) -> Times: ...

    def tau(self, logsnr: Times) -> Times:
        """The inverse of `logsnr`."""

    def derivative(self, tau: Times) -> Times:
        """`dlogsnr / dtau`, negative."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cosine:
    """`logsnr = -2 log tan(a) + 2 log(base / resolution)`, `a = t0 + tau (t1 - t0)`.

    `t0 = atan(exp(-maximum / 2))`, `t1 = atan(exp(-minimum / 2))`; unbounded limits give the plain cosine
    schedule `alpha = cos(pi tau / 2)`. The shift for a resolution is that of simple diffusion
    (arXiv 2301.11093, eq. 5); it moves the clipping limits too.
    """

    minimum: float = -15.0
    maximum: float = 15.0
    resolution: float = 32.0
    base: float = 32.0

    def __post_init__(self):
        if not self.minimum < self.maximum:
            raise InputError(
                f"the cosine schedule's minimum logsnr, {self.minimum}, must lie below its maximum,"
                f" {self.maximum}"
            )
        if self.resolution <= 0 or self.base <= 0:
            raise InputError(f"the cosine schedule needs resolution > 0 and base > 0, not {self}")

    @property
    def shift(self) -> float:
        return 2.0 * math.log(self.base / self.resolution)

    @property
    def _ends(self) -> tuple[float, float]:
        # The distance of the first angle from 0, and of the last one from pi/2: both are exact where the
        # angle itself would round, so that an unclipped schedule reaches +inf and -inf and no further.
        return math.atan(math.exp(-self.maximum / 2)), math.atan(math.exp(self.minimum / 2))

    @property
    def span(self) -> float:
        """`t1 - t0`."""
        start, end = self._ends
        return math.pi / 2 - start - end

    def _angles(self, tau):
        start, end = self._ends
        return start + tau * self.span, end + (1 - tau) * self.span

    def logsnr(self, tau):
        angle, complement = self._angles(tau)
        return 2 * (jnp.log(jnp.sin(complement)) - jnp.log(jnp.sin(angle))) + self.shift

    def tau(self, logsnr):
        angle = jnp.arctan(jnp.exp(-(logsnr - self.shift) / 2))
        return (angle - self._ends[0]) / self.span

    def derivative(self, tau):
        angle, complement = self._angles(tau)
        return -2 * self.span / (jnp.sin(angle) * jnp.sin(complement))


@dataclasses.dataclass(frozen=True, kw_only=True)
class InterpolatedCosine:
    """`tau * low.logsnr + (1 - tau) * high.logsnr`: cosine schedules of two resolutions, the coarser one
    where there is much noise (simple diffusion, arXiv 2301.11093, eq. 6). With resolutions too far apart
    it would rise in the middle: the cosine falls there at `4 (t1 - t0)`, by at most 2 pi."""

    minimum: float = -15.0
    maximum: float = 15.0
    low: float = 32.0
    high: float = 256.0
    base: float = 32.0

    def __post_init__(self):
        if not 0 < self.low <= self.high or self.base <= 0:
            raise InputError(
                f"the interpolated cosine schedule needs 0 < low <= high and base > 0, not {self}"
            )
        ratio = math.exp(2 * self._cosine().span)
        if self.high >= ratio * self.low:
            raise InputError(
                f"the interpolated cosine schedule does not fall everywhere from high = {self.high} to low ="
                f" {self.low}: choose resolutions less than {ratio:.3g} times apart"
            )

    def _cosine(self) -> Cosine:
        return Cosine(minimum=self.minimum, maximum=self.maximum)

    def _shift(self, tau):
        low, high = (2 * math.log(self.base / d) for d in (self.low, self.high))
        return high + tau * (low - high), low - high

    def logsnr(self, tau):
        return self._cosine().logsnr(tau) + self._shift(tau)[0]

    def tau(self, logsnr):
        return invert(self.logsnr, logsnr)

    def derivative(self, tau):
        return self._cosine().derivative(tau) + self._shift(tau)[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Edm:
    """`logsnr = -2 log(s / sigma_data)`, `s^(1/rho)` linear in tau from `sigma_min` to `sigma_max`.

    EDM (arXiv 2206.00364, eq. 5, with tau = 1 - u) with rho = 7; ERDM (arXiv 2506.20024) runs the same
    formula along the window with rho = -10. `z` is the variance-preserving frame: EDM's is `z / alpha`.
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0
    sigma_data: float = 1.0
    rho: float = 7.0

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlowMatching:
    """`logsnr = 2 log((1 - t) / t) - 2 log shift`, with `t` from `epsilon` to `1 - epsilon`.

    The straight path `(1 - t) x + t eps`, rescaled to unit variance; `shift` is that of the time
    `t' = shift t / (1 + (shift - 1) t)` (arXiv 2403.03206, sec. 5.3.2). `epsilon = 0` leaves it unclipped.
    """

    shift: float = 1.0
    epsilon: float = 1e-4

    def __post_init__(self):
        if not (self.shift > 0 and 0 <= self.epsilon < 0.5):
            raise InputError(f"flow matching needs shift > 0 and 0 <= epsilon < 1/2, not {self}")

    def logsnr(self, tau):
        span = 1 - 2 * self.epsilon
        noise, clean = self.epsilon + tau * span, self.epsilon + (1 - tau) * span
        return 2 * (jnp.log(clean) - jnp.log(noise)) - 2 * math.log(self.shift)

    def tau(self, logsnr):
        t = jax.nn.sigmoid(-(logsnr + 2 * math.log(self.shift)) / 2)
        return (t - self.epsilon) / (1 - 2 * self.epsilon)

    def derivative(self, tau):
        span = 1 - 2 * self.epsilon
        noise, clean = self.epsilon + tau * span, self.epsilon + (1 - tau) * span
        return -2 * span * (1 / clean + 1 / noise)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearBeta:
    """`alpha^2 = exp(-g)`, `g = beta_min t + (beta_max - beta_min) t^2 / 2`: VP-SDE (arXiv 2011.13456,
    eq. 33), with `t` from `epsilon` to 1."""

    beta_min: float = 0.1
    beta_max: float = 20.0
    epsilon: float = 1e-3

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
        # The root of the quadratic in the form that does not cancel for small g.
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
    end: float = 3.0
    temperature: float = 1.0
    epsilon: float = 1e-4

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


def invert(decreasing, value: Times, steps: int = 60) -> Times:
    """The `tau` in [0, 1] at which a decreasing function has a value, by bisection to the last bit."""

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) / 2
        left = decreasing(middle) < value  # the function has already fallen below: look to the left
        return jnp.where(left, low, middle), jnp.where(left, middle, high)

    value = jnp.asarray(value)
    low, high = jax.lax.fori_loop(0, steps, halve, (jnp.zeros_like(value), jnp.ones_like(value)))
    return (low + high) / 2


def expand(clocks: Shaped[Array, "#batch time"], frames: Shaped[Array, "batch time ..."]) -> Array:
    """Clocks `[batch, time]` with trailing axes of one, to stand beside frames."""
    return clocks.reshape(clocks.shape + (1,) * (frames.ndim - clocks.ndim))


def alpha_sigma(logsnr: Times) -> tuple[Times, Times]:
    """`sqrt(sigmoid(logsnr)), sqrt(sigmoid(-logsnr))`; exact at plus and minus infinity."""
    return jnp.sqrt(jax.nn.sigmoid(logsnr)), jnp.sqrt(jax.nn.sigmoid(-logsnr))


def diffuse(x: Frames, eps: Frames, logsnr: Clocks) -> Frames:
    """`z = alpha x + sigma eps`, each frame at its own `logsnr [batch, time]`."""
    alpha, sigma = alpha_sigma(expand(logsnr, x))
    return alpha * x + sigma * eps


def eps_from_x(z: Frames, x: Frames, logsnr: Clocks) -> Frames:
    """`eps = (z - alpha x) / sigma`."""
    alpha, sigma = alpha_sigma(expand(logsnr, z))
    return (z - alpha * x) / sigma


def x_from_eps(z: Frames, eps: Frames, logsnr: Clocks) -> Frames:
    """`x = (z - sigma eps) / alpha`."""
    alpha, sigma = alpha_sigma(expand(logsnr, z))
    return (z - sigma * eps) / alpha


def v_from_x(z: Frames, x: Frames, logsnr: Clocks) -> Frames:
    """`v = alpha eps - sigma x = (alpha z - x) / sigma` (arXiv 2202.00512, app. D)."""
    alpha, sigma = alpha_sigma(expand(logsnr, z))
    return (alpha * z - x) / sigma


def x_from_v(z: Frames, v: Frames, logsnr: Clocks) -> Frames:
    """`x = alpha z - sigma v`: holds at both ends, `alpha = 0` and `sigma = 0`."""
    alpha, sigma = alpha_sigma(expand(logsnr, z))
    return alpha * z - sigma * v


def score_from_x(z: Frames, x: Frames, logsnr: Clocks) -> Frames:
    """`grad log q(z | x) = -eps / sigma = (alpha x - z) / sigma^2`; with the mean of `x` given `z` it is the
    score of `z` itself (Tweedie)."""
    alpha, sigma = alpha_sigma(expand(logsnr, z))
    return (alpha * x - z) / sigma**2


def x_from_score(z: Frames, score: Frames, logsnr: Clocks) -> Frames:
    """`x = (z + sigma^2 score) / alpha`."""
    alpha, sigma = alpha_sigma(expand(logsnr, z))
    return (z + sigma**2 * score) / alpha


def flow_from_x(z: Frames, x: Frames, logsnr: Clocks) -> Frames:
    """The velocity of the straight path, `u = eps - x = (z - (alpha + sigma) x) / sigma`."""
    alpha, sigma = alpha_sigma(expand(logsnr, z))
    return (z - (alpha + sigma) * x) / sigma


def x_from_flow(z: Frames, u: Frames, logsnr: Clocks) -> Frames:
    """`x = (z - sigma u) / (alpha + sigma)`: holds at both ends, `alpha = 0` and `sigma = 0`."""
    alpha, sigma = alpha_sigma(expand(logsnr, z))
    return (z - sigma * u) / (alpha + sigma)


def noise_removed(logsnr_t: Times, logsnr_s: Times) -> Times:
    """`r = 1 - SNR_t / SNR_s` in [0, 1], from time `t` to a cleaner time `s`."""
    return -jnp.expm1(logsnr_t - logsnr_s)


def posterior(z: Frames, x: Frames, logsnr_t: Clocks, logsnr_s: Clocks) -> tuple[Frames, Array]:
    """Mean and variance of `q(z_s | z_t, x)` for a time `s` cleaner than `t`.

    Mean `(alpha_s / alpha_t)(1 - r) z_t + alpha_s r x`, like `z`; variance `r sigma_s^2`, `[batch, time]`
    with trailing axes of one. `alpha_t = 0` and `sigma_s = 0` are allowed, `t = s` at an end is not.
    """
    alpha_t, sigma_t = alpha_sigma(expand(logsnr_t, z))
    alpha_s, sigma_s = alpha_sigma(expand(logsnr_s, z))
    r = expand(noise_removed(logsnr_t, logsnr_s), z)
    # (alpha_s / alpha_t)(1 - r) in the form that holds at alpha_t = 0.
    return alpha_t * sigma_s**2 / (sigma_t**2 * alpha_s) * z + alpha_s * r * x, r * sigma_s**2
