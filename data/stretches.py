"""Stretches of the sequences of several modalities that cover the same ticks."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from rolling.common.errors import InputError
from rolling.data import dates
from rolling.data.set_apart import Place
from rolling.data.source import Counting, Sequences
from rolling.joint_layout import JointLayout
from rolling.layout import MONTHS

OFF = 0.05  # of a tick: as far as times may be off it


class Overlap(NamedTuple):
    """A sequence of each part, and the time that all of them cover."""

    sequences: tuple[int, ...]
    begin: float
    stop: float


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Timed:
    """The sequences of one modality in time: numbers in its units, of dates the hours since `reference`."""

    name: str
    sequences: Sequences
    every: int
    """Ticks from frame to frame."""
    reference: Any = None

    @property
    def step(self) -> float:
        return self.sequences.layout.step

    def end(self, index: int, frame: int) -> float:
        """When the interval of a frame ends."""
        times, layout = self.sequences.times(index, frame, frame + 1), self.sequences.layout
        if layout.time_units == MONTHS:
            return float(dates.months(times)[0])
        if layout.has_calendar:
            apart = (times - self.reference)[0]
            exact = isinstance(apart, np.timedelta64)
            return float(apart / np.timedelta64(1, "h")) if exact else apart.total_seconds() / 3600
        counted = isinstance(self.sequences, Counting) and self.sequences.from_start
        return float(times[0]) + self.step * counted

    def show(self, index: int, frame: int) -> str:
        """The end of a frame's interval in readable form."""
        if self.sequences.layout.has_calendar:
            return dates.show(self.sequences.times(index, frame, frame + 1)[0])
        return f"{self.end(index, frame):.9g}"

    @cached_property
    def spans(self) -> np.ndarray:
        """`[sequence, 2]`: when each begins, one step before its first frame ends, and when it ends."""
        lengths = [self.sequences.length(i) for i in range(len(self.sequences))]
        found = [
            (self.end(i, 0) - self.step, self.end(i, length - 1)) if length else (math.inf, -math.inf)
            for i, length in enumerate(lengths)
        ]
        return np.array(found).reshape(-1, 2)

    def range(self) -> str:
        """The first and the last time of all sequences in words."""
        if not np.isfinite(self.spans).any():
            return f"{self.name} has none"
        first, last = int(self.spans[:, 0].argmin()), int(self.spans[:, 1].argmax())
        end = self.sequences.length(last) - 1
        return f"{self.name} from {self.show(first, 0)} to {self.show(last, end)}"


def common_stretches(
    layout: JointLayout, sequences: dict[str, Sequences], what: str
) -> list[tuple[Place, ...]]:
    """For each joined sequence the place of a stretch in a sequence of each part. All stretches of one cover
    the same whole slots.

    The sequences of a calendar are joined wherever they overlap in time; others where they also have the same
    name or, where not all have names, the same place. Raises `InputError` where nothing can be joined, or
    times lie off the ticks; it says of `what` part of the data.
    """
    parts, tick = _timed(layout, sequences), layout.step
    met = [found for group in _groups(parts, what) for found in _overlaps(parts, group, OFF * tick)]
    if not met:
        raise InputError(
            f"the {what} sequences of all parts never cover the same time: {_ranges(parts)}; choose data or"
            " parts of them that do"
        )
    least = (layout.slot - OFF) * tick
    places = [_aligned(parts, found, layout) for found in met if found.stop - found.begin >= least]
    found = [place for place in places if place is not None]
    if not found:
        slot = _amount(layout.slot * tick, layout)
        raise InputError(
            f"the {what} sequences of all parts nowhere cover a whole slot of {slot}, with whole frames of"
            f" each, together: {_ranges(parts)}; use longer sequences"
        )
    return found


def covered(places: Iterable[Place]) -> int:
    """How many frames lie in some of these places."""
    count, sequence, until = 0, -1, 0
    for place in sorted(places):
        until = until if place.sequence == sequence else 0
        sequence = place.sequence
        count += max(0, place.stop - max(place.first, until))
        until = max(until, place.stop)
    return count


def _timed(layout: JointLayout, sequences: dict[str, Sequences]) -> list[Timed]:
    """Raises `InputError` for dates of different calendars."""
    references, calendars = {}, {}
    for name, part in sequences.items():
        found = [part.times(i, 0, 1) for i in range(len(part)) if part.length(i)][:1]
        references[name] = found[0][0] if found and layout.of[name].has_calendar else None
        calendars[name] = dates.calendar_of(found[0]) if found else ""
    kinds = {name: kind for name, kind in calendars.items() if kind}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{name} the calendar {kind}" for name, kind in kinds.items())
        raise InputError(
            f"dates of different calendars cannot be joined, and {told} has: convert one of them"
        )
    reference = next((found for found in references.values() if found is not None), None)
    return [
        Timed(name=name, sequences=part, every=layout.every[name], reference=reference)
        for name, part in sequences.items()
    ]


def _ranges(parts: Sequence[Timed]) -> str:
    return ", ".join(part.range() for part in parts)


def _amount(time: float, layout: JointLayout) -> str:
    return f"{time:.9g}" if layout.time_units == "1" else f"{time:.9g} {layout.time_units}"


def _groups(parts: Sequence[Timed], what: str) -> Iterator[list[np.ndarray]]:
    """For each group of sequences that may be joined, the numbers of those of each part."""
    counts = {part.name: len(part.sequences) for part in parts}
    if parts[0].sequences.layout.has_calendar:
        yield [np.arange(count) for count in counts.values()]
        return
    names = [[part.sequences.name(i) for i in range(len(part.sequences))] for part in parts]
    if all(all(of_part) for of_part in names):
        yield from _same_names(names, parts, what)
        return
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise InputError(
            f"{what} sequences without dates and names are joined one by one, and {told}: give as many of"
            " each"
        )
    yield from ([np.array([i])] * len(parts) for i in range(len(parts[0].sequences)))


