"""A network's own rollout from true frames: what training on it sees, and what tells where drift begins."""

import einops
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from rolling.array_types import Frames
from rolling.denoisers import Condition, Denoiser
from rolling.sampling.carry import Carry
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
    carry = sampler.place(x[:, : sampler.window.size], jax.random.split(key, len(x)), 0)
    states = [carry.z]
    for i in range(cycles):
        carry, _ = _next(sampler, denoiser, carry, condition, i)
        states.append(carry.z)
    return jax.lax.stop_gradient(jnp.stack(states))


def finished_on_own(
    sampler: Sampler,
    denoiser: Denoiser | Denoisers,
    x: Frames,
    key: Key[Array, " batch"],
    condition: Condition,
    cycles: int,
) -> Float[Array, "batch finished height width channel"]:
    """The `cycles * stride` frames that such a rollout finishes: the first `stride` with the window on the
    truth, the later ones on frames of its own. `key` has one for each sequence."""
    carry = sampler.place(x[:, : sampler.window.size], key, 0)
    step = lambda carry, i: _next(sampler, denoiser, carry, condition, i)  # noqa: E731
    _, finished = jax.lax.scan(step, carry, jnp.arange(cycles))
    return einops.rearrange(finished, "cycle b t h w c -> b (cycle t) h w c")


def _next(sampler: Sampler, denoiser, carry: Carry, condition: Condition, i):
    """The carry after cycle `i`, ready for the next one, and the frames that it has finished."""
    window = sampler.window
    carry = sampler.cycle(denoiser, carry, condition.window(i * window.stride, window.size))
    return sampler.shift(carry), sampler.finished(carry)
