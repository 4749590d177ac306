"""Guidance: a weighted sum of the network's outputs for several versions of one input, in one batched call.

A guidance turns one branch into a few with weights that sum to 1; several of them compose, as each applies to
all the branches that the ones before it made. Weights belong to frames: a guidance may act on some noise
levels only.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Key

from rolling.array_types import Clocks, Frames
from rolling.common.errors import InputError
from rolling.denoisers import Condition, Denoiser, joined
from rolling.layout import Layout
from rolling.noise import NoiseSchedule, expand
from rolling.windows import Window, in_context, shows_history


class Branch(NamedTuple):
    """One input of the network, and how much its output counts for each frame."""

    weight: Clocks
    logsnr: Clocks
    """The context's clocks, too: it is diffused to whatever level it is labelled with."""
    condition: Condition
    weak: bool = False
    """Of the weaker network."""


FirstGuess = Callable[[Frames, int, Key[Array, " batch"], Condition], Frames]
"""`(given, frames, key, condition)` to the frames that follow; the condition is that of the given frames and
of those after them."""


class Denoisers(NamedTuple):
    """A network's, for autoguidance a weaker one's, the forecast with which a rollout begins, and what the
    values of the frames stand for, which constraints need."""

    strong: Denoiser
    weak: Denoiser | None = None
    guess: FirstGuess | None = None
    units: Any = None
    """`Units`, of several modalities `JointUnits`, or None."""


class Schedules(NamedTuple):
    window: Window
    schedule: NoiseSchedule


