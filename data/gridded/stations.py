"""Series at stations, which lie in files as fields do but on a line."""

import dataclasses

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.gridded.selection import Files, is_field
from rolling.data.gridded.source import Gridded
from rolling.data.source import Sequences, SequencesBase, Split
from rolling.geometry import Axis
from rolling.layout import Layout

ROW = "row"
"""The dimension of one entry that makes a line of stations a field."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stations(Gridded):
    """As `Gridded`, of variables that have one dimension beside time and level, such as `station`: frames
    `[station, channel]`. Any places will do, in any order; stations without numbers are numbered.

    Raises `InputError` for fields on a grid.
    """

    def layout(self) -> Layout:
        return self._line(super().layout())

    def open(self) -> Split:
        split = super().open()
        train, test = (Line(rows=part, layout=self._line(part.layout)) for part in (split.train, split.test))
        return dataclasses.replace(split, train=train, test=test)

    def read_like(self, layout: Layout, mask: np.ndarray | None, data: str | xr.Dataset) -> Sequences:
        """Other data, read as those of training: see `rolling.data.source.ReadsOther`."""
        rows = dataclasses.replace(layout, axes=(Axis(name=ROW, values=(0.0,)), layout.x))
        found = super().read_like(rows, None if mask is None else mask[None], data)
        return Line(rows=found, layout=layout)

    def _files(self, data: str | xr.Dataset) -> Files:
        return [(name, _with_row(dataset)) for name, dataset in super()._files(data)]

    def _line(self, layout: Layout) -> Layout:
        if layout.y.name != ROW:
            raise InputError(
                f"{layout.names[0]} of {self.path} is a field of {layout.size} cells along {layout.y.name}"
                f" and {layout.x.name}, and stations lie along one dimension: read it as `gridded`"
            )
        return dataclasses.replace(layout, axes=(layout.x,), coordinates=())


def _with_row(dataset: xr.Dataset) -> xr.Dataset:
    """Each variable along time and stations as fields of one row. The row comes last, so that the others keep
    their places in the file."""
    disordered = [
        name for name, axis in dataset.coords.items() if name in dataset.dims and not _is_ordered(axis)
    ]
    dataset = dataset.drop_vars(disordered)
    row = xr.DataArray([0.0], dims=ROW, attrs={"axis": "Y"})
    series = {
        name: array.expand_dims({ROW: row}, axis=-1).assign_coords({ROW: row})
        for name, array in dataset.data_vars.items()
        if is_field(dataset, array)
    }
    return dataset.assign(series)


def _is_ordered(axis: xr.DataArray) -> bool:
    """Whether the values of a dimension rise or fall throughout; dates always count as such."""
    if axis.dtype.kind not in "iuf":
        return axis.dtype.kind not in "USTO" or bool(axis.size and hasattr(axis.values.flat[0], "timetuple"))
    steps = np.diff(axis.values)
    return bool((steps > 0).all() or (steps < 0).all())


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Line(SequencesBase):
    """Sequences of fields of one row, without that dimension: see `rolling.data.source.Sequences`."""

    rows: Sequences
    layout: Layout

    @property
    def mask(self) -> np.ndarray | None:
        return None if self.rows.mask is None else self.rows.mask[0]

    def __len__(self) -> int:
        return len(self.rows)

    def length(self, index: int) -> int:
        return self.rows.length(index)

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        return self.rows.read(index, start, stop)[:, 0]

    def times(self, index: int, start: int, stop: int) -> np.ndarray:
        return self.rows.times(index, start, stop)
