"""The one loop: rolls a window over a sequence of any length and hands out finished frames in chunks.

The whole state is the sampler's `Carry`: a rollout that was stopped continues from a saved one to the
identical bits.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol

import einops
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from rolling.array_types import Frames, JointFrames
from rolling.common import compiler
from rolling.common.errors import InputError
from rolling.denoisers import NOTHING, Condition, Denoiser, JointDenoiser
from rolling.sampling.guidance import Denoisers, FirstGuess
from rolling.sampling.recipe import Sampling
from rolling.sampling.sampler import FOREVER, Sampler
from rolling.sampling.starts import Moves

Conditions = Callable[[int, int], Condition]
"""`(first, count)` to what is known of the frames `first .. first + count - 1`; frame 0 is the first that is
given."""


Bind = Callable[[Any], Denoiser | Denoisers | JointDenoiser]
"""Parameters to a denoiser."""


class Advances(Moves, Protocol):
    """What a rollout asks of a `Sampler`, or of the `Joint` one of several modalities."""

    @property
    def recipe(self) -> Sampling: ...

    def check(self, given: Any, frames: int) -> None:
        """Raises `InputError` unless so many frames can be rolled out after the given ones."""

    def finished(self, carry: Any) -> Any: ...


class Chunk(NamedTuple):
    """Frames `start .. start + n - 1` after the given ones, and the carry from which it continues."""

    start: int
    frames: Frames | JointFrames
    carry: Any
    """A `Carry`, or one for each modality."""


class Rollout:
    """A sampler compiled for one network: two programs, of which neither knows the length of a rollout.

    `bind(params)` is the denoiser; the parameters are an argument of the programs, not a constant in them.
    A chunk is up to `cycles` cycles, `cycles * window.stride` frames. Every batch of one shape runs
    through the same two programs.
    """

    def __init__(self, sampler: Advances, bind: Bind, *, cycles: int = 16):
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
        sampler, begun = self.sampler, carry

        def room(frames):
            return jnp.zeros_like(
                frames, shape=(frames.shape[0], self.cycles * frames.shape[1], *frames.shape[2:])
            )

        def put(buffer, frames, i):
            return jax.lax.dynamic_update_slice_in_dim(buffer, frames, i * frames.shape[1], axis=1)

        def body(i, state):
            carry, buffer = state
            carry = sampler.shift(carry)
            here = sampler.seen(condition, carry, begun)
            carry = sampler.cycle(self.bind(params), carry, here, last)
            return carry, jax.tree.map(partial(put, i=i), buffer, sampler.finished(carry))

        finished = sampler.finished(carry)
        buffer = jax.tree.map(partial(put, i=0), jax.tree.map(room, finished), finished)
        return jax.lax.fori_loop(begin, end, body, (carry, buffer))

    def _cut(self, block, start: int, stop: int):
        """Frames `start .. stop - 1` of a chunk; of several modalities, those of these ticks."""

        def own(frames):
            first, last = (end * frames.shape[1] // self.frames_per_chunk for end in (start, stop))
            return frames[:, first:last]

        return jax.tree.map(own, block)

    def chunks(
        self,
        params: Any,
        given: Frames | JointFrames,
        key: Key[Array, " batch"],
        frames: int,
        conditions: Conditions = lambda first, count: NOTHING,
        *,
        resume: tuple[int, Any] | None = None,
    ) -> Iterator[Chunk]:
        """Rolls out the `frames` frames after the given ones, `[batch, recipe.given_frames, ...]`, in chunks.

        Memory does not depend on `frames`, which need be no multiple of anything. `resume = (start, carry)`
        continues with frame `start`, which is where the last chunk ended, from the carry that came with it;
        its memory is given away.
        """
        window, count_given = self.sampler.window, self.sampler.recipe.given_frames
        stride, size, last = window.stride, window.size, count_given + frames
        start, carry = resume or (0, None)
        fresh = carry is None
        if fresh and frames > 0:
            self.sampler.check(given, frames)
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
            yield Chunk(start, self._cut(block, out, out + count), carry)
            start, fresh = start + count, False


GUESS = 2**32 - 2
"""The fold of the keys of a first guess, whose noise is its own."""


def first_guess(sampler: Sampler, denoiser: Denoiser | Denoisers) -> FirstGuess:
    """The forecasts of a sampler as a function inside a program: for a few frames, held at once. Of the given
    frames it takes the last ones, as many as it needs."""
    recipe, window = sampler.recipe, sampler.window

    def forecast(given, frames, key, condition):
        cycles, past = -(-frames // window.stride), given.shape[1] - recipe.given_frames
        ahead = (cycles - 1) * window.stride + window.size - window.context
        known = condition.known_frames
        if known is not None and known < given.shape[1] + ahead:
            raise InputError(
                f"the run of a first guess looks {ahead} frames ahead and this window"
                f" {known - given.shape[1]}: choose a next-frame run, or a larger window"
            )
        key = jax.vmap(partial(jax.random.fold_in, data=GUESS))(key)
        start = condition.window(past, recipe.given_frames + window.size)
        carry = recipe.start(sampler, denoiser, given[:, past:], key, start, FOREVER)

        def advance(carry, _):
            shifted = sampler.shift(carry)
            here = condition.window(past + shifted.first, window.size)
            return sampler.cycle(denoiser, shifted, here), sampler.finished(carry)

        carry, blocks = jax.lax.scan(advance, carry, length=cycles - 1)
        blocks = jnp.concatenate([blocks, sampler.finished(carry)[None]])
        return einops.rearrange(blocks, "cycle batch stride ... -> batch (cycle stride) ...")[:, :frames]

    return forecast
