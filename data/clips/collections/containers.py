"""Files of named arrays, read in part: npy, npz and HDF5. Nothing stays open between two calls."""

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np

from rolling.data.clips.damage import readable
from rolling.data.untrusted import hdf5
from rolling.data.untrusted.sizes import check_regular, load_npy, npz_shape

COMPANIONS = ("labels", "actions", "tokens")
"""Names of the arrays that may accompany frames."""


class Container(Protocol):
    """A file of named arrays."""

    def state(self) -> tuple:
        """A value that changes when the file does. Raises `BadClip`."""
        ...

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all arrays by name, `demo_0/frames` for those in groups. Raises `BadClip`."""
        ...

    def take(self, name: str, index: Any) -> np.ndarray:
        """Part of an array, by an index and slices. Raises `BadClip`."""
        ...


@dataclasses.dataclass(frozen=True)
class Npy:
    """One array, `frames`; `clips.npy` is accompanied by `clips.labels.npy` and so on."""

    file: Path

    def state(self) -> tuple:
        return tuple(_state(self._of(name)) for name in ("frames", *COMPANIONS) if self._of(name).exists())

    def shapes(self) -> dict[str, tuple[int, ...]]:
        there = ["frames", *(name for name in COMPANIONS if self._of(name).exists())]
        return {name: self.take(name, ...).shape for name in there}

    def take(self, name: str, index: Any) -> np.ndarray:
        with readable("the file" if name == "frames" else self._of(name).name, "npy file of numbers"):
            return load_npy(self._of(name))[index]

    def _of(self, name: str) -> Path:
        return self.file if name == "frames" else self.file.with_suffix(f".{name}.npy")


@dataclasses.dataclass(frozen=True)
class Npz:
    """Arrays in a zip file. Reading part of an array unpacks all of it; arrays of the last file are kept."""

    file: Path

    def state(self) -> tuple:
        return _state(self.file)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        with readable("the file", "npz file"), np.load(self.file, allow_pickle=False) as held:
            return {name: npz_shape(held, name) for name in held.files}

    def take(self, name: str, index: Any) -> np.ndarray:
        with readable("the file", "npz file of numbers"):
            kept = _unpacked(self.file, self.state())
            if name not in kept:
                with np.load(self.file, allow_pickle=False) as held:
                    npz_shape(held, name)  # it may have changed
                    kept[name] = held[name]
            return kept[name][index]


@lru_cache(maxsize=1)
def _unpacked(file: Path, state: tuple) -> dict[str, np.ndarray]:
    """The unpacked arrays of a file, kept while it is the last one read and unchanged."""
    return {}


@dataclasses.dataclass(frozen=True)
class Hdf5:
    """The data sets of an HDF5 file, in any groups."""

    file: Path

    def state(self) -> tuple:
        return _state(self.file)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        with readable("the file", "HDF5 file"), hdf5.opened(self.file) as held:
            return {name: array.shape for name, array in hdf5.data_sets(held).items()}

    def take(self, name: str, index: Any) -> np.ndarray:
        with readable("the file", "HDF5 file"), h5py.File(self.file) as held:
            array = held[name]
            assert isinstance(array, h5py.Dataset), f"{name} is no data set"
            hdf5.check_part(array, index)
            if h5py.check_string_dtype(array.dtype):
                return np.asarray(array.asstr()[index], str)
            return np.asarray(array[index])


CONTAINERS: dict[str, Callable[[Path], Container]] = {
    ".npy": Npy,
    ".npz": Npz,
    ".h5": Hdf5,
    ".hdf5": Hdf5,
    ".hdf": Hdf5,
}


def _state(file: Path) -> tuple[int, int]:
    with readable("the file", "file"):
        check_regular(file)
        found = file.stat()
    return found.st_mtime_ns, found.st_size


def container(file: Path) -> Container:
    return CONTAINERS[file.suffix.lower()](file)


def is_container(file: Path) -> bool:
    """Whether a file holds clips, rather than labels, actions or tokens of another file."""
    companion = file.suffix == ".npy" and file.stem.endswith(tuple(f".{name}" for name in COMPANIONS))
    return file.suffix.lower() in CONTAINERS and not file.name.startswith(".") and not companion
