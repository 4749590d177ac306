"""Old frames beside the window: at a few fixed ages, out of a memory that does not grow with a rollout."""

import dataclasses
import itertools
from typing import TYPE_CHECKING

import einops
import jax.numpy as jnp
from jaxtyping import Array, Float

from rolling.array_types import ContextFrames, Frames, PastFrames
from rolling.common.errors import InputError
from rolling.windows import Window, check_share, training_frames

if TYPE_CHECKING:
    from rolling.sampling.recipe import Sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory:
    """Sparse context: for a window whose newest frame of context is frame `m`, the network is shown the
    frames `m - a`, `a` in `ages`, as more channels of its input (`Condition.memory`, youngest first).

    What returns after it has left the context (something hidden for a while, a period, the look of a place)
    is then known at the cost of a few channels. FramePack (Zhang and Agrawala, arXiv 2504.12626) shows old
    frames the more coarsely the older they are; here there are fewer of them. They are shown clean, whatever
    noise the context is shown with, and to every branch of a guidance.

    A rollout keeps the last `max(ages) + 1 - context` frames that have left its window, in its carry. The
    earliest given frame stands in for frames before it, and in training the first frame of the clip's
    sequence. As clips that lie so early are rare where sequences are long, in a share `start_share` of them a
    sequence is taken to begin where its clip does, or up to the oldest of these frames before.

    Raises `InputError` for ages that are not in order or lie in the context, for a rollout that is given
    nothing, and where the network sees another window than the one that is rolled.
    """

    ages: tuple[int, ...] = ()
    """Ages of the old frames, in frames before the newest one of the context, rising; none: no old frames."""
    start_share: float = 0.1
    """Share of the training clips whose past begins late, as that of a rollout does."""

    def __post_init__(self):
        pairs = itertools.pairwise((-1, *self.ages))
        if any(older <= younger for younger, older in pairs):
            raise InputError(
                f"memory.ages are whole numbers of frames, from 0 on and rising, not {self.ages}: give them"
                " from the youngest to the oldest, each once"
            )
        check_share("memory.start_share", self.start_share)

    def check(self, sampling: "Sampling") -> None:
        """Raises `InputError` for a way of sampling that it does not suit."""
        if not self.ages:
            return
        window = sampling.window
        if self.ages[0] < window.context:
            raise InputError(
                f"a frame of age {self.ages[0]} lies in the context of this window, {window.context} frames:"
                f" choose --memory.ages from {window.context} on, or a window with less context"
            )
        if sampling.given_frames < 1:
            raise InputError(
                "a memory begins with the frames that a rollout is given, and this one is given none: choose"
                " a window with context, or --start.past 1"
            )
        if sampling.partition.frames(window) != window.size or training_frames(window) != window.size:
            raise InputError(
                "ages count from the context of the window that the network is trained on, and it is shown"
                " another than the one that is rolled: choose --partition whole and a window that is trained"
                " on its own size, or no --memory.ages"
            )

    def before(self, window: Window) -> tuple[int, ...]:
        """How many frames each of the old ones lies before the first of the window."""
        return tuple(age + 1 - window.context for age in self.ages)

    def frames(self, window: Window) -> int:
        """How many frames before the window are kept."""
        return max(self.before(window), default=0)

    def begun(self, past: ContextFrames | None, x: Frames, window: Window) -> PastFrames | None:
        """The frames before a window that holds the clean frames `x`: the last ones of `past`, if any. The
        earliest that is known stands in for older ones."""
        count = self.frames(window)
        if not count:
            return None
        known = x[:, :1] if past is None or not past.shape[1] else past[:, -count:]
        missing = jnp.repeat(known[:, :1], count - known.shape[1], axis=1)
        return jnp.concatenate([missing, known], axis=1)

    def moved(self, kept: PastFrames | None, leaving: Frames) -> PastFrames | None:
        """The frames before the window after those that are `leaving` it."""
        return None if kept is None else jnp.concatenate([kept, leaving], axis=1)[:, -kept.shape[1] :]

    def shown(self, kept: PastFrames | None) -> Float[Array, "batch *space memory"] | None:
        """What the network sees of the frames before the window."""
        if kept is None:
            return None
        slots = [self.ages[-1] - age for age in self.ages]
        return einops.rearrange(kept[:, jnp.asarray(slots)], "b t ... c -> b ... (t c)")
