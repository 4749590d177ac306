"""A window around another one."""

import dataclasses

from rolling.errors import InputError
from rolling.windows.rolling import Rolling
from rolling.windows.window import Window, training_frames


class Wrapper:
    """All that a window has, as `roll` has it: whoever extends it replaces what is to be different."""

    roll: Window

    def check_clips(self) -> None:
        """Raises `InputError` where `roll` trains on clips of another size than it rolls."""
        if training_frames(self.roll) != self.roll.size:
            raise InputError(
                f"{type(self).__name__} cannot stand around a window that is trained on another one: put it"
                " inside, around `roll` and around `trained`"
            )

    @property
    def size(self) -> int:
        return self.roll.size

    @property
    def context(self) -> int:
        return self.roll.context

    @property
    def stride(self) -> int:
        return self.roll.stride

    def cycle(self, t):
        return self.roll.cycle(t)

    def warmup(self, t):
        return self.roll.warmup(t)

    def sample_times(self, key, batch):
        return self.roll.sample_times(key, batch)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedOn(Wrapper):
    """The clocks of `roll` for a network that is trained on those of `trained`, of any size.

    FIFO diffusion (arXiv 2405.11473) rolls a queue longer than the clips that its network was trained on.
    """

    roll: Window = dataclasses.field(default_factory=Rolling)
    trained: Window = dataclasses.field(default_factory=Rolling)

    def sample_times(self, key, batch):
        return self.trained.sample_times(key, batch)
