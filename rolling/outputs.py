"""The protocol of what a run leaves to be looked at, beside its report: files of moving or still pictures."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from rolling.fields import Layout


class Frames(Protocol):
    """Frames of one sequence, in physical units, read where they are asked for; an array is one, too."""

    def __len__(self) -> int:
        """How many frames."""

    def __getitem__(self, span: slice) -> np.ndarray:
        """`[n, height, width, variable]`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shown:
    """One forecast beside its truth: all that is known of it, however long, without holding it in memory.

    `given [n, height, width, variable]`, the frames before the forecast; `forecast`, one for each member, of
    the same length; `truth` may be shorter, where the sequence ends before the forecast. `name` is fit for a
    file's name.
    """

    name: str
    layout: Layout
    given: np.ndarray
    truth: Frames
    forecast: Sequence[Frames]

    @property
    def leads(self) -> int:
        return len(self.forecast[0])


@runtime_checkable
class Output(Protocol):
    """What an experiment names to have its forecasts written in some format."""

    starts: int
    """How many forecasts it is given, evenly chosen among those that there are; 0: all of them."""

    def check(self, layout: Layout) -> None:
        """Raises `InputError` where such frames cannot be written, or a library is missing."""

    def write(self, shown: Sequence[Shown], folder: Path) -> list[Path]:
        """Writes one file, or several, atomically, into a folder that exists; returns their paths."""
