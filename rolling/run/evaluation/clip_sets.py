"""Sets of clips of any kind, read one clip at a time."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.data.clips.protocol import TEST, BadClip, Collection, Entry, Picture

Size = tuple[int, int]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ClipSet:
    """The first `frames` frames of each clip of a collection, or of its test part where it has one.

    `skipped` collects the names of clips that could not be used, and the reasons.
    """

    place: str
    collection: Collection
    picture: Picture
    frames: int
    entries: Sequence[Entry]
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, collection: Collection, place: str, picture: Picture, frames: int) -> "ClipSet":
        """Raises `InputError` where there are no clips."""
        entries = collection.entries()
        if not entries:
            raise InputError(f"there are no clips in {place}: name a folder, file or store of clips")
        test = [entry for entry in entries if entry.split == TEST]
        return cls(
            place=place, collection=collection, picture=picture, frames=frames, entries=test or entries
        )

    def read(self, entry: Entry) -> np.ndarray | None:
        """`[T, height, width, 3]`, uint8; None where the clip is too short or cannot be read."""
        parts: list[np.ndarray] = []
        fault = ""
        try:
            for block in self.collection.read(entry, self.picture):
                parts.append(block.frames)
                fault = block.fault
                if sum(map(len, parts)) >= self.frames:
                    return np.concatenate(parts)[: self.frames]
            less = f"it has {counted(sum(map(len, parts)), 'frame')}, and {self.frames} are compared"
            self.skipped[entry.name] = f"{less}: {fault}" if fault else less
        except BadClip as error:
            self.skipped[entry.name] = str(error)
        return None

    def __len__(self) -> int:
        """The number of clips without those found unusable so far."""
        return len(self.entries) - len(self.skipped)


class OneSize:
    """`size` is that of the first picture; all others must have the same."""

    def __init__(self):
        self._size: Size | None = None
        self.of = ""

    @property
    def size(self) -> Size:
        assert self._size is not None  # a picture was checked
        return self._size

    def check(self, clips: ClipSet, entry: Entry, frames: np.ndarray) -> None:
        """Raises `InputError` for frames of another size."""
        found, of = frames.shape[1:3], f"{entry.name} in {clips.place}"
        if self._size is None:
            self._size, self.of = found, of
        if found != self.size:
            raise InputError(
                f"the pictures of {of} are {found[0]} x {found[1]}, those of {self.of} {self.size[0]} x"
                f" {self.size[1]}: bring all to one size with --size HEIGHT WIDTH"
            )
