"""The layout of frames: variables on a grid, with a fixed time step.

A `Layout` is metadata only. It is kept in the checkpoint, so that a forecast is written with the names, units
and coordinates of the data that the network was trained on.
"""

import base64
import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from rolling import sphere
from rolling.common.documents import parse_json
from rolling.common.errors import InputError
from rolling.common.files import check_name

COLOUR = ("red", "green", "blue")
GREY = ("luma",)
HOURS, MONTHS = "hours", "months"  # units of the time between frames that have dates
MEAN_MONTH = 730.485  # hours
AREAS = "the areas of the cells on the sphere"
LATITUDE_UNITS = ("degrees_north", "degree_north", "degrees_n", "degree_n")
LONGITUDE_UNITS = ("degrees_east", "degree_east", "degrees_e", "degree_e")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variable:
    """One channel of a frame."""

    name: str
    """In the file and in the store; with its level, `u_500`."""
    units: str = "1"
    """As the file writes them."""
    long_name: str = ""
    """For titles of figures."""
    standard_name: str = ""
    """Of the CF conventions; metrics recognise velocities and vorticity by it."""
    dtype: str = "float32"
    """How values are stored. `"uint8"` is for grey levels of a picture, whole numbers from 0 to 255."""

    def stored(self, values: np.ndarray) -> np.ndarray:
        """Values as they are stored: for an integer dtype, rounded and clipped to its range."""
        dtype = np.dtype(self.dtype)
        if dtype.kind == "f":
            return values.astype(dtype, copy=False)
        limits = np.iinfo(dtype)
        return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axis:
    """One spatial axis: `values` are cell centres in `units`, ascending or descending."""

    name: str
    """Of the dimension."""
    values: tuple[float, ...]
    """Cell centres, ascending or descending."""
    units: str = "1"
    """Of the values."""
    periodic: bool = False
    """Whether the last cell is a neighbour of the first."""
    standard_name: str = ""
    """Of the CF conventions, where it is neither a latitude nor a longitude."""
    bounds: tuple[float, ...] = ()
    """The two edges of each cell, one cell after the other, where they are known."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_latitude(self) -> bool:
        return self.units.lower() in LATITUDE_UNITS or self.name.lower() in ("latitude", "lat")

    @property
    def is_longitude(self) -> bool:
        return self.units.lower() in LONGITUDE_UNITS or self.name.lower() in ("longitude", "lon")

    @property
    def spacing(self) -> float:
        """Mean distance between neighbours, positive, in `units` (1 for an axis of one cell)."""
        if len(self.values) < 2:
            return 1.0
        return abs(self.values[-1] - self.values[0]) / (len(self.values) - 1)


def _text(array: np.ndarray | None) -> str:
    raw = b"" if array is None else np.ascontiguousarray(array, "<f8").tobytes()
    return base64.b64encode(raw).decode()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coordinate:
    """A coordinate of the cells over (y, x), or a grid mapping, as the file has it."""

    name: str
    """Of the variable in the file."""
    attributes: str = "{}"
    """Its attributes, as JSON."""
    values: str = ""
    """Base64 of float64, little-endian, row by row; empty for a grid mapping, which has attributes only."""
    bounds: str = ""
    """The same of the four corners of each cell, in turn, where they are known."""

    def __post_init__(self):
        try:
            valid = isinstance(parse_json(self.attributes), dict)
        except ValueError:
            valid = False
        if not valid:
            raise InputError(
                f"the attributes of the coordinate {self.name[:40]!r} are no JSON object: it is damaged"
            )

    @classmethod
    def of(
        cls,
        name: str,
        values: np.ndarray | None,
        attributes: Mapping[str, Any],
        bounds: np.ndarray | None = None,
    ) -> "Coordinate":
        """Of values `[height, width]` and bounds `[height, width, 4]`."""
        known = {
            k: np.asarray(v).tolist()
            for k, v in attributes.items()
            if np.asarray(v).dtype.kind in "iufU" and k != "bounds"  # the name of what `bounds` holds
        }
        arrays = {"values": _text(values), "bounds": _text(bounds)}
        return cls(name=name, attributes=json.dumps(known), **arrays)

    def array(self, height: int, width: int) -> np.ndarray:
        return np.frombuffer(base64.b64decode(self.values), "<f8").reshape(height, width)

    def corners(self, height: int, width: int) -> np.ndarray | None:
        """`[height, width, 4]`, if they are known."""
        known = np.frombuffer(base64.b64decode(self.bounds), "<f8")
        return known.reshape(height, width, 4) if known.size else None

    def is_place(self, units: tuple[str, ...], name: str) -> bool:
        """Whether it is the latitude or the longitude of cells."""
        said = parse_json(self.attributes)
        by_units = str(said.get("units", "")).lower() in units
        return bool(self.values) and (said.get("standard_name") == name or by_units)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """Variables, grid and time step of a data set.

    `step` is the time between frames in `time_units`: `"hours"` or calendar `"months"` where times are dates
    (`datetime64`, or objects of cftime for the calendars of climate models), `"1"` where time is a plain
    number. `features` are functions of the time that are
    known for the future (names in `data/calendar.py`); `phase` is what the climatology depends on: `"none"`,
    or a name in `data/calendar.py`. Of the conditioning of sequences, `labels` names their classes, `tokens`
    is the size of the embeddings that describe one, `actions` the count of numbers with each frame, and
    `forcings` that of the known fields with each frame: 0 where there are none.
    """

    variables: tuple[Variable, ...]
    """The channels of a frame."""
    y: Axis
    """The axis of rows."""
    x: Axis
    """The axis of columns."""
    step: float = 1.0
    """Time between frames, in `time_units`."""
    time_units: str = "1"
    """hours or, of data whose steps are calendar months, months, where times are dates; else any."""
    features: tuple[str, ...] = ()
    """Functions of time known for the future, names in `data/calendar.py`."""
    phase: str = "none"
    """What the climatology depends on: none, or a name in `data/calendar.py`."""
    labels: tuple[str, ...] = ()
    """Names of the classes of sequences."""
    tokens: int = 0
    """Size of the embeddings that describe a sequence."""
    actions: int = 0
    """Count of the numbers with each frame."""
    forcings: int = 0
    """Count of the known fields with each frame."""
    coordinates: tuple[Coordinate, ...] = ()
    """Coordinates over (y, x) and grid mappings, which forecasts carry on; they decide the area weights."""

    def __post_init__(self):
        """Names become those of folders and of lines on a page, and may come from anyone."""
        for what, parts in (
            ("variable", self.variables),
            ("axis", (self.y, self.x)),
            ("coordinate", self.coordinates),
        ):
            for part in parts:
                check_name(part.name, f"the name of a {what} of the data")

    @property
    def is_video(self) -> bool:
        """Whether a frame is a picture: grey levels of red, green and blue, or of luma alone."""
        return self.names in (COLOUR, GREY) and all(v.dtype == "uint8" for v in self.variables)

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(height, width, channel)` of one frame."""
        return len(self.y), len(self.x), len(self.variables)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(variable.name for variable in self.variables)

    @property
    def has_calendar(self) -> bool:
        return self.time_units in (HOURS, MONTHS)

    def same_frames(self, other: "Layout") -> bool:
        """Whether frames of both are the same, up to what only describes them and rounding of the step."""
        mine, theirs = (
            dataclasses.replace(
                layout,
                coordinates=(),
                step=other.step,
                y=dataclasses.replace(layout.y, standard_name="", bounds=()),
                x=dataclasses.replace(layout.x, standard_name="", bounds=()),
            )
            for layout in (self, other)
        )
        return mine == theirs and math.isclose(self.step, other.step, rel_tol=1e-6)

    def _places(self) -> tuple[Coordinate, Coordinate] | None:
        """The latitude and the longitude of every cell, if the file has them so."""
        latitude, longitude = (
            next((c for c in self.coordinates if c.is_place(units, name)), None)
            for units, name in ((LATITUDE_UNITS, "latitude"), (LONGITUDE_UNITS, "longitude"))
        )
        return (latitude, longitude) if latitude and longitude else None

    def _weights(self) -> tuple[str, np.ndarray]:
        """What means over space are weighted by, in words and `[height, width]`."""
        shape, places = self.shape[:2], self._places()
        if self.y.is_latitude:
            edges = [np.reshape(axis.bounds, (-1, 2)) for axis in (self.y, self.x)]
            if self.x.is_longitude and len(edges[0]) and len(edges[1]):
                return f"{AREAS}, by their edges", sphere.areas_between(*edges)
            by_row = np.cos(np.deg2rad(np.asarray(self.y.values)))
            return "the cosine of the latitude", np.repeat(by_row[:, None], shape[1], axis=1)
        if places is None:
            return "nothing: every cell counts alike", np.ones(shape)
        latitude, longitude = (place.corners(*shape) for place in places)
        if latitude is not None and longitude is not None:
            return f"{AREAS}, by their corners", sphere.areas_within(latitude, longitude)
        return AREAS, sphere.cell_areas(*(place.array(*shape) for place in places))

    @property
    def weighting(self) -> str:
        """What means over space are weighted by."""
        return self._weights()[0]

    def area_weights(self) -> np.ndarray:
        """`[height, width]` with a mean of one: the areas of the cells on the sphere, from the bounds of the
        cells where these are known; else cos(latitude) where `y` is a latitude, or from the latitudes and
        longitudes of the cells; else ones."""
        weights = self._weights()[1]
        return weights / weights.mean()


def video(height: int, width: int, *, rate: float = 1.0, colour: bool = True, **conditioning) -> Layout:
    """The layout of pictures, `rate` per second, row 0 at the top; `conditioning`: labels, tokens,
    actions."""
    return Layout(
        variables=tuple(Variable(name=name, dtype="uint8") for name in (COLOUR if colour else GREY)),
        y=Axis(name="y", values=tuple(float(i) for i in range(height - 1, -1, -1)), units="pixel"),
        x=Axis(name="x", values=tuple(float(i) for i in range(width)), units="pixel"),
        step=1 / rate,
        time_units="s",
        **conditioning,
    )
