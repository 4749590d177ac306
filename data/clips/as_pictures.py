"""Pictures that a network was not trained on, read to forecast from them."""

import collections
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.arrays import Arrays
from rolling.data.clips.collections.detect import collection_at
from rolling.data.clips.collections.folders import VIDEO_SUFFIXES
from rolling.data.clips.decode import read_video
from rolling.data.clips.levels import check_levels
from rolling.data.clips.protocol import BadClip, Block, Picture
from rolling.data.source import Sequences, SequencesBase
from rolling.denoisers import NO_LABEL
from rolling.geometry import Axis
from rolling.layout import Layout

LAST = 1024
"""Frames at the end of a film that are kept: more than any window is given."""


@dataclasses.dataclass(frozen=True)
class AsPictures:
    """Reads other pictures by the layout alone: see `rolling.data.source.ReadsOther`.

    A path is that of one clip: a video, an array, a folder of frames. It is cut, resized and thinned as the
    clips of training are, and its last `LAST` frames are kept. The variables of an open dataset lie on
    `(time, y, x)`, in grey levels and of the size of training; times may be missing. Of it only the frames
    that are asked for are read and checked.
    """

    def read_like(self, layout: Layout, mask: np.ndarray | None, data: str | xr.Dataset) -> Sequences:
        if isinstance(data, xr.Dataset):
            _check_shape(data, layout)
            return OpenDataset(layout=layout, mask=mask, data=data)
        if layout.actions or layout.forcings:
            what = "actions" if layout.actions else "forcings"
            raise InputError(
                f"the network is conditioned on the {what} of every frame, which {data} does not hold: call"
                f" `predict({what}=)` from Python"
            )
        blocks, label = _one_clip(data, _picture(layout))
        frames = _last_frames(data, blocks)
        return OneClip(layout=layout, frames=[frames], mask=mask, label=label)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OneClip(Arrays):
    """A clip of which at most the class is known."""

    label: str = ""

    def conditioning(self, index: int, start: int, stop: int) -> dict[str, np.ndarray]:
        found, layout = {}, self.layout
        if layout.labels:
            known = self.label in layout.labels
            found["label"] = np.int32(layout.labels.index(self.label) if known else NO_LABEL)
        if layout.tokens:
            found["tokens"] = np.zeros((1, layout.tokens), np.float32)
        return found


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OpenDataset(SequencesBase):
    """One sequence of the pictures of an open dataset, read as they are asked for."""

    layout: Layout
    mask: np.ndarray | None
    data: xr.Dataset

    def __len__(self) -> int:
        return 1

    def length(self, index: int) -> int:
        return self.data.sizes["time"]

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        chosen, layout = self.data.isel(time=slice(start, stop)), self.layout
        if "time" in chosen.coords:
            _check_times(chosen["time"].values, layout.step)
        order = ("time", layout.y.name, layout.x.name)
        variables = [chosen[name].transpose(*order).values for name in layout.names]
        frames = np.stack(variables, axis=-1).astype(np.float32)
        if np.isfinite(frames).all():  # what is missing is told by whoever needs it
            check_levels(frames, np.result_type(*variables), layout)
        return frames

    def times(self, index: int, start: int, stop: int) -> np.ndarray:
        last = (self.length(index) - 1) * self.layout.step
        if "time" in self.data.coords:
            known = self.data["time"].values[-1:]
            _check_times(known, self.layout.step)
            last = float(known[0]) if len(known) else last
        return last + self.layout.step * (np.arange(start, stop) - (self.length(index) - 1))


def _picture(layout: Layout) -> Picture:
    """The format of the pictures of a layout, in which frames without a rate are counted."""
    height, width, channels = layout.shape
    rate = None if layout.time_units == "1" else 1 / layout.step
    return Picture(height=height, width=width, rate=rate, colour=channels == 3)


def _one_clip(path: str, picture: Picture) -> tuple[Iterator[Block], str]:
    place = Path(path).expanduser()
    if place.is_file() and place.suffix.lower() in VIDEO_SUFFIXES:
        return read_video(place, picture), ""
    collection = collection_at(path)
    entries = collection.entries()
    if len(entries) != 1:
        raise InputError(
            f"{path} holds {len(entries)} clips, and a forecast continues one: give its own path, or clips as"
            " arrays to `predict`, from Python"
        )
    return collection.read(entries[0], picture), entries[0].label


def _last_frames(path: str, blocks: Iterator[Block]) -> np.ndarray:
    kept: collections.deque[np.ndarray] = collections.deque(maxlen=LAST)
    try:
        for block in blocks:
            if block.fault:  # the frames after it are missing: the forecast would continue an earlier moment
                raise BadClip(block.fault)
            kept.extend(block.frames)
    except BadClip as problem:
        raise InputError(f"{path} cannot be read to its end, which is to be continued: {problem}") from None
    if not kept:
        raise InputError(f"{path} has no frames to continue")
    return np.stack(kept).astype(np.float32)


def _check_shape(data: xr.Dataset, layout: Layout) -> None:
    missing = [name for name in layout.names if name not in data]
    if missing:
        raise InputError(f"the data lack {', '.join(missing)}; they hold {', '.join(map(str, data))}")
    for axis in (layout.y, layout.x):
        _check_axis(axis, data)
    if "time" not in data.dims:
        raise InputError("the pictures have no dimension `time`: name it so")


def _check_axis(axis: Axis, data: xr.Dataset) -> None:
    """Pixels need no coordinates: row 0 is on top."""
    if data.sizes.get(axis.name, 0) != len(axis):
        raise InputError(
            f"the pictures have {data.sizes.get(axis.name, 0)} cells along {axis.name}, and those of"
            f" training {len(axis)}: bring them to that size"
        )


def _check_times(times: np.ndarray, step: float) -> None:
    if times.dtype.kind not in "uif" or not np.allclose(np.diff(times), step, rtol=0.12, atol=0):
        shown = ", ".join(str(time) for time in times[:3])
        raise InputError(
            f"times are numbers that are {step:g} apart, as in training, and these begin {shown}: give such"
            " times, or leave the coordinate out, and the frames are taken to be one step apart"
        )
