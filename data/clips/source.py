"""Clips as the source of an experiment: prepared once, then read from the store."""

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

from data import cache
from data.clips.collection import TEST, TRAIN, Collection, Entry, Picture
from data.clips.folders import Videos
from data.clips.prepare import prepare
from data.clips.store import FORMAT, describe, is_store, is_whole, open_store
from data.source import Split
from rolling.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clips:
    """A collection of clips, such as a folder of videos at `path`, or a store that was prepared from one.

    At the first opening every clip is read, made into pictures of one size and written to `cache` (by default
    the folder named by the environment variable ROLLING_CACHE, or `~/.cache/rolling-diffusion`), by `workers`
    processes (None: as many as there are cores; 0: this one); later ones map that store. It is made again
    when files are added or change.

    Held out are the clips named by `test`, in full or by the stem of the file; without names, those that the
    collection says; where it says nothing, a share `holdout` that depends on the names of the clips alone.
    Clips of fewer than `min_frames` frames are skipped. With `labelled=False` nothing is told of classes.
    """

    path: str = ""
    collection: Collection = Videos()
    picture: Picture = Picture()
    test: tuple[str, ...] = ()
    holdout: float = 0.1
    min_frames: int = 1
    labelled: bool = True
    workers: int | None = None
    cache: str | None = None

    def __post_init__(self):
        if not 0 < self.holdout < 1:
            raise InputError(f"source.holdout is a share between 0 and 1, not {self.holdout}")
        for name, value, least in (("min_frames", self.min_frames, 1), ("workers", self.workers or 0, 0)):
            if value < least:
                raise InputError(f"source.{name} must be at least {least}, not {value}")
        picture = self.picture
        if min(picture.height, picture.width) < 1 or not 0 < (picture.rate or 1) < math.inf:
            raise InputError(f"pictures need a height, a width and a rate above 0, not {picture}")

    def open(self) -> Split:
        """Prepares at the first call. Raises `InputError` where there is nothing to prepare."""
        if self.path and is_store(Path(self.path).expanduser()):
            return open_store(self._own(Path(self.path).expanduser()), labelled=self.labelled)
        collection = self._placed()
        entries = parted(collection.entries(), self.test, self.holdout)
        kind = type(collection).__name__.lower()
        path = cache.folder(self.cache) / f"{kind}-{self._key(collection, entries)}"
        made = cache.grow(path, lambda folder: self._make(folder, collection, entries), is_whole)
        return open_store(made, labelled=self.labelled)

    def _make(self, folder: Path, collection: Collection, entries: Sequence[Entry]) -> None:
        settings = {"min_frames": self.min_frames, "workers": self.workers}
        prepare(folder, collection, entries, self.picture, **settings)

    def _placed(self) -> Collection:
        """The collection, at our path where there is one."""
        if not self.path:
            return self.collection
        if not hasattr(self.collection, "path"):
            kind = type(self.collection).__name__
            raise InputError(f"{kind} does not lie at a path: leave --source.path out")
        return dataclasses.replace(self.collection, path=self.path)

    def _own(self, store: Path) -> Path:
        found = Picture(**describe(store)["picture"])
        if found != self.picture:
            raise InputError(
                f"the store {store} holds {_shown(found)}, but {_shown(self.picture)} are asked for: give"
                f" --source.picture.height {found.height} --source.picture.width {found.width} and the like,"
                " or prepare again"
            )
        return store

    def _key(self, collection: Collection, entries: Sequence[Entry]) -> str:
        root = Path(getattr(collection, "path", "")).expanduser()
        if hasattr(collection, "path"):  # a folder that was moved is the same
            collection = dataclasses.replace(collection, path="")
        seen: dict[str, Any] = {}
        listed = hashlib.sha256()
        for entry in entries:
            listed.update(repr((dataclasses.astuple(entry), _stamp(root, entry.name, seen))).encode())
        return cache.key((collection, self.picture, self.min_frames, FORMAT, listed.hexdigest()))


def parted(entries: Sequence[Entry], test: tuple[str, ...], holdout: float) -> list[Entry]:
    """The entries, each TRAIN or TEST. Raises `InputError` where a part would be empty."""
    chosen = _named(entries, test) if test else {entry.name for entry in entries if entry.split == TEST}
    chosen = chosen or _drawn(entries, holdout)
    parts = [dataclasses.replace(entry, split=TEST if entry.name in chosen else TRAIN) for entry in entries]
    if len({entry.split for entry in parts}) < 2:
        raise InputError(
            f"{len(parts)} clip(s) make no two parts, one to train on and one to test on: add clips, or name"
            " those to hold out with --source.test"
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
    """Each clip is held out or not by its own name: no other clip, added or removed, changes that."""
    place = {entry.name: int(hashlib.sha256(entry.name.encode()).hexdigest()[:13], 16) for entry in entries}
    return {name for name, value in place.items() if value < share * 16**13} or {min(place, key=place.get)}


def _stamp(root: Path, name: str, seen: dict[str, Any]) -> Any:
    """Size and time of the file of a clip, or of the one that it is a part of; None where there is none."""
    if name not in seen:
        parent = str(PurePosixPath(name).parent)
        try:
            found = (root / name).stat()
            seen[name] = (found.st_size, found.st_mtime_ns)
        except (OSError, ValueError):
            seen[name] = _stamp(root, parent, seen) if parent != name else None
    return seen[name]


def _shown(picture: Picture) -> str:
    rate = "all frames" if picture.rate is None else f"{picture.rate:g} frames a second"
    return f"{picture.height} x {picture.width} {'colour' if picture.colour else 'grey'} pictures, {rate}"
