"""What the files of an archive are called, and what their headers say."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rolling.common.documents import read_json
from rolling.common.errors import InputError
from rolling.data.simulations.stored_arrays import Hdf5Array, Piece, explained, open_hdf5
from rolling.data.simulations.trajectories import SPLITS, UNSPECIFIED
from rolling.data.untrusted import hdf5
from rolling.geometry import Axis

HDF5 = (".hdf5", ".h5")
BROKEN = (OSError, KeyError, ValueError, RuntimeError, TypeError)
"""What h5py raises for damaged files."""
Group = Any
"""A file or group of h5py: a type checker cannot know what its members are."""


def files_in(place: Path, *suffixes: str) -> list[Path]:
    """The files of these kinds, the one at `place` or those below it, in the order of their names, numbers in
    their own."""
    with explained(place):
        if place.is_file():
            return [place] if place.suffix.lower() in suffixes else []
        found = []
        for folder, folders, names in os.walk(place):
            paths = (Path(folder, name) for name in (*folders, *names))
            found += [path for path in paths if path.suffix.lower() in suffixes]
            # Zarr stores are folders of many files.
            folders[:] = [name for name in folders if not name.lower().endswith(".zarr")]
        return sorted(found, key=lambda path: _in_order(path.relative_to(place).as_posix()))


def name_in(place: Path, file: Path) -> str:
    """The name of a file, independent of where the archive lies."""
    return file.name if file == place else file.relative_to(place).as_posix()


def split_in(name: str) -> str:
    """The part that a file is of, by the names of its folders and the words in its own."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLITS[word] for word in words if word in SPLITS), UNSPECIFIED)


def first_hdf5(place: Path) -> Group | None:
    """The first HDF5 file; None if there is none, or it is damaged."""
    try:
        return open_hdf5(next(iter(files_in(place, *HDF5))))
    except (StopIteration, *BROKEN):
        return None


def first_is(place: Path, looks: Callable[[Group], bool]) -> bool:
    """Whether the first HDF5 file looks like one of an archive; False if there is none, or it is damaged."""
    held = first_hdf5(place)
    try:
        return held is not None and looks(held)
    except BROKEN:
        return False


def hdf5_files(place: Path) -> Iterator[tuple[str, Group]]:
    """The names of all HDF5 files, and the open files. Raises `InputError`."""
    files = files_in(place, *HDF5)
    if not files:
        raise InputError(f"there is no HDF5 file in {place}: give the folder that holds some")
    for file in files:
        with explained(file):
            held = open_hdf5(file)
        yield name_in(place, file), held


def array_in(group: Group, name: str) -> h5py.Dataset:
    """An array of numbers. Raises `InputError` if there is none of that name."""
    found = group.get(name)
    if not isinstance(found, h5py.Dataset) or found.shape is None or found.dtype.kind not in "fiub":
        raise InputError(
            f"{group.file.filename} has no array of numbers {str(group.name).rstrip('/')}/{name}: it is cut"
            " short or of another kind; fetch it again, or leave it out"
        )
    return found


def values_in(group: Group, name: str) -> np.ndarray:
    """All of a small array, such as a coordinate, float64. Raises `InputError`."""
    array = array_in(group, name)
    hdf5.check_array(array)
    hdf5.check_part(array, ())
    return np.asarray(array[()], np.float64)


def piece_of(array: h5py.Dataset, axes: str, sizes: Mapping[str, int]) -> Piece:
    """An array whose axes have these letters, as `Piece` has them. Raises `InputError` unless it has so many,
    in the sizes that are known, and none is empty."""
    letters = axes.split()
    if 0 in array.shape:
        raise InputError(
            f"{array.name} of {array.file.filename} is empty, of shape {array.shape}: fetch it again"
        )
    known = [sizes.get(letter) for letter in letters]
    if len(letters) != array.ndim or any(
        size not in (None, found) for size, found in zip(known, array.shape, strict=True)
    ):
        wanted = ", ".join(
            letter if size is None else f"{letter}: {size}"
            for letter, size in zip(letters, known, strict=True)
        )
        raise InputError(
            f"{array.name} of {array.file.filename} has the shape {array.shape}, and the axes ({wanted}) were"
            " expected: repair the file, or leave it out"
        )
    return Piece(array=Hdf5Array.of(array), axes=axes)


def json_object(file: Path) -> dict[str, Any]:
    """What a JSON file says. Raises `InputError` unless it is an object."""
    with explained(file):
        found = read_json(file)
    if not isinstance(found, dict):
        raise InputError(f"{file} holds no JSON object, but other JSON: fetch it again")
    return found


def positive(said: dict[str, Any], name: str, file: Path) -> float:
    """A number that a JSON file says, 1 where it says none. Raises `InputError` unless it is above zero."""
    value = number(said.get(name, 1.0))
    if value is None or value <= 0:
        raise InputError(f"{name!r} of {file} is no number above 0: repair it")
    return value


def text(value: Any) -> str:
    """An attribute that is a text, as h5py gives it: of str, bytes or an array of one."""
    if isinstance(value, np.ndarray):
        value = value.item() if value.size == 1 else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def texts(value: Any) -> list[str]:
    """An attribute that is a list of texts."""
    return [text(item) for item in np.atleast_1d(np.asarray(value, object)).ravel()]


def number(value: Any) -> float | None:
    """An attribute or an array that is one finite number; None for anything else."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return None
    return float(array.item()) if array.size == 1 and np.isfinite(array).all() else None


def time_of(times: np.ndarray, where: str) -> tuple[float, float]:
    """The first time and the step. Raises `InputError` for times that are not evenly spaced."""
    times = np.asarray(times, np.float64)
    if len(times) < 2:
        return (float(times[0]) if len(times) else 0.0), 1.0
    step = (times[-1] - times[0]) / (len(times) - 1)
    if not (step > 0 and np.allclose(np.diff(times), step, rtol=0.01, atol=1e-3 * step)):
        raise InputError(
            f"the times of {where} are not evenly spaced: only trajectories with one step between their"
            " frames can be used"
        )
    return float(times[0]), float(step)


def axis_of(name: str, values: np.ndarray, where: str, boundary: str = "open") -> Axis:
    """An axis of cell centres. Raises `InputError` unless they rise or fall throughout."""
    values = np.asarray(values, np.float64).ravel()
    gaps = np.diff(values)
    if not (len(values) and np.isfinite(values).all() and ((gaps > 0).all() or (gaps < 0).all())):
        raise InputError(f"the coordinate {name} of {where} neither rises nor falls throughout: repair it")
    return Axis(name=name, values=tuple(values.tolist()), boundary=boundary)


def even_axis(name: str, cells: int, length: float, boundary: str = "open") -> Axis:
    """Cells of one width, from 0 to `length`: the first at 0 where they are periodic, else their centres."""
    place = 0.0 if boundary == "periodic" else 0.5
    return Axis(
        name=name,
        values=tuple((length * (np.arange(cells) + place) / cells).tolist()),
        boundary=boundary,
    )


def _in_order(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
