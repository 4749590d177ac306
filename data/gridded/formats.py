"""Opens files of gridded fields (NetCDF, HDF5, GRIB and Zarr), one or many, as lazy xarray datasets."""

import contextlib
import dataclasses
import glob
import itertools
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import xarray as xr
import zarr
from xarray.backends import list_engines

from rolling.common.errors import InputError
from rolling.data.gridded.axes import MEMBER, REFERENCE, TIME
from rolling.data.untrusted.fields import check_fields, check_source
from rolling.data.untrusted.zarr_stores import open_group

STORE_MARKS = ("zarr.json", ".zgroup", ".zmetadata", ".zarray")
KINDS = "NetCDF, HDF5, GRIB or Zarr"
READERS = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
    **dict.fromkeys(("http", "https"), "fsspec[http]"),
}
"""The package that reads from a place on the network, by the beginning of its address."""


@dataclasses.dataclass(frozen=True)
class Format:
    """A file format: its first bytes, its suffixes, xarray's engine for it, and the package that it needs."""

    magic: tuple[bytes, ...]
    suffixes: tuple[str, ...]
    engine: str
    needs: str
    extra: str = ""  # the extra of our own package that installs the engine, if the base install does not


FORMATS = (
    Format(
        (b"\x89HDF\r\n\x1a\n",),
        (".nc", ".nc4", ".h5", ".hdf5", ".hdf", ".he5", ".mat"),
        "h5netcdf",
        "h5netcdf",
    ),
    Format((b"CDF\x01", b"CDF\x02"), (".nc", ".nc3", ".cdf"), "scipy", "scipy"),
    Format((b"CDF\x05",), (".nc",), "netcdf4", "netCDF4", "weather"),
    Format(
        (b"GRIB",), (".grib", ".grib1", ".grib2", ".grb", ".grb1", ".grb2"), "cfgrib", "cfgrib", "weather"
    ),
)
ZARR = Format((), (".zarr",), "zarr", "zarr")


def open_files(path: str, engine: str | None = None) -> list[tuple[str, xr.Dataset]]:
    """The datasets of a file, a Zarr store, a folder of files or a pattern like `era5_*.nc`, and their names.

    Values are read lazily. A GRIB file with fields of several kinds gives several datasets. Raises
    `InputError` for what is missing, unreadable or truncated, or needs a package that is not installed.
    """
    if engine is not None and engine not in list_engines():
        raise InputError(
            f"there is no engine {engine!r} to open {path}: leave it out, or choose from"
            f" {', '.join(list_engines())}"
        )
    return [(name, settled(dataset)) for name in find_files(path) for dataset in _open(name, engine)]


def settled(dataset: xr.Dataset) -> xr.Dataset:
    """A dataset as a library opened it, with longitudes in the order of the fields and with what describes
    the frames, but is stored as a variable, as coordinates."""
    described = [
        name
        for name, array in dataset.data_vars.items()
        if array.ndim <= 1
        and any(role.fits(name, array.attrs) for role in (TIME, REFERENCE, MEMBER))
        and (array.dtype.kind == "M" or array.ndim == 0)
    ]
    return _in_order(dataset.set_coords(described))


def find_files(path: str) -> list[str]:
    """The files and stores that a path, folder or pattern denotes, sorted by name."""
    if not path:
        raise InputError("no data were named: give --source.path FILE")
    if "://" in path:
        return [path]
    place = Path(path).expanduser()
    if place.is_dir() and not is_zarr_store(place):
        found = sorted(str(item) for item in place.iterdir() if _is_data(item))
        if not found:
            raise InputError(f"the folder {path} holds no file of a kind that can be read: {KINDS}")
        return found
    if place.exists():
        return [str(place)]
    matches = sorted(glob.glob(str(place), recursive=True))
    if matches:
        return matches
    neighbours = os.listdir(place.parent) if place.parent.is_dir() else []
    near = get_close_matches(place.name, neighbours, n=1)
    hint = f", perhaps {place.parent / near[0]}" if near else ""
    raise InputError(f"there is no file {path}: give the path of a {KINDS} file{hint}")


