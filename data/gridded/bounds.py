"""The bounds of cells, where a file has them: the edges of an axis, and the corners of cells."""

import numpy as np
import xarray as xr

from rolling.data.gridded.formats import explained
from rolling.data.gridded.grids import decimals

NAMES = ("{}_bnds", "{}_bounds", "bounds_{}")
EDGES = ("{}_edges", "{}_b")


def bounds_of(file: str, dataset: xr.Dataset, array: xr.DataArray) -> dict[str, xr.Variable]:
    """By the name of a coordinate, the bounds of its entries, over its dimensions and one more: two edges, or
    the four corners of cells over two dimensions.

    They are named by the attribute `bounds` of the CF conventions, or by custom: `lat_bnds`, or the `n + 1`
    edges `lat_edges`. What is not around its cell is no bound, and is left out.
    """
    found = {}
    for name, coordinate in array.coords.items():
        if coordinate.ndim not in (1, 2) or coordinate.dtype.kind not in "iuf":
            continue
        bounds = _bounds(file, dataset, str(name), coordinate)
        if bounds is not None and _around(bounds, coordinate.values.astype(np.float64)):
            found[str(name)] = xr.Variable((*coordinate.dims, "bounds"), bounds)
    return found


def _bounds(file: str, dataset: xr.Dataset, name: str, coordinate: xr.DataArray) -> np.ndarray | None:
    said = coordinate.attrs.get("bounds") or coordinate.encoding.get("bounds")
    for other in (said, *(pattern.format(name) for pattern in (*NAMES, *EDGES))):
        there = dataset.variables.get(other)
        if there is None or there.dtype.kind not in "iuf":
            continue
        if there.dims[:-1] == coordinate.dims and there.shape[-1] == 2 * coordinate.ndim:
            with explained(file, "read"):
                values = there.values
            return decimals(values) if coordinate.ndim == 1 else values.astype(np.float64)
        if coordinate.ndim == 1 and there.shape == (coordinate.size + 1,):
            with explained(file, "read"):
                edges = decimals(there.values)
            return np.stack([edges[:-1], edges[1:]], axis=1)
    return None


def _around(bounds: np.ndarray, values: np.ndarray) -> bool:
    """Whether each value lies within its bounds, which enclose something; degrees are the same modulo 360."""
    off = bounds - values[..., None]
    off = np.where(np.abs(off) > 180.0, (off + 180.0) % 360.0 - 180.0, off)
    low, high = off.min(-1), off.max(-1)
    slack = 1e-6 * (1 + np.abs(values))
    return bool(np.isfinite(off).all() and ((low <= slack) & (high >= -slack) & (high > low)).all())
