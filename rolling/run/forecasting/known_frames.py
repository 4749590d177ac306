"""Frames of a modality that are known before a forecast is made, from a store or another file.

They stand at clock 0 while the others run, and are written as they are. What is known lies over
(start or time, number, prediction_timedelta, *space), as a group of a forecast's store does; `number` may be
missing. A frame that is NaN wherever there are data, or that a file lacks, is made.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import xarray as xr

from rolling.common import forecast_schema as schema
from rolling.common.errors import InputError
from rolling.common.files import one_line
from rolling.common.forecast_seal import METADATA, check_store_seal
from rolling.data.dates import show
from rolling.data.joint_statistics import JointStatistics
from rolling.data.statistics import finite
from rolling.data.untrusted.fields import check_source
from rolling.data.untrusted.sizes import check_memory
from rolling.data.untrusted.zarr_stores import open_group
from rolling.denoisers import NOTHING, Known
from rolling.layout import Layout
from rolling.run.forecasting import zarr_writer
from rolling.run.forecasting.init_times import InitTime
from rolling.run.forecasting.stored_modalities import OnePart, SeveralParts
from rolling.run.forecasting.zarr_reader import LONGEST
from rolling.sampling import Conditions

Source = str | Path | xr.Dataset
"""Where known frames are: a path, or a dataset."""


def named_stores(words: Sequence[str]) -> dict[str, Source]:
    """The stores of `NAME=STORE`, by modality. Raises `InputError` for anything else."""
    found: dict[str, Source] = {}
    for word in words:
        name, _, path = word.partition("=")
        if not name or not path:
            raise InputError(f"--known is NAME=STORE, a modality and its known frames, and not {word!r}")
        if name in found:
            raise InputError(f"--known names {name} twice: put what is known of it into one store")
        found[name] = path
    return found


def check_elsewhere(known: Mapping[str, Source], output: Path) -> None:
    """Raises `InputError` for known frames in the store that is to be written, which would be replaced."""
    for name, source in known.items():
        place = Path(str(source)).resolve()
        if output.resolve() in (place, *place.parents):
            raise InputError(
                f"--known {name}: its frames are in {output}, which is to be written: choose another --output"
            )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class KnownPart:
    """What is known of one modality."""

    where: str
    layout: Layout
    dataset: xr.Dataset
    """Its variables over (start, number, lead, *space)."""
    rows: np.ndarray
    """Where each start is in the dataset, `[start]`."""
    leads: np.ndarray
    """Where each lead is in the dataset, -1 where it is not, `[lead]`."""
    members: int
    there: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0, 0), bool))
    """Which frames are known, `[start, member, lead]`; one member is that of all."""

    def read(self, start: int, member: int, first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames of leads `first .. stop - 1`, of which 0 is the first one that is made, `[stop - first,
        *space, variable]`, zeros where they are not known; and which are."""
        frames = np.zeros((stop - first, *self.layout.shape), np.float32)
        known, member = np.zeros(stop - first, bool), member if self.members > 1 else 0
        inside = slice(max(first, 0), min(stop, len(self.leads)))
        if inside.start < inside.stop:
            known[inside.start - first : inside.stop - first] = self.there[start, member, inside]
        if known.any():
            wanted = self.leads[np.flatnonzero(known) + first]
            frames[known] = self.stored(start, member, wanted)
        frames[~np.isfinite(frames)] = 0  # masked cells
        return frames, known

    def stored(self, start: int, member: int | slice, places: np.ndarray) -> np.ndarray:
        """Frames at some places along the leads, float32."""
        at = {self._dims[0]: int(self.rows[start]), schema.MEMBER: member, schema.LEAD: places}
        try:
            parts = [np.asarray(self.dataset[name].isel(at).values, np.float32) for name in self.layout.names]
        except Exception as error:  # the exception of a damaged chunk depends on the codec
            raise InputError(
                f"{self.where} cannot be read ({one_line(error)}): it is damaged, so make it again"
            ) from error
        return np.stack(parts, axis=-1)

    @property
    def _dims(self) -> tuple[str, ...]:
        return schema.dimensions(self.layout)

    def looked_at(self, mask: np.ndarray | None) -> "tuple[KnownPart, str]":
        """With the frames that are there, all of which are read once, and a checksum of them.

        Raises `InputError` for frames that are known in part, and where none is.
        """
        total, known = hashlib.sha256(), np.flatnonzero(self.leads >= 0)
        there = np.zeros((len(self.rows), self.members, len(self.leads)), bool)
        shape = (self.members, len(known), *self.layout.shape)
        check_memory(f"a start of {self.where}, all members,", shape, np.dtype(np.float32).itemsize)
        for start in range(len(self.rows)):
            frames = self.stored(start, slice(None), self.leads[known])
            data = np.isfinite(frames) if mask is None else np.isfinite(frames) & mask
            some = data.any(axis=tuple(range(2, data.ndim)))
            whole = finite(frames, mask).all(axis=tuple(range(2, data.ndim)))
            if (some & ~whole).any():
                member, lead = np.argwhere(some & ~whole)[0]
                raise InputError(
                    f"{self.where} has values in some cells only at start {start}, member {member}, lead"
                    f" {known[lead] + 1}: a frame is known as a whole, or NaN everywhere"
                )
            there[start][:, known] = whole
            total.update(np.packbits(there[start]).tobytes())
            total.update(np.ascontiguousarray(frames[whole], "<f4").tobytes())
        if not there.any():
            raise InputError(
                f"nothing is known in {self.where}: its frames are NaN at all starts of this forecast"
            )
        return dataclasses.replace(self, there=there), total.hexdigest()[:16]


