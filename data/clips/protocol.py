"""The protocol of a collection of clips as they lie on somebody's disk: video files, arrays, records."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from rolling.common.errors import InputError

TRAIN, TEST, UNSPECIFIED = "train", "test", ""


class BadClip(InputError):
    """A clip that cannot be used, and why: preparation skips it, counts it and lists it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One clip of a collection, not opened yet.

    `name` tells it apart from all others, wherever the collection lies (a path relative to its folder);
    `split` is TRAIN, TEST, or UNSPECIFIED where the collection does not say; `label` is the name of its
    class, "" where there is none. `start` and `stop` cut it, in seconds.
    """

    name: str
    split: str = UNSPECIFIED
    label: str = ""
    start: float = 0.0
    stop: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """What frames are made into: `height x width`, the short side resized to fit and the middle cut out;
    `rate` frames a second (None: all frames, as they are); three channels, or luma alone.

    `height = width = 0` takes pixels as they are, of any size: for measures, no store can hold them.
    """

    height: int = 64
    width: int = 64
    rate: float | None = None
    colour: bool = True

    @property
    def channels(self) -> int:
        return 3 if self.colour else 1

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what a frame of `height x width` is made into."""
        return self.height or height, self.width or width


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """Some frames in a row: `frames [T, height, width, channel]`, uint8; `actions [T, a]`, float32, and
    `tokens [n, d]`, float32, of the whole clip, where the collection has them."""

    frames: np.ndarray
    actions: np.ndarray | None = None
    tokens: np.ndarray | None = None


@runtime_checkable
class Collection(Protocol):
    """What an experiment names: a frozen dataclass, which is sent to other processes. Nothing stays open."""

    def entries(self) -> Sequence[Entry]:
        """All clips, in an order that depends on the collection alone. Raises `InputError`."""

    def read(self, entry: Entry, picture: Picture) -> Iterator[Block]:
        """One clip, block after block, of any sizes. Raises `BadClip`."""
