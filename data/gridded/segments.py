"""Unbroken sequences cut from one long series of frames."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from rolling.data import calendar
from rolling.data.gridded.cadence import Cadence
from rolling.data.gridded.cubes import Cube
from rolling.data.source import SequencesBase
from rolling.layout import Layout


class FrameSeries(Protocol):
    """A long series of frames, with or without gaps."""

    def read(self, start: int, stop: int) -> np.ndarray:
        """`[stop - start, height, width, variable]` float32."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class FileFrames:
    """Frames that are read from their files on demand; channels are the levels of each cube in turn."""

    cubes: Sequence[Cube]

    def read(self, start: int, stop: int) -> np.ndarray:
        frames = self.raw(start, stop)
        frames[~np.isfinite(frames)] = np.nan
        return frames

    def raw(self, start: int, stop: int) -> np.ndarray:
        """With infinite values as they are."""
        index = np.arange(start, stop)
        return np.concatenate([cube.read(index) for cube in self.cubes], axis=-1)


@dataclasses.dataclass(frozen=True, eq=False)
class MemoryFrames:
    """Frames held in memory."""

    array: np.ndarray

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.array[start:stop].copy()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FrameSegments(SequencesBase):
    """The frames of each of `ranges` as a sequence; see `rolling.data.source.Sequences`."""

    layout: Layout
    mask: np.ndarray | None
    all_times: np.ndarray
    frames: FrameSeries
    ranges: tuple[range, ...]

    def __len__(self) -> int:
        return len(self.ranges)

    def length(self, index: int) -> int:
        return len(self.ranges[index])

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        run = self.ranges[index]
        if not 0 <= start <= stop <= len(run):
            raise IndexError(f"frames {start} to {stop} of a sequence of {len(run)}")
        frames = self.frames.read(run.start + start, run.start + stop)
        if self.mask is not None:
            frames[:, ~self.mask] = np.nan
        return frames

    def times(self, index: int, start: int, stop: int) -> np.ndarray:
        run = self.ranges[index]
        known = self.all_times[run.start : run.stop]
        if stop > len(run):
            later = calendar.after(self.layout, known, np.arange(1, stop - len(run) + 1))
            known = np.concatenate([known, later])
        return known[start:stop]


def series_of(frames: np.ndarray) -> list[np.ndarray]:
    """Sorted frames, one array for each series: see `rolling.data.gridded.cubes.Cube`."""
    ends = np.flatnonzero(frames["series"][1:] != frames["series"][:-1]) + 1
    return np.split(frames, ends)


def positions(frames: np.ndarray, cadence: Cadence) -> np.ndarray:
    """How many steps each frame lies after the first; there is a gap between two series."""
    found, first = [], 0
    for series in series_of(frames):
        found.append(first + cadence.positions(series["time"]))
        first = found[-1][-1] + 2
    return np.concatenate(found)


def unbroken(positions: np.ndarray, missing: np.ndarray) -> list[range]:
    """Runs of consecutive frames, none of them missing."""
    there = np.flatnonzero(~missing)
    breaks = np.flatnonzero(np.diff(positions[there]) != 1) + 1
    return [range(int(run[0]), int(run[-1]) + 1) for run in np.split(there, breaks) if len(run)]
