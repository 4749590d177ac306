"""Converts arrays of any size, value range and order of axes to the frames of a `Picture`."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import einops
import numpy as np
import scipy.sparse
from PIL import Image

from rolling.common.errors import InputError
from rolling.data.clips.protocol import BadClip, Block, Entry, Picture

SCALES = {"levels": (0.0, 255.0), "unit": (0.0, 1.0), "signed": (-1.0, 1.0)}
"""The values of black and of white: grey levels, [0, 1], [-1, 1]."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
FRAMES = 32  # in a block


def resized_clip(
    read: Callable[[np.ndarray], Iterable[np.ndarray]],
    count: int,
    entry: Entry,
    picture: Picture,
    *,
    rate: float | None = None,
    actions: np.ndarray | None = None,
    tokens: np.ndarray | None = None,
) -> Iterator[Block]:
    """A clip of `count` frames, `rate` per second, block by block. `read` gives frames `[H, W, c]`, uint8, at
    ascending indices; `actions [count, a]` are reduced to the frames that are used."""
    tokens = None if tokens is None else _finite_rows(np.atleast_2d(tokens), "tokens")
    if actions is not None:
        actions = _finite_rows(actions, "actions")
        if len(actions) != count:
            raise BadClip(f"it has {count} frames, but actions for {len(actions)}")
    taken = nearest_frames(count, entry, rate, picture.rate)
    for first in range(0, len(taken), FRAMES):
        block = taken[first : first + FRAMES]
        yield Block(
            frames=resize(read(block), picture),
            actions=None if actions is None else actions[block],
            tokens=tokens,
            rate=rate,
        )


def nearest_frames(count: int, entry: Entry, rate: float | None, wanted: float | None) -> np.ndarray:
    """The indices, out of `count` frames at `rate` per second, nearest to `start`, `start + 1 / wanted`, ...,
    `stop`; all of them, in order, if no rate is wanted or none is known.
    """
    if rate is None:
        if entry.start or entry.stop is not None:
            raise BadClip("it is to be cut in seconds, but its frame rate is not known")
        return np.arange(count)
    stop = count / rate if entry.stop is None else entry.stop
    wanted = rate if wanted is None else wanted
    times = entry.start + np.arange(max(0, int(np.ceil((stop - entry.start) * wanted - 1e-6)))) / wanted
    indices = np.floor(times * rate + 0.5 + 1e-6).astype(int)
    indices = indices[indices < count]
    if not len(indices):
        raise BadClip(f"it lasts {count / rate:g} s: nothing is left from {entry.start:g} to {stop:g} s")
    return indices


def to_grey_levels(values: np.ndarray, scale: str) -> np.ndarray:
    """Grey levels, uint8, of values on one of `SCALES`. Raises `BadClip` for values outside that scale."""
    black, white = SCALES[scale]
    if values.dtype == np.uint8 and scale == "levels":
        return values
    if values.dtype.kind not in "buif":
        raise BadClip(f"it holds values of type {values.dtype}: frames are made of numbers")
    if values.size == 0:
        return values.astype(np.uint8)
    low, high = float(values.min()), float(values.max())
    if not (low >= black - 1e-6 and high <= white + 1e-6):  # NaN, too
        raise BadClip(
            f"it holds values from {low:g} to {high:g}, but those of the scale {scale!r} lie"
            f" between {black:g} and {white:g}"
        )
    if scale == "levels" and values.dtype.kind in "bf" and 0 < high <= 1:
        raise BadClip(
            f"it holds values from {low:g} to {high:g}, which as grey levels of 0 to 255 are all but"
            " black: give --source.collection.scale unit, or to `rolling evaluate` --real-scale unit or"
            " --fake-scale unit"
        )
    grey = (values.astype(np.float32) - black) * (255 / (white - black))
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def check_scale(scale: str) -> None:
    if scale not in SCALES:
        raise InputError(f"the scale {scale!r} is none of {', '.join(SCALES)}")


def check_rate(rate: float | None) -> None:
    if rate is not None and not 0 < rate < np.inf:
        raise InputError(f"a rate of {rate} frames a second is impossible: it must be above 0")


def resize(frames: Iterable[np.ndarray], picture: Picture) -> np.ndarray:
    """`[T, height, width, channel]` from T frames `[H, W, c]`, uint8, c = 1 or 3.

    The central part with the picture's aspect ratio is shrunk by area averaging or enlarged bicubically; then
    colours are combined into luma (BT.601), or luma is repeated. Raises `BadClip`.
    """
    sized = np.stack([_resize(frame, picture) for frame in frames])
    if picture.colour:
        return einops.repeat(sized, "t h w 1 -> t h w 3") if sized.shape[-1] == 1 else sized
    if sized.shape[-1] == 1:
        return sized
    return np.rint(sized @ LUMA).astype(np.uint8)[..., None]


def _resize(frame: np.ndarray, picture: Picture) -> np.ndarray:
    """One frame `[H, W, c]` as `[height, width, c]`."""
    if frame.ndim != 3 or frame.shape[-1] not in (1, 3) or 0 in frame.shape:
        raise BadClip(
            f"its frames have the shape {frame.shape}, which is not height, width and 1 or 3 channels"
        )
    height, width, channels = frame.shape
    size = picture.size(height, width)
    if size == (height, width):
        return frame
    above, left, below, right = centre_crop((height, width), size)
    if below - above >= size[0]:
        rows, columns = (
            _area_weights(height, above, below, size[0]),
            _area_weights(width, left, right, size[1]),
        )
        short = rows @ frame.reshape(height, -1).astype(np.float32)
        turned = einops.rearrange(short, "h (w c) -> w (h c)", c=channels)
        small = einops.rearrange(columns @ turned, "w (h c) -> h w c", c=channels)
        return np.rint(small).astype(np.uint8)
    image = Image.fromarray(frame[..., 0] if channels == 1 else frame)
    image = image.resize((size[1], size[0]), Image.Resampling.BICUBIC, box=(left, above, right, below))
    return np.asarray(image).reshape(*size, channels)


@lru_cache(maxsize=16)
def _area_weights(whole: int, low: float, high: float, parts: int) -> scipy.sparse.csr_array:
    """`[parts, whole]`: the weight of each pixel of a line in the mean over each of `parts` equal intervals
    from `low` to `high`."""
    edges, pixels = np.linspace(low, high, parts + 1), np.arange(whole)
    overlap = np.minimum.outer(edges[1:], pixels + 1) - np.maximum.outer(edges[:-1], pixels)
    shares = np.maximum(overlap, 0) * (parts / (high - low))
    return scipy.sparse.csr_array(shares.astype(np.float32))


def centre_crop(whole: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Upper, left, lower and right edge, in fractional pixels, of the largest central part of a frame with
    the aspect ratio of `size`, (height, width)."""
    ratio = min(whole[0] / size[0], whole[1] / size[1])
    edges = [(full - ratio * part) / 2 for full, part in zip(whole, size, strict=True)]
    # Rounding must not put an edge outside the frame: Pillow rejects that.
    above, left = (max(0.0, edge) for edge in edges)
    return above, left, whole[0] - above, whole[1] - left


def _finite_rows(values: np.ndarray, what: str) -> np.ndarray:
    if values.ndim != 2 or values.dtype.kind not in "buif":
        raise BadClip(
            f"its {what} have the shape {values.shape} and the type {values.dtype}, not two axes of numbers"
        )
    values = np.asarray(values, np.float32)
    if not np.isfinite(values).all():
        raise BadClip(f"its {what} are not finite")
    return values
