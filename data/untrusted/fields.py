"""Files and stores of gridded fields, whatever library opens them then."""

from pathlib import Path

import h5py
import xarray as xr

from rolling.data.untrusted import grib, hdf5
from rolling.data.untrusted.sizes import check_memory, check_regular
from rolling.data.untrusted.zarr_stores import check_store, refuse_references


def check_fields(path: str, dataset: xr.Dataset) -> xr.Dataset:
    """The dataset, if one field of each variable fits the memory. Raises `Refused` otherwise."""
    for name, array in dataset.variables.items():
        check_memory(f"a field of {path}, {name},", array.shape[-2:], array.dtype.itemsize)
    return dataset


def check_source(path: str, engine: str | None) -> None:
    """Raises `Refused` for a path, folder or file whose opening could run code, read other files or fill the
    memory. What is wrong otherwise is left to whoever opens it."""
    refuse_references(path, engine)
    place, remote = Path(path), "://" in path
    if engine == "zarr" or path.rstrip("/").endswith(".zarr") or (not remote and place.is_dir()):
        check_store(path)
    elif not remote:
        check_regular(place)
        if h5py.is_hdf5(place):
            hdf5.check_file(place)
        elif place.is_file() and (engine == "cfgrib" or grib.holds_grib(place)):
            grib.check_file(place)
