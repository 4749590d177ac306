"""What is chosen from open files: variables at levels, all on one grid and at the times that they share."""

import dataclasses
from difflib import get_close_matches

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.dates import calendar_of
from rolling.data.gridded.bounds import bounds_of
from rolling.data.gridded.cubes import Cube
from rolling.data.gridded.parts import FilePart

Files = list[tuple[str, xr.Dataset]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection:
    """The variables `names`, all fields if there are none, at `levels`; `time` names the time axis if it
    would not be recognised, and `missing` are values that stand for missing ones. `where` is what an error
    calls the files."""

    where: str
    names: tuple[str, ...] = ()
    levels: tuple[float, ...] = ()
    time: str = ""
    missing: tuple[float, ...] = ()

    def cubes(self, files: Files) -> list[Cube]:
        """One per variable, on the grid of the first. Raises `InputError` for what does not fit together."""
        cubes = [self.cube(files, name) for name in self.names or _fields(files, self.time)]
        if self.levels and not any(cube.levels for cube in cubes):
            raise InputError(f"{self.where} has no levels to choose from: leave --source.levels out")
        first = cubes[0]
        for cube in cubes[1:]:
            if calendar_of(cube.frames["time"]) != calendar_of(first.frames["time"]):
                raise InputError(
                    f"{first.name} and {cube.name} of {self.where} have different axes of time, dates and"
                    " numbers: choose variables of one of them with --source.variables"
                )
        try:
            return [first, *(cube.on(first.y, first.x, of=f"variable {first.name}") for cube in cubes[1:])]
        except InputError as error:
            raise InputError(f"{error}, or choose variables of one grid with --source.variables") from error

    def cube(self, files: Files, name: str) -> Cube:
        known = sorted({str(name) for _, dataset in files for name in dataset.data_vars})
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f", perhaps {near[0]!r}" if near else ""
            raise InputError(
                f"{self.where} has no variable {name!r}{hint}: choose from {', '.join(known) or 'none'}"
            )
        return Cube.of(name, [self._part(file, dataset, name) for file, dataset in files if name in dataset])

    def _part(self, file: str, dataset: xr.Dataset, name: str) -> FilePart:
        array = _mapped(dataset, field(dataset, name, self.time))
        bounds = bounds_of(file, dataset, array)
        return FilePart.of(file, array, self.time, self.missing, bounds).at(self.levels)


def _mapped(dataset: xr.Dataset, array: xr.DataArray) -> xr.DataArray:
    """A variable, with the grid mapping that it names among its coordinates."""
    mapping = array.attrs.get("grid_mapping") or array.encoding.get("grid_mapping")
    there = isinstance(mapping, str) and mapping in dataset and not dataset[mapping].ndim
    return array.assign_coords({mapping: dataset[mapping]}) if there else array


def common_frames(cubes: list[Cube]) -> np.ndarray:
    """The frames that all variables have, sorted; perhaps none."""
    width = max(cube.frames.dtype["series"].itemsize for cube in cubes) // 4
    kind = [("series", f"U{width}"), ("time", cubes[0].frames.dtype["time"])]
    frames = cubes[0].frames.astype(kind)
    for cube in cubes[1:]:
        frames = np.intersect1d(frames, cube.frames.astype(kind), assume_unique=True)
    return frames


def is_field(dataset: xr.Dataset, array: xr.DataArray) -> bool:
    """Whether a variable may be a field: numbers on at least two axes that are not the bounds of others."""
    bounds = {variable.attrs.get("bounds") for variable in dataset.variables.values()}
    return array.name not in bounds and array.dtype.kind in "iuf" and array.ndim >= 2


def field(dataset: xr.Dataset, name: str, time: str) -> xr.DataArray:
    """A variable of a dataset, with the coordinate that is named as its time."""
    return dataset.set_coords([time] if time in dataset else [])[name]


def _fields(files: Files, time: str) -> list[str]:
    """The names of all variables that are sequences of fields. If none is, raises the first one's error."""
    along, single, first_error = set(), set(), None
    for file, dataset in files:
        for name, array in dataset.data_vars.items():
            if not is_field(dataset, array):
                continue
            try:
                part = FilePart.of(file, field(dataset, str(name), time), time)
                (along if part.dims.time else single).add(str(name))
            except InputError as error:
                first_error = first_error or error
    if not (along or single):
        raise first_error or InputError(f"{files[0][0]} holds no fields: choose another file")
    # Beside variables with a time axis, those with the one time of their file are static.
    return sorted(along or single)
