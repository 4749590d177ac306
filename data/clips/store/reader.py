"""The prepared store: pictures of one size, ready to be cut into clips.

store.json      format, picture, labels, sizes of the files, what was skipped or ends at a fault, and why
index.npz       for each clip its name, part, label, shard, first frame there, number of frames, rate of
                recording (NaN: not known), and the time in its file at which it begins, in seconds; sums over
                the training part
shard-*.npy     frames [N, height, width, channel], uint8, clip after clip
actions.npy     [N, a], float32, for the frames in the order of the index, if the collection has actions
tokens.npy      [clips, n, d], float32, if it has tokens
checks.npy      [N], uint32, a checksum for each frame in the order of the index

`store.json` is sealed and holds the checksums of the other files, except for the shards, which may be large:
of them each frame is checked when a process first reads it.

A folder that contains `store.json` is complete: that file is written last, and then the folder is renamed.
"""

import dataclasses
import os
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common import seal
from rolling.common.documents import read_json
from rolling.common.errors import InputError
from rolling.data.clips.protocol import Picture
from rolling.data.clips.store.overview import describe
from rolling.data.source import Split
from rolling.data.statistics import Statistics, from_sums
from rolling.data.untrusted.sizes import load_npy, load_npz
from rolling.layout import Layout, video

FORMAT = 1
DESCRIPTION, INDEX, ACTIONS, TOKENS = "store.json", "index.npz", "actions.npy", "tokens.npy"
CHECKS = "checks.npy"
WHOLE = (INDEX, ACTIONS, TOKENS, CHECKS)  # checked as a whole when they are first read
ADVICE = "delete it and prepare it again"
OPEN_SHARDS = 512  # mapped at a time: each keeps a file open, and the usual limit is 1,024


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """One part of a store as sequences: see `Sequences` and `rolling.data.statistics.Measured`.

    `clips` are its rows of the index; `statistics` are those of the training part, whichever part this is.
    """

    layout: Layout
    path: Path
    clips: np.ndarray
    mask: None = None
    from_start = True  # see `rolling.data.source.Counting`

    def __len__(self) -> int:
        return len(self.clips)

    def length(self, index: int) -> int:
        return int(self._frames[self.clips[index]])

    def raw(self, index: int, start: int, stop: int) -> np.ndarray:
        """Frames as they are stored: `[stop - start, height, width, channel]`, uint8, read-only."""
        clip = self.clips[index]
        if not 0 <= start <= stop <= self._frames[clip]:
            raise IndexError(f"frames {start} to {stop} of a clip of {self._frames[clip]}")
        first = int(self._first[clip])
        shard = _shard(self.path, int(self._shard[clip]))
        frames = mapped(shard)[first + start : first + stop]
        if frames.dtype != np.uint8 or frames.shape != (stop - start, *self.layout.shape):
            raise seal.damaged(str(shard), ADVICE)
        known = int(self._offsets[clip])
        self._check(frames, slice(known + start, known + stop), shard)
        return frames

    def _check(self, frames: np.ndarray, at: slice, shard: Path) -> None:
        """Of each frame once in a process: reading a clip again is to cost no more than its copy."""
        if self._checks is None or self._checked_frames[at].all():
            return
        if seal.checksums(frames) != self._checks[at].tolist():
            raise seal.damaged(str(shard), ADVICE)
        self._checked_frames[at] = True

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        return self.raw(index, start, stop).astype(np.float32)

    def times(self, index: int, start: int, stop: int) -> np.ndarray:
        return np.arange(start, stop) * self.layout.step

    def conditioning(self, index: int, start: int, stop: int) -> dict[str, np.ndarray]:
        clip, found = self.clips[index], {}
        if self.layout.labels:
            found["label"] = self._columns["label"][clip]
        if self.layout.tokens:
            found["tokens"] = np.array(_checked(self.path, TOKENS)[clip])
        if self.layout.actions:
            if stop > self._frames[clip]:
                raise InputError(
                    f"the actions of {self.name(index)} are known for {self._frames[clip]} frames, not for"
                    f" {stop}"
                )
            first = self._offsets[clip]
            found["actions"] = np.array(_checked(self.path, ACTIONS)[first + start : first + stop])
        return found

    def name(self, index: int) -> str:
        """The name of a clip in its collection."""
        return os.fsdecode(self._columns["name"][self.clips[index]].item())

    @property
    def starts_known(self) -> bool:
        """Whether the store says where clips begin; those of earlier versions do not."""
        return "start" in self._columns

    def start(self, index: int) -> float:
        """The time in its file at which a clip begins, in seconds after the first frame."""
        return float(self._columns["start"][self.clips[index]])

    def statistics(self) -> Statistics:
        """Of the training part, from sums made in preparation. Raises `InputError` for constant pixels."""
        columns = self._columns
        sums, count = columns["sums"][None].astype(np.float64), columns["count"].reshape(1)
        shift = np.zeros(len(columns["squares"]))
        return from_sums(self.layout, None, shift, sums, columns["squares"].astype(np.float64), count)

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        return _columns(self.path)

    @cached_property
    def _checks(self) -> np.ndarray | None:
        return _checked(self.path, CHECKS) if CHECKS in read_description(self.path)["files"] else None

    @cached_property
    def _checked_frames(self) -> np.ndarray:
        return np.zeros(int(self._frames.sum()), bool)

    @cached_property
    def _frames(self) -> np.ndarray:
        return self._columns["frames"]

    @cached_property
    def _first(self) -> np.ndarray:
        return self._columns["first"]

    @cached_property
    def _shard(self) -> np.ndarray:
        return self._columns["shard"]

    @cached_property
    def _offsets(self) -> np.ndarray:
        return np.cumsum(self._frames, dtype=np.int64) - self._frames


