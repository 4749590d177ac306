"""What tests of losses on AR(1) share: the process, its exact denoiser, and what an objective is given."""

import math

import jax
import jax.numpy as jnp

from rolling.denoisers import NOTHING
from rolling.losses import XLoss
from rolling.run.experiment.objectives import LossInputs


def ar1(key, batch: int, frames: int, a: float) -> jax.Array:
    """AR(1) of unit variance, `[batch, frames]`."""
    eps = jax.random.normal(key, (batch, frames))
    x = [eps[:, 0]]
    for k in range(1, frames):
        x.append(a * x[-1] + math.sqrt(1 - a**2) * eps[:, k])
    return jnp.stack(x, axis=1)


def after_a_clean_frame(a: float):
    """`E[x | z]` of the frame after a clean one, which is normal of mean `a c` and variance `1 - a^2`."""

    def denoise(z, logsnr, condition):
        context, noisy = z[:, :1], z[:, 1:]
        alpha2, sigma2 = (jax.nn.sigmoid(sign * logsnr[:, 1:])[..., None, None, None] for sign in (1, -1))
        variance, mean = 1 - a**2, a * context
        gain = variance * jnp.sqrt(alpha2) / (alpha2 * variance + sigma2)
        return jnp.concatenate([context, mean + gain * (noisy - jnp.sqrt(alpha2) * mean)], axis=1)

    return denoise


def scaled_inputs(network, sampling, units, condition=NOTHING) -> LossInputs:
    """Of a network that is multiplied by its one parameter."""
    return LossInputs(
        lambda params, key: lambda *seen: params * network(*seen),
        lambda batch, key: condition,
        sampling,
        XLoss(),
        units,
    )
