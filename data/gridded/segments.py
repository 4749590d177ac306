"""Unbroken sequences cut from one long series of frames, and where that series has missing values."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from rolling.common.errors import InputError
from rolling.common.progress import Progress
from rolling.data.gridded.cadence import Cadence, show
from rolling.data.gridded.cubes import Cube
from rolling.data.source import SequencesBase
from rolling.fields import Layout

BLOCK_VALUES = 2**24  # values read at a time: 64 MiB


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
        index = np.arange(start, stop)
        return np.concatenate([cube.read(index) for cube in self.cubes], axis=-1)


@dataclasses.dataclass(frozen=True, eq=False)
class MemoryFrames:
    """Frames held in memory."""

    array: np.ndarray

    @classmethod
    def of(cls, frames: FrameSeries, layout: Layout, count: int, label: str) -> "MemoryFrames":
        array = np.empty((count, *layout.shape), np.float32)
        for start, stop in _blocks(count, layout, label):
            array[start:stop] = frames.read(start, stop)
        return cls(array)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.array[start:stop].copy()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FrameSegments(SequencesBase):
    """The frames of each of `ranges` as a sequence; see `rolling.data.source.Sequences`."""

    layout: Layout
    mask: np.ndarray | None
    cadence: Cadence
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
            known = np.concatenate([known, self.cadence.after(known[-1], stop - len(run))])
        return known[start:stop]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class NanCounts:
    """The number of NaN cells in each frame, `frames [N, variable]`, and of NaN frames in each cell, `cells
    [height, width, variable]`."""

    frames: np.ndarray
    cells: np.ndarray

    @classmethod
    def of(cls, frames: FrameSeries, layout: Layout, count: int, label: str = "") -> "NanCounts":
        """Reads every frame once; shows progress if there is a label."""
        per_frame = np.zeros((count, layout.shape[2]), np.int64)
        per_cell = np.zeros(layout.shape, np.int64)
        for start, stop in _blocks(count, layout, label):
            gone = np.isnan(frames.read(start, stop))
            per_frame[start:stop] = gone.sum((1, 2))
            per_cell += gone.sum(0)
        return cls(frames=per_frame, cells=per_cell)

    def save(self, folder: Path) -> None:
        for name, array in vars(self).items():
            np.save(folder / f"{name}.npy", array)

    @classmethod
    def load(cls, folder: Path) -> "NanCounts":
        return cls(**{name: np.load(folder / f"{name}.npy") for name in ("frames", "cells")})


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MissingData:
    """`missing [N]`: frames wholly NaN in some channel; `mask`: see `rolling.data.source.Sequences`."""

    missing: np.ndarray
    mask: np.ndarray | None


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


def find_missing(
    counts: NanCounts, layout: Layout, times: np.ndarray, path: str, mask_moving: bool
) -> MissingData:
    """Distinguishes missing frames from masked cells.

    A cell of a channel is masked if it is NaN in all of the channel's frames that are not missing. Raises
    `InputError` for a channel without data, and for cells that are NaN in only some frames, unless
    `mask_moving` masks them too.
    """
    missing = counts.frames == np.prod(layout.shape[:2])
    there = len(times) - missing.sum(0)
    if not there.all():
        raise InputError(
            f"{layout.names[int(np.argmin(there))]} of {path} is NaN everywhere in the chosen time range:"
            " leave it out of --source.variables"
        )
    lost = counts.cells - missing.sum(0)
    never, sometimes = lost == there, (lost > 0) & (lost < there)
    if sometimes.any() and not mask_moving:
        raise InputError(_moving(layout, times, path, counts.frames, missing, never, sometimes))
    mask = ~(never | sometimes)
    empty = ~mask.any((0, 1))
    if empty.any():
        raise InputError(
            f"every cell of {layout.names[int(np.argmax(empty))]} of {path} is NaN in some frame, so that"
            " masking leaves none: leave the variable out, or fill its gaps first"
        )
    return MissingData(missing=missing.any(1), mask=None if mask.all() else mask)


def _moving(layout, times, path, per_frame, missing, never, sometimes) -> str:
    channel = int(np.argmax(sometimes.any((0, 1))))
    more = (per_frame[:, channel] > never[..., channel].sum()) & ~missing[:, channel]
    first = int(np.argmax(more))
    return (
        f"{layout.names[channel]} of {path} has NaN that comes and goes:"
        f" {sometimes[..., channel].sum()} cell(s) are NaN in {more.sum()} of {len(times)} frames but not in"
        f" others, first at {show(times[first])}; fill them, or mask such cells throughout with"
        " --source.mask-moving"
    )


def _blocks(count: int, layout: Layout, label: str) -> Iterator[tuple[int, int]]:
    size = max(1, BLOCK_VALUES // int(np.prod(layout.shape)))
    with Progress(label, total=count, unit="frame") if label else contextlib.nullcontext() as progress:
        for start in range(0, count, size):
            stop = min(start + size, count)
            yield start, stop
            if progress is not None:
                progress.update(stop - start)
