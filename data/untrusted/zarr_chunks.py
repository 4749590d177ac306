"""Chunks of Zarr stores that unpack to more than they hold: a thousand bytes of gzip can stand for a
megabyte, and of zstd for thirty. What a chunk holds is known from the metadata: no more is unpacked.

Zarr decodes by a *pipeline* of codecs, and takes another one by its configuration. Codecs without a limit
here (`pcodec`, `zfpy`) give no handle: they are decoded as they are.
"""

import asyncio
import bz2
import dataclasses
import functools
import gzip
import io
import lzma
import math
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import numcodecs
import numpy as np
import zarr
from zarr.abc.codec import ArrayBytesCodec, BytesBytesCodec, Codec
from zarr.codecs._v2 import V2Codec
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.registry import register_pipeline

from rolling.data.untrusted import Refused
from rolling.data.untrusted.sizes import most_at_once

MORE = 1024
"""Bytes beside the values: checksums."""
FILTERED = 8
"""How many times as long as its values what filters decode may be: `bool` for `float64`, for instance."""
TEXTS = ("vlen-utf8", "vlen-bytes")
_PIPELINE = "codec_pipeline.path"


def guard_zarr() -> None:
    """From now on zarr unpacks no more than chunks hold, unless another pipeline than its own was chosen."""
    if zarr.config.get(_PIPELINE).endswith(f".{BatchedCodecPipeline.__name__}"):
        register_pipeline(LimitedPipeline)
        zarr.config.set({_PIPELINE: f"{__name__}.{LimitedPipeline.__name__}"})


class LimitedPipeline(BatchedCodecPipeline):
    """Zarr's own pipeline, of limited codecs."""

    @classmethod
    def from_codecs(cls, codecs: Iterable[Codec], *, batch_size: int | None = None) -> "LimitedPipeline":
        return super().from_codecs([_limited(codec) for codec in codecs], batch_size=batch_size)


def _limited(codec: Codec) -> Codec:
    if isinstance(codec, V2Codec):
        return _LimitedV2(filters=codec.filters, compressor=codec.compressor)
    if isinstance(codec, _Limited):
        return codec
    name, settings = _about(codec.to_dict())
    if isinstance(codec, BytesBytesCodec) and name in UNPACK:
        return _LimitedBytes(inner=codec, unpack=functools.partial(UNPACK[name], settings))
    if isinstance(codec, ArrayBytesCodec) and name in TEXTS:
        return _LimitedTexts(inner=codec)
    return codec


def _about(described: Any) -> tuple[str, dict[str, Any]]:
    name = str(described.get("id") or described.get("name")).removeprefix("numcodecs.")
    return name, dict(described.get("configuration") or described)


class _Limited:
    """Passes on what is not decoding to the codec `inner`."""

    inner: Any
    is_fixed_size = False

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        return self.inner.compute_encoded_size(input_byte_length, chunk_spec)

    def resolve_metadata(self, chunk_spec: Any) -> Any:
        return self.inner.resolve_metadata(chunk_spec)

    def evolve_from_array_spec(self, array_spec: Any) -> Any:
        return dataclasses.replace(self, inner=self.inner.evolve_from_array_spec(array_spec))  # pyright: ignore

    def validate(self, **about: Any) -> None:
        self.inner.validate(**about)

    def to_dict(self) -> dict[str, Any]:
        return self.inner.to_dict()

    async def _encode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        return await self.inner._encode_single(chunk_data, chunk_spec)


@dataclasses.dataclass(frozen=True)
class _LimitedBytes(_Limited, BytesBytesCodec):
    inner: Any
    unpack: Callable[[Any, int], Any]

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        packed = chunk_data.as_numpy_array()
        unpacked = await asyncio.to_thread(self.unpack, packed, _most(chunk_spec))
        return chunk_spec.prototype.buffer.from_bytes(np.asarray(unpacked).data)


@dataclasses.dataclass(frozen=True)
class _LimitedTexts(_Limited, ArrayBytesCodec):
    inner: Any

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        _check_texts(chunk_data.as_numpy_array())
        return await self.inner._decode_single(chunk_data, chunk_spec)


@dataclasses.dataclass(frozen=True)
class _LimitedV2(V2Codec):
    """Of stores of format 2."""

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        most = _most(chunk_spec, FILTERED if self.filters else 1)
        limited = functools.partial(_LimitedNumcodec, most=most)
        filters = tuple(map(limited, self.filters)) if self.filters else None
        compressor = limited(self.compressor) if self.compressor else None
        return await V2Codec(filters=filters, compressor=compressor)._decode_single(chunk_bytes, chunk_spec)  # pyright: ignore


class _LimitedNumcodec:
    def __init__(self, inner: Any, most: int):
        self.inner, self.most = inner, most

    def decode(self, packed: Any) -> Any:
        name, settings = _about(self.inner.get_config())
        if name in TEXTS:
            _check_texts(packed)
        return UNPACK[name](settings, packed, self.most) if name in UNPACK else self.inner.decode(packed)


