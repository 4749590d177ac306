"""The protocol of an output: files of moving or still pictures that a run writes beside its report."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from rolling.layout import Layout

TRUTH, MEMBER = "truth", "member"
"""What the names of single rollouts end with: `start-1-truth`, `start-1-member-2`."""


class Frames(Protocol):
    """Frames of one sequence, in physical units, read on demand; an array will do."""

    def __len__(self) -> int:
        """The number of frames."""
        ...

    def __getitem__(self, span: slice) -> np.ndarray:
        """`[n, *space, variable]`."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shown:
    """One forecast beside its truth, of any length, without holding it in memory.

    `given [n, *space, variable]` are the frames before the forecast; `forecast` has one entry per
    member, all of one length; `truth` is shorter where the sequence ends before the forecast. `name` can be
    part of a file name. `sound` is the same forecast in a modality that can be heard
    (`rolling.sound.audible`), where there is one.
    """

    name: str
    layout: Layout
    given: np.ndarray
    truth: Frames
    forecast: Sequence[Frames]
    sound: "Shown | None" = None
    title: str = "Forecast"
    """Of a single member."""

    @property
    def leads(self) -> int:
        return len(self.forecast[0])

    def alone(self) -> "dict[str, Shown]":
        """The truth, if there is some, and each member, by themselves, with their own sound."""
        known = {TRUTH: self.truth} if len(self.truth) else {}
        made = {f"{MEMBER}-{i + 1}": member for i, member in enumerate(self.forecast)}
        sounds = self.sound.alone() if self.sound else {}
        return {
            name: dataclasses.replace(
                self,
                name=f"{self.name}-{name}",
                title=name.replace("-", " ").capitalize(),
                truth=frames[:0],
                forecast=(frames,),
                sound=sounds.get(name),
            )
            for name, frames in (known | made).items()
        }


@runtime_checkable
class Output(Protocol):
    """A format in which an experiment has its forecasts written."""

    @property
    def starts(self) -> int:
        """How many forecasts it is given, evenly chosen among all; 0: all of them."""
        ...

    def check(self, layout: Layout) -> None:
        """Raises `InputError` where such frames cannot be written or a library is missing."""

    def write(self, shown: Sequence[Shown], folder: Path) -> list[Path]:
        """Writes one or more files, atomically, into an existing folder and returns their paths."""
        ...
