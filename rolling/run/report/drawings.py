"""How frames of one to three axes of space are drawn as planes.

A plane is drawn as it lies. A line is drawn over time, frame below frame, and a volume as its three middle
slices above its means along each axis.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.ticker import MaxNLocator

from rolling.geometry import Axis, LatLon
from rolling.layout import Layout

REGION = 60  # degrees of latitude up to which a map is a region with one scale in km
GAP = 1  # cells between the parts of a drawing

Ticks = list[tuple[float, float]]
"""Coordinates, each with its position between the edges of the axis, 0 to 1."""


class Drawing(Protocol):
    """A way to draw the frames of a layout."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of a picture."""
        ...

    @property
    def aspect(self) -> float:
        """Height of a picture over its width, between 0.4 and 2.5."""
        ...

    @property
    def legend(self) -> str:
        """What a picture shows, where it is not plain to see."""
        ...

    def picture(self, fields: np.ndarray) -> np.ndarray:
        """`[..., *space]` as `[..., rows, columns]`, the first row on top."""
        ...

    def film(self, fields: np.ndarray) -> np.ndarray:
        """Pictures `[..., frame, rows, columns]` as they are shown, frame by frame."""
        ...

    def marks(self) -> tuple[list[tuple[Axis, Ticks]], list[tuple[Axis, Ticks]]]:
        """Of the axes along the columns and along the rows: round coordinates."""
        ...


def drawing(layout: Layout) -> Drawing:
    """The way to draw the frames of a layout."""
    return (Line, Plane, Volume)[len(layout.axes) - 1](layout)


@dataclasses.dataclass(frozen=True)
class Plane:
    """As it lies, `y` ascending from the bottom and `x` from the left.

    On the map of a region a degree of longitude is cos(latitude of its middle) times as wide as a degree of
    latitude is high; elsewhere lengths are to scale if both axes have the same units, else cells are square.
    """

    layout: Layout
    legend = ""

    @property
    def size(self):
        rows, columns = self.layout.space
        return rows, columns

    @property
    def aspect(self) -> float:
        y, x = self.layout.axes
        height, width = (axis.spacing * len(axis) for axis in (y, x))
        if isinstance(self.layout.grid, LatLon) and x.is_longitude:
            width *= np.cos(np.deg2rad(np.mean(y.values))) if height < REGION else 1.0
        elif y.units != x.units:
            height, width = self.layout.space
        return _within(height / width)

    def picture(self, fields):
        return upright(fields, self.layout.axes)

    def film(self, fields):
        return fields

    def marks(self):
        y, x = self.layout.axes
        return [(x, ticks(x))], [(y, ticks(y))]


@dataclasses.dataclass(frozen=True)
class Line:
    """Over time, from top to bottom: a frame adds a row."""

    layout: Layout
    legend = "Time runs from top to bottom; each frame adds a row."
    aspect = 1.0

    @property
    def size(self):
        return len(self.layout.x), len(self.layout.x)  # about: as many rows as frames are shown

    def picture(self, fields):
        return upright(fields[..., None, :], self.layout.axes[-1:])

    def film(self, fields):
        *_, frames, _, cells = fields.shape
        rows = np.broadcast_to(fields[..., None, :, 0, :], (*fields.shape[:-3], frames, frames, cells))
        return np.where(np.tri(frames, dtype=bool)[..., None], rows, np.nan)

    def marks(self):
        return [(self.layout.x, ticks(self.layout.x))], []


@dataclasses.dataclass(frozen=True)
class Volume:
    """The three slices through the middle, and below them the means along the axis that is cut: planes of
    `(y, x)`, `(z, x)` and `(z, y)`."""

    layout: Layout

    @property
    def legend(self) -> str:
        z, y, x = (axis.name for axis in self.layout.axes)
        return (
            f"Above: slices through the middle, in ({y}, {x}), ({z}, {x}) and ({z}, {y}), each with the first"
            " of the two upwards. Below: means over the third axis."
        )

    @property
    def size(self):
        z, y, x = self.layout.space
        return 2 * max(y, z) + GAP, 2 * x + y + 2 * GAP

    @property
    def aspect(self):
        rows, columns = self.size
        return _within(rows / columns)

    def picture(self, fields):
        solid = upright(fields, self.layout.axes)
        middle = [cells // 2 for cells in self.layout.space]
        places = (-3, -2, -1)
        slices = [np.take(solid, middle[place], axis=place) for place in places]
        means = [_mean(solid, place) for place in places]
        # Without x, columns are y, which was turned upwards.
        rows = [[*parts[:2], parts[2][..., ::-1]] for parts in (slices, means)]
        return _stacked([_beside(row) for row in rows])

    def film(self, fields):
        return fields

    def marks(self):
        return [], []


def _mean(fields: np.ndarray, axis: int) -> np.ndarray:
    """Over the cells that hold data; NaN where none does."""
    there = np.isfinite(fields)
    count = there.sum(axis=axis)
    return np.where(count > 0, np.where(there, fields, 0).sum(axis=axis) / np.maximum(count, 1), np.nan)


def _beside(planes: Sequence[np.ndarray]) -> np.ndarray:
    """Planes side by side, with a gap, as high as the highest."""
    height = max(plane.shape[-2] for plane in planes)
    level = [_padded(plane, (0, height - plane.shape[-2]), (0, GAP)) for plane in planes]
    return np.concatenate(level, axis=-1)[..., : -GAP or None]


def _stacked(planes: Sequence[np.ndarray]) -> np.ndarray:
    gap = [_padded(plane, (0, GAP), (0, 0)) for plane in planes[:-1]]
    return np.concatenate([*gap, planes[-1]], axis=-2)


def _padded(plane: np.ndarray, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    widths = [(0, 0)] * (plane.ndim - 2) + [rows, columns]
    return np.pad(plane, widths, constant_values=np.nan)


def _within(ratio: float) -> float:
    return float(np.clip(ratio, 0.4, 2.5))


def upright(fields: np.ndarray, axes: Sequence[Axis]) -> np.ndarray:
    """`[..., *axes]` with `x`, the last one, ascending, and those before it descending: north on top."""
    turned = [axis.values[-1] >= axis.values[0] for axis in axes]
    turned[-1] = not turned[-1]
    return fields[..., *(slice(None, None, -1 if turn else 1) for turn in turned)]


def edges(axis: Axis) -> tuple[float, float]:
    """The outer edges of the first and the last cell, in ascending order."""
    low, high = sorted((axis.values[0], axis.values[-1]))
    return low - axis.spacing / 2, high + axis.spacing / 2


def ticks(axis: Axis) -> Ticks:
    """A few round coordinates, each with its position between the axis's edges, 0 to 1."""
    low, high = edges(axis)
    wide = (axis.is_latitude or axis.is_longitude) and high - low > 90  # then in fractions of a circle
    steps = (1, 1.5, 3, 4.5, 6, 9, 10) if wide else (1, 2, 3, 5, 6, 10)
    values = MaxNLocator(4 if wide else 3, steps=steps).tick_values(low, high)
    found = [(float((value - low) / (high - low)), float(value)) for value in values]
    return [(at, value) for at, value in found if 0 <= at <= 1]
