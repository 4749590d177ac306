"""Forecasts of several modalities from datasets in memory."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import jax
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
from rolling.run import model
from rolling.run.forecasting import zarr_writer
from rolling.run.forecasting.initial_frames import check_given
from rolling.sampling import JointSampling

if TYPE_CHECKING:
    from rolling.run.forecasting.forecaster import Forecaster


def forecast_modalities(
    forecaster: "Forecaster",
    data: Mapping[str, xr.Dataset],
    ticks: int,
    keys: jax.Array,
) -> dict[str, xr.Dataset]:
    """A forecast of `ticks` ticks for each key, of the modalities that are made, from where the data of all
    of these end. See `Forecaster.forecast`."""
    layout, recipe = cast(JointLayout, forecaster.layout), cast(JointSampling, forecaster.recipe)
    sequences = _begun(forecaster, layout, recipe, data)
    recipe.sampler(layout).check_ticks(ticks)
    n, members = recipe.given_frames, len(keys)
    first = sequences.read(0, 0, n)
    for name, frames in first.items():
        if name not in recipe.absent:
            check_given(frames, forecaster.statistics.mask[name])
    given = jax.tree.map(lambda part: np.repeat(part[None], members, 0), first)
    shown = model.shown_modalities(recipe, forecaster.statistics)
    known = model.Known(sequences, [(0, 0)] * members, forecaster.statistics.mask, shown)
    chunks = forecaster.sample(given, known, keys, ticks, forecaster.cycles(ticks, 32))
    blocks = [cast(Any, frames) for _, frames, _ in chunks]
    return {
        name: _dataset(sequences.parts[name], n // layout.every[name], np.concatenate(parts, axis=1))
        for name in blocks[0]
        for parts in [[block[name] for block in blocks]]
    }


def _dataset(part: Sequences, given: int, values: np.ndarray) -> xr.Dataset:
    """`values [member, lead, *space, variable]` with their names and times."""
    layout, last = part.layout, part.times(0, given - 1, given)
    valid = calendar.after(layout, last, np.arange(1, values.shape[1] + 1))
    found = zarr_writer.skeleton(layout, last, valid[None], None, len(values))
    for channel, variable in enumerate(layout.variables):
        stored = variable.stored(values[None, ..., channel])
        found[variable.name] = (dimensions(layout), stored, zarr_writer.attributes(variable))
    return found


def _begun(forecaster, layout: JointLayout, recipe: JointSampling, data: Mapping[str, Any]) -> JointSequences:
    """One sequence: the last given ticks and, of what is known, all that follows."""
    read = _read(forecaster, layout, recipe, data)
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
        begun = Place(place.sequence, place.stop - count, stop)
        parts[name] = Ranges(whole=sequences, places=(begun,))
    like = next(iter(parts.values()))
    absent = {name: _nothing(layout.of[name], n // layout.every[name], like) for name in recipe.absent}
    return JointSequences({name: (parts | absent)[name] for name in layout.of})


def _read(forecaster, layout: JointLayout, recipe: JointSampling, data: Mapping[str, Any]):
    """The data of each modality but for those that are left out, as its own source reads others'."""
    wanted = [name for name in layout.of if name not in recipe.absent]
    if not isinstance(data, Mapping) or sorted(data) != sorted(wanted):
        there = ", ".join(data) if isinstance(data, Mapping) else type(data).__name__
        raise InputError(
            f"a forecast begins with a dataset of each of {', '.join(wanted)}, and these are of {there}"
        )
    source, masks = cast(Joins, forecaster.experiment.source), forecaster.statistics.mask
    return {
        name: read_other(source.source_of(name), layout.of[name], masks[name], data[name]) for name in wanted
    }


def _nothing(layout, frames: int, like: Sequences) -> Sequences:
    """Of a modality that is left out only the shape matters."""
    if layout.actions or layout.parameters or layout.forcings or layout.constants:
        raise InputError("a modality that has conditions of its own cannot be left out of a forecast")
    origins = like.times(0, 0, 1) if layout.has_calendar else None
    return Arrays(layout=layout, frames=[np.zeros((frames, *layout.shape), np.float32)], origins=origins)