def _most(spec: Any, times: int = 1) -> int:
    """The bytes that a chunk may unpack to."""
    dtype = spec.dtype.to_native_dtype()
    if dtype.hasobject or dtype.kind == "T":  # texts of any length
        return most_at_once()
    size = math.prod(spec.shape) * dtype.itemsize
    return max(size, min(times * size, most_at_once())) + MORE


def _check_texts(packed: Any) -> None:
    """Texts are stored after their count, each after its own length: four bytes for each."""
    flat = np.asarray(packed).reshape(-1).view(np.uint8)
    count = int.from_bytes(flat[:4].tobytes(), "little")
    if 4 * count > flat.size:
        raise Refused(f"a chunk of {flat.size} bytes promises {count} texts: the store is damaged")


def _too_much(most: int) -> Refused:
    return Refused(
        f"a chunk unpacks to more than the {most} bytes that it can hold by the store's description: the"
        " store is damaged, or made to fill the memory"
    )


def _headed(name: str, place: int, settings: dict[str, Any], packed: Any, most: int) -> Any:
    """By a codec that makes room for as much as four bytes of a header say."""
    header = np.asarray(packed).reshape(-1).view(np.uint8)[place : place + 4]
    if int.from_bytes(header.tobytes(), "little") > most:
        raise _too_much(most)
    return numcodecs.get_codec({"id": name}).decode(packed)


def _zstd(settings: dict[str, Any], packed: Any, most: int) -> Any:
    """By a codec that makes room for as much as the frames say, or else grows without an end."""
    codec, promised = numcodecs.Zstd(), zstd_promise(np.asarray(packed).tobytes())
    if promised > most:
        room = np.empty(min(most, promised), np.uint8)  # takes no memory as yet
        try:
            codec.decode(packed, out=room)
        except (ValueError, RuntimeError) as error:
            if "too small" in str(error):
                raise _too_much(most) from None
    return codec.decode(packed)


def zstd_promise(packed: bytes) -> int:
    """The bytes that frames of zstd unpack to, or more where they do not say it (RFC 8878, section 3.1)."""
    total, at = 0, 0
    number = lambda place, size: int.from_bytes(packed[place : place + size], "little")  # noqa: E731
    while at < len(packed):
        if number(at, 4) & 0xFFFFFFF0 == 0x184D2A50:  # a frame to be skipped
            at += 8 + number(at + 4, 4)
            continue
        about = number(at + 4, 1)
        single, size = about >> 5 & 1, (1 << (about >> 6)) & ~1
        size = size or single
        at += 5 + (not single) + (0, 1, 2, 4)[about & 3]
        told = number(at, size) + (256 if size == 2 else 0)
        at, blocks = _after_blocks(number, at + size, len(packed))
        at += 4 * (about >> 2 & 1)
        total += told if size else blocks
    return total


def _after_blocks(number: Callable[[int, int], int], at: int, end: int) -> tuple[int, int]:
    """Where the blocks of a frame end that begin at `at`, and what they unpack to at most."""
    total = 0
    while at < end:
        header = number(at, 3)
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        total += 2**17 if kind == 2 else size
        at += 3 + (1 if kind == 1 else size)
        if last:
            break
    return at, total


def _read(open_stream: Callable[..., Any], settings: dict[str, Any], packed: Any, most: int) -> np.ndarray:
    """By a stream of the standard library, which is read no further."""
    with open_stream(io.BytesIO(np.asarray(packed).tobytes()), settings) as stream:
        found = stream.read(most + 1)
    if len(found) > most:
        raise _too_much(most)
    return np.frombuffer(found, np.uint8)


def _inflate(settings: dict[str, Any], packed: Any, most: int) -> np.ndarray:
    stream = zlib.decompressobj()
    found = stream.decompress(np.asarray(packed).tobytes(), most + 1)
    if len(found) > most:
        raise _too_much(most)
    if not stream.eof:
        raise zlib.error("a chunk is cut short")
    return np.frombuffer(found, np.uint8)


def _lzma(file: io.BytesIO, settings: dict[str, Any]) -> lzma.LZMAFile:
    return lzma.LZMAFile(file, format=settings.get("format", 1), filters=settings.get("filters"))


UNPACK: dict[str, Callable[[dict[str, Any], Any, int], Any]] = {
    "blosc": functools.partial(_headed, "blosc", 4),
    "lz4": functools.partial(_headed, "lz4", 0),
    "zstd": _zstd,
    "gzip": functools.partial(_read, lambda file, _: gzip.GzipFile(fileobj=file)),
    "bz2": functools.partial(_read, lambda file, _: bz2.BZ2File(file)),
    "lzma": functools.partial(_read, _lzma),
    "zlib": _inflate,
}
"""`(settings of a codec, packed, most bytes)` to the unpacked bytes, by the codec's name."""
