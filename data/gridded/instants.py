"""The time of every frame of an array, the start of the forecast and the member to which it belongs."""

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.data import dates
from rolling.data.gridded.axes import MEMBER, REFERENCE, Dimensions
from rolling.data.gridded.units import conversion


def times_of(array: xr.DataArray, found: Dimensions, where: str) -> np.ndarray:
    """The time of every frame, over `found.frames`: dates, or float64 for plain numbers."""
    shape = tuple(array.sizes[name] for name in found.frames)
    if not found.clock:
        return np.broadcast_to(np.arange(float(array.sizes[found.time[0]])), shape)
    values = _numbers(array.coords[found.clock].values, found.clock, where)
    if found.lead:
        values = values[..., None] + _leads(array, found, values.dtype, where)
    return np.broadcast_to(values, shape)


def reference_of(array: xr.DataArray, found: Dimensions) -> np.ndarray | None:
    """When the forecast of every frame began, over `found.frames`; None for what is no forecast."""
    shape = tuple(array.sizes[name] for name in found.frames)
    starts = [found.clock] if found.lead else []
    starts += [
        str(name)
        for name, c in array.coords.items()
        if name != found.clock
        and c.dtype.kind == "M"
        and (REFERENCE.fits(name, c.attrs) or (found.clock == "valid_time" and name == "time"))
    ]
    for name in starts:
        coordinate = array.coords[name].variable
        if set(coordinate.dims) <= set(found.frames):
            return coordinate.set_dims(dict(zip(found.frames, shape, strict=True))).values
    return None


def members_of(array: xr.DataArray, found: Dimensions) -> np.ndarray:
    """The name of the member to which every frame belongs, over `found.frames`; "" where it has none."""
    shape = tuple(array.sizes[name] for name in found.frames)
    names = np.full(shape, "", dtype=object)
    scalars = [str(n) for n, c in array.coords.items() if c.size == 1 and MEMBER.fits(n, c.attrs)]
    for name in (*scalars, *found.members):
        labels = array.coords[name].values.ravel() if name in array.coords else range(array.sizes[name])
        labels = np.array([f"{name}={label} " for label in labels], dtype=object)
        names = names + labels.reshape([-1 if name == dimension else 1 for dimension in found.frames])
    return names.astype(str)


def _leads(array: xr.DataArray, found: Dimensions, kind: np.dtype, where: str) -> np.ndarray:
    """The leads of a forecast, to be added to its starts."""
    if found.lead not in array.coords:
        raise InputError(
            f"{where} has a dimension {found.lead} of leads without values: give it a coordinate"
        )
    coordinate = array.coords[found.lead]
    if kind.kind != "M" or coordinate.dtype.kind == "m":
        return coordinate.values
    units = str(coordinate.attrs.get("units", "")).split(" ")[0]
    factor = conversion(units, "ns")
    if factor is None or coordinate.dtype.kind not in "iuf":
        raise InputError(
            f"{where} has leads along {found.lead} that are no numbers in a unit of time, but"
            f" {coordinate.dtype} in {units!r}: write them in hours, with that as their attribute `units`"
        )
    return np.round(factor(coordinate.values.astype(np.float64))).astype("timedelta64[ns]")


def _numbers(values: np.ndarray, name: str, where: str) -> np.ndarray:
    try:
        return dates.read(values)
    except ValueError as error:
        raise InputError(
            f"{where} has {error} on its time axis {name}: convert them to dates, for instance with xarray's"
            " decode_cf"
        ) from error
