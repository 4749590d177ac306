"""The one loop: rolls a window over a sequence of any length and hands out finished frames in chunks.

The whole state is the sampler's `Carry`: a rollout that was stopped continues from a saved one to the
identical bits.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import einops
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from rolling.array_types import Frames
from rolling.common import compiler
from rolling.common.errors import InputError
from rolling.denoisers import NOTHING, Condition, Denoiser
from rolling.sampling.carry import Carry
from rolling.sampling.guidance import Denoisers, FirstGuess
from rolling.sampling.sampler import FOREVER, Sampler

Conditions = Callable[[int, int], Condition]
"""`(first, count)` to what is known of the frames `first .. first + count - 1`; frame 0 is the first that is
given."""


class Chunk(NamedTuple):
    """Frames `start .. start + n - 1` after the given ones, and the carry from which it continues."""

    start: int
    frames: Frames
    carry: Carry


class Rollout:
    """A sampler compiled for one network: two programs, of which neither knows the length of a rollout.

    `bind(params)` is the denoiser; the parameters are an argument of the programs, not a constant in them.
    A chunk is up to `cycles` cycles, `cycles * window.stride` frames. Every batch of one shape runs
    through the same two programs.
    """

    def __init__(self, sampler: Sampler, bind: Callable[[Any], Denoiser | Denoisers], *, cycles: int = 16):
        if cycles < 1:
            raise InputError(f"a chunk holds at least one cycle, not {cycles}")
        self.sampler, self.bind, self.cycles = sampler, bind, cycles
        jit = partial(jax.jit, compiler_options=compiler.options())
        self._begin = jit(lambda params, *rest: sampler.recipe.start(sampler, bind(params), *rest))
        self._advance = jit(self._cycles, donate_argnums=1)

    @property
    def frames_per_chunk(self) -> int:
        return self.cycles * self.sampler.window.stride

    def _cycles(self, params, carry, condition, begin, end, last):
        """Emits what is finished, or (from `begin = 0`) first runs a cycle; then cycles on to `end`.

        `last` is the index of the first frame that the rollout does not have. The bounds are traced, so that
        a chunk may be cut short without another compilation.
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
            carry = sampler.cycle(self.bind(params), carry, here, last)
            frames = sampler.finished(carry)
            return carry, jax.lax.dynamic_update_slice_in_dim(buffer, frames, i * stride, axis=1)

        return jax.lax.fori_loop(begin, end, body, (carry, buffer))

    def chunks(
        self,
        params: Any,
        given: Frames,
        key: Key[Array, " batch"],
        frames: int,
        conditions: Conditions = lambda first, count: NOTHING,
        *,
        resume: tuple[int, Carry] | None = None,
    ) -> Iterator[Chunk]:
        """Rolls out the `frames` frames after the given ones, `[batch, recipe.given, ...]`, in chunks.

        Memory does not depend on `frames`, which need be no multiple of anything. `resume = (start, carry)`
        continues with frame `start`, which is where the last chunk ended, from the carry that came with it;
        its memory is given away.
        """
        window, count_given = self.sampler.window, self.sampler.recipe.given
        stride, size, last = window.stride, window.size, count_given + frames
        start, carry = resume or (0, None)
        fresh = carry is None
        if fresh and frames > 0:
            if given.shape[1] != count_given:
                raise InputError(f"the rollout needs {count_given} given frames, not {given.shape[1]}")
            carry = self._begin(params, given, key, conditions(0, count_given + size), last)
        while start < frames:
            # A chunk that was cut short has left over some of the carry's finished frames.
            out = start % stride
            waiting = fresh or out > 0
            count = min(self.frames_per_chunk - out, frames - start)
            first = count_given - window.context + start - (out if waiting else stride)
            known = conditions(first, self.frames_per_chunk + size)
            cycles = -(-(out + count) // stride)
            carry, block = self._advance(params, carry, known, int(waiting), cycles, last)
            # The next call gives the carry's memory away: whoever keeps it longer must have a copy.
            yield Chunk(start, block[:, out : out + count], carry)
            start, fresh = start + count, False


GUESS = 2**32 - 2
"""The fold of the keys of a first guess, whose noise is its own."""


def first_guess(sampler: Sampler, denoiser: Denoiser | Denoisers) -> FirstGuess:
    """The forecasts of a sampler as a function inside a program: for a few frames, held at once. Of the given
    frames it takes the last ones, as many as it needs."""
    recipe, window = sampler.recipe, sampler.window

    def forecast(given, frames, key, condition):
        cycles, past = -(-frames // window.stride), given.shape[1] - recipe.given
        ahead = (cycles - 1) * window.stride + window.size - window.context
        known = condition.known_frames
        if known is not None and known < given.shape[1] + ahead:
            raise InputError(
                f"the run of a first guess looks {ahead} frames ahead and this window"
                f" {known - given.shape[1]}: choose a next-frame run, or a larger window"
            )
        key = jax.vmap(partial(jax.random.fold_in, data=GUESS))(key)
        start = condition.window(past, recipe.given + window.size)
        carry = recipe.start(sampler, denoiser, given[:, past:], key, start, FOREVER)

        def advance(carry, _):
            shifted = sampler.shift(carry)
            here = condition.window(past + shifted.first, window.size)
            return sampler.cycle(denoiser, shifted, here), sampler.finished(carry)

        carry, blocks = jax.lax.scan(advance, carry, length=cycles - 1)
        blocks = jnp.concatenate([blocks, sampler.finished(carry)[None]])
        return einops.rearrange(blocks, "cycle batch stride ... -> batch (cycle stride) ...")[:, :frames]

    return forecast
