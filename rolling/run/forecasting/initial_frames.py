"""The frames that a forecast continues, read from a user's data as the training data were."""

from typing import Any

import numpy as np

from rolling.common.errors import InputError
from rolling.data.source import Sequences
from rolling.data.statistics import finite
from rolling.run.forecasting.init_times import InitTime


def after_last(sequences: Sequences, count: int) -> list[InitTime]:
    """A start right after the last frame: one, or one of each member of an ensemble.

    Raises `InputError` where fewer than `count` frames without a gap come before it, or where values are
    missing in them.
    """
    ends = [
        sequences.times(i, sequences.length(i) - 1, sequences.length(i))[0] for i in range(len(sequences))
    ]
    starts = [
        InitTime(sequence=index, frame=sequences.length(index))
        for index, end in enumerate(ends)
        if end == max(ends)
    ]
    total = sum(sequences.length(i) for i in range(len(sequences)))
    for start in starts:
        if total < count:
            raise InputError(f"the data have fewer than the {count} frames that a rollout needs: give more")
        if start.frame < count:
            raise InputError(
                f"the last {count} frames of the data must be one step ({sequences.layout.step:g}) apart, as"
                f" in training, and there is a gap before the last {start.frame}"
            )
        check_given(sequences.read(start.sequence, start.frame - count, start.frame), sequences.mask)
    return starts


def check_given(frames: np.ndarray, mask: np.ndarray | None) -> None:
    """Raises `InputError` where values of given frames `[..., time, *space, variable]` are missing."""
    if not finite(frames, mask).all():
        raise InputError(
            f"the last {frames.shape[-4]} frames have values that are not finite: fill or drop them"
        )


def last_frames(sequences: Sequences, count: int) -> tuple[np.ndarray, Any]:
    """The last `count` frames `[count, *space, variable]`, and the time of the last one.

    Raises `InputError` as `after_last` does, and for an ensemble.
    """
    start, *others = after_last(sequences, count)
    if others:
        raise InputError(
            f"the data hold {1 + len(others)} members or forecasts, and a forecast continues one: choose it,"
            " for instance with xarray's isel(number=0)"
        )
    frames = sequences.read(start.sequence, start.frame - count, start.frame)
    return frames, sequences.times(start.sequence, start.frame - 1, start.frame)[0]