def is_prepared_store(path: Path) -> bool:
    return (path / DESCRIPTION).is_file()


def is_complete(path: Path) -> bool:
    """Whether all files are there with their recorded sizes. Their contents are not read: there may be
    terabytes."""
    try:
        return all(
            (path / name).stat().st_size == size for name, size in read_description(path)["files"].items()
        )
    except (OSError, InputError):
        return False


def read_description(path: Path) -> dict:
    """The contents of `store.json`. Raises `InputError` for a store of another format."""
    try:
        found = read_json(path / DESCRIPTION)
        version = found["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a prepared store: its {DESCRIPTION} cannot be read ({error})"
        ) from None
    if version != FORMAT:
        raise InputError(
            f"the store {path} has format {version}, and this version reads {FORMAT}: prepare it again"
        )
    if seal.is_sealed(found):
        seal.check_sealed(found, str(path), ADVICE)
    return found


def open_store(path: Path, *, labelled: bool = True, actions: bool = True) -> Split:
    """The two parts of a store, with the classes and actions of its clips or without. Raises `InputError` for
    one that is damaged."""
    about = read_description(path)
    if not is_complete(path):
        raise InputError(f"the prepared store {path} is damaged, or was not copied in full: prepare it again")
    if not seal.is_sealed(about) or CHECKS not in about["files"]:
        seal.tell_missing(f"the prepared store {path}")
    layout = layout_of(
        Picture(**about["picture"]),
        labels=tuple(about["labels"]) if labelled else (),
        tokens=about["tokens"][-1] if about["tokens"] else 0,
        actions=about["actions"] if actions else 0,
    )
    index = _columns(path)
    test = index["test"]
    parts = (Prepared(layout=layout, path=path, clips=np.flatnonzero(test == part)) for part in (False, True))
    train, test = parts
    skipped = tuple(map(tuple, about["skipped"]))
    return Split(train=train, test=test, skipped=skipped, notices=tuple(describe(about, index)))


def layout_of(picture: Picture, **conditioning: Any) -> Layout:
    """The layout of frames in the format of a picture."""
    rate = picture.rate or 1.0
    layout = video(picture.height, picture.width, rate=rate, colour=picture.colour, **conditioning)
    # Without a rate, time counts frames.
    return layout if picture.rate else dataclasses.replace(layout, time_units="1")


def _shard(path: Path, index: int) -> Path:
    return path / shard_name(index)


def shard_name(index: int) -> str:
    return f"shard-{index:05d}.npy"


@lru_cache(maxsize=OPEN_SHARDS)
def mapped(path: Path) -> np.ndarray:
    """The frames of a shard. Raises `InputError` where it is damaged."""
    try:
        return np.asarray(load_npy(path))
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise seal.damaged(str(path), ADVICE) from error


@lru_cache(maxsize=8)
def _checked(path: Path, name: str) -> np.ndarray:
    """A file that is read whole or often, mapped after it was found to be what was written."""
    _check_file(path, name)
    return np.asarray(load_npy(path / name))


@lru_cache(maxsize=8)
def _columns(path: Path) -> dict[str, np.ndarray]:
    _check_file(path, INDEX)
    return load_npz(path / INDEX)


def _check_file(path: Path, name: str) -> None:
    noted = read_description(path).get("checksums")
    if noted is not None and noted[name] != seal.checksum_of_file(path / name):
        raise seal.damaged(str(path / name), ADVICE)
