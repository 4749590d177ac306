"""One variable of a data set: its frames in one or more files, each with its place there."""

import dataclasses
from collections import Counter

import numpy as np

from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.data.dates import calendar_of, show
from rolling.data.gridded.formats import frames_written
from rolling.data.gridded.parts import FilePart
from rolling.geometry import Axis


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Cube:
    """A variable at some levels and some `frames`; each frame has its part and its place in that part.

    `frames [n]` have the fields `series`, the member of an ensemble or the forecast to which a frame belongs
    ("" where there is one only), and `time`; they are sorted by series and then by time, and none is there
    twice.
    """

    name: str
    parts: tuple[FilePart, ...]
    frames: np.ndarray
    part: np.ndarray
    place: np.ndarray
    y: Axis
    x: Axis

    @classmethod
    def of(cls, name: str, parts: list[FilePart]) -> "Cube":
        """Concatenates parts along time, in the units and on the axes of the first.

        Raises `InputError` if they do not fit together.
        """
        first = parts[0]
        for part in parts[1:]:
            if calendar_of(part.times) != calendar_of(first.times):
                raise InputError(
                    f"{name} has another kind of times in {part.file} than in {first.file}, numbers or dates"
                    " of another calendar: use files of one kind"
                )
        y, x = first.y, first.x
        rest = [
            part.in_units(first.units, of=first.file).on(y, x, of=first.file).at_levels_of(first)
            for part in parts[1:]
        ]
        owner = np.repeat(np.arange(len(parts)), [len(part.times) for part in parts])
        place = np.concatenate([np.arange(len(part.times)) for part in parts])
        frames = _labelled(parts)
        order = np.lexsort((frames["time"], frames["series"]))
        frames, owner, place = frames[order], owner[order], place[order]
        twice = np.flatnonzero(frames[1:] == frames[:-1])
        if len(twice):
            i = int(twice[0])
            raise InputError(
                f"{name} has {counted(len(twice), 'frame')} twice, the first at {show(frames['time'][i])} in"
                f" {parts[owner[i]].file} and {parts[owner[i + 1]].file}: leave one of them out"
            )
        return cls(name=name, parts=(first, *rest), frames=frames, part=owner, place=place, y=y, x=x)

    def at(self, frames: np.ndarray) -> "Cube":
        """The same variable at some of its frames, sorted."""
        _, index, _ = np.intersect1d(self.frames, frames, assume_unique=True, return_indices=True)
        return dataclasses.replace(self, frames=frames, part=self.part[index], place=self.place[index])

    def on(self, y: Axis, x: Axis, *, of: str, crop: bool = False) -> "Cube":
        """With cells in the order of these axes of `of`: see `FilePart.on`."""
        parts = tuple(part.on(y, x, of=of, crop=crop) for part in self.parts)
        return dataclasses.replace(self, parts=parts, y=y, x=x)

    def in_units(self, units: str, *, of: str) -> "Cube":
        """In the units of `of`: see `FilePart.in_units`."""
        return dataclasses.replace(self, parts=tuple(part.in_units(units, of=of) for part in self.parts))

    def read(self, index: np.ndarray) -> np.ndarray:
        """Some of the frames, `[n, height, width, level]` float32."""
        part, place = self.part[index], self.place[index]
        frames = np.empty((len(index), *self.parts[0].shape), np.float32)
        for p in np.unique(part):
            frames[part == p] = self.parts[p].read(place[part == p])
        return frames

    def check_written(self) -> None:
        """Raises `InputError` if the last of `frames` were never written to their Zarr store."""
        for index, part in enumerate(self.parts):
            if len(part.dims.frames) != 1:
                continue
            count = frames_written(part.file, part.name, part.stored.index(part.dims.frames[0]))
            lost = (self.part == index) & (self.place >= count) if count is not None else np.zeros(0, bool)
            if lost.any():
                raise InputError(
                    f"{part.file} was not written to its end: {self.name} has nothing in the last"
                    f" {lost.sum()} of {len(lost)} frames, from {show(self.frames['time'][np.argmax(lost)])}"
                    " on; write them again, or choose an earlier --source.stop"
                )

    @property
    def levels(self) -> tuple[int, ...]:
        """The indices of the levels; () for a variable without levels."""
        return self.parts[0].levels

    @property
    def level_values(self) -> tuple[float | None, ...]:
        """The values of the levels; a single None for a variable with no levels or only one."""
        first = self.parts[0]
        if first.dims.level is None or first.array.sizes[first.dims.level] == 1:
            return (None,)
        return tuple(first.level_values[list(first.levels)].tolist())


def _labelled(parts: list[FilePart]) -> np.ndarray:
    """The series and the time of every frame of all parts.

    Members of an ensemble are series of their own. Forecasts are so only where they overlap: those that
    follow each other, such as accumulations of twelve hours twice a day, are one series.
    """
    times = np.concatenate([part.times for part in parts])
    series = np.concatenate([part.members for part in parts])
    if len(np.unique(series)) == 1:
        series = np.full(len(series), "")
    starts = [part.references for part in parts if part.references is not None]
    if len(starts) == len(parts) and max(Counter(zip(series, times.tolist(), strict=True)).values()) > 1:
        dates = np.concatenate(starts).astype("datetime64[s]").astype(str)
        series = np.char.add(np.char.add(series, "from "), dates)
    frames = np.empty(len(times), [("series", series.dtype), ("time", times.dtype)])
    frames["series"], frames["time"] = series, times
    return frames
