"""A network's own rollout from true frames, as training sees it: short, and without gradient."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from rolling.arrays import Frames
from rolling.denoisers import Condition, Denoiser
from rolling.sampling.guidance import Denoisers
from rolling.sampling.sampler import Sampler


def own_rollout(
    sampler: Sampler,
    denoiser: Denoiser | Denoisers,
    x: Frames,
    key: Key[Array, ""],
    condition: Condition,
    cycles: int,
) -> Float[Array, "state batch window height width channel"]:
    """The frames in the window after 0, 1, ..., `cycles` cycles, each ready for the next one.

    The window is placed on the first `size` true frames of `x`, those after the context diffused to the
    clocks with which a cycle begins, as in the middle of a rollout on true context. After `i` cycles it holds
    the frames from `i * stride` on; what it has finished, and is context now, the network has made.
    """
    size, stride = sampler.window.size, sampler.window.stride
    carry = sampler.place(x[:, :size], jax.random.split(key, len(x)), 0)
    states = [carry.z]
    for i in range(cycles):
        carry = sampler.cycle(denoiser, carry, condition.window(i * stride, size))
        carry = sampler.shift(carry)
        states.append(carry.z)
    return jax.lax.stop_gradient(jnp.stack(states))
