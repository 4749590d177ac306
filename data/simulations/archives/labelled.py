"""NetCDF files and Zarr stores whose dimensions have names, one of which is that of trajectories."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.data import dates
from rolling.data.gridded.axes import LEAD, LEVEL, MEMBER, REFERENCE, TIME, Role, X, Y
from rolling.data.gridded.bounds import bounds_of
from rolling.data.gridded.formats import is_zarr_store
from rolling.data.gridded.grids import horizontal_axis
from rolling.data.simulations.archives import headers
from rolling.data.simulations.archives.labelled_roles import Roles, listed, numbers_in, role_of, roles_of
from rolling.data.simulations.labelled_arrays import LabelledArray, open_labelled
from rolling.data.simulations.stored_arrays import Piece, explained
from rolling.data.simulations.trajectories import UNSPECIFIED, Trajectory
from rolling.geometry import Axis
from rolling.layout import Variable

SUFFIXES = (".nc", ".nc3", ".nc4", ".cdf", ".zarr")
PLAIN = Role("", (), (), ())
"""Of an axis that is neither a latitude nor a longitude."""
PLACES = (TIME, REFERENCE, LEAD, MEMBER, LEVEL, X, Y)
"""What a coordinate without dimensions may tell beside a parameter."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labelled:
    """NetCDF files or Zarr stores with dimensions of trajectories, of time and one to three of space.

    Files and folders that are named like a part, `train.nc` or `valid/run3/output.nc`, belong to it; such a
    file without a dimension of trajectories is one. Channels are the variables over time and space, in the
    order of their names; other dimensions of one entry are dropped. Numbers without dimensions or over
    trajectories alone are parameters, numbers over time are known of each frame, and variables over space
    without time are constant fields. Dates are counted in hours from the first.
    """

    trajectory: str = ""
    """The dimension of trajectories; by default it is found by a common name: trajectory, trajectories,
    sample, simulation, sim, b, batch, grid_box or run."""
    time: str = ""
    """The dimension of time; by default it is found by its name, such as time or t, or its attributes."""

    def lies_in(self, place: Path) -> bool:
        try:
            file = _files(place)[0]
            roles = roles_of(open_labelled(str(file)), str(file), self.trajectory, self.time)
        except (IndexError, *headers.BROKEN):
            return False
        return bool(roles.trajectory) or (
            file != place and headers.split_in(headers.name_in(place, file)) != UNSPECIFIED
        )

    def trajectories(self, place: Path) -> list[Trajectory]:
        every, found = _files(place), []
        if not every:
            raise InputError(
                f"there is no NetCDF file or Zarr store in {place}: give the folder that holds some"
            )
        for file in every:
            with explained(file):
                dataset = open_labelled(str(file))
                roles = roles_of(dataset, str(file), self.trajectory, self.time)
                if not roles.trajectory and file == place:
                    raise InputError(
                        f"{file} has no dimension of trajectories among {listed(dataset.sizes)}: name it with"
                        " --source.archive.trajectory, or use `rolling run gridded` for a single simulation"
                    )
                found += _trajectories(headers.name_in(place, file), str(file), dataset, roles)
        return found


def _files(place: Path) -> list[Path]:
    return [place] if place.is_dir() and is_zarr_store(place) else headers.files_in(place, *SUFFIXES)


def _trajectories(name: str, file: str, dataset: xr.Dataset, roles: Roles) -> Iterator[Trajectory]:
    clock, times = _times(file, dataset, roles)
    arrays = {key: array for key, array in numbers_in(dataset).items() if key != clock}
    moving, still, varying, single = (
        {key: arrays[key] for key in arrays if _fits(arrays[key], roles, space, time)}
        for space, time in ((True, True), (True, False), (False, True), (False, False))
    )
    pieces = {key: _piece(file, key, array, roles) for key, array in (moving | still | varying).items()}
    numbers = {key: _values(file, key, dataset).ravel() for key in (*single, *_told(dataset, roles))}
    variables = [variable for key in moving for variable in _variables(key, moving[key], roles)]
    fields = [(v.name, key, k) for key in still for k, v in enumerate(_variables(key, still[key], roles))]
    axes = tuple(_axis(dataset, dim, file) for dim in roles.space)
    count = dataset.sizes[roles.trajectory] if roles.trajectory else 1
    for at in range(count):
        origin, step = headers.time_of(times[at % len(times)], file)
        here = {key: dataclasses.replace(piece, at=at) for key, piece in pieces.items()}
        yield Trajectory(
            name=f"{name}[{at}]" if count > 1 else name,
            split=headers.split_in(name),
            length=dataset.sizes[roles.time],
            step=step,
            origin=origin,
            variables=tuple(variables),
            axes=axes,
            pieces=tuple(here[key] for key in moving),
            parameters=tuple((key, float(values[at % len(values)])) for key, values in numbers.items()),
            varying=tuple((key, here[key]) for key in varying),
            constants=tuple((field, dataclasses.replace(here[key], component=k)) for field, key, k in fields),
        )


