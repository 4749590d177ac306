"""HDF5 and NetCDF4 files: they may name other files as parts of themselves, by external links, external
storage and virtual data sets. None is followed: the file of a stranger could show any file of ours."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rolling.common.errors import InputError
from rolling.data.untrusted import Refused
from rolling.data.untrusted.sizes import check_memory, check_regular, most_at_once

DEFLATED = 1032  # times as long as itself, at most, is what zlib has packed
PLUGINS = {
    **{307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd"},
    **{32017: "sz", 32018: "fcidecomp", 32024: "sz3", 32026: "blosc2", 32028: "sperr", 32033: "htj2k"},
}
"""The filters that the package hdf5plugin brings, by the numbers that the HDF Group gave them."""


@contextmanager
def opened(file: Path) -> Iterator[h5py.File]:
    """A file for reading. Raises `Refused` if any of its parts lies in another file."""
    with open_checked(file) as held:
        yield held


def open_checked(file: Path) -> h5py.File:
    """As `opened`, for those who keep the file open."""
    check_regular(file)
    held = h5py.File(file, "r")
    try:
        _check_links(held)
    except Refused:
        held.close()
        raise
    except SystemError as error:  # what h5py makes of an error within a visit
        held.close()
        raise OSError("its links are damaged") from error
    return held


def check_file(file: str | Path) -> None:
    """`opened` for what another library opens then; also for a chunk or an axis larger than the memory."""
    with opened(Path(file)) as held:
        for array in data_sets(held).values():
            check_memory(f"{array.name}, a chunk,", array.chunks or (), array.dtype.itemsize)
            if array.ndim == 1:  # coordinates are read whole
                check_memory(str(array.name), array.shape, array.dtype.itemsize)


def data_sets(held: h5py.File) -> dict[str, h5py.Dataset]:
    """The data sets of a file that have a shape, by name. Raises `Refused` if one is stored elsewhere, and
    `InputError` if one cannot be unpacked here."""
    found: dict[str, h5py.Dataset] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            found[name] = item

    held.visititems(visit)  # nothing may be raised in there
    for array in found.values():
        check_array(array)
    return found


def check_array(array: h5py.Dataset) -> None:
    """Raises `Refused` for a data set that is stored elsewhere, and `InputError` for one that cannot be
    unpacked here."""
    check_inside(array)
    _check_filters(array)
    _check_deflated(array)


def check_part(array: h5py.Dataset, index: Any) -> None:
    """Raises `Refused` for part of a data set, by an index and slices, that is to be read and must not be."""
    check_inside(array)
    part = np.broadcast_to(np.int8(0), array.shape)[index]
    check_memory(str(array.name), part.shape, array.dtype.itemsize)
    check_memory(f"{array.name}, a chunk,", array.chunks or (), array.dtype.itemsize)


def check_inside(array: h5py.Dataset) -> None:
    """Raises `Refused` for a data set whose values, or some of them, are in another file."""
    if array.external:
        raise _elsewhere(f"{array.name} has external storage", array.external[0][0])
    if array.is_virtual:
        others = [source.file_name for source in array.virtual_sources() if source.file_name != "."]
        if others:
            raise _elsewhere(f"{array.name} is a virtual data set", others[0])


def _check_filters(array: h5py.Dataset) -> None:
    """Raises `InputError` where a chunk is packed by a filter that HDF5 does not have here, which it would
    call an error of reading."""
    plan = array.id.get_create_plist()
    numbers = [plan.get_filter(place)[0] for place in range(plan.get_nfilters())]
    missing = [number for number in numbers if not _available(number)]
    if not missing:
        return
    masks: list[int] = []  # of each chunk, the filters that it did without: one that does not shrink has none
    array.id.chunk_iter(lambda chunk: masks.append(chunk.filter_mask))
    for number in missing:
        if all(mask >> numbers.index(number) & 1 for mask in masks):
            continue
        name = f"{PLUGINS[number]} (number {number})" if number in PLUGINS else f"number {number}"
        install = "install it with pip install hdf5plugin, or " if number in PLUGINS else ""
        raise InputError(
            f"{array.file.filename}, {array.name}, is packed by the HDF5 filter {name}, which is not"
            f" installed: {install}store it without the filter, with h5repack -f NONE where that is installed"
        )


def _available(number: int) -> bool:
    if number in PLUGINS and not h5py.h5z.filter_avail(number):
        with suppress(ImportError):
            import hdf5plugin  # noqa: F401  # pyright: ignore  # shows HDF5 where its filters are
    return h5py.h5z.filter_avail(number)


def _check_deflated(array: h5py.Dataset) -> None:
    """Raises `Refused` where a chunk of zlib's unpacks to more than the memory: HDF5 makes as much room as it
    takes, whatever a chunk can hold. Of other filters HDF5 tells no size beforehand."""
    if array.chunks is None:
        return
    plan = array.id.get_create_plist()
    kinds = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if kinds.count(h5py.h5z.FILTER_DEFLATE) > 1:
        raise Refused(f"{array.name} is compressed twice, which multiplies what it unpacks to: store it anew")
    if h5py.h5z.FILTER_DEFLATE not in kinds:
        return
    most, large = most_at_once(), []
    array.id.chunk_iter(lambda c: large.append(c.chunk_offset) if c.size * DEFLATED > most else None)
    for place in large:
        stream = zlib.decompressobj()
        packed, unpacked = array.id.read_direct_chunk(place)[1], 0
        while packed and unpacked <= most:
            unpacked += len(stream.decompress(packed, 2**20))
            packed = stream.unconsumed_tail
        if unpacked > most:
            raise Refused(
                f"a chunk of {array.name} unpacks to more than half of the memory: it is damaged, or made to"
                " fill the memory"
            )


def _check_links(held: h5py.File) -> None:
    def visit(name: str, link: Any) -> tuple[str, str] | None:
        return (name, link.filename) if isinstance(link, h5py.ExternalLink) else None

    found = held.visititems_links(visit)
    if found is not None:
        raise _elsewhere(f"{found[0]} is an external link", found[1])


def _elsewhere(what: str, where: str) -> Refused:
    return Refused(
        f"{what}, to {where!r}: what is stored in other files is not read, as that could be any file of this"
        " machine; if the file is your own, write its values into a file of their own"
    )
