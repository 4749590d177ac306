"""Promises of size: a header of a hundred bytes can ask for terabytes."""

import math
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common import machine
from rolling.data.untrusted import Refused

SHARE = 0.5  # of the machine's memory that one array may take


def most_at_once() -> int:
    """Bytes that may be held for one array."""
    return int(SHARE * machine.memory())


def check_memory(what: str, shape: Sequence[int], itemsize: int) -> None:
    """Raises `Refused` for an array that is read at once and takes more than half of the memory."""
    size = math.prod(map(int, shape)) * itemsize
    memory = machine.memory()
    if size > most_at_once():
        raise Refused(
            f"{what} promises {size / 2**30:,.0f} GiB at once ({' x '.join(map(str, shape))}), of"
            f" {memory / 2**30:,.0f} GiB of memory: it is damaged, or made to fill the memory; if"
            " it is neither, store it in smaller pieces"
        )


def check_regular(file: Path) -> None:
    """Raises `Refused` for what is neither a file nor a link to one, such as a pipe, whose reading would
    wait for ever. What does not exist is left to whoever opens it."""
    if file.exists() and not stat.S_ISREG(file.stat().st_mode):
        raise Refused(f"{file.name} is no regular file, but a folder, a pipe or a device: leave it out")


def npz_shape(held: Any, name: str) -> tuple[int, ...]:
    """The shape of an array of an open npz file, by its header alone. Raises `Refused` where the file does
    not hold as much as the header promises, or more than the memory."""
    member = f"{name}.npy" if f"{name}.npy" in held.zip.NameToInfo else name
    about: zipfile.ZipInfo = held.zip.getinfo(member)
    with held.zip.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        old = version == (1, 0)
        read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        start = stream.tell()
    promised = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and promised != about.file_size - start:
        raise Refused(
            f"{name} promises {promised} bytes, but holds {about.file_size - start}: the file is damaged"
        )
    check_memory(name, shape, dtype.itemsize)
    return shape


def load_npy(file: Path) -> np.ndarray:
    """The array of an npy file, mapped: it cannot be longer than the file. Never objects."""
    check_regular(file)
    return np.load(file, mmap_mode="r", allow_pickle=False)


def load_npz(file: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file; never objects."""
    check_regular(file)
    with np.load(file, allow_pickle=False) as held:
        for name in held.files:
            npz_shape(held, name)
        return dict(held)
