"""Sets of clips from anywhere: read a clip at a time, and paired by their names."""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from data.clips.collection import TEST, BadClip, Collection, Entry, Picture
from rolling.errors import InputError

ARRAY = re.compile(r"(.*?)(?:::(.*?))?(?:\[(\d+)\])?")  # file::array[clip]
Size = tuple[int, int]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ClipSet:
    """The first `frames` frames of each clip of a collection, or of its test part where it tells of one.

    `skipped` fills up with the names of clips that could not be used, and why.
    """

    place: str
    collection: Collection
    picture: Picture
    frames: int
    entries: Sequence[Entry]
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, collection: Collection, place: str, picture: Picture, frames: int) -> "ClipSet":
        entries = collection.entries()
        test = [entry for entry in entries if entry.split == TEST]
        return cls(
            place=place, collection=collection, picture=picture, frames=frames, entries=test or entries
        )

    def read(self, entry: Entry) -> np.ndarray | None:
        """`[T, height, width, 3]`, uint8; None where the clip is too short or cannot be read."""
        parts: list[np.ndarray] = []
        try:
            for block in self.collection.read(entry, self.picture):
                parts.append(block.frames)
                if sum(map(len, parts)) >= self.frames:
                    return np.concatenate(parts)[: self.frames]
            self.skipped[entry.name] = f"it has {sum(map(len, parts))} frames, and {self.frames} are compared"
        except BadClip as error:
            self.skipped[entry.name] = str(error)
        return None

    def clips(self) -> Iterator[tuple[Entry, np.ndarray | None]]:
        return ((entry, self.read(entry)) for entry in self.entries)

    def __len__(self) -> int:
        """Clips that could be used, as far as they were read."""
        return len(self.entries) - len(self.skipped)


class OneSize:
    """The size of the first picture, `size`, which all others must have."""

    def __init__(self):
        self.size: Size | None = None
        self.of = ""

    def check(self, clips: ClipSet, entry: Entry, frames: np.ndarray) -> None:
        """Raises `InputError` for frames of another size."""
        found, of = frames.shape[1:3], f"{entry.name} in {clips.place}"
        if self.size is None:
            self.size, self.of = found, of
        if found != self.size:
            raise InputError(
                f"the pictures of {of} are {found[0]} x {found[1]}, those of {self.of} {self.size[0]} x"
                f" {self.size[1]}: bring all to one size with --size HEIGHT WIDTH"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """A real clip and the fake ones that are forecasts of it."""

    real: Entry
    fakes: tuple[Entry, ...]


def paired(real: Sequence[Entry], fake: Sequence[Entry]) -> list[Pair]:
    """Fake clips by the real one of their name, as many of each, real ones without any left out.

    Names are compared without the suffix of a file; those of arrays, `file::array[clip]`, without what is the
    same for all of a set. A fake clip may have one part more in front or behind: `SAMPLE/NAME`,
    `NAME/SAMPLE`. Empty where a fake clip has no real one, or a name stands for several.
    """
    known = dict(zip(_keys(real), real, strict=True))
    if len(known) < len(real):
        return []
    parts = [PurePosixPath(key).parts for key in _keys(fake)]
    for front, behind in ((0, 0), (1, 0), (0, 1)):
        found: dict[str, list[Entry]] = defaultdict(list)
        for one, entry in zip(parts, fake, strict=True):
            found["/".join(one[front : len(one) - behind])].append(entry)
        sizes = set(map(len, found.values()))
        if found.keys() <= known.keys() and len(sizes) == 1 and (front or behind or sizes == {1}):
            return [Pair(real=known[key], fakes=tuple(found[key])) for key in known if key in found]
    return []


def _keys(entries: Sequence[Entry]) -> list[str]:
    """What is compared of each name."""
    found = [ARRAY.fullmatch(entry.name).groups(default="") for entry in entries]
    files, arrays, indices = (set(part) for part in zip(*found, strict=True))
    return [
        "/".join(
            part
            for part, told in (
                (_stem(file), len(files) > 1 or indices == {""}),
                (array, len(arrays - {""}) > 1),
                (index, bool(index)),
            )
            if told
        )
        for file, array, index in found
    ]


def _stem(file: str) -> str:
    """A path without the suffix of the file; a folder of frames may have a dot in its name all the same."""
    path = PurePosixPath(file)
    return str(path.with_suffix("")) if re.fullmatch(r"\.[A-Za-z]\w{1,4}", path.suffix) else file
