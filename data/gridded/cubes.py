"""One variable of a data set: its frames in one or more files, each with its place there."""

import dataclasses

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.gridded import axes
from rolling.data.gridded.cadence import show
from rolling.data.gridded.formats import explained, frames_written
from rolling.fields import Axis


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FilePart:
    """An array of one file as `[*time, level, y, x]`; `times [n]` runs over the flattened time dimensions."""

    file: str
    array: xr.DataArray
    dims: axes.Dimensions
    times: np.ndarray
    stored: tuple[str, ...]
    """The order of the dimensions in the file."""

    @property
    def name(self) -> str:
        return str(self.array.name)

    @classmethod
    def of(cls, file: str, array: xr.DataArray, time: str = "") -> "FilePart":
        """Raises `InputError` if the array is not a sequence of fields."""
        where = f"variable {array.name} of {file}"
        dims = axes.find_dimensions(array, where, time)
        times = axes.times_of(array, dims, where).ravel()
        if np.isnat(times).any() if times.dtype.kind == "M" else np.isnan(times).any():
            raise InputError(f"{where} has frames without a time: leave them out of the file")
        stored = tuple(str(d) for d in array.dims)
        keep = (*dims.time, *([dims.level] if dims.level else []), dims.y, dims.x)
        array = array.isel({str(d): 0 for d in array.dims if d not in keep}).transpose(*keep)
        return cls(file=file, array=array, dims=dims, times=times, stored=stored)

    def read(self, places: np.ndarray, levels: tuple[int, ...]) -> np.ndarray:
        """Frames at `places` of `times`, `[n, height, width, level]` float32."""
        shape = [self.array.sizes[name] for name in self.dims.time]
        found = np.unravel_index(places, shape)
        chosen = {
            name: _slice(index) if len(shape) == 1 else xr.DataArray(index, dims="frame")
            for name, index in zip(self.dims.time, found, strict=True)
        }
        with explained(self.file, "read"):
            array = self.array.isel(chosen)
            if self.dims.level is None:
                return array.values.astype(np.float32)[..., None]
            return np.moveaxis(array.isel({self.dims.level: list(levels)}).values.astype(np.float32), 1, -1)


def _slice(places: np.ndarray):
    """A slice if places are evenly spaced: files are read faster that way."""
    if len(places) == 1:
        return slice(int(places[0]), int(places[0]) + 1)
    steps = np.diff(places)
    if (steps == steps[0]).all() and steps[0] > 0:
        return slice(int(places[0]), int(places[-1]) + 1, int(steps[0]))
    return places


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Cube:
    """A variable at some levels and increasing `times`; each time has its part and its place in that part."""

    name: str
    parts: tuple[FilePart, ...]
    times: np.ndarray
    part: np.ndarray
    place: np.ndarray
    levels: tuple[int, ...]
    y: Axis
    x: Axis

    @classmethod
    def of(cls, name: str, parts: list[FilePart], levels: tuple[float, ...]) -> "Cube":
        """Concatenates parts along time. Raises `InputError` if they do not fit together."""
        first = parts[0]
        where = f"variable {name} of {first.file}"
        y = axes.horizontal_axis(first.array, first.dims.y, axes.Y, where)
        x = axes.horizontal_axis(first.array, first.dims.x, axes.X, where)
        for part in parts[1:]:
            other = f"variable {name} of {part.file}"
            if (
                axes.horizontal_axis(part.array, part.dims.y, axes.Y, other) != y
                or axes.horizontal_axis(part.array, part.dims.x, axes.X, other) != x
                or part.times.dtype != first.times.dtype
            ):
                raise InputError(
                    f"{name} has other axes in {part.file} than in {first.file}: use files of one grid and"
                    " one kind of time"
                )
        times = np.concatenate([part.times for part in parts])
        owner = np.repeat(np.arange(len(parts)), [len(part.times) for part in parts])
        place = np.concatenate([np.arange(len(part.times)) for part in parts])
        order = np.argsort(times, kind="stable")
        times, owner, place = times[order], owner[order], place[order]
        twice = np.flatnonzero(times[1:] == times[:-1])
        if len(twice):
            i = int(twice[0])
            raise InputError(
                f"{name} has {len(twice)} frames twice, the first at {show(times[i])} in"
                f" {parts[owner[i]].file} and {parts[owner[i + 1]].file}: leave one of them out"
            )
        chosen = _levels(name, first, levels)
        return cls(
            name=name, parts=tuple(parts), times=times, part=owner, place=place, levels=chosen, y=y, x=x
        )

    def at(self, times: np.ndarray) -> "Cube":
        """The same variable at some of its times."""
        index = np.searchsorted(self.times, times)
        return dataclasses.replace(self, times=times, part=self.part[index], place=self.place[index])

    def read(self, index: np.ndarray) -> np.ndarray:
        """Frames of some of `times`, `[n, height, width, level]` float32, infinite values as NaN."""
        part, place = self.part[index], self.place[index]
        shape = (len(index), len(self.y), len(self.x), len(self.levels) or 1)
        frames = np.empty(shape, np.float32)
        for p in np.unique(part):
            frames[part == p] = self.parts[p].read(place[part == p], self.levels)
        frames[~np.isfinite(frames)] = np.nan
        return frames

    def check_written(self) -> None:
        """Raises `InputError` if the last of `times` were never written to their Zarr store."""
        for index, part in enumerate(self.parts):
            if len(part.dims.time) != 1:
                continue
            count = frames_written(part.file, part.name, part.stored.index(part.dims.time[0]))
            lost = (self.part == index) & (self.place >= count) if count is not None else np.zeros(0, bool)
            if lost.any():
                raise InputError(
                    f"{part.file} was not written to its end: {self.name} has nothing in the last"
                    f" {lost.sum()} of {len(lost)} frames, from {show(self.times[np.argmax(lost)])} on; write"
                    " them again, or choose an earlier --source.stop"
                )

    @property
    def level_values(self) -> tuple[float | None, ...]:
        """The values of the levels; a single None for a variable with no levels or only one."""
        first = self.parts[0]
        if first.dims.level is None or first.array.sizes[first.dims.level] == 1:
            return (None,)
        return tuple(_level_values(first)[list(self.levels)].tolist())

    @property
    def level_units(self) -> str:
        first = self.parts[0]
        return str(axes.attributes_of(first.array, first.dims.level or "").get("units", ""))


def _level_values(part: FilePart) -> np.ndarray:
    name = part.dims.level
    if name not in part.array.coords:
        return np.arange(float(part.array.sizes[name]))
    return axes.decimals(part.array.coords[name].values)


def _levels(name: str, part: FilePart, chosen: tuple[float, ...]) -> tuple[int, ...]:
    """The indices of the chosen levels, all if none is chosen; () for a variable without levels."""
    if part.dims.level is None:
        return ()
    values = _level_values(part)
    if not chosen or len(values) == 1:
        return tuple(range(len(values)))
    found = []
    for level in chosen:
        near = int(np.argmin(np.abs(values - level)))
        if not np.isclose(values[near], level, rtol=1e-4):
            shown = ", ".join(f"{value:g}" for value in values)
            raise InputError(f"{name} of {part.file} has no level {level:g}: choose from {shown}")
        found.append(near)
    return tuple(found)