@dataclasses.dataclass(frozen=True, eq=False)
class KnownFrames:
    """What is known of some modalities at the starts of a forecast."""

    parts: dict[str, KnownPart]
    every: Mapping[str, int]
    checksums: dict[str, str]
    """Of what is known of each modality: another knowledge leads to another forecast."""

    @classmethod
    def of(
        cls,
        known: Mapping[str, Source],
        parts: SeveralParts,
        starts: Sequence[InitTime],
        members: int,
        *,
        placed: bool = True,
    ) -> "KnownFrames":
        """Unless starts are `placed` in the test data, they are told by their times alone.

        Raises `InputError` for a modality that is not made, and for frames of other coordinates.
        """
        found, checksums = {}, {}
        for name, source in known.items():
            part = parts.made.get(name)
            if part is None:
                there = ", ".join(parts.made)
                what = "is given or absent" if name in parts.test.parts else "is no modality"
                raise InputError(f"--known {name}: {name} {what}: choose among those that are made, {there}")
            opened = _opened(name, source, part, starts, members, placed)
            found[name], checksums[name] = opened.looked_at(part.test.mask)
        return cls(found, parts.test.layout.every, checksums)

    def batch(self, places: Sequence[tuple[int, int]], given: int, statistics: JointStatistics) -> "Standing":
        """For forecasts `(start, member)` that begin with `given` ticks."""
        return Standing(self, tuple(places), given, statistics)


