"""Forecasts on disk: a Zarr store with the data's own names, units and coordinates, written while sampling.

One write fills whole shards, so no two writes touch the same file, and repeating a write leaves the same
bytes.
"""

import contextlib
import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec

from rolling.common import forecast_schema as schema
from rolling.common.documents import parse_json
from rolling.common.errors import InputError
from rolling.common.files import cannot_write, check_links, new_folder, write_file
from rolling.common.forecast_seal import METADATA, check_store_seal, seal_store
from rolling.common.lock import alone
from rolling.data.untrusted import Refused
from rolling.data.untrusted.sizes import load_npz
from rolling.data.untrusted.zarr_stores import open_group
from rolling.geometry import Axis
from rolling.layout import MONTHS, Layout, Variable
from rolling.run.experiment import codec
from rolling.run.forecasting.init_times import InitTime

INNER_CHUNK = 2**18  # numbers: about 1 MiB of float32
BOUNDS = "_bnds"
CHECKSUM = "checksum of the given frames"
LETTERS = ("Z", "Y", "X")  # of axes, as CF has them
COMPRESSORS = (ZstdCodec(level=0, checksum=True),)  # Zarr's default, and a checksum by which damage is found


def skeleton(
    layout: Layout, times: np.ndarray, valid: np.ndarray, starts: list[InitTime] | None, members: int
) -> xr.Dataset:
    """The coordinates and attributes of a forecast; `times [start]` are those of the last given frames, and
    `valid [start, lead]` those of the forecast ones."""
    dimension = schema.start_dimension(layout)
    reference = {"standard_name": "forecast_reference_time", "long_name": "time of the last given frame"}
    coordinates: dict[str, Any] = {
        schema.TIME: (dimension, times, reference if layout.has_calendar else {}),
        schema.LEAD: (schema.LEAD, *leads(layout, valid.shape[1])),
        schema.MEMBER: (
            schema.MEMBER,
            np.arange(members, dtype=np.int32),
            {"standard_name": "realization", "long_name": "member of the ensemble", "units": "1"},
        ),
    }
    if layout.has_calendar:
        named = {"standard_name": "time", "long_name": "time at which the forecast is valid"}
        coordinates[schema.VALID] = ((dimension, schema.LEAD), valid, named)
    else:
        coordinates[schema.START] = np.arange(len(times))
    coordinates |= _places(layout)
    if starts is not None:
        for name, words in (
            (schema.SEQUENCE, "test sequence that the forecast starts from"),
            (schema.FRAME, "frame of that sequence with which the forecast starts"),
        ):
            places = np.asarray([getattr(start, name) for start in starts], np.int32)
            coordinates[name] = (dimension, places, {"long_name": words})
    about = {"Conventions": "CF-1.11", "title": "Ensemble forecast", "source": "rolling-diffusion"}
    # Without the moment of writing: the same forecast has the same bytes.
    about |= {"history": "sampled by rolling-diffusion"}
    found = xr.Dataset(_bounds(layout), coordinates, about)
    for variable in found.variables.values():  # none is missing, and the conventions allow no such attribute
        variable.encoding["_FillValue"] = None
    return found


def _places(layout: Layout) -> dict[str, Any]:
    """The coordinates of the cells."""
    found: dict[str, Any] = {}
    for letter, axis in zip(LETTERS[-len(layout.axes) :], layout.axes, strict=True):
        found[axis.name] = (axis.name, np.asarray(axis.values), _axis(axis, letter))
    for place in layout.coordinates:
        where = _rows_and_columns(layout) if place.values else ()
        values = place.array(*layout.space[-2:]) if place.values else np.int32(0)
        found[place.name] = (where, values, parse_json(place.attributes))
    for name in _bounds(layout):
        found[name.removesuffix(BOUNDS)][2]["bounds"] = name
    return found


