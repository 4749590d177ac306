"""A window over ticks, as a modality that has a frame at some of them only sees it."""

import dataclasses

from rolling.common.errors import InputError
from rolling.windows.protocol import SampledTimes, Window, shows_history
from rolling.windows.rolling import Rolling
from rolling.windows.wrapper import Wrapper


@dataclasses.dataclass(frozen=True, kw_only=True)
class Every(Wrapper):
    """`tau_j = tau^inner_{every (j + 1) - 1}`: of `every` ticks, the clock of the last one.

    Frame `j` belongs to the tick at the end of its interval, when it is fully known: the mean of six hours,
    or the field at six o'clock. Size, context and stride are those of `inner` divided by `every`, so that the
    hand-over of clocks and the warm-up are inherited. Raises `InputError` where it does not divide them.
    """

    inner: Window = dataclasses.field(default_factory=Rolling)
    """The window over ticks."""
    every: int = 1
    """Ticks from one frame to the next."""

    def __post_init__(self):
        self.check_clips()
        counts = (self.inner.size, self.inner.context, self.inner.stride)
        if self.every < 1 or any(count % self.every for count in counts):
            size, context, stride = counts
            raise InputError(
                f"a frame at every {self.every} ticks does not suit a window of {size} ticks with {context}"
                f" of context, of which {stride} are finished at a time: choose whole multiples of"
                f" {max(self.every, 1)}"
            )

    @property
    def size(self) -> int:
        return self.inner.size // self.every

    @property
    def context(self) -> int:
        return self.inner.context // self.every

    @property
    def stride(self) -> int:
        return self.inner.stride // self.every

    def _own(self, ticks):
        return ticks[..., self.every - 1 :: self.every]

    def cycle(self, t):
        return self._own(self.inner.cycle(t))

    def warmup(self, t):
        return self._own(self.inner.warmup(t))

    def sample_times(self, key, batch):
        tau, rate = self.inner.sample_times(key, batch)
        return SampledTimes(self._own(tau), self._own(rate))

    def shows(self, kept, level):
        return shows_history(self.inner, kept * self.every, level)