def _fits(array: xr.DataArray, roles: Roles, space: bool, time: bool) -> bool:
    """Whether a variable is over space, and over time, or not; numbers have one component only."""
    dims = {str(dim) for dim in array.dims}
    inner = [array.sizes[dim] for dim in dims - {roles.trajectory, roles.time, *roles.space}]
    return (
        dims <= roles.letters.keys()
        and (not dims.isdisjoint(roles.space)) is space
        and (roles.time in dims) is time
        and (space or all(size == 1 for size in inner))
    )


def _told(dataset: xr.Dataset, roles: Roles) -> list[str]:
    """The coordinates that are numbers of trajectories, and tell no place or time."""
    return [
        str(name)
        for name, held in sorted(dataset.coords.items(), key=lambda pair: str(pair[0]))
        if held.dtype.kind in "fiub"
        and name != roles.trajectory
        and held.dims in ((), (roles.trajectory,))
        and role_of(dataset, str(name), *PLACES) is None
    ]


def _piece(file: str, name: str, array: xr.DataArray, roles: Roles) -> Piece:
    stored = LabelledArray(file=file, name=name, shape=array.shape)
    return Piece(array=stored, axes=" ".join(roles.letters[str(dim)] for dim in array.dims))


def _values(file: str, name: str, dataset: xr.Dataset) -> np.ndarray:
    shape = dataset.variables[name].shape
    return LabelledArray(file=file, name=name, shape=shape).take((slice(None),) * len(shape))


def _variables(name: str, array: xr.DataArray, roles: Roles) -> list[Variable]:
    """One for each component."""
    known = {roles.trajectory, roles.time, *roles.space}
    inner = [dim for dim in array.dims if dim not in known and array.sizes[dim] > 1]
    labels = [[headers.text(label) for label in array[dim].values] for dim in inner]
    about = {key: headers.text(array.attrs.get(key, "")) for key in ("units", "long_name", "standard_name")}
    about["units"] = about["units"] or "1"
    return [Variable(name="_".join((name, *parts)), **about) for parts in itertools.product(*labels)]


def _axis(dataset: xr.Dataset, dim: str, file: str) -> Axis:
    edges = bounds_of(file, dataset, dataset[dim]).get(dim)
    role = role_of(dataset, dim, X, Y) or PLAIN
    return horizontal_axis(dataset[dim], dim, role, file, edges=None if edges is None else edges.values)


def _times(file: str, dataset: xr.Dataset, roles: Roles) -> tuple[str, np.ndarray]:
    """The name of the variable that holds the times, and them `[trajectory or 1, time]`: dates in hours from
    the first, and numbers of frames where there is no such variable."""
    named = [str(name) for name in dataset.variables if role_of(dataset, str(name), TIME)]
    for name in (roles.time, *named):
        dims = tuple(dataset.variables[name].dims) if name in dataset.variables else ()
        if roles.time in dims and {*dims} <= {roles.trajectory, roles.time}:
            values = _values(file, name, dataset)
            values = values.T if dims == (roles.time, roles.trajectory) else values
            try:
                times = np.atleast_2d(dates.read(values))
            except ValueError as error:
                raise InputError(
                    f"the times {name} of {file} are {error}: write them as numbers or dates"
                ) from error
            return name, dates.hours(times, times[:, :1]) if dates.calendar_of(times) else times
    return "", np.arange(float(dataset.sizes[roles.time]))[None]
