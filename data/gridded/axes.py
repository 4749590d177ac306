"""Finds which dimensions of an array are time, level and the two horizontal ones."""

import dataclasses
from collections.abc import Hashable

import xarray as xr

from rolling.common.errors import InputError
from rolling.geometry import LATITUDE_UNITS, LONGITUDE_UNITS

PRESSURE_UNITS = ("pa", "hpa", "mbar", "millibar", "millibars", "mb")


@dataclasses.dataclass(frozen=True)
class Role:
    """How the coordinate of a dimension is recognised: by CF attributes, or by its name in lower case."""

    axis: str
    standard_names: tuple[str, ...]
    units: tuple[str, ...]
    names: tuple[str, ...]

    def fits(self, name: Hashable, attributes: dict) -> bool:
        if attributes.get("axis") and self.axis:
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


MEMBER = Role(
    "E",
    ("realization",),
    (),
    ("number", "realization", "realisation", "member", "member_id", "ensemble", "ensemble_member", "ens"),
)
LEAD = Role(
    "",
    ("forecast_period",),
    (),
    ("step", "lead", "lead_time", "leadtime", "prediction_timedelta", "forecast_period", "forecast_hour"),
)
REFERENCE = Role(
    "",
    ("forecast_reference_time",),
    (),
    ("forecast_reference_time", "init_time", "init", "reference_time", "initial_time", "start_time"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dimensions:
    """The names of an array's dimensions by role.

    Frames lie along `members` and then `time`, which is empty where a file holds the one time of its scalar
    coordinate, and two where a time is a forecast's start plus its lead. `clock` is the coordinate that holds
    the times, "" if frames are merely numbered; `lead` is added to it, if there is one.
    """

    members: tuple[str, ...]
    time: tuple[str, ...]
    clock: str
    lead: str
    level: str | None
    y: str
    x: str

    @property
    def frames(self) -> tuple[str, ...]:
        return (*self.members, *self.time)


def find_dimensions(array: xr.DataArray, where: str, time: str = "") -> Dimensions:
    """Raises `InputError`, beginning with `where`, for an array that is not a sequence of fields.

    `time` names the time dimension or coordinate if it would not be recognised.
    """
    clock, times = _clock(array, where, time)
    free = [str(name) for name in array.dims if name not in times]
    lead = next((d for d in free if array.sizes[d] > 1 and LEAD.fits(d, attributes_of(array, d))), "")
    times = (*times, lead) if lead and clock else times
    members = tuple(
        d for d in free if d not in times and array.sizes[d] > 1 and MEMBER.fits(d, attributes_of(array, d))
    )
    free = [d for d in free if d not in (*times, *members)]
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
                f" {_listed(array, [str(d) for d in array.dims if d not in times])}; choose other variables,"
                " or read series at stations as `stations`"
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
    return Dimensions(
        members=members,
        time=times,
        clock=clock,
        lead=lead if clock else "",
        level=found[LEVEL],
        y=y,
        x=x,
    )


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
        dates = [name for name, c in array.coords.items() if c.dtype.kind in "MO" and is_dates(c)]
        # In a GRIB forecast, `time` is when it was initialised and `valid_time` when its fields are valid. A
        # scalar coordinate is the time of a file's only frame.
        names = sorted(
            (str(n) for n in dates if TIME.fits(n, array.coords[n].attrs)),
            key=lambda n: (
                array.coords[n].ndim == 0,
                array.coords[n].attrs.get("standard_name") != "time",
                n != "valid_time",
            ),
        )
        along = [n for n in names if array.coords[n].ndim]
        names = along + [str(d) for d in array.dims if TIME.fits(d, attributes_of(array, str(d)))] + names
        names += [str(n) for n in dates if array.coords[n].ndim]
    if not names:
        raise InputError(
            f"{where} has no time axis{f' {chosen!r}' if chosen else ''}: its dimensions are"
            f" {_listed(array, [str(d) for d in array.dims])}; name the dimension or coordinate that is with"
            " --source.time NAME, or give each file a scalar coordinate `time` with its date"
        )
    name = names[0]
    if name not in array.coords:
        return "", (name,)
    return name, tuple(str(d) for d in array.coords[name].dims)


def is_dates(coordinate: xr.DataArray) -> bool:
    """Whether a coordinate holds dates, of whatever calendar."""
    if coordinate.dtype.kind == "O":
        return coordinate.size > 0 and hasattr(coordinate.values.flat[0], "timetuple")
    return coordinate.dtype.kind == "M"
