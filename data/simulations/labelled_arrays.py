"""Variables of NetCDF files and Zarr stores, read in parts."""

import dataclasses
import functools
import os
from pathlib import Path

import numpy as np
import xarray as xr

from rolling.data.gridded.formats import explained, open_files
from rolling.data.simulations.stored_arrays import Index
from rolling.data.untrusted.sizes import check_memory


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledArray:
    """The variable `name` of a file or store that xarray opens, with NaN for the values that it says are
    missing."""

    file: str
    name: str
    shape: tuple[int, ...]

    def take(self, index: Index) -> np.ndarray:
        with explained(self.file, "read"):
            part = open_labelled(self.file).variables[self.name][index]
            check_memory(f"{self.name} of {self.file}", part.shape, part.dtype.itemsize)
            return np.asarray(part.values)


def open_labelled(file: str) -> xr.Dataset:
    """A file or store whose values are read lazily, which stays open in this process. Raises `InputError` for
    what is missing, damaged or not to be trusted."""
    with explained(file, "opened"):
        return _open(file, os.getpid(), Path(file).stat().st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _open(file: str, process: int, changed: int) -> xr.Dataset:
    ((_, dataset),) = open_files(file)
    return dataset
