"""The Well (Ohana et al., 2024): HDF5 files in folders `data/train`, `data/valid` and `data/test`, with a
group of fields for each tensor rank: `t0_fields`, `t1_fields` and `t2_fields`."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rolling.array_types import SPACE
from rolling.common.errors import InputError
from rolling.data.simulations.archives import headers
from rolling.data.simulations.stored_arrays import Hdf5Array, Piece, explained
from rolling.data.simulations.trajectories import Trajectory
from rolling.geometry import Axis
from rolling.layout import Variable

RANKS = ("t0_fields", "t1_fields", "t2_fields")
LETTERS = {"theta": "y", "phi": "x", "r": "z", "log_r": "z"} | {letter: letter for letter in SPACE}
"""Our axes of those of the files."""


class Field(NamedTuple):
    """A field of a file and the names of its components; `piece` is that of the first trajectory."""

    names: tuple[str, ...]
    piece: Piece
    constant: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class TheWell:
    """A data set of The Well, a folder with `data/train` and its kin, or a part of it.

    Channels are all scalars, then vectors, then tensors, in the order of the files, with names such as
    `velocity_x` and `D_xy`; symmetric tensors keep all components. Fields that do not change with time are
    constants. The axes `x, y, z` become ours, `theta` and `phi` rows of falling latitude and columns of
    longitude. A side that is nowhere else said to be periodic or a wall is open.
    """

    def lies_in(self, place: Path) -> bool:
        held = headers.first_hdf5(place)
        return held is not None and "n_spatial_dims" in held.attrs and any(rank in held for rank in RANKS)

    def trajectories(self, place: Path) -> list[Trajectory]:
        found = []
        for name, held in headers.hdf5_files(place):
            with explained(held.filename):
                found += _trajectories(name, held)
        return found


def _trajectories(name: str, held: headers.Group) -> Iterator[Trajectory]:
    dims = _dims(held)
    axes = tuple(_axis(held, dim) for _, dim in sorted((SPACE.index(dims[dim]), dim) for dim in dims))
    fields = [field for rank in RANKS if rank in held for field in _fields(held[rank], dims, axes)]
    moving = [field for field in fields if not field.constant]
    if not moving:
        raise InputError(f"{held.filename} holds no field that changes with time: leave it out")
    times = held["dimensions/time"]
    each = headers.text(times.attrs.get("sample_varying", False)) == "True" and times.ndim == 2
    variables = tuple(Variable(name=component) for field in moving for component in field.names)
    count = int(held.attrs.get("n_trajectories", 1))
    for at in range(count):
        clock = times[at] if each else times[...]
        origin, step = headers.time_of(np.ravel(clock), held.filename)
        numbers, varying = _scalars(held, at)
        yield Trajectory(
            name=f"{name}[{at}]" if count > 1 else name,
            split=headers.split_in(name),
            length=np.size(clock),
            step=step,
            origin=origin,
            variables=variables,
            axes=axes,
            pieces=tuple(dataclasses.replace(field.piece, at=at) for field in moving),
            parameters=tuple(numbers.items()),
            varying=varying,
            constants=tuple(pair for field in fields if field.constant for pair in _constants(field, at)),
        )


def _dims(held: headers.Group) -> dict[str, str]:
    """The axes of the arrays, in their order, and the letter of each."""
    dims = headers.texts(held["dimensions"].attrs["spatial_dims"])
    wanted = SPACE[-len(dims) :]
    if len(dims) > 3 or len(set(dims)) != len(dims):
        raise InputError(f"{held.filename} has the axes {', '.join(dims)}: one to three are known")
    letters = [LETTERS.get(dim, "") for dim in dims]
    return dict(zip(dims, letters if set(letters) == set(wanted) else wanted[::-1], strict=True))


def _axis(held: headers.Group, dim: str) -> Axis:
    values = np.asarray(held["dimensions"][dim][...], np.float64)
    boundary = _boundary(held, dim)
    if dim == "theta":
        axis = headers.axis_of("latitude", 90 - np.rad2deg(values), held.filename, "pole")
        return dataclasses.replace(axis, units="degrees_north")
    if dim == "phi":
        axis = headers.axis_of("longitude", np.rad2deg(values), held.filename, "periodic")
        return dataclasses.replace(axis, units="degrees_east")
    return headers.axis_of(dim, values, held.filename, boundary)


def _boundary(held: headers.Group, dim: str) -> str:
    """Periodic if anything says so, a wall if both whole sides are one, else open."""
    walls = set()
    for said in held.get("boundary_conditions", {}).values():
        dims = headers.texts(said.attrs.get("associated_dims", dim))
        kind = headers.text(said.attrs.get("bc_type", "")).upper()
        if dim not in dims:
            continue
        if kind == "PERIODIC":
            return "periodic"
        if kind == "WALL":
            mask = np.moveaxis(np.asarray(said["mask"][...], bool), dims.index(dim), 0)
            walls |= {side for side in (0, -1) if mask[side].all()}
    return "wall" if walls == {0, -1} else "open"


def _fields(group: headers.Group, dims: dict[str, str], axes: tuple[Axis, ...]) -> Iterator[Field]:
    sizes: dict[str, int] = dict(zip(SPACE[-len(axes) :], map(len, axes), strict=True))
    space = [(letter, sizes[letter]) for letter in dims.values()]
    rank = RANKS.index(str(group.name).strip("/"))
    suffixes = ["_" + "".join(parts) for parts in itertools.product(dims, repeat=rank)] if rank else [""]
    for name in headers.texts(group.attrs["field_names"]):
        array = group[name]
        lead = [
            letter
            for letter, said in (("b", "sample_varying"), ("t", "time_varying"))
            if bool(array.attrs.get(said, True))
        ]
        letters = _letters(array, lead, space, rank)
        yield Field(
            names=tuple(name + suffix for suffix in suffixes),
            piece=Piece(array=Hdf5Array.of(array), axes=" ".join(letters)),
            constant="t" not in lead,
        )


def _letters(array: Any, lead: list[str], space: list[tuple[str, int]], rank: int) -> list[str]:
    """A letter for each axis. Axes along which a field does not vary are left out by some writers and have
    one cell with others; the components of a tensor are one axis with some and two with others."""
    varies = np.broadcast_to(np.asarray(array.attrs.get("dim_varying", True), bool), len(space))
    kept = [pair for pair, there in zip(space, varies, strict=True) if there]
    each = [("c", len(space)), ("d", len(space))][:rank]
    together = [[("c", len(space) ** 2)]] if rank == 2 else []
    for cells, components in itertools.product((space, kept), (each, *together)):
        wanted = [*cells, *components]
        sizes = array.shape[len(lead) :]
        if len(sizes) == len(wanted) and all(
            found == size or (found == 1 and letter in SPACE)
            for found, (letter, size) in zip(sizes, wanted, strict=True)
        ):
            return [*lead, *(letter for letter, _ in wanted)]
    raise InputError(
        f"{array.name} of {array.file.filename} has the shape {array.shape}, which does not fit the axes"
        f" {' x '.join(str(size) for _, size in space)} and its attributes: repair the file"
    )


def _constants(field: Field, at: int) -> Iterator[tuple[str, Piece]]:
    piece = dataclasses.replace(field.piece, at=at)
    for place, name in enumerate(field.names):
        yield name, piece if len(field.names) == 1 else dataclasses.replace(piece, component=place)


def _scalars(held: headers.Group, at: int) -> tuple[dict[str, float], tuple[tuple[str, Piece], ...]]:
    """Numbers of the trajectory, and those of its frames."""
    wanted = headers.texts(held.attrs.get("simulation_parameters", []))
    said: dict[str, Any] = {name: held.attrs.get(name) for name in wanted}
    varying = []
    for name in headers.texts(held["scalars"].attrs.get("field_names", [])) if "scalars" in held else []:
        array = held["scalars"][name]
        each, moves = (bool(array.attrs.get(key, False)) for key in ("sample_varying", "time_varying"))
        if moves:
            axes = "b t" if each else "t"
            varying.append((name, Piece(array=Hdf5Array.of(array), axes=axes, at=at)))
            said.pop(name, None)
        else:
            said[name] = array[at] if each else array[...]
    numbers = {
        name: value for name, value in ((n, headers.number(v)) for n, v in said.items()) if value is not None
    }
    return numbers, tuple(varying)
