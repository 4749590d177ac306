"""Guidance: a weighted sum of what the network says to several versions of one input, in one batched call.

A guidance turns one input into a few with weights that sum to 1; several of them compose, as each applies to
all the inputs that the ones before it made. Weights belong to frames: a guidance may act on some noise levels
only.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float

from rolling.common.errors import InputError
from rolling.denoisers import Condition, Denoiser, joined
from rolling.noise import NoiseSchedule, expand
from rolling.windows import Window, in_context

Clocks = Float[Array, "#batch time"]


class Branch(NamedTuple):
    """What the network is asked, and how much the answer counts for each frame."""

    weight: Clocks
    logsnr: Clocks
    """The context's clocks, too: it is diffused to whatever level it is labelled with."""
    condition: Condition
    weak: bool = False
    """Ask the weaker network."""


class Schedules(NamedTuple):
    window: Window
    schedule: NoiseSchedule


@runtime_checkable
class Guidance(Protocol):
    def check(self, window: Window) -> None:
        """Raises `InputError` for a window that it cannot be used with."""

    def __call__(self, question: Branch, schedules: Schedules) -> list[Branch]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Interval:
    """Acts where `low <= logsnr <= high`: a guidance interval (arXiv 2404.07724), frame by frame."""

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self):
        if not self.low < self.high:
            raise InputError(f"guidance acts for low <= logsnr <= high: {self.low} is not below {self.high}")

    def _where(self, logsnr: Clocks, inside: float, outside: float) -> Clocks:
        acts = (logsnr >= self.low) & (logsnr <= self.high)
        return jnp.where(acts, jnp.asarray(inside, logsnr.dtype), outside)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Scaled(_Interval):
    """`scale` in the interval, and 1, which changes nothing, elsewhere."""

    scale: float = 1.5

    def check(self, window):
        pass

    def _weigh(self, question: Branch, other: Branch) -> list[Branch]:
        weight = self._where(question.logsnr, self.scale, 1.0)
        return [
            question._replace(weight=question.weight * weight),
            other._replace(weight=question.weight * (1 - weight)),
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierFree(_Scaled):
    """`D_u + w (D_c - D_u)` (arXiv 2207.12598): `D_u` is not told the label and the tokens.

    The network must have been trained to do without them at times: `training.drop_condition`.
    """

    def __call__(self, question, schedules):
        return self._weigh(question, question._replace(condition=question.condition.dropped()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Autoguidance(_Scaled):
    """`D_weak + w (D - D_weak)` (arXiv 2406.02507): `weak` is the folder of a run of a smaller network, or of
    one that was trained for less time, on the same data."""

    weak: str = ""

    def check(self, window):
        if not self.weak:
            raise InputError(
                "autoguidance wants the folder of a run of a weaker network: give --guidance.0.weak runs/NAME"
            )

    def __call__(self, question, schedules):
        return self._weigh(question, question._replace(weak=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class History:
    """A way to show the context: its last `frames` frames (0: all) at local time `level`, others dropped."""

    weight: float = 1.5
    level: float = 0.0
    frames: int = 0

    def __post_init__(self):
        if not 0 <= self.level <= 1 or self.frames < 0:
            raise InputError(f"a shown history has a level in [0, 1] and frames >= 0, not {self}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class HistoryGuidance(_Interval):
    """`D_0 + sum_i w_i (D(history i) - D_0)` (arXiv 2502.06764): `D_0` is shown no history. For frames with
    `logsnr` below `low` or above `high` it is `D` with all the history, as without guidance.

    Vanilla: one whole history with `w > 1`; temporal: histories of different lengths; fractional: a further
    one that is shown partly noised, which guides its coarse features only. A history at `tau = 1` is dropped:
    the network must have been trained with `HistoryDropout` or `IndependentTimes`.
    """

    histories: tuple[History, ...] = (History(),)

    def __post_init__(self):
        super().__post_init__()
        if not self.histories:
            raise InputError("history guidance wants at least one history to show")

    def check(self, window):
        longest = max(history.frames for history in self.histories)
        if window.context < max(1, longest):
            raise InputError(
                f"history guidance shows up to {max(1, longest)} frames of context and the window has"
                f" {window.context}: choose a window with more, or shorter histories"
            )

    def __call__(self, question, schedules):
        shown = [(1 - sum(h.weight for h in self.histories), History(level=1.0))]
        shown += [(history.weight, history) for history in self.histories]
        questions = [
            question._replace(
                weight=question.weight * self._where(question.logsnr, weight, 0.0),
                logsnr=self._clocks(history, question.logsnr, schedules),
            )
            for weight, history in shown
        ]
        if self.low == -math.inf and self.high == math.inf:
            return questions
        return [
            *questions,
            question._replace(weight=question.weight * self._where(question.logsnr, 0.0, 1.0)),
        ]

    def _clocks(self, history: History, logsnr: Clocks, schedules: Schedules) -> Clocks:
        """Context clocks at the history's level, or at the level at which they are anyway, if noisier."""
        slot = jnp.arange(schedules.window.size)[None]
        context = schedules.window.context
        kept = slot >= context - (history.frames or context)
        level = schedules.schedule.logsnr(jnp.where(kept, history.level, 1.0).astype(logsnr.dtype))
        return jnp.where(in_context(schedules.window, slot.shape), jnp.minimum(level, logsnr), logsnr)


def guided(
    denoiser: Denoiser,
    weak: Denoiser | None,
    guidance: Sequence[Guidance],
    schedules: Schedules,
    show: Callable,
) -> Denoiser:
    """The denoiser of a weighted sum; `show(z, logsnr)` diffuses the context to its clocks.

    All questions to one network are one call with a larger batch.
    """

    def ask(network, z, questions):
        batch = z.shape[0]
        frames = jnp.concatenate([show(z, q.logsnr) for q in questions])
        clocks = jnp.concatenate([jnp.broadcast_to(q.logsnr, z.shape[:2]) for q in questions])
        condition = joined([q.condition for q in questions])
        answers = network(frames, clocks, condition).reshape(len(questions), batch, *z.shape[1:])
        return sum(expand(q.weight, z) * x for q, x in zip(questions, answers, strict=True))

    def denoise(z, logsnr, condition):
        one = jnp.ones(jnp.shape(logsnr), z.dtype)
        questions = [Branch(one, logsnr, condition)]
        for part in guidance:
            questions = [new for old in questions for new in part(old, schedules)]
        strong = ask(denoiser, z, [q for q in questions if not q.weak])
        others = [q for q in questions if q.weak]
        if others and weak is None:
            raise InputError("autoguidance asks a weaker network and there is none here: leave it out")
        return strong + ask(weak, z, others) if others else strong

    return denoise
