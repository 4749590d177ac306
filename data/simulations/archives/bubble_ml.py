"""BubbleML (Hassan et al., 2023): boiling, an HDF5 file for each simulation."""

import dataclasses
import re
from pathlib import Path

import h5py

from rolling.common.checks import check_least
from rolling.common.errors import InputError
from rolling.data.simulations.archives import headers
from rolling.data.simulations.stored_arrays import Hdf5Array, explained
from rolling.data.simulations.trajectories import Trajectory
from rolling.geometry import Axis
from rolling.layout import Variable

FIELDS = {
    "temperature": "temperature",
    "pressure": "pressure gradient",
    "velx": "velocity along x",
    "vely": "velocity along y",
    "dfun": "distance from the interface, above 0 in vapour",
}
SETTINGS, STEP = "real-runtime-params", "plotfileintervaltime"
PARAMETERS = (
    *("ins_invreynolds", "ins_gravx", "ins_gravy", "ins_inflowvelscale"),
    *("ht_prandtl", "ht_tbulk", "mph_stefan", "mph_tsat"),
)
"""The settings of the simulator that studies are about; others are of the solver, or of the fluid."""
WALL, TEMPERATURE = re.compile(r"Twall-(\d+(?:\.\d+)?)$"), "wall_temperature"
SIDES = {
    re.compile(r"flow-?boiling|inletvel|gravx"): "y",
    re.compile(r"pool-?boiling|twall|gravy"): "x",
}
"""The axis with a wall at both of its ends, by the names of files and folders: a flow between plates comes in
at the left and leaves at the right, and a pool has walls beside it, a heater below and nothing above."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BubbleML:
    """A study of BubbleML in two dimensions: a folder of files such as `Twall-100.hdf5` or `gravY-0.1.hdf5`.

    Channels are the temperature, the gradient of the pressure, the velocity and the distance from the
    interface between liquid and vapour, with 0 where files have NaN. Where the name of a file has the
    temperature of the wall, by which temperatures were divided, they are multiplied by it, and it is a
    parameter.
    """

    unsteady: float = 30.0
    """How much of each simulation is left out at its beginning, in its own units of time: frames come every
    1 or 0.1."""

    def __post_init__(self):
        check_least("source.archive", self, "unsteady")

    def lies_in(self, place: Path) -> bool:
        return headers.first_is(place, lambda held: SETTINGS in held and all(name in held for name in FIELDS))

    def trajectories(self, place: Path) -> list[Trajectory]:
        found = []
        for name, held in headers.hdf5_files(place):
            with explained(held.filename):
                found.append(self._trajectory(name, held))
        return found

    def _trajectory(self, name: str, held: headers.Group) -> Trajectory:
        file = Path(held.filename)
        said = _settings(held)
        shape = headers.array_in(held, "temperature").shape
        if len(shape) != 3:
            raise InputError(
                f"{file} has fields of shape {shape}, and only those over time, rows and columns can be read:"
                " leave simulations in three dimensions out"
            )
        step = max(said.get(STEP, 0.0), 0.0) or (0.1 if file.parent.name.endswith("-0.1") else 1.0)
        first = round(min(self.unsteady / step, shape[0]))
        if first == shape[0]:
            raise InputError(
                f"the {first} frames of {file} are all within the first {self.unsteady:g} units of time,"
                " which are left out: leave the file out, or give a shorter time with"
                " --source.archive.unsteady"
            )
        sizes = dict(zip("tyx", shape, strict=True))
        wall = WALL.search(file.stem)
        parameters = {key: said[key] for key in PARAMETERS if key in said}
        parameters |= {} if wall is None else {TEMPERATURE: float(wall[1])}
        return Trajectory(
            name=name,
            split=headers.split_in(name),
            length=shape[0] - first,
            step=step,
            origin=first * step,
            variables=tuple(Variable(name=field, long_name=words) for field, words in FIELDS.items()),
            axes=_axes(held, file, sizes),
            pieces=tuple(
                dataclasses.replace(
                    headers.piece_of(headers.array_in(held, field), "t y x", sizes),
                    first=first,
                    factor=parameters.get(TEMPERATURE, 1.0) if field == "temperature" else 1.0,
                    missing=0.0,
                )
                for field in FIELDS
            ),
            parameters=tuple(parameters.items()),
        )


def _settings(held: headers.Group) -> dict[str, float]:
    """The settings of the simulator that are numbers, by name."""
    array = held.get(SETTINGS)
    records = Hdf5Array.of(array).take((slice(None),)).tolist() if isinstance(array, h5py.Dataset) else None
    try:
        said = {headers.text(name).strip().lower(): headers.number(value) for name, value in records or ()}
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{SETTINGS} of {held.filename} is no list of names and numbers: fetch it again, or leave it out"
        ) from error
    return {name: value for name, value in said.items() if value is not None}


def _axes(held: headers.Group, file: Path, sizes: dict[str, int]) -> tuple[Axis, ...]:
    """Along y and x, whose coordinates are stored as fields of every frame."""
    words = f"{file.parent.name}/{file.name}".lower()
    walled = next((axis for known, axis in SIDES.items() if known.search(words)), "")
    axes = []
    for name, line in (("y", (0, slice(None), 0)), ("x", (0, 0, slice(None)))):
        values = headers.piece_of(headers.array_in(held, name), "t y x", sizes).array.take(line)
        axes.append(headers.axis_of(name, values, str(file), "wall" if name == walled else "open"))
    return tuple(axes)
