"""The one loop: rolls a window over a sequence of any length and hands out finished frames in chunks.

The whole state is the `Carry`. Noise comes from the sequence's key, folded with the frame's index and the
step, never from the place in a chunk or a batch: a rollout does not depend on how it is cut, and one that
was stopped goes on to the identical bits from a saved carry.
"""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from rolling.denoisers import NOTHING, Condition, Denoiser
from rolling.errors import InputError
from rolling.noise import NoiseSchedule
from rolling.solvers import Solver, step_between
from rolling.windows import Window, warmup_steps

Frames = Float[Array, "batch time height width channel"]
Conditions = Callable[[int, int], Condition]
"""`(first, count)` to what is known of the frames `first .. first + count - 1`."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Carry:
    """Everything that changes: what must be saved to resume."""

    z: Frames
    history: Any
    first: Int[Array, ""]
    """Index of the frame in slot 0; the first frame of the context is frame 0."""
    step: Int[Array, ""]
    """Solver steps so far."""
    key: Key[Array, " batch"]


class Chunk(NamedTuple):
    """Frames `start .. start + n - 1` behind the context, and the carry from which the next chunk follows."""

    start: int
    frames: Frames
    carry: Carry


FRESH = 0  # the fold of a frame's first noise; the steps of solvers are folded from 1 on


def gaussian(
    key: Key[Array, " batch"],
    frame: Int[Array, " time"],
    fold: Int[Array, ""] | int,
    shape: tuple[int, ...],
    dtype: Any,
) -> Frames:
    """Noise `[batch, time, *shape]` that depends on each sequence's key, each frame's index and the fold."""

    def one(key, frame):
        return jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, frame), fold), shape, dtype)

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(key, frame)


Noise = Callable[..., Frames]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampler:
    """A window, a schedule and a solver at `calls_per_frame` solver steps for each emitted frame.

    Each method is a pure function of the carry; `bind` in `Rollout` supplies the denoiser.
    """

    window: Window
    schedule: NoiseSchedule
    solver: Solver
    calls_per_frame: int = 1
    noise: Noise = gaussian

    def __post_init__(self):
        if self.calls_per_frame < 1:
            raise InputError(f"calls_per_frame is a whole number from 1 on, not {self.calls_per_frame}")

    @property
    def cycle_steps(self) -> int:
        return self.calls_per_frame * self.window.stride

    def begin(self, context: Frames, key: Key[Array, " batch"]) -> Carry:
        """The context `[batch, n, ...]` (n may be 0), and pure noise behind it."""
        window = self.window
        if context.shape[1] != window.context:
            raise InputError(f"the window wants {window.context} frames of context, not {context.shape[1]}")
        fresh = jnp.arange(window.context, window.size)
        noise = self.noise(key, fresh, FRESH, context.shape[2:], context.dtype)
        z = jnp.concatenate([context, noise], axis=1)
        first, step = jnp.zeros(2, jnp.int32)
        key = jnp.copy(key)  # the carry's memory is given away, the caller's key is not
        return Carry(z=z, history=self.solver.init(z), first=first, step=step, key=key)

    def warm_up(self, denoiser: Denoiser, carry: Carry, condition: Condition) -> Carry:
        steps = warmup_steps(self.window, self.cycle_steps)
        return self._sweep(self.window.warmup, steps, denoiser, carry, condition)

    def cycle(self, denoiser: Denoiser, carry: Carry, condition: Condition) -> Carry:
        return self._sweep(self.window.cycle, self.cycle_steps, denoiser, carry, condition)

    def finished(self, carry: Carry) -> Frames:
        n = self.window.context
        return carry.z[:, n : n + self.window.stride]

    def shift(self, carry: Carry) -> Carry:
        """Drops `stride` frames on the left with their history, appends pure noise on the right."""
        stride, size = self.window.stride, self.window.size
        fresh = carry.first + size + jnp.arange(stride)
        noise = self.noise(carry.key, fresh, FRESH, carry.z.shape[2:], carry.z.dtype)

        def append(old, new):
            return jnp.concatenate([old[:, stride:], new], axis=1)

        return dataclasses.replace(
            carry,
            z=append(carry.z, noise),
            history=jax.tree.map(append, carry.history, self.solver.init(noise)),
            first=carry.first + stride,
        )

    def _sweep(self, clocks, steps, denoiser, carry, condition) -> Carry:
        """Solves from `t = 1` to `t = 0` in equal steps."""

        def plan_of(grid):
            # Clocks that differ by rounding are equal: 0 and 1 are met exactly, however a compiler rounds,
            # and no frame seems to move by a single bit.
            grain = 4 * jnp.finfo(grid.dtype).eps
            tau = (jnp.round(clocks(grid) / grain) * grain)[:, None, :]
            return step_between(self.schedule, tau[:-1], tau[1:])

        # Constants of the program. Jitted, as each operation on its own would be compiled for each length.
        with jax.ensure_compile_time_eval():
            plan = jax.jit(plan_of)(jnp.asarray(1 - np.arange(steps + 1) / steps, carry.z.dtype))
        frame = carry.first + jnp.arange(self.window.size)

        def body(i, state):
            z, history = state
            step = jax.tree.map(lambda part: part[i], plan)

            def noise(draw: int) -> Frames:
                # One fold per draw: a solver that draws twice in a step gets two streams.
                key = carry.key if draw == 0 else jax.vmap(partial(jax.random.fold_in, data=draw))(carry.key)
                return self.noise(key, frame, carry.step + i + 1, z.shape[2:], z.dtype)

            moved = self.solver.step(
                lambda z, logsnr: denoiser(z, logsnr, condition), z, history, step, noise
            )
            return jax.tree.map(step.hold, moved, state)

        z, history = jax.lax.fori_loop(0, steps, body, (carry.z, carry.history))
        return dataclasses.replace(carry, z=z, history=history, step=carry.step + steps)


class Rollout:
    """A sampler compiled for one network: two programs, of which neither knows the length of a rollout.

    `bind(params)` is the denoiser; the parameters are an argument of the programs, not a constant in them.
    A chunk is up to `cycles` cycles, `cycles * window.stride` frames. Every batch of one shape runs
    through the same two programs.
    """

    def __init__(self, sampler: Sampler, bind: Callable[[Any], Denoiser], *, cycles: int = 16):
        if cycles < 1:
            raise InputError(f"a chunk holds at least one cycle, not {cycles}")
        self.sampler, self.bind, self.cycles = sampler, bind, cycles
        self._warm_up = jax.jit(lambda params, *rest: sampler.warm_up(bind(params), *rest))
        self._advance = jax.jit(self._cycles, donate_argnums=1)

    @property
    def frames_per_chunk(self) -> int:
        return self.cycles * self.sampler.window.stride

    def _cycles(self, params, carry, condition, begin, end):
        """Emits what is finished, or (from `begin = 0`) first runs a cycle; then cycles on to `end`.

        The bounds are traced, so that a chunk may be cut short without another compilation.
        """
        sampler, origin = self.sampler, carry.first
        size, stride = sampler.window.size, sampler.window.stride
        finished = sampler.finished(carry)
        buffer = jnp.zeros_like(
            finished, shape=(finished.shape[0], self.frames_per_chunk, *finished.shape[2:])
        )
        buffer = jax.lax.dynamic_update_slice_in_dim(buffer, finished, 0, axis=1)

        def body(i, state):
            carry, buffer = state
            carry = sampler.shift(carry)
            here = condition.window(carry.first - origin, size)
            carry = sampler.cycle(self.bind(params), carry, here)
            frames = sampler.finished(carry)
            return carry, jax.lax.dynamic_update_slice_in_dim(buffer, frames, i * stride, axis=1)

        return jax.lax.fori_loop(begin, end, body, (carry, buffer))

    def chunks(
        self,
        params: Any,
        context: Frames,
        key: Key[Array, " batch"],
        frames: int,
        conditions: Conditions = lambda first, count: NOTHING,
        *,
        resume: tuple[int, Carry] | None = None,
    ) -> Iterator[Chunk]:
        """Rolls out `frames` frames behind the context, one chunk after another.

        Memory does not depend on `frames`, which need be no multiple of anything. `resume = (start, carry)`
        goes on with frame `start`, which is where the last chunk ended, from the carry that came with it;
        its memory is given away.
        """
        stride, size = self.sampler.window.stride, self.sampler.window.size
        start, carry = resume or (0, None)
        fresh = carry is None
        if fresh and frames > 0:
            carry = self.sampler.begin(context, key)
            carry = self._warm_up(params, carry, conditions(0, size))
        while start < frames:
            # A chunk that was cut short has left some of the carry's finished frames behind.
            out = start % stride
            waiting = fresh or out > 0
            count = min(self.frames_per_chunk - out, frames - start)
            known = conditions(start - (out if waiting else stride), self.frames_per_chunk + size)
            carry, block = self._advance(params, carry, known, int(waiting), -(-(out + count) // stride))
            # The next call gives the carry's memory away: whoever keeps it longer must have a copy.
            yield Chunk(start, block[:, out : out + count], carry)
            start, fresh = start + count, False
