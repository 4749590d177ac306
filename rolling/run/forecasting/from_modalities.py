"""Datasets of several modalities in memory as what a forecast begins with, and forecasts as datasets."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.common.forecast_schema import dimensions
from rolling.data import calendar
from rolling.data.arrays import Arrays
from rolling.data.joint_sequences import JointSequences
from rolling.data.other import read_other
from rolling.data.set_apart import Place, Ranges
from rolling.data.source import Joins, Sequences
from rolling.data.stretches import common_stretches
from rolling.joint_layout import JointLayout, NamedLayout
from rolling.run.forecasting import zarr_writer
from rolling.run.forecasting.initial_frames import check_given
from rolling.sampling import JointSampling

Masks = Mapping[str, np.ndarray | None]


def dataset(part: Sequences, given: int, values: np.ndarray) -> xr.Dataset:
    """`values [member, lead, *space, variable]` behind the first `given` frames, with names and times."""
    layout, last = part.layout, part.times(0, given - 1, given)
    valid = calendar.after(layout, last, np.arange(1, values.shape[1] + 1))
    found = zarr_writer.skeleton(layout, last, valid[None], None, len(values))
    for channel, variable in enumerate(layout.variables):
        stored = variable.stored(values[None, ..., channel])
        found[variable.name] = (dimensions(layout), stored, zarr_writer.attributes(variable))
    return found


def begun(
    source: Joins, layout: JointLayout, mask: Masks, recipe: JointSampling, data: Mapping[str, Any]
) -> JointSequences:
    """One sequence: the last given ticks and, of what is known, all that follows.

    Raises `InputError` for data of other modalities than are asked for, which do not meet in time, or hold
    too few frames.
    """
    read = _read(source, layout, mask, recipe, data)
    named = tuple(NamedLayout(name=name, layout=layout.of[name]) for name in read)
    # Where the data have gaps, behind the last of them.
    places = common_stretches(JointLayout(modalities=named), read, "given")[-1]
    parts, n = {}, recipe.given_frames
    for (name, sequences), place in zip(read.items(), places, strict=True):
        count = n // layout.every[name]
        stop = sequences.length(place.sequence) if name in recipe.given else place.stop
        if place.stop - place.first < count:
            raise InputError(
                f"a rollout is given {count} frames of {name}, and {place.stop - place.first} of these data"
                " cover the time of the others': give more"
            )
        first = Place(place.sequence, place.stop - count, stop)
        parts[name] = Ranges(whole=sequences, places=(first,))
        check_given(parts[name].read(0, 0, count), mask[name])
    like = next(iter(parts.values()))
    absent = {name: _nothing(layout.of[name], n // layout.every[name], like) for name in recipe.absent}
    return JointSequences({name: (parts | absent)[name] for name in layout.of})


def _read(source: Joins, layout: JointLayout, mask: Masks, recipe: JointSampling, data: Mapping[str, Any]):
    """The data of each modality but for those that are left out, as its own source reads others'."""
    wanted = [name for name in layout.of if name not in recipe.absent]
    if not isinstance(data, Mapping) or sorted(data) != sorted(wanted):
        there = ", ".join(data) if isinstance(data, Mapping) else type(data).__name__
        raise InputError(
            f"a forecast begins with a dataset of each of {', '.join(wanted)}, and these are of {there}"
        )
    return {
        name: read_other(source.source_of(name), layout.of[name], mask[name], data[name]) for name in wanted
    }


def _nothing(layout, frames: int, like: Sequences) -> Sequences:
    """Of a modality that is left out only the shape matters."""
    if layout.actions or layout.parameters or layout.forcings or layout.constants:
        raise InputError("a modality that has conditions of its own cannot be left out of a forecast")
    origins = like.times(0, 0, 1) if layout.has_calendar else None
    return Arrays(layout=layout, frames=[np.zeros((frames, *layout.shape), np.float32)], origins=origins)
