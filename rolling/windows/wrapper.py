"""Windows around another one."""

import dataclasses

from rolling.common.errors import InputError
from rolling.windows.protocol import Window, shows_history, training_frames
from rolling.windows.rolling import Rolling


class Wrapper:
    """Base of a window that behaves as `inner` does, but for what a subclass overrides."""

    inner: Window

    def check_clips(self) -> None:
        """Raises `InputError` where `inner` trains on clips of another size than its own."""
        if training_frames(self.inner) != self.inner.size:
            raise InputError(
                f"{type(self).__name__} cannot wrap a window that is trained on another one: put it inside,"
                " around `inner` and around `trained`"
            )

    @property
    def size(self) -> int:
        return self.inner.size

    @property
    def context(self) -> int:
        return self.inner.context

    @property
    def stride(self) -> int:
        return self.inner.stride

    def cycle(self, t):
        return self.inner.cycle(t)

    def warmup(self, t):
        return self.inner.warmup(t)

    def sample_times(self, key, batch):
        return self.inner.sample_times(key, batch)

    def shows(self, kept, level):
        return shows_history(self.inner, kept, level)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedOn(Wrapper):
    """The clocks of `inner`, for a network that is trained on those of `trained`, which may differ in size.

    FIFO diffusion (arXiv 2405.11473) rolls a queue longer than the clips that its network was trained on.
    """

    inner: Window = dataclasses.field(default_factory=Rolling)
    """The window of rollouts."""
    trained: Window = dataclasses.field(default_factory=Rolling)
    """The window of training."""

    def sample_times(self, key, batch):
        return self.trained.sample_times(key, batch)

    def shows(self, kept, level):
        return shows_history(self.trained, kept, level)
