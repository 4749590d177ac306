"""The protocol of a collection of clips as found on disk: video files, arrays, records."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from rolling.common.errors import InputError

TRAIN, TEST, UNSPECIFIED = "train", "test", ""


class BadClip(InputError):
    """A clip that cannot be used, and why: preparation skips, counts and lists it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One clip of a collection, not opened yet.

    `name` is unique and independent of where the collection is stored (a path relative to its folder);
    `split` is TRAIN, TEST, or UNSPECIFIED if the collection does not say; `label` is the name of its class,
    "" if there is none. `start` and `stop` cut it, in seconds.
    """

    name: str
    split: str = UNSPECIFIED
    label: str = ""
    start: float = 0.0
    stop: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """The format of frames: `height x width`, resized by the short side and centre-cropped; `rate` frames per
    second (None: all frames, as they are); three channels, or luma alone.

    `height = width = 0` keeps pixels as they are, of any size: for metrics only, no store can hold them.
    """

    height: int = 64
    """Pixels; 0, with a width of 0, leaves pictures as they are."""
    width: int = 64
    """Pixels."""
    rate: float | None = None
    """Frames per second; None keeps every frame."""
    colour: bool = True
    """Three channels, or luma alone."""

    @property
    def channels(self) -> int:
        return 3 if self.colour else 1

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the picture made from a frame of `height x width`."""
        return self.height or height, self.width or width


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """Consecutive frames: `frames [T, height, width, channel]`, uint8; their `actions [T, a]`, float32, and
    the `tokens [n, d]`, float32, of the whole clip, if the collection has them.

    `rate` is that of the recording, in frames per second, if known. `fault` says why the clip ends with this
    block, though its file does not.
    """

    frames: np.ndarray
    actions: np.ndarray | None = None
    tokens: np.ndarray | None = None
    rate: float | None = None
    fault: str = ""


@runtime_checkable
class Collection(Protocol):
    """A frozen dataclass named by an experiment; it is sent to other processes and keeps nothing open."""

    def entries(self) -> Sequence[Entry]:
        """All clips, in an order that depends on the collection alone. Raises `InputError`."""
        ...

    def read(self, entry: Entry, picture: Picture) -> Iterator[Block]:
        """One clip, block by block, in blocks of any size. Raises `BadClip`."""
        ...
