"""A cache of results that take long to make: one folder per key, either complete or absent."""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rolling.common.documents import read_json
from rolling.common.errors import InputError
from rolling.common.files import DAY
from rolling.common.lock import Busy, alone
from rolling.common.machine import FULL, user_cache

CHECKSUMS = "checksums.json"
HALF = ".half"  # the ending of a folder that is being written
FORMER_HALF = re.compile(r"\..+-[0-9a-f]{16}-\w{8}")
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
    return user_cache()


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

    It is written next to its final place and then renamed, so that it is never seen half written; a second
    process waits for the first. Raises `InputError` if it cannot be written.
    """
    if path.parent.is_dir():
        _remove_halves(path.parent)
    if is_intact(path):
        return path
    with _explained(path), _alone(path):
        if not is_intact(path):  # nobody else has made it meanwhile
            _tell_damage(path)
            work = _half(path)
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
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
    with _explained(path), _alone(path):
        if not whole(path):
            _tell_damage(path)
            work = path.with_name(f".{path.name}.part")
            work.mkdir(exist_ok=True)
            try:
                make(work)
            except InputError:
                shutil.rmtree(work, ignore_errors=True)
                raise
            _replace(work, path, whole)
    return path


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits until nobody else makes `path`, and keeps others waiting."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone(_lock(path), str(path), wait=True):
        yield


def _lock(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _half(path: Path) -> Path:
    return path.with_name(f".{path.name}{HALF}")


def _tell_damage(path: Path) -> None:
    if path.exists():
        print(f"{path} is damaged and is made again", file=sys.stderr, flush=True)


def _remove_halves(parent: Path) -> None:
    """Removes what processes that were killed have left of results that are made in one go."""
    for half in parent.glob(f".*{HALF}"):
        path = half.with_name(half.name[1 : -len(HALF)])
        with contextlib.suppress(Busy, OSError), alone(_lock(path), str(path)):
            shutil.rmtree(half)
    for half in parent.iterdir():
        # Earlier versions held no lock: what nobody has touched for a day is nobody's.
        if FORMER_HALF.fullmatch(half.name) and time.time() - _touched(half) > DAY:
            shutil.rmtree(half, ignore_errors=True)


def _touched(folder: Path) -> float:
    return max(place.lstat().st_mtime for place in (folder, *folder.iterdir()))


def seal(path: Path) -> None:
    """Records the size and checksum of every file of a folder, and flushes the files to the disk."""
    sums = {file.name: _checksum(file) for file in sorted(path.iterdir())}
    (path / CHECKSUMS).write_text(json.dumps(sums), encoding="utf-8")
    for file in path.iterdir():
        with open(file, "rb") as handle:
            os.fsync(handle.fileno())


def is_intact(path: Path) -> bool:
    """Whether every file of a sealed folder is still as it was written."""
    try:
        sums = read_json(path / CHECKSUMS)
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
        if error.errno in FULL:
            raise InputError(
                f"the disk is full while writing {path}: free some space, or name another folder with the"
                " environment variable ROLLING_CACHE"
            ) from error
        raise InputError(
            f"{path} cannot be written ({error.strerror}): name another folder with the environment variable"
            " ROLLING_CACHE"
        ) from error
