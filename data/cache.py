"""A cache of results that take long to make: one folder per key, either complete or absent."""

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rolling.common.errors import InputError
from rolling.common.lock import alone

CHECKSUMS = "checksums.json"
PACKAGE = "rolling."
FORMER_MODULES = {
    "Simulated": "data.simulated",
    "Kolmogorov": "physics.simulators",
    "KuramotoSivashinsky": "physics.simulators",
    "MovingShapes": "data.clips.moving_shapes",
    "Gridded": "data.gridded",
    "Picture": "data.clips.collection",
    "ArrayFiles": "data.clips.arrays",
    "Videos": "data.clips.folders",
    "FrameFolders": "data.clips.frames",
    "Kinetics": "data.clips.kinetics",
    "SomethingSomething": "data.clips.something",
    "Tfds": "data.clips.tfds",
    "BairPushing": "data.clips.tfrecords",
    "UCF101": "data.clips.ucf101",
}
"""Our classes whose keys once held the module in which they were defined; those added later have none."""


def folder(chosen: str | None = None) -> Path:
    """The user's cache: `chosen`, else the environment's ROLLING_CACHE, else `~/.cache/rolling-diffusion`."""
    if chosen or os.environ.get("ROLLING_CACHE"):
        return Path(chosen or os.environ["ROLLING_CACHE"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rolling-diffusion"


def key(value: Any) -> str:
    """A name for a value made of dataclasses, tuples, numbers and strings: equal values, equal names.

    The name does not depend on the module of a class of ours, so that a class can move without every
    simulation and prepared store being made again. Its fields count: a renamed field is a new name. One that
    was `added` later counts only where it is not its default.
    """
    text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def added(default: Any) -> Any:
    """A field of a dataclass that was not there before: at its default it leaves the names in the cache."""
    return dataclasses.field(default=default, metadata={"added": True})


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        known = {field.name: (field, getattr(value, field.name)) for field in dataclasses.fields(value)}
        fields = {
            name: _plain(found)
            for name, (field, found) in known.items()
            if not (field.metadata.get("added") and found == field.default)
        }
        return {"": _class_name(type(value)), **fields}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _class_name(kind: type) -> str:
    module, name = kind.__module__, kind.__qualname__
    if module.startswith(PACKAGE):
        module = FORMER_MODULES.get(name, "rolling")
    return f"{module}.{name}"


def fetch(path: Path, make: Callable[[Path], None]) -> Path:
    """The folder `path`, made by `make(empty folder)` if it is missing or damaged.

    It is written next to its final place and then renamed, so that it is never seen half written; if two
    processes make it at once, one wins. Raises `InputError` if it cannot be written.
    """
    if path.exists():
        if is_intact(path):
            return path
        print(f"{path} is damaged and is made again", file=sys.stderr, flush=True)
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            make(work)
            seal(work)
            _replace(work, path)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return path


def grow(path: Path, make: Callable[[Path], None], whole: Callable[[Path], bool]) -> Path:
    """Like `fetch`, for results that take hours: `make` is given the folder as an interruption left it, and
    finds out itself what is finished there; `whole` says whether a folder is complete.

    A second process says for whom it waits, and waits. Partial results are kept for the next time if the
    disk is full or the process is killed, but not if the data are unusable (`InputError`).
    """
    if whole(path):
        return path
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        work = path.with_name(f".{path.name}.part")
        with alone(path.with_name(f".{path.name}.lock"), str(path), wait=True):
            if not whole(path):
                if path.exists():
                    print(f"{path} is damaged and is made again", file=sys.stderr, flush=True)
                work.mkdir(exist_ok=True)
                try:
                    make(work)
                except InputError:
                    shutil.rmtree(work, ignore_errors=True)
                    raise
                _replace(work, path, whole)
    return path


def seal(path: Path) -> None:
    """Records the size and checksum of every file of a folder, and flushes the files to the disk."""
    sums = {file.name: _checksum(file) for file in sorted(path.iterdir())}
    (path / CHECKSUMS).write_text(json.dumps(sums))
    for file in path.iterdir():
        with open(file, "rb") as handle:
            os.fsync(handle.fileno())


def is_intact(path: Path) -> bool:
    """Whether every file of a sealed folder is still as it was written."""
    try:
        sums = json.loads((path / CHECKSUMS).read_text())
        return all(_checksum(path / name) == noted for name, noted in sums.items())
    except (OSError, ValueError, AttributeError):
        return False


def _replace(work: Path, path: Path, whole: Callable[[Path], bool] = is_intact) -> None:
    if path.exists() and not whole(path):
        shutil.rmtree(path)
    try:
        work.rename(path)
    except OSError:
        if not whole(path):  # otherwise another process was faster
            raise


def _checksum(file: Path) -> list[int]:
    """Size and CRC-32."""
    crc = 0
    with open(file, "rb") as handle:
        while block := handle.read(2**22):
            crc = zlib.crc32(block, crc)
    return [file.stat().st_size, crc]


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"the disk is full while writing {path}: free some space, or name another folder with the"
                " environment variable ROLLING_CACHE"
            ) from error
        raise InputError(
            f"{path} cannot be written ({error.strerror}): name another folder with the environment variable"
            " ROLLING_CACHE"
        ) from error
