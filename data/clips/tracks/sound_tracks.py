"""The sound of clips as a modality of its own, with as many frames to each picture as one likes."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np

from rolling.common import seal
from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.common.terminal import printable
from rolling.data import cache
from rolling.data.clips.collections.folders import VideoFolder
from rolling.data.clips.source import Clips
from rolling.data.clips.store.reader import Prepared, is_prepared_store, mapped
from rolling.data.clips.tracks.sound_store import (
    ADVICE,
    FORMAT,
    INDEX,
    Track,
    is_whole,
    prepare_sounds,
    read_sounds,
    shard_name,
)
from rolling.data.reasons import by_reason
from rolling.data.source import SequencesBase, Split
from rolling.data.untrusted.sizes import load_npz
from rolling.layout import Layout
from rolling.sound import mdct_layout

RATES = (1_000, 192_000)  # samples per second
EXAMPLES = 3  # names in a sentence


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoundTracks:
    """The sound of `clips`, which are videos: of the same clips, with the same names, held out alike.

    It is mixed to one channel and resampled to `rate`, and its frames are companded coefficients of the MDCT
    (`rolling.sound`), `per_frame` to each picture. Sample `s` of a clip is that of the time `s / rate` after
    its first picture, to the end of its last one; where the track begins later or ends earlier it is silent.
    It is read at the first `open`, and kept in the cache.

    A clip without sound, or with sound that cannot be decoded, stays, and its frames are missing
    (`rolling.data.source.WithGaps`): the modality is trained together with another one, see `Together`.
    """

    clips: Clips = Clips()
    """Whose sound it is. Their pictures have a rate."""
    rate: int = 16_000
    """Samples per second, an even multiple of the frames of sound per second."""
    per_frame: int = 4
    """Frames of sound to each picture."""

    def __post_init__(self):
        if self.per_frame < 1:
            raise InputError(f"source.per_frame must be at least 1, not {self.per_frame}")
        if not RATES[0] <= self.rate <= RATES[1]:
            raise InputError(f"source.rate is one of {RATES[0]} to {RATES[1]} Hz, not {self.rate}")

    def layout(self) -> Layout:
        """Of the coefficients. Raises `InputError` for pictures without a rate, and for rates that are no
        whole multiple of each other."""
        return mdct_layout(self.rate, self._hop())

    def open(self) -> Split:
        """Prepares both stores at the first call. Raises `InputError` where there is nothing to prepare."""
        layout, videos = self.layout(), self._videos()
        split = self.clips.open()
        train, test = (cast(Prepared, part) for part in (split.train, split.test))
        if not train.starts_known:
            raise InputError(
                f"the store {train.path} was prepared by an earlier version, which did not note where clips"
                " begin in their files: delete it, and it is prepared again"
            )
        _check_names(train, test)
        tracks = self._tracks(videos, train, test)
        name = cache.key((train.path.name, self.rate, self.per_frame, FORMAT))
        path = cache.folder(self.clips.cache) / f"sound-{name}"
        settings = {"rate": self.rate, "hop": self._hop(), "workers": self.clips.workers}
        lengths = [track.frames for track in tracks]
        whole = lambda place: is_whole(place) and _lengths(place) == lengths  # noqa: E731
        cache.grow(path, lambda place: prepare_sounds(place, tracks, **settings), whole)
        parts = (
            Sounds(layout=layout, path=path, pictures=part, per_frame=self.per_frame)
            for part in (train, test)
        )
        return Split(train=next(parts), test=next(parts), notices=tuple(_notices(path)))

    def _hop(self) -> int:
        """Samples to a frame."""
        if self.clips.picture.rate is None:
            raise InputError(
                "sound is cut by the time of the pictures, and without a rate they have none: give one, with"
                " --source.clips.picture.rate"
            )
        frames = self.per_frame * Fraction(self.clips.picture.rate).limit_denominator(1001)
        hop = self.rate / frames
        if hop.denominator == 1 and hop.numerator % 2 == 0:
            return int(hop)
        step = math.lcm(2 * frames.numerator, frames.denominator) // frames.denominator
        would = max(1, round(self.rate / step)) * step
        shown = (
            f"{self.clips.picture.rate:g} pictures a second, with {self.per_frame} frames of sound to each"
        )
        advice = f"a rate of {would} would do" if would <= RATES[1] else "choose another rate of pictures"
        raise InputError(
            f"{self.rate} samples a second are no even number of samples to a frame, at {shown}: {advice}"
        )

    def _videos(self) -> Path:
        """The folder of the videos."""
        clips = self.clips
        if clips.path and is_prepared_store(Path(clips.path).expanduser()):
            raise InputError(
                f"{clips.path} holds prepared pictures, and sound is read from the videos themselves: give"
                " their folder"
            )
        if not isinstance(clips.collection, VideoFolder):
            kind = type(clips.collection).__name__
            raise InputError(f"clips of {kind} have no sound: choose a collection of videos")
        return Path(clips.path or clips.collection.path).expanduser()

    def _tracks(self, videos: Path, *parts: Prepared) -> list[Track]:
        """Of all clips, in the order of the pictures' index."""
        found = {
            int(part.clips[i]): Track(
                file=videos / part.name(i),
                name=part.name(i),
                start=part.start(i),
                frames=part.length(i) * self.per_frame,
            )
            for part in parts
            for i in range(len(part))
        }
        return [found[row] for row in sorted(found)]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sounds(SequencesBase):
    """The sound of one part of the pictures: see `rolling.data.source.Sequences` and `WithGaps`."""

    layout: Layout
    path: Path
    pictures: Prepared
    per_frame: int
    mask: None = None
    from_start = True  # see `rolling.data.source.Counting`

    def __len__(self) -> int:
        return len(self.pictures)

    def length(self, index: int) -> int:
        return self.pictures.length(index) * self.per_frame

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        row = self.pictures.clips[index]
        if not 0 <= start <= stop <= self.length(index):
            raise IndexError(f"frames {start} to {stop} of a clip of {self.length(index)}")
        file = self.path / shard_name(int(self._index["shard"][row]))
        first = int(self._index["first"][row])
        whole = mapped(file)[first : first + self.length(index)]
        if whole.dtype != np.float32 or whole.shape != (self.length(index), *self.layout.space):
            raise seal.damaged(str(file), ADVICE)
        if not self._checked[row]:  # once in a process
            if seal.checksum(whole) != self._index["checks"][row]:
                raise seal.damaged(str(file), ADVICE)
            self._checked[row] = True
        return np.array(whole[start:stop, :, None])

    def present(self, index: int, start: int, stop: int) -> np.ndarray:
        """See `rolling.data.source.WithGaps`."""
        return np.arange(start, stop) < self._index["known"][self.pictures.clips[index]]

    def times(self, index: int, start: int, stop: int) -> np.ndarray:
        return np.arange(start, stop) * self.layout.step

    def name(self, index: int) -> str:
        return self.pictures.name(index)

    @cached_property
    def _index(self) -> dict[str, np.ndarray]:
        return _index(self.path)

    @cached_property
    def _checked(self) -> np.ndarray:
        return np.zeros(len(self._index["known"]), bool)


def _index(path: Path) -> dict[str, np.ndarray]:
    if seal.checksum_of_file(path / INDEX) != read_sounds(path)["checksum"]:
        raise seal.damaged(str(path / INDEX), ADVICE)
    return load_npz(path / INDEX)


def _lengths(path: Path) -> list[int]:
    try:
        return _index(path)["frames"].tolist()
    except (OSError, InputError):
        return []


def _check_names(*parts: Prepared) -> None:
    """Raises `InputError` where a name is that of several clips: sound finds its pictures by it."""
    counts = Counter(part.name(i) for part in parts for i in range(len(part)))
    name, count = next(iter(counts.most_common(1)), ("", 0))
    if count > 1:
        raise InputError(
            f"{count} clips are cut from {printable(name)}, and sound finds its pictures by their names: make"
            " files of these cuts"
        )


def _notices(path: Path) -> Iterator[str]:
    about = read_sounds(path)
    for reason, names in by_reason(about["faults"]).items():
        yield f"without all of its sound: {counted(len(names), 'clip')} ({reason}): {_some(names)}"
    if several := about["several"]:
        yield f"of several tracks one is used: {counted(len(several), 'clip')}: {_some(several)}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:EXAMPLES]) + (", ..." if len(names) > EXAMPLES else "")
