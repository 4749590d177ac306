"""One array of one file, as the frames that training and forecasting read."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.gridded import axes, grids, instants
from rolling.data.gridded.formats import explained
from rolling.data.gridded.units import SAME, Conversion, conversion
from rolling.geometry import Axis, Coordinate

Index = slice | np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FilePart:
    """An array of one file as `[*members, *time, level, y, x]`.

    `times`, `members` and `references [n]` run over the flattened dimensions of frames: see
    `rolling.data.gridded.instants`. Frames are read at `levels`, in the order of `rows` and `columns`, and
    in the units that `convert` leads to.
    """

    file: str
    array: xr.DataArray
    dims: axes.Dimensions
    times: np.ndarray
    members: np.ndarray
    references: np.ndarray | None
    stored: tuple[str, ...]
    """The order of the dimensions in the file."""
    levels: tuple[int, ...] = ()
    rows: Index = dataclasses.field(default_factory=lambda: slice(None))
    columns: Index = dataclasses.field(default_factory=lambda: slice(None))
    convert: Conversion = SAME
    missing: tuple[float, ...] = ()
    """Values that stand for missing ones, beside those that the file declares."""
    repeats: bool = False
    """Whether the last column is the first one again, and left out."""
    bounds: Mapping[str, xr.Variable] = dataclasses.field(default_factory=dict)
    """See `rolling.data.gridded.bounds`."""

    @property
    def name(self) -> str:
        return str(self.array.name)

    @property
    def where(self) -> str:
        return f"variable {self.name} of {self.file}"

    @property
    def units(self) -> str:
        """As the file spells them; "" if it does not say."""
        return str(self.array.attrs.get("units", ""))

    @property
    def y(self) -> Axis:
        return self._axis(self.dims.y, axes.Y, self.rows)

    @property
    def x(self) -> Axis:
        return self._axis(self.dims.x, axes.X, self.columns)

    def _axis(self, name: str, role: axes.Role, cells: Index) -> Axis:
        edges = self.bounds[name].values if name in self.bounds else None
        return grids.horizontal_axis(self.array, name, role, self.where, cells, edges)

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(height, width, level)` of a frame."""
        y, x = (self.array.sizes[name] for name in (self.dims.y, self.dims.x))
        return len(np.arange(y)[self.rows]), len(np.arange(x)[self.columns]), len(self.levels) or 1

    @classmethod
    def of(
        cls,
        file: str,
        array: xr.DataArray,
        time: str = "",
        missing: tuple[float, ...] = (),
        bounds: Mapping[str, xr.Variable] = MappingProxyType({}),
    ) -> "FilePart":
        """Raises `InputError` if the array is not a sequence of fields."""
        where = f"variable {array.name} of {file}"
        dims = axes.find_dimensions(array, where, time)
        times = instants.times_of(array, dims, where).ravel()
        if (times != times).any():  # neither NaN nor NaT equals itself
            raise InputError(f"{where} has frames without a time: leave them out of the file")
        references = instants.reference_of(array, dims)
        members = instants.members_of(array, dims).ravel()
        stored = tuple(str(d) for d in array.dims)
        keep = (*dims.frames, *([dims.level] if dims.level else []), dims.y, dims.x)
        array = array.isel({str(d): 0 for d in array.dims if d not in keep}).transpose(*keep)
        repeats = grids.repeats_first(array, dims.x)
        columns = grids.eastward(array, dims.x)[: -1 if repeats else None]
        return cls(
            file=file,
            array=array,
            dims=dims,
            times=times,
            members=members,
            references=None if references is None else references.ravel(),
            stored=stored,
            missing=missing,
            bounds=bounds,
            repeats=repeats,
            columns=evenly(columns, array.sizes[dims.x]),
        )

    def coordinates(self) -> tuple[Coordinate, ...]:
        """Its coordinates over (y, x), and its grid mapping."""
        y, x, found = self.dims.y, self.dims.x, []
        for name, coordinate in self.array.coords.items():
            if set(coordinate.dims) == {y, x} and coordinate.dtype.kind in "iuf":
                values, corners = coordinate.transpose(y, x).values, self.bounds.get(str(name))
                values = values[self.rows][:, self.columns]
                if corners is not None:
                    corners = corners.transpose(y, x, ...).values[self.rows][:, self.columns]
                found.append(Coordinate.of(str(name), values, coordinate.attrs, corners))
            elif "grid_mapping_name" in coordinate.attrs:
                found.append(Coordinate.of(str(name), None, coordinate.attrs))
        return tuple(found)

    def at(self, levels: tuple[float, ...]) -> "FilePart":
        """At the chosen levels, all if none is chosen. Raises `InputError` for one that is not there."""
        if self.dims.level is None:
            return self
        values = self.level_values
        if not levels or len(values) == 1:
            return dataclasses.replace(self, levels=tuple(range(len(values))))
        return dataclasses.replace(self, levels=tuple(self.level_index(level) for level in levels))

    def at_levels_of(self, other: "FilePart") -> "FilePart":
        """At the levels of another part. Raises `InputError` if they are not here."""
        if not (self.dims.level and other.dims.level):
            if self.shape[2] != other.shape[2]:
                raise InputError(f"{self.name} has levels in only one of {self.file} and {other.file}")
            return self
        levels = other.level_values[list(other.levels)]
        if self.dims.level in self.array.coords and other.dims.level in other.array.coords:
            levels = (conversion(other.level_units, self.level_units) or SAME)(levels)
            return dataclasses.replace(self, levels=tuple(self.level_index(level) for level in levels))
        return self.at(tuple(levels.tolist()))

    def on(self, y: Axis, x: Axis, *, of: str, crop: bool = False) -> "FilePart":
        """With cells in the order of these axes of `of`; `crop` allows the file to have more of them.

        Raises `InputError` if it has others.
        """
        found = {}
        y_cells, x_cells = (np.arange(self.array.sizes[name]) for name in (self.dims.y, self.dims.x))
        cells = {"rows": y_cells[self.rows], "columns": x_cells[self.columns]}
        for name, own, axis in (("rows", self.y, y), ("columns", self.x, x)):
            index = grids.places(own, axis)
            if index is None or (len(own) != len(axis) and not crop):
                raise InputError(
                    f"the {own.name} of {self.where} is not that of {of}, {len(axis)} values from"
                    f" {axis.values[0]:g} to {axis.values[-1]:g}: put the data on that grid"
                )
            found[name] = evenly(cells[name][index], self.array.sizes[own.name])
        return dataclasses.replace(self, **found)

    def in_units(self, units: str, *, of: str) -> "FilePart":
        """Values converted to `units`, those of `of`; a file that names none is taken to have the same.

        Raises `InputError` where no conversion is known.
        """
        if not (self.units and units):
            return self
        found = conversion(self.units, units, difference=self._is_difference)
        if found is None:
            raise InputError(
                f"{self.name} is in {self.units} in {self.file} and in {units} in {of}, and no conversion is"
                " known: convert it, or correct the attribute `units`"
            )
        return dataclasses.replace(self, convert=found)

    def read(self, index: np.ndarray) -> np.ndarray:
        """The frames `index` of `times`, `[n, height, width, level]` float32."""
        shape = [self.array.sizes[name] for name in self.dims.frames]
        found = np.unravel_index(index, shape) if shape else ()
        chosen = {
            name: evenly(place) if len(shape) == 1 else xr.DataArray(place, dims="frame")
            for name, place in zip(self.dims.frames, found, strict=True)
        }
        row = slice(None) if self.repeats else _around(self.columns)
        chosen |= {self.dims.y: _around(self.rows), self.dims.x: row}
        if self.dims.level is not None:
            chosen[self.dims.level] = np.asarray(self.levels)
        with explained(self.file, "read"):
            values = self._single(self.array.isel(chosen).values)
        if self.repeats:
            self._check_repeated(values[..., 0], values[..., -1])
            values = values[..., self.columns]
        values = values if shape else np.broadcast_to(values, (len(index), *values.shape))
        values = values[..., None] if self.dims.level is None else np.moveaxis(values, 1, -1)
        if isinstance(self.rows, np.ndarray):
            values = values[:, self.rows - self.rows.min()]
        if isinstance(self.columns, np.ndarray) and not self.repeats:
            values = values[:, :, self.columns - self.columns.min()]
        return self.convert(values)

    @property
    def level_units(self) -> str:
        return str(axes.attributes_of(self.array, self.dims.level or "").get("units", ""))

    @property
    def level_values(self) -> np.ndarray:
        name = self.dims.level
        assert name is not None  # asked for only where there are levels
        if name not in self.array.coords:
            return np.arange(float(self.array.sizes[name]))
        return grids.decimals(self.array.coords[name].values)

    def level_index(self, level: float) -> int:
        """The index of a level, in the file's units or, for pressure, in hPa.

        Raises `InputError` if it is not there.
        """
        values = self.level_values
        if self.level_units.lower() in axes.PRESSURE_UNITS and not np.isclose(values, level, rtol=1e-4).any():
            values = (conversion(self.level_units, "hPa") or SAME)(values)
        near = int(np.argmin(np.abs(values - level)))
        if not np.isclose(values[near], level, rtol=1e-4):
            shown = ", ".join(f"{value:g}" for value in self.level_values)
            raise InputError(f"{self.name} of {self.file} has no level {level:g}: choose from {shown}")
        return near

    def _single(self, values: np.ndarray) -> np.ndarray:
        """In single precision, with NaN for missing values. Raises `InputError` for those that do not fit."""
        with np.errstate(over="ignore"):
            single = values.astype(np.float32)
            missing = np.array(self.missing)
            known = (
                np.isin(values, missing) | np.isin(single, missing.astype(np.float32))
                if len(missing)
                else False
            )
        lost = (
            np.isinf(single) & ~np.isinf(values) & ~known if values.dtype == np.float64 else np.zeros(0, bool)
        )
        if lost.any():
            value = values[np.unravel_index(np.argmax(lost), lost.shape)]
            raise InputError(
                f"{self.where} has values beyond single precision, such as {value:g}: if it stands for a"
                f" missing value, name it with --source.missing-value {value:g}"
            )
        if len(missing):
            single[known] = np.nan
        return single

    def _check_repeated(self, first: np.ndarray, last: np.ndarray) -> None:
        """Raises `InputError` where what must be one column is two, with other values but for rounding."""
        size = float(np.abs(np.nan_to_num(first, posinf=0, neginf=0)).max(initial=0))
        if not np.allclose(first, last, rtol=1e-5, atol=1e-5 * size, equal_nan=True):
            raise InputError(
                f"{self.where} has two columns for one meridian, as its first and last {self.dims.x} are 360"
                " degrees apart, and their values differ: leave the wrong one out beforehand, for instance"
                f" with xarray's isel({self.dims.x}=slice(0, -1))"
            )

    def check_level(self, level: float) -> None:
        """Raises `InputError` for an array that is at another level, also if it has only one."""
        told = [c for n, c in self.array.coords.items() if c.size == 1 and axes.LEVEL.fits(n, c.attrs)]
        for coordinate in told:
            values = grids.decimals(coordinate.values).ravel()
            in_hpa = conversion(str(coordinate.attrs.get("units", "")), "hPa") or SAME
            if not np.isclose([values[0], in_hpa(values)[0]], level, rtol=1e-4).any():
                raise InputError(f"{self.name} of {self.file} has no level {level:g}: it is at {values[0]:g}")

    @property
    def _is_difference(self) -> bool:
        told = (self.array.attrs.get(key, "") for key in ("units_metadata", "standard_name", "long_name"))
        return any(word in str(text).lower() for text in told for word in ("difference", "anomal"))


def evenly(places: np.ndarray, count: int = -1) -> Index:
    """A slice if places are evenly spaced: files are read faster that way. Of `count` entries in all, all
    of them in their order are `slice(None)`."""
    if np.array_equal(places, np.arange(count)):
        return slice(None)
    if len(places) == 1:
        return slice(int(places[0]), int(places[0]) + 1)
    steps = np.diff(places)
    if (steps == steps[0]).all() and steps[0]:
        stop = int(places[-1]) + int(steps[0])
        return slice(int(places[0]), None if stop < 0 else stop, int(steps[0]))
    return places


def _around(index: Index) -> slice:
    """The part of an axis that holds all of an index."""
    return index if isinstance(index, slice) else slice(int(index.min()), int(index.max()) + 1)
