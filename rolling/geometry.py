"""Space: axes, the coordinates of cells, and the grids that they make.

A grid knows what its cells are worth in a mean and how long its sides are; what depends on its kind (spectra,
derivatives) asks for it: `Layout.grid` is a `Plane`, a `LatLon` or a `Curvilinear`.
"""

import base64
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rolling import sphere
from rolling.common.documents import parse_json
from rolling.common.errors import InputError

BOUNDARIES = ("periodic", "open", "wall", "pole")
AREAS = "the areas of the cells on the sphere"
EARTH_RADIUS = 6_371_000.0  # metres, mean
LATITUDE_UNITS = ("degrees_north", "degree_north", "degrees_n", "degree_n")
LONGITUDE_UNITS = ("degrees_east", "degree_east", "degrees_e", "degree_e")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axis:
    """One spatial axis: `values` are cell centres in `units`, ascending or descending."""

    name: str
    """Of the dimension."""
    values: tuple[float, ...]
    """Cell centres, ascending or descending."""
    units: str = "1"
    """Of the values."""
    boundary: str = "open"
    """What lies beyond its ends: periodic (the last cell is a neighbour of the first), open (nothing known),
    wall, or pole (of a sphere, along its latitudes)."""
    standard_name: str = ""
    """Of the CF conventions, where it is neither a latitude nor a longitude."""
    bounds: tuple[float, ...] = ()
    """The two edges of each cell, one cell after the other, where they are known."""

    def __post_init__(self):
        if self.boundary not in BOUNDARIES:
            raise InputError(
                f"the boundary of the axis {self.name[:40]!r} is {str(self.boundary)[:40]!r}: choose one of"
                f" {', '.join(BOUNDARIES)}"
            )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def periodic(self) -> bool:
        return self.boundary == "periodic"

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

    @property
    def widths(self) -> np.ndarray:
        """`[cells]`: the width of each cell, from its edges where they are known, else from half way to one
        neighbour to half way to the other; cells at the ends are as wide outwards as inwards."""
        if self.bounds:
            return np.abs(np.diff(np.reshape(self.bounds, (-1, 2)))[:, 0])
        if len(self) < 2:
            return np.ones(len(self))
        gaps = np.abs(np.diff(self.values))
        return (np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]])) / 2


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


@runtime_checkable
class Grid(Protocol):
    """Cells along one to three axes, the last two being rows and columns."""

    def areas(self) -> tuple[str, np.ndarray]:
        """What means over space are weighted by, in words and `[*space]`."""
        ...

    def lengths(self) -> tuple[float, ...]:
        """The size of the domain along each axis; every cell counts in full, so that the length of a
        periodic axis is its period."""
        ...


@dataclasses.dataclass(frozen=True)
class Plane:
    """A line, a plane or a box, whose sides are in the units of the axes."""

    axes: tuple[Axis, ...]

    def areas(self):
        return "nothing: every cell counts alike", np.ones(_space(self.axes))

    def lengths(self):
        return tuple(len(axis) * axis.spacing for axis in self.axes)


@dataclasses.dataclass(frozen=True)
class LatLon:
    """Circles of latitude, perhaps in levels: weighted by the areas between the edges of the cells where they
    are known, else by cos(latitude); sides are in metres, true to scale at the central latitude."""

    axes: tuple[Axis, ...]

    def areas(self):
        y, x = self.axes[-2:]
        edges = [np.reshape(axis.bounds, (-1, 2)) for axis in (y, x)]
        if x.is_longitude and len(edges[0]) and len(edges[1]):
            return f"{AREAS}, by their edges", self._in_levels(sphere.areas_between(*edges))
        by_row = np.cos(np.deg2rad(np.asarray(y.values)))
        weights = np.repeat(by_row[:, None], len(x), axis=1)
        return "the cosine of the latitude", self._in_levels(weights)

    def lengths(self):
        *levels, height, width = Plane(self.axes).lengths()
        y = self.axes[-2]
        middle = (y.values[0] + y.values[-1]) / 2
        metres = EARTH_RADIUS * math.pi / 180
        return *levels, height * metres, width * metres * math.cos(math.radians(middle))

    def _in_levels(self, weights: np.ndarray) -> np.ndarray:
        return np.broadcast_to(weights, _space(self.axes)) if len(self.axes) > 2 else weights


@dataclasses.dataclass(frozen=True)
class Curvilinear:
    """Rows and columns of any shape on the sphere: weighted by the areas of the cells, within their corners
    where they are known; sides are in the units of the axes."""

    axes: tuple[Axis, ...]
    latitude: Coordinate
    longitude: Coordinate

    def areas(self):
        shape = _space(self.axes)
        latitude, longitude = (place.corners(*shape) for place in (self.latitude, self.longitude))
        if latitude is not None and longitude is not None:
            return f"{AREAS}, by their corners", sphere.areas_within(latitude, longitude)
        return AREAS, sphere.cell_areas(self.latitude.array(*shape), self.longitude.array(*shape))

    def lengths(self):
        return Plane(self.axes).lengths()


def grid_of(axes: tuple[Axis, ...], coordinates: Sequence[Coordinate] = ()) -> Grid:
    """The grid that axes and coordinates say."""
    if len(axes) > 1 and axes[-2].is_latitude:
        return LatLon(axes)
    latitude, longitude = (
        next((c for c in coordinates if c.is_place(units, name)), None)
        for units, name in ((LATITUDE_UNITS, "latitude"), (LONGITUDE_UNITS, "longitude"))
    )
    if latitude and longitude and len(axes) == 2:
        return Curvilinear(axes, latitude, longitude)
    return Plane(axes)


def _space(axes: Sequence[Axis]) -> tuple[int, ...]:
    return tuple(len(axis) for axis in axes)
