"""How a rollout begins: from the frames that are given to a state in which the first new one is finished."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from rolling.array_types import Frames
from rolling.common.checks import check_least
from rolling.common.errors import InputError
from rolling.denoisers import Condition, Denoiser, JointDenoiser
from rolling.noise import expand
from rolling.sampling.carry import Carry
from rolling.sampling.guidance import Denoisers
from rolling.windows import Window, moving_frames


@runtime_checkable
class Moves(Protocol):
    """The moves of a `Sampler`, or of the `Joint` one of several modalities, that a start is made of."""

    @property
    def window(self) -> Window: ...

    def begin(self, given: Any, key: Key[Array, " batch"]) -> Any: ...

    def warm_up(self, denoiser: Any, carry: Any, condition: Condition, end: Any = ...) -> Any: ...

    def cycle(self, denoiser: Any, carry: Any, condition: Condition, end: Any = ...) -> Any: ...

    def seen(self, condition: Condition, carry: Any, begun: Any = ...) -> Condition: ...

    def shift(self, carry: Any) -> Any: ...


@runtime_checkable
class MovesOfOne(Moves, Protocol):
    """Those of one modality, whose window may be placed on frames."""

    def place(
        self, x: Frames, key: Key[Array, " batch"], first: int, end: Any = ..., past: Any = ...
    ) -> Carry: ...


@runtime_checkable
class Start(Protocol):
    @property
    def warms_up(self) -> bool:
        """Whether it runs the window's warm-up sweep."""
        ...

    @property
    def run(self) -> str:
        """The folder of the run whose forecast it begins with; empty where it needs none."""
        ...

    def given(self, window: Window) -> int:
        """How many given frames it needs. Raises `InputError` for a window that it does not suit."""
        ...

    def __call__(
        self,
        sampler: Moves,
        denoiser: Denoiser | Denoisers | JointDenoiser,
        given: Any,
        key: Key[Array, " batch"],
        condition: Condition,
        end: Int[Array, ""] | int,
    ) -> Carry:
        """The carry in which the frame after the given ones is finished.

        `condition` is that of the frames `0 .. len(given) + window.size - 1`; frame 0 is the first given one.
        """
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class FromNoise:
    """The context, pure noise after it, and the window's warm-up sweep."""

    warms_up = True
    run = ""
    past: int = 0
    """Frames that are given before those of the context, for the memory of the rollout (`Memory`)."""

    def __post_init__(self):
        check_least("start", self, "past")

    def given(self, window):
        return window.context + self.past

    def __call__(self, sampler, denoiser, given, key, condition, end):
        carry = sampler.begin(given, key)
        return sampler.warm_up(denoiser, carry, sampler.seen(condition, carry), end)


@runtime_checkable
class Guess(Protocol):
    """A first guess: what a cheaper forecaster makes of the given frames."""

    def __call__(self, given: Frames, frames: int) -> Float[Array, "batch frames *space channel"]:
        """`[batch, n, ...]` to the `frames` frames that follow."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Persistence:
    """The last given frame, damped by `damping` with each further frame: towards the mean, which is 0."""

    damping: float = 1.0
    """Factor with each further frame; 1 is persistence, 0 the mean of the data."""

    def __post_init__(self):
        if not 0 <= self.damping <= 1:
            raise InputError(f"persistence is damped by a factor in [0, 1], not {self.damping}")

    def __call__(self, given, frames):
        factors = jnp.asarray(self.damping, given.dtype) ** jnp.arange(1, frames + 1)
        return given[:, -1:] * expand(factors[None], given)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FromGuess:
    """A forecast, diffused to the clocks with which a cycle begins (ERDM, arXiv 2506.20024).

    It costs one cycle instead of a warm-up, and a window without context (`context = 0`) sees the given
    frames by the guess alone.
    """

    warms_up = False
    run = ""
    guess: Guess = Persistence()
    """The forecast that is diffused."""

    def given(self, window):
        return max(window.context, 1)

    def __call__(self, sampler, denoiser, given, key, condition, end):
        guess = self.guess(given, sampler.window.size - sampler.window.context)
        return _from_guess(sampler, denoiser, given, guess, key, condition, end)


def _from_guess(sampler: MovesOfOne, denoiser, given, guess: Frames, key, condition, end) -> Carry:
    """The carry after one cycle from the context and a guess of the frames that follow."""
    n = sampler.window.context
    first = given.shape[1] - n
    x = jnp.concatenate([given[:, first:], guess], axis=1)
    carry = sampler.place(x, key, first, end, given[:, :first])
    return sampler.cycle(denoiser, carry, sampler.seen(condition, carry), end)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FromForecast:
    """As `FromGuess`, with a forecast of another run as the guess, one for each member: a next-frame or a
    regression network, say, as ERDM begins (arXiv 2506.20024).

    That run was trained on the same data, and makes frames as its own experiment says. Where something is
    known of each frame (hours of the day, actions), it must not look further ahead than this window does: a
    next-frame run never does.
    """

    warms_up = False
    run: str = ""
    """The folder of the run that makes the first guess."""
    frames: int = 1
    """How many given frames that run needs."""

    def __post_init__(self):
        if self.frames < 1:
            raise InputError(f"a forecast needs at least one given frame, not {self.frames}")

    def given(self, window):
        if not self.run:
            raise InputError(
                "a start from a forecast needs the folder of the run that makes it: give --start.run"
                " runs/NAME"
            )
        return max(window.context, self.frames)

    def __call__(self, sampler, denoiser, given, key, condition, end):
        if not isinstance(denoiser, Denoisers) or denoiser.guess is None:
            raise InputError("a start from a forecast needs the network of its run, and there is none here")
        guess = denoiser.guess(given, sampler.window.size - sampler.window.context, key, condition)
        return _from_guess(sampler, denoiser, given, guess, key, condition, end)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FromClip:
    """FIFO's queue of a clip of `frames` frames (arXiv 2405.11473).

    The clip occupies the noisy end of the queue, its first frame fills the rest, each diffused to the clock
    of its slot. The queue then rolls until the clip has been made again and the first new frame is finished.
    """

    warms_up = False
    run = ""
    frames: int = 4
    """Frames of the clip."""

    def __post_init__(self):
        if self.frames < 1:
            raise InputError(f"a queue is filled from a clip of at least one frame, not {self.frames}")

    def given(self, window):
        if not window.context <= self.frames <= window.size - window.context:
            raise InputError(
                f"a clip of {self.frames} frames does not fit into a queue of"
                f" {window.size - window.context} frames after {window.context} of context"
            )
        if moving_frames(window) < window.size - window.context:
            raise InputError(
                "a queue that begins with a clip ends with it, and this window looks ahead at frames that"
                " stay pure noise: choose a window that does not, or another --start"
            )
        return self.frames

    def __call__(self, sampler, denoiser, given, key, condition, end):
        window, clip = sampler.window, given.shape[1]
        queue = window.size - window.context
        repeats = window.size - clip
        x = jnp.concatenate([jnp.repeat(given[:, :1], repeats, axis=1), given], axis=1)
        known = condition.after_repeats(repeats)
        carry = sampler.place(x, key, -repeats, end)
        carry = sampler.cycle(denoiser, carry, known.window(0, window.size), end)

        def body(_, carry):
            carry = sampler.shift(carry)
            here = known.window(carry.first + repeats, window.size)
            return sampler.cycle(denoiser, carry, here, end)

        return jax.lax.fori_loop(0, queue // window.stride, body, carry)