@dataclasses.dataclass(frozen=True, eq=False)
class Standing:
    """The known frames of a batch of forecasts."""

    known: KnownFrames
    places: tuple[tuple[int, int], ...]
    given: int
    statistics: JointStatistics

    def conditions(self, conditions: Conditions) -> Conditions:
        """What is known of any ticks, and with it these frames."""

        def told(first, count):
            found = conditions(first, count)
            of = dict(found.of or {})
            for name in self.known.parts:
                frames, there = self._read(name, first - self.given, first - self.given + count)
                clean = jnp.asarray(self.statistics.of[name].normalise(frames), jnp.float32)
                of[name] = dataclasses.replace(of.get(name, NOTHING), known=Known(clean, jnp.asarray(there)))
            return dataclasses.replace(found, of=of)

        return told

    def written(self, lead: int, frames: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Forecasts from tick `lead` on, in which known frames are what they were known to be, to the bit."""
        found = dict(frames)
        for name in self.known.parts:
            stop = lead + frames[name].shape[1] * self.known.every[name]
            known, there = self._read(name, lead, stop)
            where = there.reshape(*there.shape, *[1] * (known.ndim - 2))
            mask = self.statistics.mask[name]
            where = where if mask is None else where & mask
            found[name] = np.where(where, known, frames[name])
        return found

    def _read(self, name: str, first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        part, every = self.known.parts[name], self.known.every[name]
        read = [part.read(*place, first // every, stop // every) for place in self.places]
        frames, there = zip(*read, strict=True)
        return np.stack(frames), np.stack(there)


def _opened(
    name: str, source: Source, part: OnePart, starts: Sequence[InitTime], members: int, placed: bool
) -> KnownPart:
    """Checked against the layout, the starts and the members; no frame is read."""
    layout = part.test.layout
    where = f"the known frames of {name}" if isinstance(source, xr.Dataset) else str(source)
    dataset = source if isinstance(source, xr.Dataset) else _file(name, Path(source))
    dataset = _arranged(where, dataset, layout)
    stored = dataset.sizes[schema.MEMBER]
    if stored not in (1, members):
        raise InputError(
            f"{where} has {stored} members and the forecast {members}: give one member, that of all, or"
            f" --members {stored}"
        )
    return KnownPart(
        where=where,
        layout=layout,
        dataset=dataset,
        rows=np.array([_row(where, dataset, part, start, i, placed) for i, start in enumerate(starts)]),
        leads=_leads(where, dataset, layout),
        members=stored,
    )


def _file(name: str, path: Path) -> xr.Dataset:
    """A store or file; of a store of several modalities the group of this one."""
    place = path
    if not path.exists():
        raise InputError(f"--known {name}: there is no {path}: give a forecast's store, or a NetCDF file")
    try:
        if path.is_dir() and name in open_group(path).group_keys():
            place = path / name
        check_source(str(place), "zarr" if place.is_dir() else None)
        if (place / METADATA).is_file():
            _check_seal(place)
        how = {"engine": "zarr", "consolidated": False} if place.is_dir() else {}
        found = xr.open_dataset(place, chunks=None, cache=False, decode_timedelta={schema.LEAD: True}, **how)
    except InputError:
        raise
    except Exception as error:  # zarr, xarray and the libraries of files each raise their own
        raise InputError(
            f"{place} cannot be read ({one_line(error)}): give a store or a NetCDF file"
        ) from error
    if schema.is_unfinished(found.attrs):
        raise InputError(f"the forecast {place} is not finished: finish it, or choose another")
    return found


def _check_seal(store: Path) -> None:
    """Also a store that somebody has made from one of ours may have its seal, and then says what to do."""
    try:
        check_store_seal(store)
    except InputError as error:
        raise InputError(
            f"{error}; if it was changed on purpose, leave out its attribute {schema.SEAL}"
        ) from error


def _arranged(where: str, dataset: xr.Dataset, layout: Layout) -> xr.Dataset:
    """The variables of the layout, in the order of its dimensions. Raises `InputError` for other ones."""
    dims = schema.dimensions(layout)
    if missing := [name for name in layout.names if name not in dataset]:
        there = ", ".join(map(str, dataset.data_vars)) or "nothing"
        raise InputError(
            f"{where} has no {missing[0]!r}, only {there}: give frames of the modality's variables"
        )
    found = dataset[list(layout.names)]
    if schema.MEMBER not in found.dims:
        found = found.drop_vars(schema.MEMBER, errors="ignore").expand_dims(schema.MEMBER)
    for variable in layout.variables:
        array = found[variable.name]
        if set(array.dims) != set(dims):
            raise InputError(
                f"{variable.name} of {where} lies over {', '.join(map(str, array.dims))}, not over"
                f" {', '.join(dims)}: rename its dimensions, or choose another store"
            )
        units = str(array.attrs.get("units", variable.units))
        if units != variable.units:
            raise InputError(
                f"{variable.name} of {where} is in {units}, and the run's in {variable.units}: convert it"
            )
    for axis in layout.axes:
        values = found[axis.name].values
        fits = len(values) == len(axis) and (
            axis.name not in found.coords or np.allclose(values, axis.values, atol=1e-3 * axis.spacing)
        )
        if not fits:
            raise InputError(
                f"{where} has other cells along {axis.name}, {len(values)} of them, and the run {len(axis)}:"
                " give frames on the same grid"
            )
    return found.transpose(*dims)


def _row(where: str, dataset: xr.Dataset, part: OnePart, start: InitTime, number: int, placed: bool) -> int:
    """The place of a start in a dataset: by the time of its last given frame where times are dates; else by
    the sequence and the frame, or where they are not there by its number."""
    layout, (sequence, frame) = part.test.layout, part.own(start)
    rows = np.ones(dataset.sizes[schema.start_dimension(layout)], bool)
    told = f"start {number}"
    if layout.has_calendar:
        last = part.last_given_times([start])[0]
        told = f"the start at {show(last)}"
        times = dataset[schema.TIME].values
        if times.dtype.kind not in "MO":
            raise InputError(f"the times of {where} are numbers, and those of the run dates")
        rows &= np.array([time == last for time in times], bool)
    if placed and {schema.SEQUENCE, schema.FRAME} <= set(dataset.coords):
        if not layout.has_calendar or rows.sum() > 1:
            rows &= dataset[schema.SEQUENCE].values == sequence
            rows &= dataset[schema.FRAME].values == frame
    elif not layout.has_calendar:
        rows &= dataset[schema.START].values == number
    if rows.sum() != 1:
        how = "is not in" if not rows.any() else "is several times in"
        raise InputError(
            f"{told} {how} {where}: choose the same starts there and here, or make the store for these"
        )
    return int(np.argmax(rows))


def _leads(where: str, dataset: xr.Dataset, layout: Layout) -> np.ndarray:
    """Where each lead is, from the first on; -1 where it is not."""
    found, units = dataset[schema.LEAD].values, dataset[schema.LEAD].attrs.get("units", layout.time_units)
    steps, attributes = zarr_writer.leads(layout, 1)
    if found.dtype.kind != steps.dtype.kind and "m" in (found.dtype.kind, steps.dtype.kind):
        kinds = ["durations" if kind == "m" else "numbers" for kind in (found.dtype.kind, steps.dtype.kind)]
        raise InputError(
            f"the leads of {where} are {kinds[0]}, and those of the run {kinds[1]}: convert them"
        )
    if steps.dtype.kind != "m" and units != attributes.get("units"):
        raise InputError(
            f"the leads of {where} are in {units}, and those of the run in {attributes.get('units')}: convert"
            " them"
        )
    places = found / steps[0]
    inside = len(found) > 0 and np.isfinite(places).all() and places.min() > 0 and places.max() < LONGEST
    whole = np.round(places).astype(int) if inside else np.zeros(0, int)
    if not inside or len(np.unique(whole)) < len(whole):
        raise InputError(f"the leads of {where} are not times after its starts, each once: repair them")
    between = np.abs(places - whole) > 1e-3
    if between.any():
        off = int(np.argmax(between))
        raise InputError(
            f"lead {off + 1} of {where} is {places[off]:g} steps after its start, and frames are a step"
            " apart: give those of whole steps"
        )
    index = np.full(int(whole.max()), -1)
    index[whole - 1] = np.arange(len(whole))
    return index
