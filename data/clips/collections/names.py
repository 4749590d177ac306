"""Splits and classes from names, and an order of names in which 10 comes after 9."""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from rolling.common.errors import InputError
from rolling.data.clips.collections.folders import SPLITS
from rolling.data.clips.protocol import UNSPECIFIED


def natural(name: str) -> tuple:
    """A sort key that compares numbers in names by value."""
    return tuple(
        (1, int(part), part) if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", name)
    )


def in_order(names: Iterable[str]) -> list[str]:
    """Sorted by `natural`, folder by folder."""
    return sorted(names, key=lambda name: [natural(part) for part in name.split("/")])


def split_of(name: str) -> str:
    """The split, by the first part of a path that is named like one: `train/walking/0001`, `train.npy`."""
    path = PurePosixPath(name)
    return next(
        (SPLITS[part.lower()] for part in (*path.parts, path.stem) if part.lower() in SPLITS), UNSPECIFIED
    )


def label_of(name: str) -> str:
    """The folders around a clip, without those that name splits: `walking` for `train/walking/0001`."""
    return "/".join(part for part in PurePosixPath(name).parts[:-1] if part.lower() not in SPLITS)


def existing_path(path: str, holds: str) -> Path:
    """The path that a user named. Raises `InputError` if it does not exist."""
    if not path:
        raise InputError(f"no data were named: give --source.path, the place of {holds}")
    place = Path(path).expanduser()
    if not place.exists():
        raise InputError(f"there is no {path}: give the place of {holds}")
    return place
