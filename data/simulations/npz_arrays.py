"""Arrays of npz files, which can only be unpacked whole."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common.errors import InputError
from rolling.data.simulations.stored_arrays import Index, explained
from rolling.data.untrusted.sizes import check_regular, npz_shape

Npz = Any
"""An open npz file: a type checker cannot know what it holds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NpzArray:
    """The array `name` of an npz file. It is unpacked whole where any part of it is read, and the last one
    that was read is kept.

    `shape` is its own, or another one that its values fill in their order.
    """

    file: str
    name: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, file: Path, name: str, held: Npz | None = None) -> "NpzArray":
        """Of a file, which may be `held` open. Raises `InputError` for one that is damaged."""
        with opened(file) if held is None else contextlib.nullcontext(held) as there:
            return cls(file=str(file), name=name, shape=npz_shape(there, name))

    def take(self, index: Index) -> np.ndarray:
        with explained(self.file):
            kept = _last(self.file, self.name, Path(self.file).stat().st_mtime_ns)
            if not kept:
                kept.append(unpacked(Path(self.file), self.name))
            return kept[0].reshape(self.shape)[index]


@functools.lru_cache(maxsize=1)
def _last(file: str, name: str, changed: int) -> list[np.ndarray]:
    """Where the last array is kept. It is forgotten before the next one is unpacked, not after."""
    return []


@contextlib.contextmanager
def opened(file: Path) -> Iterator[Npz]:
    """An npz file for reading. Raises `InputError`, also for what goes wrong while it is read."""
    with explained(file):
        check_regular(file)
        with np.load(file, allow_pickle=False) as held:
            yield held


def unpacked(file: Path, name: str, held: Npz | None = None) -> np.ndarray:
    """An array of a file, which may be `held` open. Raises `InputError` unless it is one of real numbers."""
    with opened(file) if held is None else contextlib.nullcontext(held) as there:
        npz_shape(there, name)
        array = there[name]
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} of {file} is an array of {array.dtype}, not of real numbers: leave it out")
    return array
