"""Noisy frames `z = alpha x + sigma eps`, and conversions between what a network may predict."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from rolling.array_types import Clocks, Frames
from rolling.noise.schedule import Times


def expand(clocks: Shaped[Array, "..."], frames: Shaped[Array, "..."]) -> Array:
    """Clocks `[batch, time]`, or numbers along the first axes of any array, with trailing axes of one, to
    broadcast against it."""
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
    """`x = alpha z - sigma v`: valid at both ends, `alpha = 0` and `sigma = 0`."""
    alpha, sigma = alpha_sigma(expand(logsnr, z))
    return alpha * z - sigma * v


def score_from_x(z: Frames, x: Frames, logsnr: Clocks) -> Frames:
    """`grad log q(z | x) = -eps / sigma = (alpha x - z) / sigma^2`; for `x = E[x | z]` this is the score
    of `z` itself (Tweedie)."""
    alpha, sigma = alpha_sigma(expand(logsnr, z))
    return (alpha * x - z) / sigma**2


def x_from_score(z: Frames, score: Frames, logsnr: Clocks) -> Frames:
    """`x = (z + sigma^2 score) / alpha`."""
    alpha, sigma = alpha_sigma(expand(logsnr, z))
    return (z + sigma**2 * score) / alpha


def flow_from_x(z: Frames, x: Frames, logsnr: Clocks) -> Frames:
    """Velocity of the straight path, `u = eps - x = (z - (alpha + sigma) x) / sigma`."""
    alpha, sigma = alpha_sigma(expand(logsnr, z))
    return (z - (alpha + sigma) * x) / sigma


def x_from_flow(z: Frames, u: Frames, logsnr: Clocks) -> Frames:
    """`x = (z - sigma u) / (alpha + sigma)`: valid at both ends, `alpha = 0` and `sigma = 0`."""
    alpha, sigma = alpha_sigma(expand(logsnr, z))
    return (z - sigma * u) / (alpha + sigma)


def noise_removed(logsnr_t: Times, logsnr_s: Times) -> Times:
    """`r = 1 - SNR_t / SNR_s` in [0, 1], from time `t` to a cleaner time `s`."""
    return -jnp.expm1(logsnr_t - logsnr_s)


def diffuse_further(z: Frames, eps: Frames, logsnr_s: Clocks, logsnr_t: Clocks) -> Frames:
    """A draw from `q(z_t | z_s)` for a time `t` noisier than `s`, from `z_s` and unit noise:

        z_t = (alpha_t / alpha_s) z_s + sqrt(sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2) eps.

    `sigma_s = 0` and `alpha_t = 0` are allowed; `alpha_s = 0` and `t = s` at an end are not.
    """
    alpha_s, _ = alpha_sigma(expand(logsnr_s, z))
    alpha_t, sigma_t = alpha_sigma(expand(logsnr_t, z))
    fresh = sigma_t * jnp.sqrt(expand(noise_removed(logsnr_t, logsnr_s), z))
    return alpha_t / alpha_s * z + fresh * eps


def posterior(z: Frames, x: Frames, logsnr_t: Clocks, logsnr_s: Clocks) -> tuple[Frames, Array]:
    """Mean and variance of `q(z_s | z_t, x)` for a time `s` cleaner than `t`.

    Mean `(alpha_s / alpha_t)(1 - r) z_t + alpha_s r x`, shaped like `z`; variance `r sigma_s^2`,
    `[batch, time]` with trailing axes of one. `alpha_t = 0` and `sigma_s = 0` are allowed; `t = s` at an end
    is not.
    """
    alpha_t, sigma_t = alpha_sigma(expand(logsnr_t, z))
    alpha_s, sigma_s = alpha_sigma(expand(logsnr_s, z))
    r = expand(noise_removed(logsnr_t, logsnr_s), z)
    # (alpha_s / alpha_t)(1 - r) in a form that is valid at alpha_t = 0.
    return alpha_t * sigma_s**2 / (sigma_t**2 * alpha_s) * z + alpha_s * r * x, r * sigma_s**2
