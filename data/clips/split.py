"""The split of clips into those for training and those held out."""

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import PurePosixPath

from rolling.common.errors import InputError
from rolling.data.clips.protocol import TEST, TRAIN, Entry


def split_entries(entries: Sequence[Entry], test: tuple[str, ...], holdout: float) -> list[Entry]:
    """The entries, each marked TRAIN or TEST. Raises `InputError` if a part would be empty."""
    chosen = _named(entries, test) if test else {entry.name for entry in entries if entry.split == TEST}
    chosen = chosen or _drawn(entries, holdout)
    parts = [dataclasses.replace(entry, split=TEST if entry.name in chosen else TRAIN) for entry in entries]
    if len({entry.split for entry in parts}) < 2:
        raise InputError(
            f"{len(parts)} clip(s) cannot be split into two parts, one to train on and one to test on: add"
            " clips, or name those to hold out with --source.test"
        )
    return parts


def _named(entries: Sequence[Entry], names: tuple[str, ...]) -> set[str]:
    by_name: dict[str, set[str]] = {}
    for entry in entries:
        for name in (entry.name, PurePosixPath(entry.name).stem):
            by_name.setdefault(name, set()).add(entry.name)
    for name in names:
        if name not in by_name:
            near = get_close_matches(name, by_name, n=1)
            hint = f"; the nearest is {near[0]!r}" if near else ""
            raise InputError(f"source.test names {name!r}, and there is no such clip{hint}")
    return set().union(*(by_name[name] for name in names))


def _drawn(entries: Sequence[Entry], share: float) -> set[str]:
    """A clip's own name decides whether it is held out: adding or removing other clips changes nothing."""
    names = {entry.name for entry in entries}
    return {name for name in names if hash_fraction(name) < share} or {min(names, key=hash_fraction)}


def hash_fraction(name: str) -> float:
    """A pseudo-random number in [0, 1) that depends on the name alone."""
    return int(hashlib.sha256(os.fsencode(name)).hexdigest()[:13], 16) / 16**13
