"""Horizontal axes, and where the cells of one lie on another."""

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.gridded.axes import Role, X, attributes_of
from rolling.data.gridded.units import SAME, conversion
from rolling.geometry import LONGITUDE_UNITS, Axis

TOLERANCE = 1e-3  # of a cell
EVERY = slice(None)


def horizontal_axis(
    array: xr.DataArray,
    name: str,
    role: Role,
    where: str,
    cells: slice | np.ndarray = EVERY,
    edges: np.ndarray | None = None,
) -> Axis:
    """A horizontal axis, at some of its cells, with its values and units, or numbered cells if it has no
    coordinate; `edges [n, 2]` are those of its cells, if the file has them.

    Longitudes are unwrapped, and periodic if they go round the globe in equal steps. Raises `InputError` if
    values are out of order.
    """
    if name not in array.coords or array.coords[name].ndim != 1:
        return Axis(name=name, values=tuple(np.arange(float(array.sizes[name]))[cells].tolist()))
    if array.coords[name].dtype.kind not in "iuf":
        raise InputError(
            f"{where} has no numbers along {name}: leave that coordinate out, or put numbers there"
        )
    values = decimals(array.coords[name].values)[cells]
    units = _units(name, attributes_of(array, name), role)
    longitude = units in LONGITUDE_UNITS
    if longitude:
        values = np.round(np.unwrap(values, period=360.0), 9)
        values = values - 360.0 if values.min() >= 180.0 or values.max() > 360.0 else values
    steps = np.diff(values)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise InputError(
            f"{where} has values of {name} that neither rise nor fall throughout: sort them first"
        )
    edges = None if edges is None else edges[cells]
    if edges is not None and longitude:  # at the same turn as their values, both of them
        edges = values[:, None] + (edges - values[:, None] + 180.0) % 360.0 - 180.0
    wraps = longitude and len(values) > 1 and _equal_steps_round(values, len(values))
    standard_name = str(attributes_of(array, name).get("standard_name", ""))
    return Axis(
        name=name,
        values=tuple(values.tolist()),
        units=units,
        boundary="periodic" if wraps else "open",
        standard_name="" if standard_name in ("latitude", "longitude") else standard_name,
        bounds=() if edges is None else tuple(np.round(edges, 9).ravel().tolist()),
    )


def eastward(array: xr.DataArray, name: str) -> np.ndarray:
    """The cells of a row in the order in which they lie side by side.

    A region across Greenwich whose longitudes were sorted, 0 1 358 359, begins after its widest gap.
    """
    cells = np.arange(array.sizes[name])
    if name not in array.coords or array.coords[name].ndim != 1 or array.coords[name].dtype.kind not in "iuf":
        return cells
    values = decimals(array.coords[name].values)
    if _units(name, attributes_of(array, name), X) not in LONGITUDE_UNITS or not (np.diff(values) > 0).all():
        return cells
    if (np.diff(np.unwrap(values, period=360.0)) > 0).all():
        return cells
    return np.roll(cells, -1 - int(np.argmax(np.diff(values))))


def repeats_first(array: xr.DataArray, name: str) -> bool:
    """Whether the last meridian of a row is the first one again: longitudes from 0 to 360, both included."""
    if name not in array.coords or array.coords[name].ndim != 1 or array.coords[name].dtype.kind not in "iuf":
        return False
    values = np.unwrap(decimals(array.coords[name].values), period=360.0)
    longitude = _units(name, attributes_of(array, name), X) in LONGITUDE_UNITS
    return longitude and len(values) > 2 and _equal_steps_round(values, len(values) - 1)


def _equal_steps_round(values: np.ndarray, count: int) -> bool:
    """Whether longitudes have the distance of `count` meridians that go round the globe."""
    step = 360.0 / count
    ends = abs(abs(values[-1] - values[0]) - (len(values) - 1) * step)
    return bool(np.allclose(np.abs(np.diff(values)), step, rtol=1e-3) and ends < step / 10)


def decimals(values: np.ndarray) -> np.ndarray:
    """Float64 with the intended decimals: 50.1 stored as float32 is read as 50.1, not 50.099998."""
    if values.dtype == np.float32:
        return np.array([float(str(value)) for value in values.ravel()]).reshape(values.shape)
    return values.astype(np.float64)


def _units(name: str, found: dict, role: Role) -> str:
    units = str(found.get("units", ""))
    if units.lower() in role.units:
        return role.units[0]
    named = found.get("standard_name") in ("latitude", "longitude") or name.lower() in (
        ("lat", "latitude", "lon", "longitude") if not units else ()
    )
    return role.units[0] if named else units or "1"


def places(found: Axis, wanted: Axis) -> np.ndarray | None:
    """The index on the axis `found` of each cell of `wanted`; None if one of them is not there.

    Longitudes are the same modulo 360, units of length are converted, and cells without coordinates are the
    same only if there are equally many.
    """
    values, targets = np.asarray(found.values), np.asarray(wanted.values)
    if not _is_labelled(found) or not _is_labelled(wanted):
        return np.arange(len(values)) if np.array_equal(values, targets) else None
    factor = SAME if "1" in (found.units, wanted.units) else conversion(found.units, wanted.units) or SAME
    off = factor(values) - targets[:, None]
    if found.is_longitude and wanted.is_longitude:
        off = (off + 180.0) % 360.0 - 180.0
    off = np.abs(off)
    index = off.argmin(1)
    there = off[np.arange(len(index)), index] <= TOLERANCE * wanted.spacing
    return index if there.all() else None


def _is_labelled(axis: Axis) -> bool:
    """Whether the values are more than the numbers of the cells."""
    return axis.units != "1" or not np.array_equal(axis.values, np.arange(len(axis)))
