"""ACDM (Kohl et al., 2023): wakes and slices of turbulence, of which each field of each frame is an npz file
of its own in a folder such as `128_tra/sim_000000`."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

from rolling.common.errors import InputError
from rolling.data.simulations.archives import headers
from rolling.data.simulations.archives.acdm_flows import FLOWS, REST, Flow, Span, flow_of
from rolling.data.simulations.frame_files import KEY, FrameFiles, file_of
from rolling.data.simulations.npz_arrays import NpzArray
from rolling.data.simulations.stored_arrays import Numbers, Piece, explained
from rolling.data.simulations.trajectories import UNSPECIFIED, Trajectory
from rolling.layout import Variable

FIELDS = ("velocity", "density", "velocityZ", "pressure")
FILE = re.compile(rf"({'|'.join(FIELDS)})_(\d{{6}})\.npz")
PARAMETERS = ("Reynolds Number", "Mach Number", "Z Slice")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ACDM:
    """A data set of ACDM, a folder that holds `sim_000000` and its kin, or one of several such folders.

    Channels are `velocity_x, velocity_y`, then `density` or `velocityZ`, then `pressure`, whichever there
    are. The simulations and frames that are trained and tested on are those of the paper, as the name of the
    folder tells; simulations of neither are left out. The Reynolds number that changes in `128_reyVar` is
    tested on where that folder lies beside `128_inc` and the folder of both is given.
    """

    part: str | None = None
    """What the paper trains and tests on: that of tra, inc, iso or reyVar; by default, what the name of the
    folder tells; empty: all simulations and frames, without parts."""

    def __post_init__(self):
        if self.part and self.part not in FLOWS:
            raise InputError(
                f"source.archive.part is {self.part!r}: choose one of {', '.join(FLOWS)}, or an empty one"
            )

    def lies_in(self, place: Path) -> bool:
        try:
            return any(FILE.fullmatch(path.name) for path in _simulations(place)[0].iterdir())
        except (OSError, IndexError):
            return False

    def trajectories(self, place: Path) -> list[Trajectory]:
        found = []
        for folder in _simulations(place):
            flow = FLOWS.get(flow_of(folder.parent) if self.part is None else self.part)
            number = int(folder.name.removeprefix("sim_"))
            spans = (Span(UNSPECIFIED, REST),) if flow is None else flow.spans
            span = next((span for span in spans if number in span.simulations), None)
            if span and span.split is not None:
                found.append(_trajectory(folder.relative_to(place).as_posix(), folder, span, flow))
        return found


def _simulations(place: Path) -> list[Path]:
    """The folders of simulations in a folder, or else in all of its folders."""
    if not place.is_dir():
        return []
    found = list(place.glob("sim_*")) or list(place.glob("*/sim_*"))
    folders = (path for path in found if re.fullmatch(r"sim_\d{6}", path.name) and path.is_dir())
    return sorted(folders, key=lambda path: (path.parent.name, path.name))


def _trajectory(name: str, folder: Path, span: Span, flow: Flow | None) -> Trajectory:
    first, stop, fields = _frames(folder, span)
    arrays = {field: FrameFiles.of(folder, field, first, stop) for field in fields}
    columns, rows = _cells(folder, arrays)
    length = flow.length if flow else float(columns)
    file = folder / "src" / "description.json"
    said = headers.json_object(file) if file.exists() else {}
    step = headers.positive(said, "Dt", file)
    numbers, varying = _parameters(file, said, first, stop)
    return Trajectory(
        name=name,
        split=span.split or UNSPECIFIED,
        length=stop - first,
        step=step,
        origin=first * step,
        variables=tuple(Variable(name=each) for field in fields for each in _names(field, arrays[field])),
        axes=(
            headers.even_axis("y", rows, length * rows / columns, flow.sides if flow else "open"),
            headers.even_axis("x", columns, length),
        ),
        pieces=tuple(Piece(array=array, axes="t c x y", first=first) for array in arrays.values()),
        parameters=numbers,
        varying=varying,
        constants=_mask(folder, columns, rows),
        scattered=True,
    )


def _frames(folder: Path, span: Span) -> tuple[int, int, list[str]]:
    """The first frame, the one after the last, and the fields. Raises `InputError` unless all frames between
    are there, of all fields."""
    with explained(folder):
        names = {name for name in os.listdir(folder) if FILE.fullmatch(name)}
    matches = [match for match in map(FILE.fullmatch, names) if match]
    numbers = [int(match[2]) for match in matches]
    fields = [field for field in FIELDS if field in {match[1] for match in matches}]
    if "velocity" not in fields:
        raise InputError(f"{folder} holds no velocity_000000.npz and so on: fetch it again, or leave it out")
    first = min(numbers) if span.first is None else span.first
    stop = max(numbers) + 1 if span.stop is None else min(span.stop, max(numbers) + 1)
    wanted = (file_of(field, number) for number in range(first, max(stop, first + 1)) for field in fields)
    missing = next((name for name in wanted if name not in names), None)
    if missing is not None:
        raise InputError(
            f"{folder} holds no {missing}, and its frames from {first} on are read: fetch it again, or leave"
            " that simulation out"
        )
    return first, stop, fields


def _cells(folder: Path, arrays: dict[str, FrameFiles]) -> tuple[int, int]:
    """The cells along x and y, of which all fields have the same."""
    for field, array in arrays.items():
        if len(array.shape) != 4 or array.shape[2:] != arrays["velocity"].shape[2:]:
            raise InputError(
                f"the frames of {field} in {folder} have the shape {array.shape[1:]}: [component, x, y] with"
                " the cells of velocity is expected; fetch it again"
            )
    columns, rows = arrays["velocity"].shape[2:]
    return columns, rows


def _names(field: str, array: FrameFiles) -> list[str]:
    """Of its components."""
    count = array.shape[1]
    return [field] if count == 1 else [f"{field}_{'xyz'[i] if count <= 3 else i}" for i in range(count)]


def _parameters(
    file: Path, said: dict[str, Any], first: int, stop: int
) -> tuple[tuple[tuple[str, float], ...], tuple[tuple[str, Piece], ...]]:
    """Those of the trajectory, and those of which there is a list with a number for each frame."""
    numbers, varying = [], []
    for name in (name for name in PARAMETERS if name in said):
        listed = isinstance(said[name], list)
        values = [headers.number(value) for value in (said[name] if listed else [said[name]])]
        if None in values or (listed and len(values) < stop):
            raise InputError(
                f"{name!r} of {file} is neither a number nor a list of one for each of {stop} frames: repair"
                " it"
            )
        known = tuple(value for value in values if value is not None)
        if listed:
            varying.append((name, Piece(array=Numbers(values=known), axes="t", first=first)))
        else:
            numbers.append((name, known[0]))
    return tuple(numbers), tuple(varying)


def _mask(folder: Path, columns: int, rows: int) -> tuple[tuple[str, Piece], ...]:
    """0 in the obstacle and 1 in the fluid."""
    file = folder / "obstacle_mask.npz"
    if not file.exists():
        return ()
    array = NpzArray.of(file, KEY)
    if array.shape != (columns, rows):
        raise InputError(
            f"{file} holds an array of shape {array.shape}, not {(columns, rows)}: fetch it again"
        )
    return (("obstacle_mask", Piece(array=array, axes="x y")),)
