"""RealPDEBench (Hu et al., 2026): flows measured by particle image velocimetry, and simulations of the same
flows, in HDF5 files."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import h5py
import numpy as np

from rolling.common.errors import InputError
from rolling.data.simulations.archives import headers
from rolling.data.simulations.stored_arrays import Hdf5Array, explained
from rolling.data.simulations.trajectories import Trajectory
from rolling.geometry import Axis
from rolling.layout import Variable

FIELDS = {"u": "velocity along x", "v": "velocity along y", "w": "velocity along z", "p": "pressure"}
BRANCHES = {"real_data": "real", "sim_data": "simulated"}
"""Groups of a file that holds a whole data set."""
FOLDERS = re.compile(r"(?<![a-z])(sim|simulated|numerical)(?![a-z])")
"""Words in the names of folders of simulations."""
TOLD = {
    "controlled_cylinder": ("reynolds_number", "control_frequency"),
    "cylinder": ("reynolds_number",),
    "foil": ("reynolds_number", "angle_of_attack"),
    "fsi": ("reynolds_number", "mass_ratio", "damping_ratio"),
}
UNNAMED = ("reynolds_number", "parameter_2", "parameter_3")
"""The numbers in the names of files, by the folder of a data set; the first is always the same."""


class Flow(NamedTuple):
    """One trajectory: the group of its fields, and the one of what is known of it."""

    name: str
    branch: str
    fields: headers.Group
    known: headers.Group
    letters: str
    """Of the axes of the fields, unless coordinates say otherwise."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RealPDEBench:
    """A data set of flows around a cylinder or a foil: one file with groups `real_data/trajectory_001` and
    `sim_data/trajectory_001`, or folders `real` and `numerical` with a file for each trajectory, whose fields
    are in its group `measured_data`.

    Channels are the velocity and, of simulations, the pressure. Parameters are the attributes of `metadata`
    or the single numbers in a file; without any, those in its name.
    """

    branch: Literal["real", "simulated"] = "real"
    """What is read where there are both; where there is only one, it is read."""

    def lies_in(self, place: Path) -> bool:
        return headers.first_is(place, lambda held: any(True for _ in _flows("", held)))

    def trajectories(self, place: Path) -> list[Trajectory]:
        found = {branch: [] for branch in BRANCHES.values()}
        for name, held in headers.hdf5_files(place):
            with explained(held.filename):
                flows = list(_flows(name, held))
                if not flows:
                    raise InputError(
                        f"{held.filename} holds no velocities u and v where RealPDEBench has them: leave it"
                        " out"
                    )
                for flow in flows:
                    found[flow.branch].append(_trajectory(flow))
        return found[self.branch] or [each for some in found.values() for each in some]


def _flows(name: str, held: headers.Group) -> Iterator[Flow]:
    for group, branch in BRANCHES.items():
        members = held.get(group)
        for key in members if isinstance(members, h5py.Group) else ():
            if _has_fields(members[key]):
                yield Flow(f"{name}/{group}/{key}", branch, members[key], members[key], "t x y")
    measured = held.get("measured_data")
    fields = measured if isinstance(measured, h5py.Group) else held
    if _has_fields(fields) and (fields is measured or "re" in held):
        branch = "simulated" if FOLDERS.search(name.lower()) else "real"
        yield Flow(name, branch, fields, held, "t y x")


def _has_fields(group: headers.Group) -> bool:
    return isinstance(group, h5py.Group) and all(isinstance(group.get(key), h5py.Dataset) for key in "uv")


def _trajectory(flow: Flow) -> Trajectory:
    file = flow.fields.file.filename
    names = [name for name in FIELDS if name in flow.fields]
    shape = headers.array_in(flow.fields, "u").shape
    if len(shape) != 3:
        raise InputError(f"u of {file} has the shape {shape}, not one of time and two axes: leave it out")
    grids = {name: _grid(flow.known, name, shape) for name in "xy"}
    flow = flow._replace(letters=_letters(grids["x"], shape, flow.letters))
    sizes = dict(zip(flow.letters.split(), shape, strict=True))
    origin, step = _times(flow, shape[0])
    return Trajectory(
        name=flow.name,
        split=headers.split_in(flow.name),
        length=shape[0],
        step=step,
        origin=origin,
        variables=tuple(Variable(name=name, long_name=FIELDS[name]) for name in names),
        axes=tuple(_axis(flow, name, sizes[name], grids[name]) for name in "yx"),
        pieces=tuple(
            headers.piece_of(headers.array_in(flow.fields, name), flow.letters, sizes) for name in names
        ),
        parameters=tuple(_parameters(flow).items()),
    )


def _grid(known: headers.Group, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """A coordinate along one axis or of every cell, perhaps of every frame, of which the first is taken."""
    array = known.get(name)
    if not isinstance(array, h5py.Dataset):
        return None
    if array.shape not in (*((size,) for size in shape[1:]), shape[1:], shape):
        raise InputError(
            f"the coordinate {name} of {known.file.filename} has the shape {array.shape}, and the fields have"
            f" {shape}: repair it, or leave the file out"
        )
    part = (0, slice(None), slice(None))[-array.ndim :]
    return np.asarray(Hdf5Array.of(array).take(part), np.float64)


def _letters(x: np.ndarray | None, shape: tuple[int, ...], usual: str) -> str:
    """Of the axes of fields, by the one along which x changes."""
    _, rows, columns = shape
    if x is None or (x.ndim == 1 and rows == columns):
        return usual
    along_rows = len(x) == columns if x.ndim == 1 else np.ptp(x[0]) > np.ptp(x[:, 0])
    return "t y x" if along_rows else "t x y"


def _axis(flow: Flow, name: str, cells: int, grid: np.ndarray | None) -> Axis:
    if grid is None:
        return headers.even_axis(name, cells, float(cells))
    lines = grid if grid.ndim == 1 else grid[:, 0] if flow.letters.split()[1] == name else grid[0]
    return headers.axis_of(name, lines, flow.name)


def _times(flow: Flow, frames: int) -> tuple[float, float]:
    for group in (flow.known, flow.fields):
        for name in ("t", "time"):
            array = group.get(name)
            if isinstance(array, h5py.Dataset) and array.size == frames:
                return headers.time_of(headers.values_in(group, name).ravel(), flow.name)
    return 0.0, 1.0


def _parameters(flow: Flow) -> dict[str, float]:
    attributes = flow.known.get("metadata", flow.known).attrs
    # Texts are not even read: of a damaged file, that may never end.
    single = (name for name in attributes if attributes.get_id(name).dtype.kind in "fiu")
    told = {name: headers.number(attributes[name]) for name in single}
    for name, item in flow.known.items():
        if isinstance(item, h5py.Dataset) and item.size == 1 and item.dtype.kind in "fiu":
            told[name] = headers.number(headers.values_in(flow.known, name))
    numbers = {name: value for name, value in told.items() if value is not None}
    if numbers or flow.known.name != "/":
        return numbers
    file = Path(flow.known.file.filename)
    names = next((TOLD[part] for part in reversed(file.parts) if part in TOLD), UNNAMED)
    found = re.findall(r"\d+(?:\.\d+)?", file.stem)
    return dict(zip(names, map(float, found), strict=False))
