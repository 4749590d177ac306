"""One look at every frame: what is missing, infinite or out of range."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.common.progress import Progress
from rolling.data.dates import show
from rolling.layout import Layout

BLOCK_VALUES = 2**24  # values read at a time: 64 MiB
CACHED_VALUES = 2**16  # values looked at at a time: 512 KiB in double precision
POSITIVE = (9.969209968386869e36, 1e20, 1e30, 1e35, 1e36, 9.999e20, 999.0, 999.9, 9999.0, 99999.0, 32767.0)
NEGATIVE = (-9.99e33, -9.99e8, -32768.0, -2147483648.0, -3.4028234663852886e38)
FILL_VALUES = np.array([*POSITIVE, *(-value for value in POSITIVE), *NEGATIVE], np.float32)
"""What stands for missing values, in files that do not say so."""
HUGE = 1e15  # larger than any field in the units of its kind
FAR = 20.0  # standard deviations at which a fill value is one
OUTLYING = 100.0  # standard deviations


class RawFrames(Protocol):
    def raw(self, start: int, stop: int) -> np.ndarray:
        """`[stop - start, *space, variable]` float32, infinite values as they are."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """Of `N` frames of `C` channels: how many cells of each frame are missing, `frames [N, C]`, NaN or
    infinite, how many frames of each cell, `cells [*space, C]`, and how many values are infinite,
    `infinite [C]`; the smallest and largest value `extremes [2, C]` and the indices of frame and cell `places
    [2, C]` where each is; and the count, sum and sum of squares of all others, `moments [3, C]`.
    """

    frames: np.ndarray
    cells: np.ndarray
    infinite: np.ndarray
    extremes: np.ndarray
    places: np.ndarray
    moments: np.ndarray

    @classmethod
    def of(
        cls, frames: RawFrames, layout: Layout, count: int, label: str, into: np.ndarray | None = None
    ) -> "Survey":
        """Reads every frame once, and keeps them in `into`, if it is given."""
        channels = len(layout.variables)
        survey = cls(
            frames=np.zeros((count, channels), np.int64),
            cells=np.zeros(layout.shape, np.int64),
            infinite=np.zeros(channels, np.int64),
            extremes=np.stack([np.full(channels, np.inf), np.full(channels, -np.inf)]),
            places=np.zeros((2, channels), np.int64),
            moments=np.zeros((3, channels)),
        )
        size = max(1, BLOCK_VALUES // int(np.prod(layout.shape)))
        with Progress(label, total=count, unit="frame") if label else contextlib.nullcontext() as progress:
            for start in range(0, count, size):
                block = frames.raw(start, min(start + size, count))
                survey._add(start, block)
                if into is not None:
                    into[start : start + len(block)] = block
                if progress is not None:
                    progress.update(len(block))
        return survey

    def _add(self, start: int, block: np.ndarray) -> None:
        """Takes in a block of frames, and makes its infinite values NaN."""
        finite = np.isfinite(block)
        if not finite.all():
            self.infinite[:] += np.isinf(block).sum((0, 1, 2))
            block[~finite] = np.nan
            self.frames[start : start + len(block)] = (~finite).sum((1, 2))
            self.cells[:] += (~finite).sum(0)
        channels = block.shape[-1]
        values, there = block.reshape(-1, channels), finite.reshape(-1, channels)
        first, size = start * int(np.prod(block.shape[1:3])), max(1, CACHED_VALUES // channels)
        for i in range(0, len(values), size):
            self._add_values(first + i, values[i : i + size], there[i : i + size])

    def _add_values(self, first: int, values: np.ndarray, there: np.ndarray) -> None:
        """Takes in `values [n, C]`, few enough for the processor's cache."""
        # One channel after the other: loops over neighbours in memory are several times faster.
        values, there, whole = np.ascontiguousarray(values.T), there.T, there.all()
        low = (values if whole else np.where(there, values, np.inf)).min(1)
        high = (values if whole else np.where(there, values, -np.inf)).max(1)
        for side, found, better in ((0, low, low < self.extremes[0]), (1, high, high > self.extremes[1])):
            for channel in np.flatnonzero(better):
                self.extremes[side, channel] = found[channel]
                self.places[side, channel] = first + int(np.argmax(values[channel] == found[channel]))
        # The most extreme values of all do not count for the moments that they are compared with.
        if (low == self.extremes[0]).any() or (high == self.extremes[1]).any() or not whole:
            there = there & (values != self.extremes[0][:, None]) & (values != self.extremes[1][:, None])
            tame, count = np.where(there, values, 0).astype(np.float64), there.sum(1)
        else:
            tame, count = values.astype(np.float64), np.full(len(values), values.shape[1])
        self.moments[:] += np.stack([count, tame.sum(1), np.square(tame).sum(1)])

    def save(self, folder: Path) -> None:
        for name, array in vars(self).items():
            np.save(folder / f"{name}.npy", array)

    @classmethod
    def load(cls, folder: Path) -> "Survey":
        return cls(**{field.name: np.load(folder / f"{field.name}.npy") for field in dataclasses.fields(cls)})


