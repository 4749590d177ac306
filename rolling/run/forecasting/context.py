"""The frames that a forecast continues, read from a user's data as the training data were."""

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.gridded.other import read_like
from rolling.data.gridded.selection import Selection
from rolling.data.source import ReadsOther, Sequences
from rolling.fields import Layout


def read_other(source: Any, layout: Layout, mask: np.ndarray | None, data: str | xr.Dataset) -> Sequences:
    """Other data than those of training, by the reader of the source that the network was trained on."""
    own = isinstance(source, ReadsOther)
    read = source.read_like if own else partial(read_like, Selection(where="the data"))
    return read(layout, mask, data)


def latest(sequences: Sequences) -> list[int]:
    """The sequences that end last: one, or one of each member of an ensemble."""
    ends = [
        sequences.times(i, sequences.length(i) - 1, sequences.length(i))[0] for i in range(len(sequences))
    ]
    return [index for index, end in enumerate(ends) if end == max(ends)]


def last_frames(sequences: Sequences, count: int) -> tuple[np.ndarray, Any]:
    """The last `count` frames `[count, height, width, variable]`, and the time of the last one.

    Raises `InputError` where there are fewer without a gap, or where values are missing.
    """
    indices = latest(sequences)
    if len(indices) > 1:
        raise InputError(
            f"the data hold {len(indices)} members or forecasts, and a forecast continues one: choose it, for"
            " instance with xarray's isel(number=0)"
        )
    index = indices[0]
    length = sequences.length(index)
    total = sum(sequences.length(i) for i in range(len(sequences)))
    if total < count:
        raise InputError(f"the data have fewer than the {count} frames that a rollout needs: give more")
    if length < count:
        raise InputError(
            f"the last {count} frames of the data must be one step ({sequences.layout.step:g}) apart, as in"
            f" training, and there is a gap before the last {length}"
        )
    frames = sequences.read(index, length - count, length)
    mask = sequences.mask
    if not (np.isfinite(frames) | (False if mask is None else ~mask)).all():
        raise InputError(f"the last {count} frames have values that are not finite: fill or drop them")
    return frames, sequences.times(index, length - 1, length)[0]
