"""Second-order solvers without a history: two calls per step.

A frame takes a first-order step where `alpha_t = 0`, since an interpolation in `logsnr` has no first node
there, and where it reaches `tau = 0`.
"""

import dataclasses
import math

import jax.numpy as jnp
from jaxtyping import Array, Bool

from rolling.common.errors import InputError
from rolling.noise import alpha_sigma, eps_from_x, expand
from rolling.solvers.first_order import ddim
from rolling.solvers.protocol import Noise, Step

CHURN_LIMIT = math.sqrt(2) - 1


def first_order(step: Step) -> Bool[Array, "#batch time"]:
    """The frames that take a first-order step."""
    return step.last | jnp.isneginf(step.logsnr_t)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heun:
    """EDM's sampler (Karras et al., arXiv 2206.00364, alg. 2), each frame at its own noise level.

    In EDM's coordinates `z / alpha`, `rho = sigma / alpha`, Heun's method for `dz / drho = eps`. Here
    `z_s = z' + (sigma_s - alpha_s rho_t)(eps' - eps) / 2`, with `z'` DDIM's step and `eps'` predicted there.

    `churn` is EDM's gamma: before a step, a frame with `logsnr_t` from `churn_low` to `churn_high` is taken
    back to the noise level `(1 + churn) rho_t` by fresh noise, `noise_scale` times as large as keeps the
    marginals. Where the noise is correlated between frames, this is right only with one gamma for all: leave
    the interval unbounded. Raises `InputError` for a churn outside `[0, sqrt(2) - 1]`, an empty interval and
    a scale that is not positive.
    """

    calls = 2
    churn: float = 0.0
    """EDM's gamma, 0 to 0.41: by how much a step first raises the noise level."""
    churn_low: float = -math.inf
    """Lowest logsnr at which there is churn."""
    churn_high: float = math.inf
    """Highest logsnr at which there is churn."""
    noise_scale: float = 1.0
    """Standard deviation of the churn's noise, in terms of what keeps the marginals."""

    def __post_init__(self):
        if not 0 <= self.churn <= CHURN_LIMIT:
            raise InputError(f"Heun's churn lies between 0 and sqrt(2) - 1, not at {self.churn}")
        if not self.churn_low < self.churn_high:
            raise InputError(
                f"Heun's churn_low, {self.churn_low}, must lie below its churn_high, {self.churn_high}"
            )
        if not 0 < self.noise_scale < math.inf:
            raise InputError(f"Heun's noise_scale is a positive number, not {self.noise_scale}")

    @property
    def noise(self) -> Noise:
        if self.churn == 0:
            return "none"
        return "shared" if self.churn_low == -math.inf and self.churn_high == math.inf else "per_frame"

    def init(self, z):
        return ()

    def step(self, denoise, z, history, step, noise):
        if self.churn > 0:
            z, step = self._churned(z, step, noise)
        x = denoise(z, step.logsnr_t)
        euler = step.hold(ddim(z, x, step.logsnr_t, step.logsnr_s), z)
        clock = step.hold(step.logsnr_s, step.logsnr_t)
        change = eps_from_x(euler, denoise(euler, clock), clock) - eps_from_x(z, x, step.logsnr_t)
        (alpha_t, sigma_t), (alpha_s, sigma_s) = (
            alpha_sigma(expand(logsnr, z)) for logsnr in (step.logsnr_t, step.logsnr_s)
        )
        correction = (sigma_s - alpha_s * sigma_t / alpha_t) * change / 2
        return euler + jnp.where(expand(first_order(step), z), 0.0, correction), history

    def _churned(self, z, step, noise):
        """`z` at `rho = (1 + churn) rho_t`, and the step from there."""
        grown = 1 + self.churn
        chosen = step.moving & (step.logsnr_t >= self.churn_low) & (step.logsnr_t <= self.churn_high)
        logsnr = jnp.where(chosen, step.logsnr_t - 2 * math.log(grown), step.logsnr_t)
        (_, sigma), (_, sigma_t) = (alpha_sigma(expand(clock, z)) for clock in (logsnr, step.logsnr_t))
        fresh = math.sqrt(1 - grown**-2) * self.noise_scale
        noisier = sigma * (z / (sigma_t * grown) + fresh * noise(0))
        return jnp.where(expand(chosen, z), noisier, z), step._replace(logsnr_t=logsnr)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DpmSolverPlusPlus2S:
    """`z_s = (sigma_s / sigma_t) z_t - alpha_s expm1(-h) D(z_m)`, `z_m` DDIM's step to the middle in logsnr.

    Lu et al., arXiv 2211.01095, alg. 1, with `r = 1/2`: the geometric mean of the noise levels
    `sigma / alpha`, as in GenCast (arXiv 2312.15796). In the second call, frames that take a first-order step
    are shown at its end.
    """

    calls = 2

    @property
    def noise(self) -> Noise:
        return "none"

    def init(self, z):
        return ()

    def step(self, denoise, z, history, step, noise):
        x = denoise(z, step.logsnr_t)
        once = first_order(step)
        ends = jnp.where(once, step.logsnr_s, step.logsnr_t), step.logsnr_s
        middle = step.hold((ends[0] + ends[1]) / 2, step.logsnr_t)
        halfway = step.hold(ddim(z, x, step.logsnr_t, middle), z)
        x = jnp.where(expand(once, z), x, denoise(halfway, middle))
        return ddim(z, x, step.logsnr_t, step.logsnr_s), history