def check_values(survey: Survey, layout: Layout, times: np.ndarray, path: str) -> list[str]:
    """Raises `InputError` for values that stand for missing ones; returns what else is conspicuous."""
    said = []
    for channel, value, deviations, place in _suspects(survey, layout, times):
        known = np.isin(np.float32(value), FILL_VALUES)
        where = f"{layout.names[channel]} of {path} has the value {np.float32(value)!s} at {place}"
        if abs(value) >= HUGE or (known and deviations > FAR):
            raise InputError(
                f"{where}, which stands for a missing value that the file does not declare: name it with"
                f" --source.missing-value {np.float32(value)!s}"
            )
        if deviations > OUTLYING:
            said.append(
                f"{where}, {deviations:.0f} standard deviations from the mean of the others: if it stands for"
                f" a missing value, name it with --source.missing-value {np.float32(value)!s}"
            )
    return said


def _suspects(survey: Survey, layout: Layout, times: np.ndarray) -> Iterator[tuple[int, float, float, str]]:
    """Channel, value, distance from the mean of all others in their standard deviations, and place."""
    height, width, channels = layout.shape
    count, total, squares = survey.moments
    mean = total / np.maximum(count, 1)
    spread = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0))
    for channel in range(channels):
        for side in range(2):
            value = float(survey.extremes[side, channel])
            if not np.isfinite(value):
                continue
            frame, cell = divmod(int(survey.places[side, channel]), height * width)
            y, x = layout.y.values[cell // width], layout.x.values[cell % width]
            place = f"{show(times[frame])}, {layout.y.name} {y:g}, {layout.x.name} {x:g}"
            off = abs(value - mean[channel])
            if count[channel] and off:
                yield channel, value, off / max(spread[channel], 1e-9 * off), place


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MissingData:
    """`missing [N]`: frames wholly missing in some channel; `mask`: see `rolling.data.source.Sequences`."""

    missing: np.ndarray
    mask: np.ndarray | None


def find_missing(
    survey: Survey, layout: Layout, times: np.ndarray, path: str, mask_moving: bool
) -> MissingData:
    """Distinguishes missing frames from masked cells.

    A cell of a channel is masked if it is NaN in all of the channel's frames that are not missing. Raises
    `InputError` for a channel without data, and for cells that are NaN in only some frames, unless
    `mask_moving` masks them too.
    """
    missing = survey.frames == np.prod(layout.shape[:2])
    there = len(times) - missing.sum(0)
    if not there.all():
        channel = int(np.argmin(there))
        raise InputError(
            f"{layout.names[channel]} of {path} is {_kind(survey, channel)} everywhere in the chosen time"
            " range: leave it out of --source.variables"
        )
    lost = survey.cells - missing.sum(0)
    never, sometimes = lost == there, (lost > 0) & (lost < there)
    if sometimes.any() and not mask_moving:
        raise InputError(_moving(survey, layout, times, path, missing, never, sometimes))
    mask = ~(never | sometimes)
    empty = ~mask.any((0, 1))
    if empty.any():
        channel = int(np.argmax(empty))
        raise InputError(
            f"every cell of {layout.names[channel]} of {path} is {_kind(survey, channel)} in some frame, so"
            " that masking leaves none: leave the variable out, or fill its gaps first"
        )
    return MissingData(missing=missing.any(1), mask=None if mask.all() else mask)


def _kind(survey: Survey, channel: int) -> str:
    """What the missing values of a channel are."""
    if not survey.infinite[channel]:
        return "NaN"
    return "infinite" if survey.infinite[channel] == survey.frames[:, channel].sum() else "NaN or infinite"


def _moving(survey, layout, times, path, missing, never, sometimes) -> str:
    channel = int(np.argmax(sometimes.any((0, 1))))
    more = (survey.frames[:, channel] > never[..., channel].sum()) & ~missing[:, channel]
    kind, first = _kind(survey, channel), int(np.argmax(more))
    cells = int(sometimes[..., channel].sum())
    return (
        f"{layout.names[channel]} of {path} has"
        f" {'NaN that comes and goes' if kind == 'NaN' else f'{kind} values that come and go'}:"
        f" {counted(cells, 'cell')} {'is' if cells == 1 else 'are'} {kind} in {more.sum()} of {len(times)}"
        f" frames but not in others, first at {show(times[first])}; fill them, or mask such cells throughout"
        " with --source.mask-moving"
    )
