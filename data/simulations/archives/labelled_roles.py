"""Which dimension of a dataset is that of trajectories, of time and of space."""

from collections.abc import Iterable
from typing import NamedTuple

import xarray as xr

from rolling.array_types import SPACE
from rolling.common.errors import InputError
from rolling.data.gridded.axes import LEAD, LEVEL, MEMBER, TIME, Role, X, Y
from rolling.data.gridded.bounds import NAMES as BOUNDS

TRAJECTORIES = ("trajectory", "trajectories", "sample", "simulation", "sim", "b", "batch", "grid_box", "run")
COMPONENTS = ("channel", "channels", "component", "components")
"""What dimensions are called, in lower case."""


class Roles(NamedTuple):
    """The dimensions of a dataset by role; `trajectory` is "" where there is none.

    `space` are those of the axes in our order, and `letters` has that of `Piece` for each dimension whose
    role is known.
    """

    trajectory: str
    time: str
    space: tuple[str, ...]
    letters: dict[str, str]


def roles_of(dataset: xr.Dataset, file: str, trajectory: str = "", time: str = "") -> Roles:
    """The roles of the dimensions that numbers of a file have, of which two may be named. Raises
    `InputError` where there is no time, or not one to three dimensions of space."""
    arrays = sorted(numbers_in(dataset).values(), key=lambda array: -array.ndim)
    dims = list(dict.fromkeys(str(dim) for array in arrays for dim in array.dims))
    for name, setting in ((trajectory, "trajectory"), (time, "time")):
        if name and name not in dims:
            raise InputError(
                f"{file} has no dimension {name!r}, but {listed(dims)}: give --source.archive.{setting} one"
                " of them"
            )
    known = (dim for name in TRAJECTORIES for dim in dims if dim.lower() == name and dim != time)
    trajectory = trajectory or next(known, "")
    time = time or _time(dataset, [dim for dim in dims if dim != trajectory])
    if not time:
        raise InputError(
            f"{file} has no dimension of time among {listed(dims)}: name it with --source.archive.time"
        )
    moving = {str(dim) for array in arrays if time in array.dims for dim in array.dims}
    left = [dim for dim in dims if dim not in (trajectory, time)]
    inner = [dim for dim in left if dim.lower() in COMPONENTS or _is_dropped(dataset, dim)]
    space = _space(dataset, [dim for dim in left if dim in moving and dim not in inner], file)
    letters = {trajectory: "b", time: "t"} | {dim: f"c{i}" for i, dim in enumerate(inner)} | space
    return Roles(trajectory, time, tuple(sorted(space, key=lambda dim: SPACE.index(space[dim]))), letters)


def numbers_in(dataset: xr.Dataset) -> dict[str, xr.DataArray]:
    """The variables that are numbers, in the order of their names, without the bounds of coordinates."""
    bounds = {pattern.format(name) for pattern in BOUNDS for name in dataset.variables}
    for held in dataset.variables.values():
        bounds |= {str(about["bounds"]) for about in (held.attrs, held.encoding) if "bounds" in about}
    return {
        str(name): array
        for name, array in sorted(dataset.data_vars.items(), key=lambda pair: str(pair[0]))
        if array.dtype.kind in "fiub" and str(name) not in bounds
    }


def role_of(dataset: xr.Dataset, dim: str, *known: Role) -> Role | None:
    """The first of some roles that a dimension has, by its name or the attributes of its coordinate."""
    attributes = dataset[dim].attrs if dim in dataset.variables else {}
    return next((role for role in known if role.fits(dim, attributes)), None)


def listed(names: Iterable) -> str:
    return ", ".join(map(str, names)) or "none"


def _time(dataset: xr.Dataset, dims: list[str]) -> str:
    """By the name or attributes of a dimension, or as the only one of these that a variable of times has."""
    found = [dim for dim in dims if role_of(dataset, dim, TIME)]
    for name, held in dataset.variables.items():
        if TIME.fits(name, held.attrs):
            along = [dim for dim in dims if dim in held.dims]
            found += along if len(along) == 1 else []
    return next(iter(found), "")


def _is_dropped(dataset: xr.Dataset, dim: str) -> bool:
    """Whether a dimension has one entry, and is no axis of a plane: a level, for instance."""
    return dataset.sizes[dim] == 1 and role_of(dataset, dim, X, Y) is None


def _space(dataset: xr.Dataset, dims: list[str], file: str) -> dict[str, str]:
    """The letters of the dimensions of space: by names or attributes where they tell, else in their order."""
    for dim in dims:
        if role_of(dataset, dim, MEMBER, LEAD):
            raise InputError(
                f"{file} has a dimension of members or leads, {dim}: choose one of its entries beforehand, or"
                " name it with --source.archive.trajectory or --source.archive.time"
            )
    if not 1 <= len(dims) <= 3:
        raise InputError(
            f"{file} has {len(dims)} dimensions beside those of trajectories and time ({listed(dims)}):"
            " fields on one to three can be read"
        )
    wanted = SPACE[-len(dims) :]
    told: dict[str, str] = {}
    for letter, role in (("x", X), ("y", Y), ("z", LEVEL)):
        named = [dim for dim in dims if dim not in told and role_of(dataset, dim, role)]
        told |= dict.fromkeys(named[:1], letter) if letter in wanted else {}
    free = (letter for letter in wanted if letter not in told.values())
    return {dim: told.get(dim) or next(free) for dim in dims}
