"""Clips as the source of an experiment: prepared once, then read from a store."""

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from rolling.common.errors import InputError
from rolling.data import cache
from rolling.data.clips.collections.detect import hint
from rolling.data.clips.collections.folders import Videos
from rolling.data.clips.protocol import UNSPECIFIED, Collection, Entry, Picture
from rolling.data.clips.split import LIKENESS, NAMES, Draw, split_entries
from rolling.data.clips.store.prepare import prepare
from rolling.data.clips.store.reader import (
    FORMAT,
    is_complete,
    is_prepared_store,
    layout_of,
    open_store,
    read_description,
)
from rolling.data.source import Split
from rolling.layout import Layout


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clips:
    """A collection of clips, such as a folder of videos at `path`, or a store that was prepared from one.

    When it is first opened, every clip is read, converted to pictures of one size and written to the cache;
    afterwards that store is memory-mapped. It is made again when files are added or change.

    The clips held out are those named by `test`; without names, those that the collection marks; if it marks
    none, a fraction `holdout`, at least 10 or a quarter of them, chosen by their names. What is held out is
    held out once: all other copies of it are left out.
    """

    path: str = ""
    """A folder, file or prepared store of clips."""
    collection: Collection = Videos()
    """How the clips lie in it."""
    picture: Picture = Picture()
    """The pictures that they are converted to."""
    test: tuple[str, ...] = ()
    """Clips to hold out, by their names with or without the suffix."""
    holdout: float = 0.1
    """Fraction of the clips held out where neither names nor the collection say which."""
    holdout_by: Literal["likeness", "pictures", "names"] = LIKENESS
    """What tells clips apart there: likeness, so that copies lie on one side, compressed again or trimmed,
    too; pictures, so that exact copies and links do; or names alone, as in earlier versions."""
    min_frames: int = 1
    """Clips of fewer frames are skipped; a training window is a good choice."""
    labelled: bool = True
    """Condition the network on the classes."""
    actions: bool = True
    """Condition the network on the actions, where the clips have some."""
    workers: int | None = None
    """Processes that prepare; None: one per core, 0: none but this one."""
    cache: str | None = None
    """The folder for prepared stores; by default $ROLLING_CACHE, or `~/.cache/rolling-diffusion`."""

    def __post_init__(self):
        if not 0 < self.holdout < 1:
            raise InputError(f"source.holdout is a share between 0 and 1, not {self.holdout}")
        for name, value, least in (("min_frames", self.min_frames, 1), ("workers", self.workers or 0, 0)):
            if value < least:
                raise InputError(f"source.{name} must be at least {least}, not {value}")
        picture = self.picture
        rate = 1 if picture.rate is None else picture.rate
        if min(picture.height, picture.width) < 1 or not 0 < rate < math.inf:
            raise InputError(f"pictures need a height, a width and a rate above 0, not {picture}")

    def open(self) -> Split:
        """Prepares the store at the first call. Raises `InputError` if there is nothing to prepare."""
        if self.path and is_prepared_store(Path(self.path).expanduser()):
            return open_store(
                self._own(Path(self.path).expanduser()), labelled=self.labelled, actions=self.actions
            )
        collection = self._placed()
        found = self._found(collection)
        entries = split_entries(found, self.test)
        draw = Draw(share=self.holdout, by=self.holdout_by)
        kind = type(collection).__name__.lower()
        path = cache.folder(self.cache) / f"{kind}-{self._key(collection, entries, draw)}"
        settings = {"min_frames": self.min_frames, "draw": draw, "workers": self.workers}
        make = lambda place: prepare(place, collection, entries, self.picture, **settings)  # noqa: E731
        return open_store(cache.grow(path, make, is_complete), labelled=self.labelled, actions=self.actions)

    def layout(self) -> Layout:
        """The layout of the pictures, with the classes if there is a collection at `path`; actions and tokens
        are unknown before preparation."""
        if not self.labelled:
            return layout_of(self.picture)
        try:
            entries = self._placed().entries()
        except InputError:  # no data yet, and a class costs little
            return layout_of(self.picture)
        return layout_of(self.picture, labels=tuple(sorted({entry.label for entry in entries} - {""})))

    def _found(self, collection: Collection) -> Sequence[Entry]:
        try:
            return collection.entries()
        except InputError as error:
            raise InputError(f"{error}{hint(getattr(collection, 'path', ''), collection)}") from None

    def _placed(self) -> Collection:
        """The collection, moved to our `path` if there is one."""
        if not self.path:
            return self.collection
        if not hasattr(self.collection, "path"):
            kind = type(self.collection).__name__
            raise InputError(f"{kind} takes no path: leave --source.path out")
        return _moved(self.collection, self.path)

    def _own(self, store: Path) -> Path:
        found = Picture(**read_description(store)["picture"])
        if found != self.picture:
            raise InputError(
                f"the store {store} holds {_shown(found)}, but {_shown(self.picture)} are asked for: give"
                f" --source.picture.height {found.height} --source.picture.width {found.width} and the like,"
                " or prepare again"
            )
        return store

    def _key(self, collection: Collection, entries: Sequence[Entry], draw: Draw) -> str:
        drawn = entries[0].split == UNSPECIFIED
        rule: Any = (draw.by, draw.share if drawn else None)
        if draw.by == NAMES:  # the names that earlier versions gave to stores, which had this rule only
            entries, rule = draw.marked(entries), drawn
        root = Path(getattr(collection, "path", "")).expanduser()
        if hasattr(collection, "path"):  # a moved folder stays the same collection
            collection = _moved(collection, "")
        seen: dict[str, Any] = {}
        listed = hashlib.sha256()
        for entry in entries:
            listed.update(repr((dataclasses.astuple(entry), _stamp(root, entry.name, seen))).encode())
        return cache.key((collection, self.picture, self.min_frames, FORMAT, rule, listed.hexdigest()))


def _moved(collection: Any, path: str) -> Collection:
    """A collection with a path, which is a dataclass, at another path."""
    return dataclasses.replace(collection, path=path)


def _stamp(root: Path, name: str, seen: dict[str, Any]) -> Any:
    """Size and modification time of a clip's file, or of the file that contains it; None if there is none."""
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
