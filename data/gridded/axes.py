"""Finds which dimensions of an array are time, level and the two horizontal ones."""

import dataclasses
from collections.abc import Hashable

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.fields import LATITUDE_UNITS, LONGITUDE_UNITS, Axis

PRESSURE_UNITS = ("pa", "hpa", "mbar", "millibar", "millibars", "mb")


@dataclasses.dataclass(frozen=True)
class Role:
    """How the coordinate of a dimension is recognised: by CF attributes, or by its name in lower case."""

    axis: str
    standard_names: tuple[str, ...]
    units: tuple[str, ...]
    names: tuple[str, ...]

    def fits(self, name: Hashable, attributes: dict) -> bool:
        if attributes.get("axis"):
            return str(attributes["axis"]).upper() == self.axis
        return (
            attributes.get("standard_name") in self.standard_names
            or str(attributes.get("units", "")).lower() in self.units
            or str(name).lower() in self.names
        )


TIME = Role(
    "T",
    ("time", "forecast_reference_time"),
    (),
    ("time", "valid_time", "t", "date", "datetime", "times", "frame", "frames"),
)
Y = Role(
    "Y",
    ("latitude", "grid_latitude", "projection_y_coordinate"),
    LATITUDE_UNITS,
    ("latitude", "lat", "y", "nlat", "rlat", "south_north", "yc", "northing"),
)
X = Role(
    "X",
    ("longitude", "grid_longitude", "projection_x_coordinate"),
    LONGITUDE_UNITS,
    ("longitude", "lon", "x", "nlon", "rlon", "west_east", "xc", "easting"),
)
LEVEL = Role(
    "Z",
    ("air_pressure", "height", "altitude", "depth", "model_level_number"),
    PRESSURE_UNITS,
    (
        *("level", "lev", "levels", "plev", "pressure", "pressure_level", "isobaricinhpa"),
        *("height", "heightaboveground", "altitude", "depth", "z", "hybrid", "model_level"),
    ),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dimensions:
    """The names of an array's dimensions by role; `time` has two if the time is a forecast's start plus its
    lead. `clock` is the coordinate that holds the times, "" if frames are merely numbered."""

    time: tuple[str, ...]
    clock: str
    level: str | None
    y: str
    x: str


def find_dimensions(array: xr.DataArray, where: str, time: str = "") -> Dimensions:
    """Raises `InputError`, beginning with `where`, for an array that is not a sequence of fields.

    `time` names the time dimension or coordinate if it would not be recognised.
    """
    clock, times = _clock(array, where, time)
    free = [str(name) for name in array.dims if name not in times]
    found = {role: next((d for d in free if role.fits(d, attributes_of(array, d))), None) for role in (Y, X)}
    free = [d for d in free if d not in found.values()]
    found[LEVEL] = next((d for d in free if LEVEL.fits(d, attributes_of(array, d))), None)
    others = [d for d in free if d != found[LEVEL]]
    missing = [role for role in (Y, X) if found[role] is None]
    # The horizontal dimensions that were not recognised are the last remaining ones longer than 1.
    if missing:
        long = [d for d in others if array.sizes[d] > 1]
        if len(long) < len(missing):
            raise InputError(
                f"{where} has no two horizontal dimensions: apart from time it has"
                f" {_listed(array, [str(d) for d in array.dims if d not in times])}; choose other variables"
            )
        found.update(zip(missing, long[-len(missing) :], strict=True))
        others = [d for d in others if d not in found.values()]
    extra = [d for d in others if array.sizes[d] > 1]
    if extra:
        raise InputError(
            f"{where} has a dimension that is neither time, level nor horizontal, {_listed(array, extra)}:"
            " choose one of its entries beforehand, for instance with xarray's isel"
        )
    y, x = found[Y], found[X]
    assert y is not None and x is not None  # recognised, or else the last ones that remained
    return Dimensions(time=times, clock=clock, level=found[LEVEL], y=y, x=x)


def attributes_of(array: xr.DataArray, name: str) -> dict:
    """The attributes of a coordinate; empty if there is no such coordinate."""
    return array.coords[name].attrs if name in array.coords else {}


def _listed(array: xr.DataArray, names: list[str]) -> str:
    return ", ".join(f"{name} ({array.sizes[name]})" for name in names) or "none"


def _clock(array: xr.DataArray, where: str, chosen: str) -> tuple[str, tuple[str, ...]]:
    """The coordinate that holds the times, and its dimensions."""
    if chosen:
        names = [chosen] if chosen in array.coords or chosen in array.dims else []
    else:
        dates = [name for name, c in array.coords.items() if c.ndim and c.dtype.kind in "MO"]
        # In a GRIB forecast, `time` is when it was initialised and `valid_time` when its fields are valid.
        names = sorted(
            (str(n) for n in dates if TIME.fits(n, array.coords[n].attrs)),
            key=lambda n: (array.coords[n].attrs.get("standard_name") != "time", n != "valid_time"),
        )
        names += [str(d) for d in array.dims if TIME.fits(d, attributes_of(array, str(d)))]
        names += [str(n) for n in dates]
    if not names:
        raise InputError(
            f"{where} has no time axis{f' {chosen!r}' if chosen else ''}: its dimensions are"
            f" {_listed(array, [str(d) for d in array.dims])}; name the one that is with --source.time NAME"
        )
    name = names[0]
    if name not in array.coords:
        return "", (name,)
    return name, tuple(str(d) for d in array.coords[name].dims)


def times_of(array: xr.DataArray, found: Dimensions, where: str) -> np.ndarray:
    """The time of every frame, over `found.time`: `datetime64[ns]`, or float64 for plain numbers."""
    if not found.clock:
        return np.arange(float(array.sizes[found.time[0]]))
    values = array.coords[found.clock].values
    if values.dtype.kind == "M":
        return values.astype("datetime64[ns]")
    if values.dtype.kind in "iuf":
        return values.astype(float)
    calendar = getattr(values.flat[0], "calendar", None)
    kind = f"dates of the calendar {calendar!r}" if calendar else f"values of type {values.dtype}"
    raise InputError(
        f"{where} has {kind} on its time axis {found.clock}: convert it, for instance with xarray's"
        " convert_calendar('standard')"
    )


def horizontal_axis(array: xr.DataArray, name: str, role: Role, where: str) -> Axis:
    """A horizontal axis with its values and units, or numbered cells if it has no coordinate.

    Longitudes are unwrapped, and periodic if they go round the globe in equal steps. Raises `InputError` if
    values are out of order.
    """
    if name not in array.coords or array.coords[name].ndim != 1:
        return Axis(name=name, values=tuple(float(i) for i in range(array.sizes[name])))
    values = decimals(array.coords[name].values)
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
    wraps = longitude and len(values) > 1 and np.allclose(np.abs(steps), 360.0 / len(values), rtol=1e-3)
    return Axis(name=name, values=tuple(values.tolist()), units=units, periodic=bool(wraps))


def decimals(values: np.ndarray) -> np.ndarray:
    """Float64 with the intended decimals: 50.1 stored as float32 is read as 50.1, not 50.099998."""
    if values.dtype == np.float32:
        return np.array([float(str(value)) for value in values])
    return values.astype(np.float64)


def _units(name: str, found: dict, role: Role) -> str:
    units = str(found.get("units", ""))
    if units.lower() in role.units:
        return role.units[0]
    named = found.get("standard_name") in ("latitude", "longitude") or name.lower() in (
        ("lat", "latitude", "lon", "longitude") if not units else ()
    )
    return role.units[0] if named else units or "1"
