"""Sequences that already are arrays: in memory, or mapped from a file."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from rolling.common.errors import InputError
from rolling.data import calendar
from rolling.data.source import SequencesBase
from rolling.layout import Layout


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Arrays(SequencesBase):
    """One array `[time, *space, variable]` per sequence, in physical units.

    `origins` are the times of the first frames, `datetime64` or numbers like the layout's time; without them
    sequences begin at 0, which is allowed only without a calendar. `mask` is as in `Sequences`.
    """

    layout: Layout
    frames: Sequence[np.ndarray]
    origins: np.ndarray | None = None
    mask: np.ndarray | None = None

    def __post_init__(self):
        for index, array in enumerate(self.frames):
            if array.shape[1:] != self.layout.shape:
                raise InputError(
                    f"sequence {index} has frames of shape {array.shape[1:]}, but the layout says"
                    f" {self.layout.shape} (cells along each axis, variable)"
                )
        if self.origins is None and self.layout.has_calendar:
            raise InputError("sequences with a calendar need origins, the time of each one's first frame")

    @property
    def from_start(self) -> bool:
        """See `rolling.data.source.Counting`."""
        return self.origins is None

    def __len__(self) -> int:
        return len(self.frames)

    def length(self, index: int) -> int:
        return len(self.frames[index])

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        return np.array(self.frames[index][start:stop], np.float32)

    def times(self, index: int, start: int, stop: int) -> np.ndarray:
        origins = np.zeros(len(self)) if self.origins is None else np.asarray(self.origins)
        origins = origins.astype("datetime64[ns]" if origins.dtype.kind == "M" else origins.dtype)
        return calendar.after(self.layout, origins[index : index + 1], np.arange(start, stop))
