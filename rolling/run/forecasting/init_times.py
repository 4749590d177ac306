"""Where the forecasts of a store start in the held-out part."""

import dataclasses
from typing import Any

import numpy as np

from rolling.common.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class InitTime:
    """A forecast's first frame: `frame` of the sequence `sequence`; the context comes right before it."""

    sequence: int
    frame: int


def choose_starts(
    test: Any, context: int, frames: int, count: int, *, from_clip_start: bool = False, unit: int = 1
) -> list[InitTime]:
    """`count` starts, spread evenly over the places where `frames` frames of truth follow `context`; no
    sequence has a second one before each has one.

    With `from_clip_start` there is one such place per sequence, its first; there may be fewer than `count`.
    Where no sequence is long enough to have truth at every lead, the forecasts start as early as possible in
    the longest sequences and run beyond their ends.

    Every start is a whole number of `unit` frames from its sequence's first one.
    """
    lengths = [test.length(index) // unit for index in range(len(test))]
    chosen = _chosen(lengths, -(-context // unit), -(-frames // unit), count, from_clip_start)
    return [dataclasses.replace(start, frame=unit * start.frame) for start in chosen]


def _chosen(
    lengths: list[int], context: int, frames: int, count: int, from_clip_start: bool
) -> list[InitTime]:
    longest = max(lengths, default=0)
    if longest <= context:
        raise InputError(
            f"the held-out part has no sequence longer than {longest} frames, and a forecast needs {context}"
            " frames of context and one to compare with: hold out a larger part, or use a smaller window"
        )
    if longest < context + frames:
        falling = sorted(range(len(lengths)), key=lambda index: -lengths[index])
        chosen = sorted(index for index in falling[:count] if lengths[index] > context)
        return [InitTime(sequence=index, frame=context) for index in chosen]
    counts = [max(0, length - frames - context + 1) for length in lengths]
    counts = [min(count, 1) for count in counts] if from_clip_start else counts
    return [
        InitTime(sequence=index, frame=context + place)
        for index, places in enumerate(_spread(np.array(counts), count))
        for place in places
    ]


def _spread(sizes: np.ndarray, count: int) -> list[list[int]]:
    """`count` of the places of sequences that have `sizes` of them: evenly over all where that leaves out no
    sequence for a second place in another, else evenly in each."""
    ends, total = np.cumsum(sizes), int(sizes.sum())
    chosen = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    owner = np.searchsorted(ends, chosen, side="right")
    share = np.bincount(owner, minlength=len(sizes))
    usable = np.flatnonzero(sizes)
    if share[usable].min() > 0 or share.max() == 1:
        return [(chosen[owner == i] - ends[i] + sizes[i]).tolist() for i in range(len(sizes))]
    share = np.zeros(len(sizes), int)
    share[usable[np.unique(np.linspace(0, len(usable) - 1, min(count, len(usable))).round().astype(int))]] = 1
    while share.sum() < min(count, total):  # where the places of a sequence lie furthest apart
        share[np.argmax(np.where(share < sizes, sizes / np.maximum(share, 1), 0))] += 1
    middles = [(np.arange(n) + 0.5) / max(n, 1) * size for n, size in zip(share, sizes, strict=True)]
    return [middle.astype(int).tolist() for middle in middles]
