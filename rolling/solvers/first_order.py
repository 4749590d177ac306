"""Solvers of first order: one call a step, no history."""

import dataclasses

import jax.numpy as jnp

from rolling.array_types import Clocks, Frames
from rolling.common.errors import InputError
from rolling.noise import alpha_sigma, eps_from_x, expand, noise_removed, posterior
from rolling.solvers.protocol import Noise


def ddim(z: Frames, x: Frames, logsnr_t: Clocks, logsnr_s: Clocks) -> Frames:
    """`alpha_s x + sigma_s eps`: the probability-flow ODE from `t` to `s`, exact where `x` is constant."""
    alpha_s, sigma_s = alpha_sigma(expand(logsnr_s, z))
    return alpha_s * x + sigma_s * eps_from_x(z, x, logsnr_t)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ddim:
    """`z_s = alpha_s x + sqrt(sigma_s^2 - v) eps + sqrt(v) noise`, `v = eta^2 r sigma_s^2`.

    Song et al., arXiv 2010.02502, eqs. 12 and 16: `eta = 0` solves the probability-flow ODE at first order,
    `eta = 1` is DDPM's ancestral step. The step that reaches `tau = 0` adds no noise.

    With `eta = 0` it is also Euler's method for flow matching (Lipman et al., arXiv 2210.02747): with
    `z~ = z / (alpha + sigma)` and `t = sigma / (alpha + sigma)` the step reads
    `z~_s = z~_t + (t_s - t_t) u`, `u = eps - x`.
    """

    calls = 1
    eta: float = 0.0
    """Share of fresh noise in a step: 0 is deterministic, 1 DDPM's step."""

    def __post_init__(self):
        if not 0 <= self.eta <= 1:
            raise InputError(f"DDIM's eta lies between 0 and 1, not at {self.eta}")

    @property
    def noise(self) -> Noise:
        return "per_frame" if self.eta > 0 else "none"

    def init(self, z):
        return ()

    def step(self, denoise, z, history, step, noise):
        x = denoise(z, step.logsnr_t)
        if self.eta == 0:
            return ddim(z, x, step.logsnr_t, step.logsnr_s), history
        eps = eps_from_x(z, x, step.logsnr_t)
        alpha_s, sigma_s = alpha_sigma(expand(step.logsnr_s, z))
        share = self.eta**2 * expand(noise_removed(step.logsnr_t, step.logsnr_s), z)
        fresh = jnp.where(expand(step.last, z), 0.0, jnp.sqrt(share))
        direction = jnp.sqrt(1 - share) * eps + fresh * noise(0)
        return alpha_s * x + sigma_s * direction, history


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ancestral:
    """A draw from `q(z_s | z_t, x)` with a variance between its lower and upper bounds.

    Mean `(alpha_s / alpha_t)(1 - r) z_t + alpha_s r x`; variance `(r sigma_s^2)^(1-g) (r sigma_t^2)^g`,
    interpolated in the logarithm by `g = interpolation` (simple diffusion, arXiv 2301.11093, app. B); zero in
    the step that reaches `tau = 0`. `g = 0` is the lower bound; the presets use 0 to 0.5.
    """

    calls = 1
    interpolation: float = 0.0
    """The variance between its lower bound, 0, and its upper one, 1."""

    def __post_init__(self):
        if not 0 <= self.interpolation <= 1:
            raise InputError(f"the ancestral variance is interpolated in [0, 1], not at {self.interpolation}")

    @property
    def noise(self) -> Noise:
        return "per_frame"

    def init(self, z):
        return ()

    def step(self, denoise, z, history, step, noise):
        x = denoise(z, step.logsnr_t)
        mean, variance = posterior(z, x, step.logsnr_t, step.logsnr_s)
        sigma_t, sigma_s = (alpha_sigma(expand(logsnr, z))[1] for logsnr in (step.logsnr_t, step.logsnr_s))
        deviation = jnp.sqrt(variance) * (sigma_t / sigma_s) ** self.interpolation
        return mean + jnp.where(expand(step.last, z), 0.0, deviation) * noise(0), history
