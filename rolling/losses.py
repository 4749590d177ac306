"""The training loss: `E sum_k w_k |x_k - x^_k|^2` over the frames inside the sweep.

Every weighting of diffusion models has the form `1/2 w(logsnr) (-dlogsnr/dtau) (dtau_k/dt) |eps - eps^|^2`
(arXiv 2303.00848) and `|eps - eps^|^2 = SNR |x - x^|^2`. Written for `x` it serves every prediction. Frames
whose clock stands still (clean context, pure noise) have `dtau_k/dt = 0` and weigh nothing.
"""

import dataclasses
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from rolling.noise import NoiseSchedule, diffuse
from rolling.windows import SampledTimes

Frames = Float[Array, "batch time height width channel"]
Clocks = Float[Array, "batch time"]


@runtime_checkable
class Weighting(Protocol):
    """The factor of `|x - x^|^2 dtau/dt` for clocks at `logsnr` that fall at `speed = -dlogsnr/dtau`."""

    def __call__(self, logsnr: Clocks, speed: Clocks) -> Clocks: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Elbo:
    """`w = 1`: minus the evidence lower bound. With the exact denoiser its integral over a sweep does not
    depend on the path that the clocks take."""

    def __call__(self, logsnr, speed):
        return 0.5 * speed * jnp.exp(logsnr)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SigmoidWeighting:
    """`w = sigmoid(bias - logsnr)` (SiD2, arXiv 2410.19324, eq. 3)."""

    bias: float = 0.0

    def __call__(self, logsnr, speed):
        return 0.5 * speed * jnp.exp(logsnr) * jax.nn.sigmoid(self.bias - logsnr)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VLoss:
    """`|v - v^|^2 = (SNR + 1) |x - x^|^2`."""

    def __call__(self, logsnr, speed):
        return jnp.exp(logsnr) + 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class XLoss:
    """`|x - x^|^2`."""

    def __call__(self, logsnr, speed):
        return jnp.ones_like(logsnr)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpsLoss:
    """`|eps - eps^|^2 = SNR |x - x^|^2`."""

    def __call__(self, logsnr, speed):
        return jnp.exp(logsnr)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MinSnr:
    """`min(SNR, gamma) |x - x^|^2` (Hang et al., arXiv 2303.09556, eq. 8)."""

    gamma: float = 5.0

    def __call__(self, logsnr, speed):
        return jnp.minimum(jnp.exp(logsnr), self.gamma)


def frame_weights(weighting: Weighting, schedule: NoiseSchedule, times: SampledTimes) -> Clocks:
    """`w_k`, with exact zeros where the clock stands still or is about to: at the ends of an unclipped
    schedule `logsnr` is infinite, and infinity times zero would be NaN."""
    moving = (times.rate > 0) & (times.tau > 0) & (times.tau < 1)
    tau = jnp.where(moving, times.tau, 0.5)
    weight = weighting(schedule.logsnr(tau), -schedule.derivative(tau)) * times.rate
    return jnp.where(moving, weight, 0.0)


def weighted_mean(
    values: Frames, weights: Clocks, mask: Float[Array, "height width channel"] | None = None
) -> Float[Array, ""]:
    """A mean over sequences and over cells where `mask` is 1, a sum over frames with their weights."""
    cells = jnp.ones(values.shape[2:], values.dtype) if mask is None else mask
    per_frame = jnp.einsum("bthwc,hwc->bt", values, cells) / jnp.sum(cells)
    return jnp.mean(jnp.sum(weights * per_frame, axis=1))


def diffusion_loss(
    denoise: Callable[[Frames, Clocks], Frames],
    x: Frames,
    times: SampledTimes,
    key: Key[Array, ""],
    *,
    schedule: NoiseSchedule,
    weighting: Weighting,
    mask: Float[Array, "height width channel"] | None = None,
) -> Float[Array, ""]:
    """The loss of one batch, `weighted_mean` of `|x - x^|^2`."""
    logsnr = schedule.logsnr(times.tau)
    z = diffuse(x, jax.random.normal(key, x.shape, x.dtype), logsnr)
    square = (x - denoise(z, logsnr)).astype(jnp.float32) ** 2
    return weighted_mean(square, frame_weights(weighting, schedule, times), mask)
