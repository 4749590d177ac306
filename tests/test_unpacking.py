"""Chunks that unpack to more than they can hold are refused before they fill the memory."""

import struct
import zlib

import h5py
import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec, numcodecs as extensions

from rolling.common.errors import InputError
from rolling.data.clips.collections import ArrayFiles
from rolling.data.gridded.formats import open_files
from rolling.data.untrusted.zarr_chunks import zstd_promise
from rolling.data.untrusted.zarr_stores import open_group

VALUES = np.random.default_rng(0).normal(size=(5, 16, 16)).astype("f4")
BOMB = bytes(2**24)
CODECS = {
    "blosc": (BloscCodec(), numcodecs.Blosc()),
    "gzip": (GzipCodec(), numcodecs.GZip()),
    "zstd": (ZstdCodec(), numcodecs.Zstd()),
    "zlib": (extensions.Zlib(), numcodecs.Zlib()),
    "bz2": (extensions.BZ2(), numcodecs.BZ2()),
    "lzma": (extensions.LZMA(), numcodecs.LZMA()),
    "lz4": (extensions.LZ4(), numcodecs.LZ4()),
}


def stored(place, form, name, **more):
    """A store of some chunks, packed by a codec."""
    codec = CODECS[name][3 - form]
    group = zarr.open_group(place, mode="w", zarr_format=form)
    more |= {"dimension_names": ("time", "y", "x")} if form == 3 else {}
    array = group.create_array(
        "x", shape=VALUES.shape, chunks=(2, 16, 16), dtype="f4", compressors=codec, **more
    )
    array[:] = VALUES
    return place / "x" / ("0.0.0" if form == 2 else "c/0/0/0")


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not")
@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize("name", CODECS)
def test_chunks_of_zarr_unpack_to_what_they_can_hold(tmp_path, form, name):
    chunk = stored(tmp_path, form, name)
    array = open_group(tmp_path)["x"]
    np.testing.assert_array_equal(array[:], VALUES)
    chunk.write_bytes(CODECS[name][1].encode(BOMB))
    with pytest.raises(InputError, match="unpacks to more than the 3072 bytes that it can hold"):
        array[0, 0]


@pytest.mark.parametrize("form", [2, 3])
def test_honest_chunks_are_read_and_written(tmp_path, form):
    more = {"filters": [numcodecs.Delta("f4")]} if form == 2 else {"shards": (4, 16, 16)}
    stored(tmp_path, form, "zstd", **more)
    open_group(tmp_path)
    array = zarr.open_group(tmp_path, mode="r+")["x"]
    array[1] = 7
    expected = VALUES.copy()
    expected[1] = 7
    np.testing.assert_allclose(array[:], expected, atol=1e-5)


def test_a_shard_holds_no_bomb(tmp_path):
    shard = stored(tmp_path, 3, "zstd", shards=(4, 16, 16)).parent / "0"
    body = numcodecs.Zstd().encode(BOMB)
    index = struct.pack("<4Q", 0, len(body), 0, len(body))
    check = numcodecs.CRC32C().encode(np.frombuffer(index, np.uint8))[-4:]
    shard.write_bytes(bytes(body) + index + bytes(np.asarray(check)))
    ((_, dataset),) = open_files(str(tmp_path))
    with pytest.raises(InputError, match="unpacks to more than"):
        dataset.x[0].load()


def rle_frame(blocks):
    """A frame of zstd that does not tell its size, of blocks of one byte repeated."""
    body = b"".join(
        struct.pack("<I", (i == blocks - 1) | 1 << 1 | 2**17 << 3)[:3] + b"\7" for i in range(blocks)
    )
    return b"\x28\xb5\x2f\xfd\0\x38" + body


def test_frames_of_zstd_that_tell_no_size_are_bounded(tmp_path):
    """As streaming writers leave them; small ones are honest."""
    chunk = stored(tmp_path, 3, "zstd")
    array = open_group(tmp_path)["x"]
    chunk.write_bytes(rle_frame(1000))
    with pytest.raises(InputError, match="unpacks to more than"):
        array[0]
    words = VALUES[:2].tobytes()
    stream = b"\x28\xb5\x2f\xfd\0\x38" + struct.pack("<I", 1 | len(words) << 3)[:3] + words
    chunk.write_bytes(stream)
    np.testing.assert_array_equal(array[:2], VALUES[:2])


@pytest.mark.parametrize("size", [1, 255, 256, 300, 70_000, 500_000])
def test_what_frames_of_zstd_promise(size):
    """Against the codec itself; the frames behind the first one count, and those to be skipped do not."""
    packed = bytes(numcodecs.Zstd().encode(np.random.default_rng(0).bytes(size)))
    skipped = struct.pack("<II", 0x184D2A53, 3) + b"abc"
    assert zstd_promise(packed) == size
    assert zstd_promise(packed + skipped + packed) == 2 * size
    assert zstd_promise(rle_frame(3)) == 3 * 2**17
    assert zstd_promise(packed[:7]) >= 0  # cut short: left to the codec


@pytest.mark.parametrize("form", [2, 3])
def test_a_chunk_promises_no_more_texts_than_it_has(tmp_path, form):
    group = zarr.open_group(tmp_path, mode="w", zarr_format=form)
    array = group.create_array("x", shape=(2,), chunks=(2,), dtype="string", compressors=None)
    array[:] = np.array(["a", "bb"], dtype=object)
    assert list(open_group(tmp_path)["x"][:]) == ["a", "bb"]
    chunk = tmp_path / "x" / ("0" if form == 2 else "c/0")
    chunk.write_bytes(struct.pack("<I", 2**31) + bytes(40))
    with pytest.raises(InputError, match="promises 2147483648 texts"):
        open_group(tmp_path)["x"][:]


@pytest.mark.parametrize("times", [1, 2])
def test_chunks_of_hdf5_unpack_to_what_they_can_hold(tmp_path, monkeypatch, times):
    """As if the machine had 8 MiB."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((1, 8, 8))
    for _ in range(times):
        plan.set_deflate(4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        space = h5py.h5s.create_simple((4, 8, 8))
        array = h5py.Dataset(h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_UINT8, space, plan))
        array[:] = np.arange(256, dtype="u1").reshape(4, 8, 8)
        assert times == 2 or len(ArrayFiles(path=str(tmp_path)).entries()) == 1
        array.id.write_direct_chunk((2, 0, 0), zlib.compress(BOMB))
    monkeypatch.setattr("rolling.common.machine.memory", lambda: 2**23)
    with pytest.raises(InputError, match=r"unpacks to more than half of the memory|is compressed twice"):
        ArrayFiles(path=str(tmp_path)).entries()
    with pytest.raises(InputError, match=r"unpacks to more than half of the memory|is compressed twice"):
        open_files(str(tmp_path / "a.h5"))
