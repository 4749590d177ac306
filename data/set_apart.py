"""A part of the training data that is set apart to validate on: sequences, or the ends of some."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from rolling.common.errors import InputError
from rolling.common.indices import spaced
from rolling.data.joint_sequences import JointSequences
from rolling.data.source import Counting, Sequences, Stored, WithGaps
from rolling.joint_layout import JointLayout
from rolling.layout import Layout


class Place(NamedTuple):
    """The frames `first .. stop - 1` of a sequence."""

    sequence: int
    first: int
    stop: int


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ranges:
    """Parts of other sequences as sequences: see `rolling.data.source.Sequences`."""

    whole: Sequences
    places: tuple[Place, ...]

    @property
    def layout(self) -> Layout:
        return self.whole.layout

    @property
    def mask(self) -> np.ndarray | None:
        return self.whole.mask

    @property
    def from_start(self) -> bool:
        """See `rolling.data.source.Counting`: times are those of the whole."""
        return isinstance(self.whole, Counting) and self.whole.from_start

    def __len__(self) -> int:
        return len(self.places)

    def length(self, index: int) -> int:
        _, first, stop = self.places[index]
        return stop - first

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        return self.whole.read(*self._there(index, start, stop))

    def times(self, index: int, start: int, stop: int) -> np.ndarray:
        sequence, first, _ = self.places[index]
        return self.whole.times(sequence, first + start, first + stop)

    def conditioning(self, index: int, start: int, stop: int) -> dict[str, np.ndarray]:
        return self.whole.conditioning(*self._there(index, start, stop))

    def name(self, index: int) -> str:
        return self.whole.name(self.places[index].sequence)

    def _there(self, index: int, start: int, stop: int) -> Place:
        """Frames of this part in the sequences that it is a part of: those beyond it belong to another."""
        sequence, first, end = self.places[index]
        if not 0 <= start <= stop <= end - first:
            raise IndexError(f"frames {start} to {stop} of a sequence of {end - first}")
        return Place(sequence, first + start, first + stop)


class StoredRanges(Ranges):
    """Parts of stored sequences, which hand out frames as they are stored."""

    @property
    def path(self) -> Path:
        return cast(Stored, self.whole).path

    def raw(self, index: int, start: int, stop: int) -> np.ndarray:
        return cast(Stored, self.whole).raw(*self._there(index, start, stop))


class RangesWithGaps(Ranges):
    """Parts of sequences of which some frames are missing."""

    def present(self, index: int, start: int, stop: int) -> np.ndarray:
        return cast(WithGaps, self.whole).present(*self._there(index, start, stop))


def ranges(sequences: Sequences | JointSequences, places: Sequence[Place]) -> Sequences:
    """Parts of sequences, as they are stored where the sequences are; of several modalities, parts of each,
    whose places count ticks of whole slots."""
    if isinstance(sequences, JointSequences):
        return cast(Sequences, _of_each(sequences, places))
    stored = StoredRanges if isinstance(sequences, Stored) else Ranges
    kind = RangesWithGaps if isinstance(sequences, WithGaps) else stored
    return cast(Sequences, kind(whole=sequences, places=tuple(places)))


def _of_each(sequences: JointSequences, places: Sequence[Place]) -> JointSequences:
    every, parts = sequences.layout.every, {}
    for name, part in sequences.parts.items():
        own = [Place(i, first // every[name], stop // every[name]) for i, first, stop in places]
        parts[name] = ranges(part, own)
    return JointSequences(parts)


def set_apart(sequences: Sequences | JointSequences, share: float, clip: int) -> tuple[Sequences, Sequences]:
    """What is left to train on, and the part of about this `share` that is set apart, `0 < share <= 0.5`, to
    be cut into clips of `clip` frames. No frame is in both.

    Whole sequences where there are enough of them, evenly spaced in their order; those of one name stay
    together. Else the last frames of each sequence that is long enough, where as many as a clip has, before
    them, are in neither part. Of several modalities ticks are counted, in whole slots. Raises `InputError`
    where neither can be done.
    """
    lengths = [sequences.length(i) for i in range(len(sequences))]
    groups = _usable_groups(sequences, lengths, clip)
    layout = sequences.layout
    slot = layout.slot if isinstance(layout, JointLayout) else 1
    parts = _parts(groups, lengths, share, clip, slot)
    if parts is None:
        raise _too_little(groups, lengths, share, clip, slot)
    rest, apart = (ranges(sequences, places) for places in parts)
    return rest, apart


def _usable_groups(
    sequences: Sequences | JointSequences, lengths: Sequence[int], clip: int
) -> list[list[int]]:
    """The sequences of each name, those without a name by themselves, where one is as long as a clip."""
    groups: dict[str | int, list[int]] = {}
    for i in range(len(lengths)):
        groups.setdefault(sequences.name(i) or i, []).append(i)
    return [group for group in groups.values() if any(lengths[i] >= clip for i in group)]


def _parts(
    groups: Sequence[Sequence[int]], lengths: Sequence[int], share: float, clip: int, slot: int
) -> tuple[list[Place], list[Place]] | None:
    """The places of both parts; None where this share is too small, or leaves too little."""
    chosen = _whole_sequences(groups, lengths, share, clip)
    if chosen:
        everywhere = [Place(i, 0, length) for i, length in enumerate(lengths)]
        rest = [place for place in everywhere if place.sequence not in chosen]
        return rest, [place for place in everywhere if place.sequence in chosen]
    rest, apart = [], []
    for i, length in enumerate(lengths):
        last = _part_of(length, share) // slot * slot
        long = last >= clip and length - last - clip >= clip
        rest.append(Place(i, 0, length - last - clip if long else length))
        if long:
            apart.append(Place(i, length - last, length))
    return (rest, apart) if apart else None


def _whole_sequences(
    groups: Sequence[Sequence[int]], lengths: Sequence[int], share: float, clip: int
) -> set[int]:
    """Sequences to set apart; none where they are too few, or so unequal in length that those chosen would be
    less than half of the share, or more than twice."""
    count = _part_of(len(groups), share)
    chosen = {i for place in spaced(len(groups), count) for i in groups[place]} if count else set()
    frames = {i: lengths[i] for group in groups for i in group if lengths[i] >= clip}
    found = sum(length for i, length in frames.items() if i in chosen)
    return chosen if share / 2 <= found / max(sum(frames.values()), 1) <= 2 * share else set()


def _part_of(count: int, share: float) -> int:
    """`floor(share * count)`, where a tenth of ten is one however it is rounded."""
    return int(share * count + 1e-9)


def _too_little(
    groups: Sequence[Sequence[int]], lengths: Sequence[int], share: float, clip: int, slot: int
) -> InputError:
    longest = max(lengths, default=0)
    wanted = sorted(math.ceil(1e4 / n) / 1e4 for n in (len(groups), longest / clip) if n > 0)
    enough = (other for other in wanted if other <= 0.5 and _parts(groups, lengths, other, clip, slot))
    advice = next((f"give --validation.share {other:g}" for other in enough), "use more data")
    return InputError(
        f"validation.share = {share:g} of {len(groups)} training sequences, the longest of {longest} frames,"
        f" cannot be set apart in clips of {clip} frames: {advice}, or 0 to train without validation"
    )
