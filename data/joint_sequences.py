"""Sequences of several modalities, which begin together."""

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np

from rolling.data.source import Sequences, has_gaps, present
from rolling.joint_layout import JointLayout, NamedLayout


@dataclasses.dataclass(frozen=True, eq=False)
class JointSequences:
    """Sequence `i` of each part covers the same time: its first frame ends where the first slot has as many
    ticks.

    As `rolling.data.source.Sequences`, with ticks for frames, and what is said of frames as dicts by
    modality. Lengths are whole slots; so are the ticks from which, and up to which, something is read.
    """

    parts: dict[str, Sequences]

    @cached_property
    def layout(self) -> JointLayout:
        named = (NamedLayout(name=name, layout=part.layout) for name, part in self.parts.items())
        return JointLayout(modalities=tuple(named))

    @property
    def mask(self) -> dict[str, np.ndarray | None]:
        return {name: part.mask for name, part in self.parts.items()}

    def __len__(self) -> int:
        return min(len(part) for part in self.parts.values())

    def length(self, index: int) -> int:
        """Ticks of whole slots."""
        every, slot = self.layout.every, self.layout.slot
        ticks = min(part.length(index) * every[name] for name, part in self.parts.items())
        return ticks // slot * slot

    def read(self, index: int, start: int, stop: int) -> dict[str, np.ndarray]:
        return self._each("read", index, start, stop)

    def times(self, index: int, start: int, stop: int) -> dict[str, np.ndarray]:
        return self._each("times", index, start, stop)

    def conditioning(self, index: int, start: int, stop: int) -> dict[str, Any]:
        return self._each("conditioning", index, start, stop)

    @cached_property
    def with_gaps(self) -> tuple[str, ...]:
        """The modalities of which some frames are missing, see `rolling.data.source.WithGaps`."""
        return tuple(name for name, part in self.parts.items() if has_gaps(part))

    def present(self, index: int, start: int, stop: int) -> dict[str, np.ndarray]:
        """Of each modality with gaps `[time]`: which frames are there."""
        every = self.layout.every
        return {
            name: present(self.parts[name], index, start // every[name], stop // every[name])
            for name in self.with_gaps
        }

    def name(self, index: int) -> str:
        names = (part.name(index) for part in self.parts.values())
        return next((name for name in names if name), "")

    def _each(self, what: str, index: int, start: int, stop: int) -> dict[str, Any]:
        every = self.layout.every
        return {
            name: getattr(part, what)(index, start // every[name], stop // every[name])
            for name, part in self.parts.items()
        }