@runtime_checkable
class Guidance(Protocol):
    @property
    def weak(self) -> str:
        """The folder of the run of a weaker network that it needs; empty where it needs none."""
        ...

    @property
    def noises_context(self) -> bool:
        """Whether it shows the network the context with noise."""
        ...

    def check(self, window: Window, layout: Layout | None = None) -> None:
        """Raises `InputError` for a window, or for data where a layout is given, that it does not suit."""

    def check_trained(self, window: Window, drop_condition: float) -> None:
        """Raises `InputError` where it asks the network what training never shows it, on the times of
        `window` and with the share `drop_condition` of clips without label and tokens."""

    def __call__(self, branch: Branch, schedules: Schedules) -> list[Branch]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Interval:
    """Acts where `low <= logsnr <= high`: a guidance interval (arXiv 2404.07724), frame by frame."""

    weak = ""
    noises_context = False
    low: float = -math.inf
    """Lowest logsnr at which it acts."""
    high: float = math.inf
    """Highest logsnr at which it acts."""

    def __post_init__(self):
        if not self.low < self.high:
            raise InputError(f"guidance acts for low <= logsnr <= high: {self.low} is not below {self.high}")

    def check_trained(self, window, drop_condition):
        pass

    def _where(self, logsnr: Clocks, inside: float, outside: float) -> Clocks:
        acts = (logsnr >= self.low) & (logsnr <= self.high)
        return jnp.where(acts, jnp.asarray(inside, logsnr.dtype), outside)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Scaled(_Interval):
    """`scale` in the interval, and 1, which changes nothing, elsewhere."""

    scale: float = 1.5
    """The weight `w`; 1 changes nothing."""

    def check(self, window, layout=None):
        pass

    def _weigh(self, branch: Branch, other: Branch) -> list[Branch]:
        weight = self._where(branch.logsnr, self.scale, 1.0)
        return [
            branch._replace(weight=branch.weight * weight),
            other._replace(weight=branch.weight * (1 - weight)),
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierFree(_Scaled):
    """`D_u + w (D_c - D_u)` (arXiv 2207.12598): `D_u` is not conditioned on label and tokens.

    The network must have been trained to do without them at times: `training.drop_condition`.
    """

    def check(self, window, layout=None):
        if layout is not None and not layout.labels and not layout.tokens:
            raise InputError(
                "classifier-free guidance needs labels or tokens, and these data have none: leave it out,"
                " with --guidance none"
            )

    def check_trained(self, window, drop_condition):
        if not drop_condition:
            raise InputError(
                "classifier-free guidance asks the network what it makes of frames without their label and"
                " tokens, and this one is never trained to do without them: train it with"
                " --training.drop-condition 0.1, or leave the guidance out with --guidance none"
            )

    def __call__(self, branch, schedules):
        return self._weigh(branch, branch._replace(condition=branch.condition.dropped()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Autoguidance(_Scaled):
    """`D_weak + w (D - D_weak)` (arXiv 2406.02507): `weak` is the folder of a run of a smaller network, or of
    one that was trained for less time, on the same data."""

    weak: str = ""
    """The folder of the run of the weaker network."""

    def check(self, window, layout=None):
        if not self.weak:
            raise InputError(
                "autoguidance needs the folder of a run of a weaker network: give --guidance.0.weak runs/NAME"
            )

    def __call__(self, branch, schedules):
        return self._weigh(branch, branch._replace(weak=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class History:
    """A version of the context: its last `frames` frames (0: all) at local time `level`, others dropped."""

    weight: float = 1.5
    """The weight `w_i`; 1 changes nothing for one whole history."""
    level: float = 0.0
    """Local time at which the frames are shown: 0 clean, 1 pure noise."""
    frames: int = 0
    """How many of the last frames of the context are shown; 0 for all."""

    def __post_init__(self):
        if not 0 <= self.level <= 1 or self.frames < 0:
            raise InputError(f"a shown history has a level in [0, 1] and frames >= 0, not {self}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class HistoryGuidance(_Interval):
    """`D_0 + sum_i w_i (D(history i) - D_0)` (arXiv 2502.06764): `D_0` is shown no history. For frames with
    `logsnr` below `low` or above `high` it is `D` with all the history, as without guidance.

    Vanilla: one whole history with `w > 1`; temporal: histories of different lengths; fractional: a further
    one that is shown partly noised, which guides its coarse features only. A history at `tau = 1` is dropped:
    the network must have been trained with `HistoryDropout` (its `front` for histories of different lengths,
    its `noise` for fractional ones) or `IndependentTimes`.
    """

    noises_context = True
    histories: tuple[History, ...] = (History(),)
    """The versions of the context that guide, each with its weight."""

    def __post_init__(self):
        super().__post_init__()
        if not self.histories:
            raise InputError("history guidance needs at least one history to show")

    def check(self, window, layout=None):
        longest = max(history.frames for history in self.histories)
        if window.context < max(1, longest):
            raise InputError(
                f"history guidance shows up to {max(1, longest)} frames of context and the window has"
                f" {window.context}: choose a window with more, or shorter histories"
            )

    def check_trained(self, window, drop_condition):
        shown = {(h.frames or window.context, h.level) for h in self.histories if h.level < 1}
        for kept, level in sorted({(0, 0.0), *shown}):
            if not shows_history(window, kept, level):
                what = f"the last {kept} frames of its context" if kept else "no context"
                raise InputError(
                    f"history guidance asks the network what it makes of {what}"
                    f"{f' at level {level:g}' if level else ''}, and this one is never trained on that: train"
                    " it with --window history_dropout (window.front for the last frames alone, window.noise"
                    " for levels above 0), or leave the guidance out with --guidance none"
                )

    def __call__(self, branch, schedules):
        shown = [(1 - sum(h.weight for h in self.histories), History(level=1.0))]
        shown += [(history.weight, history) for history in self.histories]
        branches = [
            branch._replace(
                weight=branch.weight * self._where(branch.logsnr, weight, 0.0),
                logsnr=self._clocks(history, branch.logsnr, schedules),
            )
            for weight, history in shown
        ]
        if self.low == -math.inf and self.high == math.inf:
            return branches
        return [
            *branches,
            branch._replace(weight=branch.weight * self._where(branch.logsnr, 0.0, 1.0)),
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

    All branches of one network are one call with a larger batch.
    """

    def weighted(network, z, branches):
        batch = z.shape[0]
        frames = jnp.concatenate([show(z, b.logsnr) for b in branches])
        clocks = jnp.concatenate([jnp.broadcast_to(b.logsnr, z.shape[:2]) for b in branches])
        condition = joined([b.condition for b in branches])
        outputs = network(frames, clocks, condition).reshape(len(branches), batch, *z.shape[1:])
        parts = (expand(b.weight, z) * x for b, x in zip(branches, outputs, strict=True))
        return cast(Frames, sum(parts))

    def denoise(z, logsnr, condition):
        one = jnp.ones(jnp.shape(logsnr), z.dtype)
        branches = [Branch(one, logsnr, condition)]
        for part in guidance:
            branches = [new for old in branches for new in part(old, schedules)]
        strong = weighted(denoiser, z, [b for b in branches if not b.weak])
        others = [b for b in branches if b.weak]
        if others and weak is None:
            raise InputError("autoguidance needs a weaker network and there is none here: leave it out")
        return strong + weighted(weak, z, others) if others else strong

    return denoise
