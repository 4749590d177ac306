"""A network's own rollout from true frames: what training on it sees, and what tells where drift begins."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import einops
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from rolling.array_types import Frames, PastFrames
from rolling.denoisers import Condition, Denoiser
from rolling.noise import expand
from rolling.sampling.carry import Carry
from rolling.sampling.guidance import Denoisers
from rolling.sampling.perturbations import Shape
from rolling.sampling.repairs import Knowledge, Repair
from rolling.sampling.sampler import Sampler, known_units


class States(NamedTuple):
    """Of a rollout after each cycle."""

    frames: Float[Array, "cycle step batch window *space channel"]
    """Those in the window, where each step of the next cycle begins."""
    memory: Float[Array, "cycle batch *space memory"] | None
    """The old frames that the network is shown beside it, as in `Condition.memory`."""


def own_rollout(
    sampler: Sampler,
    denoiser: Denoiser | Denoisers,
    x: Frames,
    key: Key[Array, " batch"],
    condition: Condition,
    cycles: int,
    steps: int = 1,
    past: PastFrames | None = None,
) -> States:
    """The window after 0, 1, ..., `cycles` cycles, each time ready for the next one, and after 0, ...,
    `steps - 1` steps of that next one. `key` has one for each sequence.

    The window is placed on the first `size` true frames of `x`, those after the context diffused to the
    clocks with which a cycle begins, as in the middle of a rollout on true context; `past` are the true
    frames before it. After `i` cycles it holds the frames from `i * stride` on; what it has finished, and is
    context now or has left, the network has made. Context is clean, as a `Carry` holds it. It takes the calls
    of `cycles` cycles and of `steps - 1` steps.
    """
    window, states = sampler.window, []
    carry = sampler.place(x[:, : window.size], key, 0, past=past)
    for i in range(cycles + 1):
        seen = condition.window(i * window.stride, window.size)
        within, carry = sampler.first_steps(denoiser, carry, seen, steps)
        states.append(States(within, sampler.recipe.memory.shown(carry.memory)))
        if i < cycles:
            carry = sampler.shift(sampler.cycle(denoiser, carry, seen, done=steps - 1))
    return jax.lax.stop_gradient(jax.tree.map(lambda *parts: jnp.stack(parts), *states))


def finished_on_own(
    sampler: Sampler,
    denoiser: Denoiser | Denoisers,
    x: Frames,
    key: Key[Array, " batch"],
    condition: Condition,
    cycles: int,
    past: PastFrames | None = None,
) -> Float[Array, "batch finished *space channel"]:
    """The `cycles * stride` frames that such a rollout finishes: the first `stride` with the window on the
    truth, the later ones on frames of its own. `key` has one for each sequence."""
    carry = sampler.place(x[:, : sampler.window.size], key, 0, past=past)
    return _finished(sampler, denoiser, carry, condition, cycles)[1]


def finished_after_repair(
    sampler: Sampler,
    denoisers: Denoisers,
    x: Frames,
    key: Key[Array, " batch"],
    condition: Condition,
    cycles: int,
    repairs: Sequence[Repair],
    past: PastFrames | None = None,
) -> Float[Array, "batch repair finished *space channel"]:
    """The last frame of the context and the `stride` frames after it that one more cycle finishes, after
    `cycles` of them and each of the repairs. `x` holds the `cycles * stride + size` true frames from the
    first of the window on, `past` those before it."""
    n, size, stride = sampler.window.context, sampler.window.size, sampler.window.stride
    start, first = sampler.place(x[:, :size], key, 0, past=past), cycles * stride
    carry, _ = _finished(sampler, denoisers, start, condition, cycles)
    before = x[:, :first] if past is None else jnp.concatenate([past, x[:, :first]], axis=1)
    true = sampler.place(x[:, first : first + size], key, first, past=before)
    known = Knowledge(true, start.z[:, :n], known_units(denoisers.units))
    seen = condition.window(first, size)

    def rung(which):
        repaired = jax.lax.switch(which, [partial(repair, known=known) for repair in repairs], carry)
        return sampler.cycle(denoisers, repaired, seen).z[:, n - 1 : n + stride]

    # One after another: no more memory than one of them takes.
    found = jax.lax.map(rung, jnp.arange(len(repairs)))
    return einops.rearrange(found, "r b t ... -> b r t ...")


def passed_on(
    sampler: Sampler,
    denoisers: Denoisers,
    x: Frames,
    key: Key[Array, " batch"],
    condition: Condition,
    cycles: int,
    cases: Sequence[tuple[Shape, bool]],
    share: float,
    past: PastFrames | None = None,
) -> Float[Array, "batch two case finished"]:
    """What becomes of an error `share d(x)` of each shape in the context of a window on the truth, or in the
    noisy frames, too (`whole`): `<y'_k - y_k, d(y_k)> / share` and `<d(y_k), d(y_k)>` for the frames `y_k`
    finished without it and `y'_k` with it, by the same noise. `<., .>` is a mean over area and a sum over
    variables; the ratio of the two is the factor by which the frame has the error."""
    size, units = sampler.window.size, known_units(denoisers.units)
    start = sampler.place(x[:, :size], key, 0, past=past)
    finished = lambda carry: _finished(sampler, denoisers, carry, condition, cycles)[1]  # noqa: E731
    unperturbed, weights = finished(start), units.weights(x.dtype)
    product = lambda one, other: (weights * one * other).sum((2, 3, 4))  # noqa: E731
    directions = [lambda frames, shape=shape: shape.direction(frames, key, units) for shape, _ in cases]
    whole = jnp.asarray([whole for _, whole in cases])

    def case(which):
        direction = lambda frames: jax.lax.switch(which, directions, frames)  # noqa: E731
        slots = (jnp.arange(size) < sampler.window.context) | whole[which]
        wrong = x[:, :size] + share * jnp.where(expand(slots[None], x), direction(x[:, :size]), 0)
        # What the rollout remembers of its given frames, and of those before them, is right.
        carry = dataclasses.replace(start, z=sampler.place(wrong, key, 0).z)
        d = direction(unperturbed)
        return jnp.stack([product(finished(carry) - unperturbed, d) / share, product(d, d)])

    return einops.rearrange(jax.lax.map(case, jnp.arange(len(cases))), "i two b k -> b two i k")


def _finished(sampler: Sampler, denoiser, carry: Carry, condition: Condition, cycles: int):
    """The carry after so many cycles from frame 0 on, and all frames that they finish."""
    step = lambda carry, i: _next(sampler, denoiser, carry, condition, i)  # noqa: E731
    carry, finished = jax.lax.scan(step, carry, jnp.arange(cycles))
    return carry, einops.rearrange(finished, "cycle b t ... -> b (cycle t) ...")


def _next(sampler: Sampler, denoiser, carry: Carry, condition: Condition, i):
    """The carry after cycle `i`, ready for the next one, and the frames that it has finished."""
    window = sampler.window
    carry = sampler.cycle(denoiser, carry, condition.window(i * window.stride, window.size))
    return sampler.shift(carry), sampler.finished(carry)
