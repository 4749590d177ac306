"""Plain arrays as the given frames of a forecast, and forecasts as arrays of the same kind."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from rolling.common.errors import InputError
from rolling.data.clips.levels import check_levels
from rolling.layout import Layout


@dataclasses.dataclass(frozen=True, kw_only=True)
class GivenArray:
    """`frames [clip, n, *space, channel]`, float32: the last `n` frames of every clip of an array.

    `batched`, `channels` and `dtype` say whether the array had an axis for clips, one for channels, and whole
    numbers or floats.
    """

    frames: np.ndarray
    layout: Layout
    batched: bool
    channels: bool
    dtype: np.dtype

    @classmethod
    def of(cls, given: Any, layout: Layout, n: int) -> "GivenArray":
        """From an array `[clip, t, *space, channel]`, in which the axes of clips and, for frames of
        one channel, of channels may be missing. Raises `InputError`."""
        array = np.asarray(given)
        if array.dtype.kind not in "uif":
            kind = type(given).__name__
            raise InputError(
                f"frames are an array of numbers, not {kind} of {array.dtype}: an xarray.Dataset is for"
                " `forecast`"
            )
        frame = len(layout.shape)
        channels = array.shape[-frame:] == layout.shape
        full = array if channels else array[..., None] if layout.shape[-1] == 1 else array
        if full.shape[-frame:] != layout.shape or full.ndim not in (frame + 1, frame + 2):
            raise InputError(_misshapen(array.shape, layout))
        batched = full.ndim == frame + 2
        clips = full if batched else full[None]
        if clips.shape[1] < n:
            raise InputError(f"a forecast is given {n} frames, and these are {clips.shape[1]}: give more")
        frames = clips[:, clips.shape[1] - n :].astype(np.float32)
        check_levels(frames, array.dtype, layout)
        return cls(frames=frames, layout=layout, batched=batched, channels=channels, dtype=array.dtype)

    def alike(self, values: np.ndarray) -> np.ndarray:
        """Forecasts `[clip, member, frame, *space, channel]` as an array of the kind that was given:
        with its axes, and grey levels as whole numbers if they were."""
        if self.dtype.kind != "f":
            stored = [v.stored(values[..., i]) for i, v in enumerate(self.layout.variables)]
            values = np.stack(stored, axis=-1)
        else:
            values = values.astype(np.float32, copy=False)
        values = values if self.channels else values[..., 0]
        return values if self.batched else values[0]


def _misshapen(shape: tuple[int, ...], layout: Layout) -> str:
    *space, channels = layout.shape
    cells = ", ".join(map(str, space))
    wanted = f"[t, {cells}, {channels}]"
    wanted += f" or [t, {cells}]" if channels == 1 else ""
    what = "put the axis of the channels last"
    if shape[-len(layout.shape) :] != (channels, *space):
        what = "bring them to the size of the pictures that the network was trained on"
    return f"the frames have the shape {shape}, not {wanted}, with or without an axis of clips first: {what}"


def per_clip(name: str, value: Any, clips: int, shape: tuple[int | None, ...]) -> list[Any]:
    """What is known of every clip: arrays of a shape (None: any length), one for all clips or stacked along a
    further axis."""
    if value is None:
        return [None] * clips
    array, axes = np.asarray(value, np.float32), len(shape)
    several = array.ndim == axes + 1 and len(array) == clips
    pairs = zip(shape, array.shape[several:], strict=False)
    if array.ndim - several != axes or not all(want in (None, found) for want, found in pairs):
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise InputError(
            f"{name} have the shape {array.shape}: give [{wanted}], or [{clips}, {wanted}] for the {clips}"
            " clips"
        )
    return list(array) if several else [array] * clips


def labels_of(label: str | Sequence[str], clips: int) -> list[str]:
    """The name of the class of every clip."""
    names: list[Any] = list(label) if isinstance(label, list | tuple) else [label] * clips
    if len(names) != clips or not all(isinstance(name, str) for name in names):
        raise InputError(f"label is the name of a class, or a list of {clips} names, one a clip: not {label}")
    return names
