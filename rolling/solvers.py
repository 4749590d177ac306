"""Solvers: one step of the reverse process for a vector of clocks.

From time `t` to a cleaner time `s`, per frame, `h = (logsnr_s - logsnr_t) / 2` and
`r = -expm1(logsnr_t - logsnr_s)`. The loop around a solver is `rollout.py`; it masks the frames whose
clock stands still, so that a solver may divide by their zeros, and it carries each frame's history across
a shift of the window: by the hand-over identity it stays valid.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from rolling.errors import InputError
from rolling.noise import NoiseSchedule, alpha_sigma, eps_from_x, expand, noise_removed, posterior

Frames = Float[Array, "batch time height width channel"]
Clocks = Float[Array, "#batch time"]


class Step(NamedTuple):
    """From the clocks `t` to cleaner clocks `s`."""

    logsnr_t: Clocks
    logsnr_s: Clocks
    moving: Bool[Array, "#batch time"]
    """The frame's clock runs in this step."""
    last: Bool[Array, "#batch time"]
    """The frame reaches `tau = 0`."""

    def hold(self, new: Array, old: Array) -> Array:
        """`new` for frames that move, `old`, to the bit, for those that do not."""
        return jnp.where(expand(self.moving, new), new, old)


def step_between(
    schedule: NoiseSchedule,
    tau_t: Float[Array, "*steps #batch time"],
    tau_s: Float[Array, "*steps #batch time"],
) -> Step:
    """One step, or one for each entry of the leading axes."""
    return Step(schedule.logsnr(tau_t), schedule.logsnr(tau_s), tau_s < tau_t, tau_s == 0)


@runtime_checkable
class Solver(Protocol):
    """`denoise(z, logsnr) -> x`; `noise(i)` is the `i`-th draw of Gaussian noise of this step, like `z`.

    Histories are trees of arrays `[batch, time, ...]` and belong to the frames they stand beside.
    """

    calls: int
    """Network calls in a step."""

    def init(self, z: Frames) -> Any:
        """The history of fresh frames."""

    def step(
        self,
        denoise: Callable[[Frames, Clocks], Frames],
        z: Frames,
        history: Any,
        step: Step,
        noise: Callable[[int], Frames],
    ) -> tuple[Frames, Any]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ddim:
    """`z_s = alpha_s x + sqrt(sigma_s^2 - v) eps + sqrt(v) noise`, `v = eta^2 r sigma_s^2`.

    Song et al., arXiv 2010.02502, eqs. 12 and 16: `eta = 0` solves the probability-flow ODE at first order,
    `eta = 1` is DDPM's ancestral step.
    """

    calls: ClassVar[int] = 1
    eta: float = 0.0

    def __post_init__(self):
        if not 0 <= self.eta <= 1:
            raise InputError(f"DDIM's eta lies between 0 and 1, not at {self.eta}")

    def init(self, z):
        return ()

    def step(self, denoise, z, history, step, noise):
        x = denoise(z, step.logsnr_t)
        eps = eps_from_x(z, x, step.logsnr_t)
        alpha_s, sigma_s = alpha_sigma(expand(step.logsnr_s, z))
        if self.eta == 0:
            return alpha_s * x + sigma_s * eps, history
        share = self.eta**2 * expand(noise_removed(step.logsnr_t, step.logsnr_s), z)
        direction = jnp.sqrt(1 - share) * eps + jnp.sqrt(share) * noise(0)
        return alpha_s * x + sigma_s * direction, history


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ancestral:
    """A draw from `q(z_s | z_t, x)` with a variance between its lower and upper bounds.

    Mean `(alpha_s / alpha_t)(1 - r) z_t + alpha_s r x`; variance `(r sigma_s^2)^(1-g) (r sigma_t^2)^g`,
    interpolated in the logarithm by `g = interpolation` (simple diffusion, arXiv 2301.11093, app. B); none
    in the step that reaches `tau = 0`.
    """

    calls: ClassVar[int] = 1
    interpolation: float = 0.0

    def __post_init__(self):
        if not 0 <= self.interpolation <= 1:
            raise InputError(f"the ancestral variance is interpolated in [0, 1], not at {self.interpolation}")

    def init(self, z):
        return ()

    def step(self, denoise, z, history, step, noise):
        x = denoise(z, step.logsnr_t)
        mean, variance = posterior(z, x, step.logsnr_t, step.logsnr_s)
        sigma_t, sigma_s = (alpha_sigma(expand(logsnr, z))[1] for logsnr in (step.logsnr_t, step.logsnr_s))
        deviation = jnp.sqrt(variance) * (sigma_t / sigma_s) ** self.interpolation
        return mean + jnp.where(expand(step.last, z), 0.0, deviation) * noise(0), history


class Previous(NamedTuple):
    """The last prediction of a frame, and how far its clock has run since (0: there was none)."""

    x: Frames
    h: Float[Array, "batch time"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DpmSolverPlusPlus2M:
    """`z_s = (sigma_s / sigma_t) z_t - alpha_s expm1(-h) (x + (x - x_prev) h / (2 h_prev))`.

    Lu et al., arXiv 2211.01095, alg. 2: second order at one call a step. A fresh frame, and the step that
    reaches `tau = 0`, are of first order.
    """

    calls: ClassVar[int] = 1

    def init(self, z):
        return Previous(jnp.zeros_like(z), jnp.zeros_like(z, shape=z.shape[:2]))

    def step(self, denoise, z, history, step, noise):
        x = denoise(z, step.logsnr_t)
        alpha_s, sigma_s = alpha_sigma(expand(step.logsnr_s, z))
        sigma_t = alpha_sigma(expand(step.logsnr_t, z))[1]
        h = jnp.broadcast_to((step.logsnr_s - step.logsnr_t) / 2, history.h.shape)
        second = (history.h > 0) & ~step.last
        slope = jnp.where(second, h / (2 * jnp.where(second, history.h, 1.0)), 0.0)
        data = x + expand(slope, z) * (x - history.x)
        z = sigma_s / sigma_t * z - alpha_s * jnp.expm1(-expand(h, z)) * data
        return z, Previous(x, h)