def _bounds(layout: Layout) -> dict[str, Any]:
    """The bounds of the cells, which the conventions do not count among the coordinates."""
    found: dict[str, Any] = {}
    for axis in layout.axes:
        if axis.bounds:
            found[axis.name + BOUNDS] = ((axis.name, "bnds"), np.reshape(axis.bounds, (-1, 2)))
    for place in layout.coordinates:
        corners = place.corners(*layout.space[-2:])
        if corners is not None:
            found[place.name + BOUNDS] = ((*_rows_and_columns(layout), "vertices"), corners)
    return found


def _rows_and_columns(layout: Layout) -> tuple[str, ...]:
    return tuple(axis.name for axis in layout.axes[-2:])


def _axis(axis: Axis, letter: str) -> dict[str, str]:
    """The attributes of an axis."""
    named = "latitude" if axis.is_latitude else "longitude" if axis.is_longitude else axis.standard_name
    return {"units": axis.units, "axis": letter} | ({"standard_name": named} if named else {})


def _located(layout: Layout, coordinates: xr.Dataset) -> dict[str, str]:
    """The attributes that lead from a variable to the coordinates that are no axes."""
    mapping = next((c.name for c in layout.coordinates if not c.values), "")
    names = [str(n) for n in coordinates.coords if n not in coordinates.dims and n != mapping]
    return {"coordinates": " ".join(names)} | ({"grid_mapping": mapping} if mapping else {})


def leads(layout: Layout, count: int) -> tuple[np.ndarray, dict[str, str]]:
    """Lead times and their attributes: durations, calendar months as whole numbers, or plain numbers."""
    places = np.arange(1, count + 1)
    if layout.time_units == MONTHS:
        after = "calendar months after the time of the last given frame"
        return places * round(layout.step), {"units": MONTHS, "long_name": after}
    if layout.has_calendar:
        nanoseconds = np.round(places * layout.step * 3.6e12).astype("int64")
        words = {"standard_name": "forecast_period", "long_name": "lead time"}
        return nanoseconds.astype("timedelta64[ns]"), words
    return places * layout.step, {"units": layout.time_units, "long_name": "lead time"}


def attributes(variable: Variable) -> dict[str, Any]:
    named = {
        "units": variable.units,
        "long_name": variable.long_name,
        "standard_name": variable.standard_name,
    }
    return {name: value for name, value in named.items() if value}


