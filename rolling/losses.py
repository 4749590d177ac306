"""The training loss: `E sum_k w_k |x_k - x^_k|^2` over the frames inside the sweep.

Every weighting of diffusion models has the form `1/2 w(logsnr) (-dlogsnr/dtau) (dtau_k/dt) |eps - eps^|^2`
(arXiv 2303.00848), and `|eps - eps^|^2 = SNR |x - x^|^2`. Written in terms of `x`, the loss suits every
prediction. Frames whose clock does not move (clean context, pure noise) have `dtau_k/dt = 0` and weight 0.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import einops
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from rolling.array_types import SPACE, Clocks, Frames, JointClocks, JointFrames
from rolling.common.errors import InputError
from rolling.noise import NoiseSchedule, diffuse
from rolling.noise.prior import Independent, NoisePrior
from rolling.windows import JointTimes, SampledTimes


@runtime_checkable
class Weighting(Protocol):
    """The factor of `|x - x^|^2 dtau/dt` for clocks at `logsnr`, with `speed = -dlogsnr/dtau`."""

    def __call__(self, logsnr: Clocks, speed: Clocks) -> Clocks: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Elbo:
    """`w = 1`: minus the evidence lower bound. With the exact denoiser, its integral over a sweep does not
    depend on the path of the clocks."""

    def __call__(self, logsnr, speed):
        return 0.5 * speed * jnp.exp(logsnr)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SigmoidWeighting:
    """`w = sigmoid(bias - logsnr)` (SiD2, arXiv 2410.19324, eq. 3)."""

    bias: float = 0.0
    """The logsnr at which the weight is a half."""

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
    """Largest weight."""

    def __call__(self, logsnr, speed):
        return jnp.minimum(jnp.exp(logsnr), self.gamma)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogNormal:
    """`(s^2 + 1) / s^2 f(s) |x - x^|^2` with `s = sigma / alpha = exp(-logsnr / 2)`: EDM's weighting (arXiv
    2206.00364, table 1) times the density of a log-normal variable,

        f(s) = exp(-(ln s - mean)^2 / (2 std^2)) / (s std sqrt(2 pi)),

    as in ERDM (arXiv 2506.20024), where a positive `mean` (0.5) is essential. `s` is in units of the data's
    standard deviation, `sigma_data = 1`. Raises `InputError` unless `std > 0` and `mean` is finite."""

    mean: float = 0.5
    """Of `ln s`."""
    std: float = 1.2
    """Standard deviation of `ln s`."""

    def __post_init__(self):
        if not (self.std > 0 and math.isfinite(self.mean)):
            raise InputError(f"a log-normal weighting needs std > 0 and a finite mean, not {self}")

    def __call__(self, logsnr, speed):
        distance = (-logsnr / 2 - self.mean) / self.std
        # `1 / s = exp(logsnr / 2)` belongs to the density.
        density = jnp.exp(logsnr / 2 - distance**2 / 2) / (self.std * math.sqrt(2 * math.pi))
        return (jnp.exp(logsnr) + 1.0) * density


def frame_weights(weighting: Weighting, schedule: NoiseSchedule, times: SampledTimes) -> Clocks:
    """`w_k`, with exact zeros where the clock does not move or is at an end: at the ends of an unclipped
    schedule `logsnr` is infinite, and infinity times zero would be NaN."""
    moving = (times.rate > 0) & (times.tau > 0) & (times.tau < 1)
    tau = jnp.where(moving, times.tau, 0.5)
    weight = weighting(schedule.logsnr(tau), -schedule.derivative(tau)) * times.rate
    return jnp.where(moving, weight, 0.0)


def weighted_mean(
    values: Frames, weights: Clocks, mask: Float[Array, "*space channel"] | None = None
) -> Float[Array, ""]:
    """Mean over sequences and over cells where `mask` is 1, weighted sum over frames."""
    cells = jnp.ones(values.shape[2:], values.dtype) if mask is None else mask
    per_frame = jnp.tensordot(values, cells, axes=cells.ndim) / jnp.sum(cells)
    return jnp.mean(jnp.sum(weights * per_frame, axis=1))


def pooled(x: Float[Array, "*frames_and_space channel"], factor: int, axes: int) -> Array:
    """Means over squares of `factor x factor` cells, on so many axes of space before the channels. Raises
    `InputError` unless `factor` divides the grid."""
    space = x.shape[-1 - axes : -1]
    if any(cells % factor for cells in space):
        grid, square = (" x ".join(map(str, sides)) for sides in (space, (factor,) * axes))
        raise InputError(
            f"frames of {grid} cells cannot be cut into pieces of {square}: choose objective.scales that"
            " divide the number of cells along each axis"
        )
    names = SPACE[-axes:]
    cut = " ".join(f"({name} {name}_cell)" for name in names)
    sizes = {f"{name}_cell": factor for name in names}
    return einops.reduce(x, f"... {cut} c -> ... {' '.join(names)} c", "mean", **sizes)


def coarse_mean(
    error: Frames, factor: int, weights: Clocks, mask: Float[Array, "*space channel"] | None
) -> Float[Array, ""]:
    """`weighted_mean` of the square of the pooled error: of its means over the cells where `mask` is 1, each
    weighted by the share of such cells in its square."""
    axes = error.ndim - 3
    if mask is None:
        return weighted_mean(pooled(error, factor, axes) ** 2, weights)
    share = pooled(mask, factor, axes)
    mean = pooled(error * mask[None, None], factor, axes) / jnp.where(share > 0, share, 1.0)[None, None]
    return weighted_mean(mean**2, weights, share)


def diffusion_loss(
    denoise: Callable[[Frames, Clocks], Frames],
    x: Frames,
    times: SampledTimes,
    key: Key[Array, ""],
    *,
    schedule: NoiseSchedule,
    weighting: Weighting,
    noise: NoisePrior = Independent(),  # noqa: B008
    mask: Float[Array, "*space channel"] | None = None,
    scales: Sequence[int] = (),
) -> Float[Array, ""]:
    """The loss of one batch of clips `x`, diffused to the clocks `times`: see `denoising_loss`."""
    logsnr = schedule.logsnr(times.tau)
    z = diffused(x, logsnr, key, noise)
    weights = frame_weights(weighting, schedule, times)
    return denoising_loss(denoise, x, z, logsnr, weights, mask=mask, scales=scales)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossOf:
    """The loss of one modality among several."""

    schedule: NoiseSchedule
    weighting: Weighting
    noise: NoisePrior = Independent()
    mask: Float[Array, "*space channel"] | None = None
    weight: float = 1.0
    """Of this modality. With its `every`, the sum over a slot does not grow with the rate of frames."""


def joint_loss(
    denoise: Callable[[JointFrames, JointClocks], JointFrames],
    x: JointFrames,
    times: JointTimes,
    key: Key[Array, ""],
    losses: Mapping[str, LossOf],
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """`sum_m weight_m L_m` and the `L_m`, each the loss of one modality as in `diffusion_loss`, with one call
    of the network for all.

    With `Elbo` weightings and weights of 1 it is minus the evidence lower bound of all modalities together,
    for any paths of their clocks.
    """
    z, logsnr = {}, {}
    for place, (name, loss) in enumerate(sorted(losses.items())):
        logsnr[name] = loss.schedule.logsnr(times[name].tau)
        z[name] = diffused(x[name], logsnr[name], jax.random.fold_in(key, place), loss.noise)
    found, parts = denoise(z, logsnr), {}
    for name, loss in losses.items():
        weights = frame_weights(loss.weighting, loss.schedule, times[name])
        parts[name] = multiscale_loss(x[name] - found[name], weights, mask=loss.mask)
    total = sum((losses[name].weight * part for name, part in parts.items()), jnp.zeros(()))
    return total, parts


def diffused(x: Frames, logsnr: Clocks, key: Key[Array, ""], noise: NoisePrior) -> Frames:
    """`alpha x + sigma eps`."""
    draw = lambda frame: jax.random.normal(key, (len(x), len(frame), *x.shape[2:]), x.dtype)  # noqa: E731
    return diffuse(x, noise(draw, 0, x.shape[1], restart=True), logsnr)


def denoising_loss(
    denoise: Callable[[Frames, Clocks], Frames],
    x: Frames,
    z: Frames,
    logsnr: Clocks,
    weights: Clocks,
    *,
    mask: Float[Array, "*space channel"] | None = None,
    scales: Sequence[int] = (),
) -> Float[Array, ""]:
    """`multiscale_loss` of the error `x - x^`, with `x^` the prediction for the noisy frames `z`."""
    return multiscale_loss(x - denoise(z, logsnr), weights, mask=mask, scales=scales)


def multiscale_loss(
    error: Frames,
    weights: Clocks,
    *,
    mask: Float[Array, "*space channel"] | None = None,
    scales: Sequence[int] = (),
) -> Float[Array, ""]:
    """`weighted_mean` of `|error|^2`.

    For each factor `f` in `scales` it gains `f |D_f error|^2`, with `D_f` the means over squares of
    `f x f` cells: the multiscale loss of simple diffusion (arXiv 2301.11093), which weights each term by one
    over its resolution. `E[x | z]` minimises every term.
    """
    error = error.astype(jnp.float32)
    loss = weighted_mean(error**2, weights, mask)
    return loss + sum(factor * coarse_mean(error, factor, weights, mask) for factor in scales)