def _same_names(
    names: Sequence[Sequence[str]], parts: Sequence[Timed], what: str
) -> Iterator[list[np.ndarray]]:
    places: list[dict[str, list[int]]] = [{} for _ in names]
    for found, of_part in zip(places, names, strict=True):
        for i, name in enumerate(of_part):
            found.setdefault(name, []).append(i)
    common = [name for name in places[0] if all(name in found for found in places)]
    if not common:
        firsts = zip(parts, names, strict=True)
        told = ", ".join(f"{part.name} has {of_part[0]!r}" for part, of_part in firsts if of_part)
        raise InputError(
            f"{what} sequences without dates are joined by their names, and no name is in all parts ({told}):"
            " name those alike that belong together"
        )
    yield from ([np.array(found[name]) for found in places] for name in common)


def _overlaps(parts: Sequence[Timed], group: Sequence[np.ndarray], least: float) -> list[Overlap]:
    """All choices of one sequence of each part that have at least so much time in common."""
    found = [Overlap((), -math.inf, math.inf)]
    for part, members in zip(parts, group, strict=True):
        begin, stop = part.spans[members].T
        found = [
            Overlap((*known.sequences, int(members[i])), max(known.begin, begin[i]), min(known.stop, stop[i]))
            for known in found
            for i in np.flatnonzero(np.minimum(known.stop, stop) - np.maximum(known.begin, begin) >= least)
        ]
    return found


def _aligned(parts: Sequence[Timed], overlap: Overlap, layout: JointLayout) -> tuple[Place, ...] | None:
    """The whole slots of an overlap; None where it has none.

    Ticks are counted from a frame near its begin, as a step may be rounded, and be off over a long time.
    """
    chosen = list(zip(parts, overlap.sequences, strict=True))
    lengths = [part.sequences.length(sequence) for part, sequence in chosen]
    near = []
    for (part, sequence), length in zip(chosen, lengths, strict=True):
        since = (overlap.begin - part.spans[sequence, 0]) / part.step
        near.append(min(max(round(since), 0), length - 1))
    ticks = [round(apart) for apart in _ticks_apart(chosen, near, layout)]
    first = max(tick - part.every * (k + 1) for (part, _), tick, k in zip(chosen, ticks, near, strict=True))
    begins = np.arange(first, first + layout.slot)  # the tick before the first one that is joined
    for part, tick in zip(parts, ticks, strict=True):
        begins = begins[(begins - tick) % part.every == 0]
    if not len(begins):
        raise _never_together(chosen, near, ticks, layout)
    frames = [
        (int(begins[0]) - tick) // part.every + k + 1
        for part, tick, k in zip(parts, ticks, near, strict=True)
    ]
    left = (
        (length - k) * part.every // layout.slot
        for part, length, k in zip(parts, lengths, frames, strict=True)
    )
    slots = min(left)
    if slots < 1:
        return None
    counts = [slots * layout.slot // part.every for part in parts]
    last = [k + count - 1 for k, count in zip(frames, counts, strict=True)]
    _ticks_apart(chosen, last, layout, together=True)
    return tuple(
        Place(sequence, k, k + count)
        for sequence, k, count in zip(overlap.sequences, frames, counts, strict=True)
    )


def _ticks_apart(
    chosen: Sequence[tuple[Timed, int]], frames: Sequence[int], layout: JointLayout, *, together: bool = False
) -> list[float]:
    """How many ticks after that of the first part a frame of each ends. Raises `InputError` where it is not a
    whole number or, if they are to end together, not 0."""
    ends = [part.end(sequence, frame) for (part, sequence), frame in zip(chosen, frames, strict=True)]
    found = [(end - ends[0]) / layout.step for end in ends]
    for i, apart in enumerate(found):
        off = apart - (0 if together else round(apart))
        if abs(off) > OFF:
            one, other = ((*chosen[j], frames[j]) for j in (0, i))
            far, tick = _amount(abs(off) * layout.step, layout), _amount(layout.step, layout)
            told = f"{_shown(*one)} and {_shown(*other)}, {far} off their common ticks of {tick}"
            if together:
                raise InputError(f"{told}, though they begin together: resample one of them")
            names = f"{one[0].name} or {other[0].name}"
            raise InputError(f"{told}: move the times of {names} by as much, or resample one of them")
    return found


def _never_together(
    chosen: Sequence[tuple[Timed, int]], near: Sequence[int], ticks: Sequence[int], layout: JointLayout
) -> InputError:
    """Of parts whose frames lie on common ticks, but never begin at the same one."""
    for i, j in itertools.combinations(range(len(chosen)), 2):
        (a, first), (b, second) = chosen[i], chosen[j]
        apart = (ticks[i] - ticks[j]) % math.gcd(a.every, b.every)
        if apart:
            move = _amount(apart * layout.step, layout)
            return InputError(
                f"{_shown(a, first, near[i])} and {_shown(b, second, near[j])}, with steps of {a.step:g} and"
                f" {b.step:g}, so that no frames of both begin together: move the times of {b.name} by"
                f" {move}, or resample one of them"
            )
    raise AssertionError("frames of all parts begin together where those of any two do")


def _shown(part: Timed, sequence: int, frame: int) -> str:
    return f"a frame of {part.name} ends at {part.show(sequence, frame)}"
