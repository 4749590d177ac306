"""Arrays of files, read in parts, and the frames that they are pieces of."""

import contextlib
import dataclasses
import functools
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np

from rolling.array_types import SPACE
from rolling.common.errors import InputError
from rolling.data.untrusted import hdf5
from rolling.data.untrusted.sizes import load_npy

Index = tuple[int | slice, ...]
DAMAGE = (
    *(OSError, KeyError, ValueError, RuntimeError, EOFError, TypeError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What libraries raise at a damaged file."""


class StoredArray(Protocol):
    """An array of a file, of which parts are read."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def take(self, index: Index) -> np.ndarray:
        """The part at an index or a slice for each axis. Raises `InputError` for a damaged file."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hdf5Array:
    """The data set `name` of an HDF5 file."""

    file: str
    name: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: h5py.Dataset) -> "Hdf5Array":
        """Raises `InputError` if its values lie in another file, or cannot be unpacked here."""
        hdf5.check_array(array)
        return cls(file=array.file.filename, name=str(array.name), shape=tuple(array.shape))

    def take(self, index: Index) -> np.ndarray:
        with explained(self.file):
            array: Any = open_hdf5(self.file)[self.name]
            hdf5.check_part(array, index)
            return array[index]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NpyArray:
    """The array of an npy file, mapped to memory."""

    file: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, file: Path) -> "NpyArray":
        with explained(file):
            return cls(file=str(file), shape=load_npy(file).shape)

    def take(self, index: Index) -> np.ndarray:
        with explained(self.file):
            return np.array(load_npy(Path(self.file))[index])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Numbers:
    """An array over one axis whose values are given."""

    values: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.values),)

    def take(self, index: Index) -> np.ndarray:
        return np.asarray(self.values, np.float64)[index]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """Some channels of the frames of a trajectory, as they lie in an array.

    `axes` has a letter for each axis of the array: `b` for trajectories, of which `at` is this one; `t`, and
    `z`, `y`, `x`; any other letter is one of components. An axis of space that is not there, or has one cell
    only, is the same everywhere, and an array without `t` at all times. The frames `0, 1, ...` of the
    trajectory are those from `first` on.
    """

    array: StoredArray
    axes: str
    at: int = 0
    first: int = 0
    component: int | None = None
    """The only one of the components, counted over all axes of them; None: all."""
    factor: float = 1.0
    """What values are multiplied by."""
    missing: float | None = None
    """What stands in the place of NaN; None: nothing does."""

    def __post_init__(self):
        if len(self._letters) != len(self.array.shape):
            raise InputError(f"an array of shape {self.array.shape} has not the axes {self.axes!r}")

    @property
    def _letters(self) -> list[str]:
        return self.axes.split()

    @property
    def components(self) -> tuple[int, ...]:
        """The sizes of the axes of components."""
        known = ("b", "t", *SPACE)
        pairs = zip(self._letters, self.array.shape, strict=True)
        return tuple(size for letter, size in pairs if letter not in known)

    def has(self, length: int) -> bool:
        """Whether the array reaches as far as frames `0 .. length - 1` of this trajectory."""
        least = {"b": self.at + 1, "t": self.first + length}
        pairs = zip(self._letters, self.array.shape, strict=True)
        return all(size >= least.get(letter, 1) for letter, size in pairs)

    def numbers(self, start: int, stop: int) -> np.ndarray:
        """`[stop - start]`, of an array over time alone."""
        return self.read(start, stop, ())[:, 0]

    def read(self, start: int, stop: int, space: tuple[int, ...]) -> np.ndarray:
        """`[stop - start, *space, component]`, float32, with one component if there is no axis of them."""
        parts = {"b": self.at, "t": slice(self.first + start, self.first + stop)}
        values = self.array.take(tuple(parts.get(letter, slice(None)) for letter in self._letters))
        left = [letter for letter in self._letters if letter != "b"]
        target = ["t", *SPACE[len(SPACE) - len(space) :]]
        components = [letter for letter in left if letter not in target]
        order = [left.index(letter) for letter in (*target, *components) if letter in left]
        shape = [values.shape[left.index(letter)] if letter in left else 1 for letter in target]
        values = values.transpose(order).reshape(*shape, math.prod(self.components))
        if self.component is not None:
            values = values[..., self.component : self.component + 1]
        return self._whole(values, (stop - start, *space))

    def _whole(self, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        if any(found not in (1, wanted) for found, wanted in zip(values.shape, shape, strict=False)):
            raise InputError(
                f"an array of {values.shape[:-1]} was found where frames of {shape} were expected"
            )
        whole = np.broadcast_to(values, (*shape, values.shape[-1])).astype(np.float32)
        whole = whole if self.factor == 1.0 else whole * np.float32(self.factor)
        return whole if self.missing is None else np.where(np.isnan(whole), np.float32(self.missing), whole)


def open_hdf5(file: str | Path) -> h5py.File:
    """A file for reading, which stays open in this process. Raises `Refused` if a part of it lies in another
    file."""
    return _open_hdf5(str(file), os.getpid(), Path(file).stat().st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _open_hdf5(file: str, process: int, changed: int) -> h5py.File:
    return hdf5.open_checked(Path(file))


@contextlib.contextmanager
def explained(file: Any) -> Iterator[None]:
    """Turns what a library says of a file that is missing or damaged into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"there is no {file}: it was there when the archive was opened, or named") from error
    except DAMAGE as error:
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{file} cannot be read ({words}): it is damaged, cut short or of another kind; fetch it again"
        ) from error
