"""Zarr stores: what their metadata may ask for.

A store names the codecs that decode it, and some do more than decode: `pickle` runs what it reads. So the
metadata are read here first, as the text that they are, and codecs are known by name or refused.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs.registry import codec_registry

from rolling.common.documents import LARGEST, parse_json, read_json
from rolling.common.errors import InputError
from rolling.data.untrusted import Refused
from rolling.data.untrusted.sizes import check_memory, check_regular
from rolling.data.untrusted.zarr_chunks import guard_zarr

# Without numcodecs' prefix, which format 3 gives to some of them. All decode bytes to numbers or text.
CODECS = frozenset(
    (
        *("blosc", "bz2", "gzip", "lz4", "lzma", "pcodec", "zfpy", "zlib", "zstd"),  # compression
        *("astype", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize", "shuffle"),
        *("adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3"),  # checksums
        *("bytes", "sharding_indexed", "transpose", "vlen-bytes", "vlen-utf8"),
    )
)
OPTIONAL = ("pcodec", "zfpy")  # of numcodecs, which installs them by extras of these names
METADATA = ("zarr.json", ".zarray", ".zmetadata")
ATTRIBUTES = (".zattrs", ".zgroup")
REFERENCES = ("reference", "kerchunk")


def refuse_references(path: str, engine: str | None) -> None:
    """Raises `Refused` for a store of references: it may name any file, here or elsewhere, as its part."""
    # `simplecache::reference://...` is a chain of protocols.
    protocols = {part.partition("://")[0] for part in path.split("::")} if "://" in path else set()
    if engine in REFERENCES or protocols & set(REFERENCES):
        raise Refused(
            f"{path} is a store of references, which may name any file as its part: copy what it refers to"
            " into a Zarr store"
        )


def open_group(path: str | Path) -> zarr.Group:
    """A group, for reading, whose arrays may be decoded."""
    check_store(path)
    return zarr.open_group(path, mode="r")


def check_store(path: str | Path) -> None:
    """Before any library opens a store: raises `Refused` for a codec that is not one of `CODECS`, and for
    arrays of which a chunk or, in one dimension, the whole is larger than the memory, and `InputError` for a
    codec that is not installed.

    Looks at the arrays of the store's first group, which are all that is read of it.

    From here on chunks that unpack to more than they hold are refused, too, as they are read.
    """
    guard_zarr()
    for place, document in _metadata(path):
        for name, array in _arrays(place, document):
            _check(f"{path}, array {name}", array)


def _metadata(path: str | Path) -> Iterator[tuple[str, Any]]:
    """The metadata of a store and of the folders in it, each with its place there. Raises `ValueError` where
    they, or the attributes of a folder on this machine, are no JSON that can be read."""
    if Path(path).is_dir():
        for folder in (Path(path), *(item for item in Path(path).iterdir() if item.is_dir())):
            for name in (*METADATA, *ATTRIBUTES):
                check_regular(folder / name)
                document = read_json(folder / name) if (folder / name).exists() else None
                if name in METADATA:
                    yield os.path.relpath(folder, path), document
        return
    import fsspec  # zarr needs it, too, for what is not a folder

    remote = fsspec.get_mapper(str(path) if "://" in str(path) else f"zip://::{path}")
    below = remote.fs.ls(remote.root, detail=False) if remote.root or "://" not in str(path) else []
    for folder in ("", *(str(item).rstrip("/").rpartition("/")[2] + "/" for item in below)):
        for name in METADATA:
            if folder + name in remote:
                place = f"{remote.root}/{folder}{name}" if remote.root else folder + name
                text = remote.fs.cat_file(place, start=0, end=LARGEST + 1)
                yield folder.rstrip("/"), parse_json(text)


def _arrays(place: str, document: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The arrays that a document describes, those of consolidated metadata included, by name."""
    if not isinstance(document, Mapping):
        return
    if "shape" in document:
        yield place, document
    for name, inner in document.items():
        if name != "attributes" and not name.endswith(".zattrs"):
            yield from _arrays(name.removesuffix("/.zarray"), inner)


def _check(what: str, array: Mapping[str, Any]) -> None:
    codecs = [array.get("compressor"), *(array.get("filters") or ()), *(array.get("codecs") or ())]
    for name in _names(codec for codec in codecs if codec):
        if name not in CODECS:
            raise Refused(
                f"{what}, is to be decoded by the codec {name!r}, which is none of those that are known to"
                f" run nothing ({', '.join(sorted(CODECS))}): ask for a store without it"
            )
        if name in OPTIONAL and name not in codec_registry:
            raise InputError(
                f"{what}, is packed by the codec {name}, which is not installed: install it with pip install"
                f" 'numcodecs[{name}]'"
            )
    itemsize = _itemsize(array.get("dtype") or array.get("data_type"))
    grid = array.get("chunk_grid") or {}
    chunk = array.get("chunks") or grid.get("configuration", {}).get("chunk_shape") or ()
    check_memory(f"a chunk of {what},", chunk, itemsize)
    if len(array["shape"]) == 1:  # coordinates are read whole
        check_memory(what, array["shape"], itemsize)


def _names(codecs: Any) -> Iterator[str]:
    """The names of codecs, those inside of shards included."""
    for codec in codecs:
        if isinstance(codec, str):
            yield codec
            continue
        yield str(codec.get("id") or codec.get("name")).removeprefix("numcodecs.")
        inner = codec.get("configuration") or {}
        yield from _names([*inner.get("codecs", ()), *inner.get("index_codecs", ())])


def _itemsize(dtype: Any) -> int:
    if isinstance(dtype, Mapping):  # of texts of a fixed length, for instance
        return int(dtype.get("configuration", {}).get("length_bytes", 8))
    try:
        return np.dtype(dtype).itemsize
    except (TypeError, ValueError):  # of an extension, or of several parts
        return 8