class Noted:
    """A folder that is being written; a note beside it holds the carry from which to resume."""

    def __init__(self, path: Path):
        self.path = path
        self._note = path.with_name(path.name + ".progress.npz")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the lock of the store.

        Raises `InputError` where another process writes it, where a link leads out of it, and where its
        folder cannot be written to.
        """
        with contextlib.ExitStack() as lock:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                if self.path.exists():
                    check_links(self.path)
                place = self.path.with_name(f".{self.path.name}.lock")
                lock.enter_context(alone(place, str(self.path)))
            except OSError as error:
                raise cannot_write(self.path, error) from error
            yield

    def exists(self) -> bool:
        return self.path.exists()

    def save_note(self, note: dict[str, np.ndarray]) -> None:
        """Saves, atomically, the state from which to resume."""

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez(file, **cast(dict[str, Any], note))

        write_file(self._note, write)

    def load_note(self) -> dict[str, np.ndarray] | None:
        if not self._note.exists():
            return None
        try:
            return load_npz(self._note)
        except Exception as error:
            raise InputError(
                f"{self._note} is damaged ({error}): delete it to start the forecast again"
            ) from error


class ForecastStore(Noted):
    """The store of a forecast."""

    def __init__(self, path: Path, layout: Layout, identity: dict[str, Any]):
        super().__init__(path)
        self.layout, self.identity = layout, identity

    def create(self, coordinates: xr.Dataset, chunk: int) -> None:
        """An empty store; `chunk` frames are written at a time."""
        with new_folder(self.path) as temporary:
            self.fill(temporary, coordinates, chunk)
            # The old store is removed only now that the new one is complete.
            self._note.unlink(missing_ok=True)

    def fill(self, temporary: Path, coordinates: xr.Dataset, chunk: int) -> None:
        """What `create` writes, in a folder that is moved to its place later."""
        coordinates.attrs[schema.IDENTITY] = json.dumps(self.identity, sort_keys=True)
        encoding = {
            name: variable.encoding | {"compressors": COMPRESSORS}
            for name, variable in coordinates.variables.items()
        }
        coordinates.to_zarr(temporary, zarr_format=3, consolidated=False, encoding=encoding)
        group = zarr.open_group(temporary, mode="r+")
        names = schema.dimensions(self.layout)
        shape = tuple(coordinates.sizes[name] for name in names)
        inner = _divisor_below(chunk, max(1, INNER_CHUNK // math.prod(self.layout.space)))
        for variable in self.layout.variables:
            group.create_array(
                variable.name,
                shape=shape,
                dtype=variable.dtype,
                shards=(1, 1, chunk, *shape[3:]),
                chunks=(1, 1, inner, *shape[3:]),
                compressors=COMPRESSORS,
                fill_value=float("nan") if variable.dtype == "float32" else 0,
                dimension_names=names,
                attributes=attributes(variable) | _located(self.layout, coordinates),
            )
        seal_store(temporary)

    def write(self, start: int, member: int, lead: int, frames: np.ndarray) -> None:
        """Writes `frames [time, *space, variable]` from lead `lead` on: a whole shard per variable."""
        group = self._there()
        for channel, variable in enumerate(self.layout.variables):
            stored = variable.stored(frames[..., channel])
            array = cast(zarr.Array, group[variable.name])
            array[start, member, lead : lead + len(frames)] = stored

    def _there(self) -> zarr.Group:
        """Raises `InputError` where somebody has removed the store or an array of it: writing would make part
        of it anew."""
        names = ("", *(f"{name}/" for name in self.layout.names))
        if not all((self.path / f"{name}{METADATA}").exists() for name in names):
            raise InputError(f"{self.path} was removed while it was written: roll out again")
        return zarr.open_group(self.path, mode="r+")

    def check_identity(self, *, overwrite: bool = False) -> bool:
        """Whether the store on disk is of this very forecast.

        Raises `InputError` where it is not a store of ours and, unless `overwrite`, where it is of another
        forecast.
        """
        try:
            group = open_group(self.path)
            found = codec.upgraded_fields("sampling", parse_json(cast(str, group.attrs[schema.IDENTITY])))
        except Refused:
            raise
        except Exception as error:
            raise InputError(
                f"{self.path} exists and is not a forecast of rolling-diffusion ({error}): choose another"
                " --output"
            ) from error
        if not overwrite:
            check_store_seal(self.path)
        if CHECKSUM not in found:  # as former versions wrote it
            found |= {name: value for name, value in self.identity.items() if name == CHECKSUM}
        if found != self.identity and not overwrite:
            changed = "; ".join(codec.differences(found, self.identity))
            raise InputError(
                f"{self.path} holds another forecast (there / here: {changed}): choose another --output, or"
                " replace it with --overwrite"
            )
        return found == self.identity

    def complete(self) -> None:
        """Marks the store as complete and deletes the note."""
        self._there().attrs[schema.COMPLETE] = 1  # NetCDF knows no booleans
        consolidate(self.path)
        self._note.unlink(missing_ok=True)

    def is_complete(self) -> bool:
        return bool(zarr.open_group(self.path, mode="r").attrs.get(schema.COMPLETE, False))


def consolidate(path: Path) -> None:
    """Copies the metadata of all arrays to one place, from where they are read sooner."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*onsolidated metadata")  # an extension of format 3
        zarr.consolidate_metadata(path)


def _divisor_below(number: int, limit: int) -> int:
    """The largest divisor of `number` that is at most `limit`."""
    return max(d for d in range(1, min(number, limit) + 1) if number % d == 0)