def fingerprint(path: str) -> tuple[tuple[str, int, int, int], ...]:
    """Name, number, size and modification time of the files behind a path, to recognise them by."""
    found = []
    for name in find_files(path):
        files = [f for f in (Path(name), *Path(name).rglob("*")) if f.is_file()]
        stats = [file.stat() for file in files]
        newest = max((stat.st_mtime_ns for stat in stats), default=0)
        found.append((os.path.abspath(name), len(files), sum(stat.st_size for stat in stats), newest))
    return tuple(found)


def is_zarr_store(place: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return place.suffix in ZARR.suffixes or any((place / mark).exists() for mark in STORE_MARKS)


def frames_written(path: str, name: str, axis: int) -> int | None:
    """The number of entries along `axis` of an array up to the last block with any written chunk.

    An unwritten chunk reads as the fill value, often 0, without an error; and chunks that hold nothing else
    may be left out of a store. So only a tail without any chunk is a sign of an interrupted write. None if
    `path` is not a local Zarr store.
    """
    place = Path(path)
    if "://" in path or not place.is_dir() or not is_zarr_store(place):
        return None
    with explained(path, "opened"):
        array = open_group(place)[name]
        assert isinstance(array, zarr.Array), f"{name} is no array"
        sizes = array.shards or array.chunks  # what is one file
        counts = [-(-length // size) for length, size in zip(array.shape, sizes, strict=True)]
        for block in reversed(range(counts[axis])):
            others = [range(count) for count in counts]
            others[axis] = range(block, block + 1)
            keys = (array.metadata.encode_chunk_key(place_in) for place_in in itertools.product(*others))
            if any((place / array.path / key).exists() for key in keys):
                return min((block + 1) * sizes[axis], array.shape[axis])
        return 0


def format_of(path: str) -> Format | None:
    """The format by the first bytes; for GRIB, which other bytes may precede, by the name too."""
    place = Path(path)
    if "://" in path or place.is_dir():
        return ZARR if "://" not in path or path.rstrip("/").endswith(ZARR.suffixes) else None
    with open(place, "rb") as handle:
        head = handle.read(8)
    for known in FORMATS:
        if head.startswith(known.magic):
            return known
    return FORMATS[-1] if place.suffix.lower() in FORMATS[-1].suffixes else None


def _is_data(item: Path) -> bool:
    if item.is_dir():
        return is_zarr_store(item)
    suffixes = {suffix for known in FORMATS for suffix in known.suffixes}
    return not item.name.startswith(".") and item.suffix.lower() in suffixes


def _open(path: str, engine: str | None) -> list[xr.Dataset]:
    with explained(path, "opened"):
        check_source(path, engine)
        if "://" not in path and Path(path).is_file() and Path(path).stat().st_size == 0:
            raise InputError(f"{path} is empty: fetch or write it again")
        known = format_of(path)
        if engine is None and known is not None:
            with _needed(known, path):
                return OPENERS.get(known.engine, _open_plain)(path, known.engine)
        if engine is None and "://" not in path:
            raise InputError(
                f"{path} is of no kind that can be read: {KINDS}; name xarray's engine for it with"
                " --source.engine if there is one"
            )
        return OPENERS.get(engine or "", _open_plain)(path, engine)


def _open_plain(path: str, engine: str | None, **settings) -> list[xr.Dataset]:
    # A field in units like "hours" is not turned into timedelta64; values are cached by us, if at all.
    dataset = xr.open_dataset(path, engine=engine, decode_timedelta=False, cache=False, **settings)
    return [check_fields(path, dataset)]


def _open_hdf5(path: str, engine: str | None) -> list[xr.Dataset]:
    # Plain HDF5 has no named dimensions: they are called phony_dim_0, ...
    return _open_plain(path, engine, phony_dims="access")


def _open_grib(path: str, engine: str | None) -> list[xr.Dataset]:
    import cfgrib

    with tempfile.TemporaryDirectory() as place:
        # The index that cfgrib makes is needed only while opening, and is never left beside the data. A
        # truncated message raises an error; cfgrib's own default is to skip it.
        settings = {"indexpath": os.path.join(place, "{short_hash}.idx"), "errors": "raise"}
        try:
            datasets = _open_plain(path, engine, backend_kwargs=settings)
        except cfgrib.dataset.DatasetBuildError:  # fields of several kinds in one file
            datasets = cfgrib.open_datasets(
                path, backend_kwargs=settings, decode_timedelta=False, cache=False
            )
    return _disambiguated(datasets)


def _in_order(dataset: xr.Dataset) -> xr.Dataset:
    """Puts longitudes in the order of the fields: cfgrib sorts them, which mislabels fields that cross 0."""
    for array in dataset.data_vars.values():
        first = array.attrs.get("GRIB_longitudeOfFirstGridPointInDegrees")
        if "longitude" in array.dims and first is not None:
            values = np.sort(dataset.longitude.values)
            values = values[::-1] if array.attrs.get("GRIB_iScansNegatively") else values
            off = np.abs((values - first + 180.0) % 360.0 - 180.0)
            values = np.roll(values, -int(np.argmin(off)))
            return dataset.assign_coords(longitude=("longitude", values, dataset.longitude.attrs))
    return dataset


def _disambiguated(datasets: list[xr.Dataset]) -> list[xr.Dataset]:
    """Renames variables of one name on several kinds of levels, `t` to `t_isobaricInhPa` and `t_surface`."""
    kinds: dict[str, set[str]] = {}
    for dataset in datasets:
        for name, array in dataset.data_vars.items():
            kinds.setdefault(str(name), set()).add(array.attrs.get("GRIB_typeOfLevel", ""))
    return [
        dataset.rename(
            {
                name: f"{name}_{array.attrs.get('GRIB_typeOfLevel', '')}"
                for name, array in dataset.data_vars.items()
                if len(kinds[str(name)]) > 1
            }
        )
        for dataset in datasets
    ]


def _open_zarr(path: str, engine: str | None) -> list[xr.Dataset]:
    with warnings.catch_warnings():
        # Stores without consolidated metadata are fine.
        warnings.filterwarnings("ignore", category=RuntimeWarning, message=".*consolidated metadata")
        return _open_plain(path, engine)


OPENERS: dict[str, Callable[[str, str | None], list[xr.Dataset]]] = {
    "h5netcdf": _open_hdf5,
    "cfgrib": _open_grib,
    "zarr": _open_zarr,
}


@contextlib.contextmanager
def _needed(known: Format, path: str) -> Iterator[None]:
    """Says which package is missing if the engine's cannot be imported or finds no library."""
    try:
        __import__(known.needs)
    except (ImportError, RuntimeError) as error:
        source = f"rolling-diffusion[{known.extra}]" if known.extra else known.needs
        raise InputError(
            f"{path} needs the package {known.needs}, which cannot be imported ({error}): install it with"
            f" pip install '{source}'"
        ) from error
    yield


@contextlib.contextmanager
def explained(path: str, done: str) -> Iterator[None]:
    """Turns whatever a library raises into an `InputError` about the file.

    For damaged files libraries raise anything from OSError and KeyError to errors of codecs, so no narrower
    class would do.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be {done}{_cause(path, error)}") from error


def _cause(path: str, error: Exception) -> str:
    """Why a file cannot be opened or read, and what to do."""
    words = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return ": it, or a part of it, does not exist"
    if isinstance(error, PermissionError):
        return ": its permissions do not allow it; change them, or fetch it again"
    if isinstance(error, ImportError):
        package = READERS.get(path.partition("://")[0])
        package = f"the package {package}: install it with pip install '{package}'" if package else words
        return f" without {package}"
    if "decode time" in words:
        return f" ({words}): its times cannot be read; correct the attribute `units` of the time coordinate"
    return f" ({words}): it is damaged, cut short or not a {KINDS} file; fetch or write it again"
