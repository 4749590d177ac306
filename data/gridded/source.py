"""Sequences from files of gridded fields: whatever xarray can open that has a time axis and a grid."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.data import cache, calendar, dates
from rolling.data.dates import show
from rolling.data.gridded.as_fields import named, opened, read_like
from rolling.data.gridded.cadence import Cadence
from rolling.data.gridded.contents import features_of, phase_of, suitable_features, variables_of
from rolling.data.gridded.cubes import Cube
from rolling.data.gridded.formats import fingerprint
from rolling.data.gridded.notices import conspicuous, left_out, say
from rolling.data.gridded.segments import (
    FileFrames,
    FrameSegments,
    FrameSeries,
    MemoryFrames,
    positions,
    series_of,
    unbroken,
)
from rolling.data.gridded.selection import Files, Selection, common_frames
from rolling.data.gridded.survey import Survey, check_values, find_missing
from rolling.data.source import Split
from rolling.layout import Layout

GIB = 2**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gridded:
    """Fields of NetCDF, HDF5, GRIB or Zarr: one file or store, a folder of files, or a pattern like `t_*.nc`.

    Each level of a variable becomes a channel: `u` at 500 hPa is `u_500`.

    Consecutive frames form sequences; a sequence ends at a gap in time and at a missing frame, one that is
    wholly NaN in some channel. Cells that are NaN in all frames, such as land, are masked, per channel. A
    cell that is NaN in only some frames is an error, unless `mask_moving` masks it throughout.
    """

    path: str = ""
    """A file or store, a folder of files, or a pattern like `t_*.nc`."""
    variables: tuple[str, ...] = ()
    """Names in the file; by default all fields on the grid, sorted by name."""
    levels: tuple[float, ...] = ()
    """Levels to choose, in their units; by default all. `u` at 500 hPa becomes the channel `u_500`."""
    start: str = ""
    """First date, like `2019-03` or `2019-03-01T06`, or number for time without a calendar."""
    stop: str = ""
    """Last date or number, included: `2019-03` is the whole of March."""
    every: int = 1
    """Keep every n-th frame."""
    test_fraction: float = 0.25
    """The last fraction of the frames, held out."""
    features: tuple[str, ...] | None = ("auto",)
    """Functions of time known for the future: hour_of_day and day_of_year, or auto for those of which
    training sees two whole cycles (none: those that suit the time step, however few are seen)."""
    phase: str = "auto"
    """What the climatology depends on: auto, none, hour_of_day, month_of_year or month_and_hour."""
    mask_moving: bool = False
    """Mask cells that are NaN in only some frames throughout, in place of refusing them."""
    time: str = ""
    """The time dimension or coordinate, if the file does not say."""
    periodic: tuple[str, ...] = ()
    """Horizontal axes that wrap round, if the file does not say."""
    engine: str | None = None
    """The engine of xarray that opens the file; by default the one for its first bytes."""
    in_memory: float = 1.0
    """GiB up to which the data are read once and kept in memory; larger ones are read during training."""
    missing_value: tuple[float, ...] = cache.added(())
    """Values that stand for missing ones, such as -9999, where the file does not declare them."""
    conditions: ClassVar[tuple[str, ...]] = ("features",)

    def __post_init__(self):
        if not 0 < self.test_fraction < 1:
            raise InputError(
                f"test_fraction = {self.test_fraction} leaves one part of the split empty: choose"
                " a number between 0 and 1"
            )
        if self.every < 1:
            raise InputError(f"every = {self.every} keeps no frame: choose 1 or more")

    def layout(self) -> Layout:
        """From the files' headers and coordinates."""
        cubes, frames, cadence = self._axes(self._files(self.path))
        return self._layout(cubes, frames["time"], cadence)

    def open(self) -> Split:
        """Raises `InputError` for whatever cannot be used."""
        files = self._files(self.path)
        cubes, chosen, cadence = self._axes(files)
        for cube in cubes:
            cube.check_written()
        times = chosen["time"]
        layout = self._layout(cubes, times, cadence)
        frames, survey = self._look(FileFrames(cubes), layout, len(times))
        words = check_values(survey, layout, times, self.path)
        found = find_missing(survey, layout, times, self.path, self.mask_moving)
        ranges = unbroken(positions(chosen, cadence), found.missing)
        train, test = _split(ranges, times, self.test_fraction, self.path)
        skipped = left_out(files, cubes, self._selection(self.path))
        words += conspicuous(cubes, ranges, times, cadence)
        say(self.path, layout, found, (train, test), skipped)
        both = {
            "layout": layout,
            "mask": found.mask,
            "all_times": times,
            "frames": frames,
        }
        parts = (FrameSegments(ranges=part, **both) for part in (train, test))
        return Split(train=next(parts), test=next(parts), skipped=skipped, notices=tuple(words))

    def read_like(self, layout: Layout, mask: np.ndarray | None, data: str | xr.Dataset) -> FrameSegments:
        """Other data, read as those of training: see `rolling.data.source.ReadsOther`."""
        return read_like(self._selection(named(data)), layout, mask, self._files(data), self.every)

    def _files(self, data: str | xr.Dataset) -> Files:
        return opened(data, self.engine)

    def _look(self, frames: FileFrames, layout: Layout, count: int) -> tuple[FrameSeries, Survey]:
        """Reads every frame once; keeps small data in memory, and the survey of large ones in the cache."""
        if 4 * count * np.prod(layout.shape) <= self.in_memory * GIB:
            array = np.empty((count, *layout.shape), np.float32)
            survey = Survey.of(frames, layout, count, f"read {self.path}", into=array)
            return MemoryFrames(array), survey

        def make(folder: Path) -> None:
            Survey.of(frames, layout, count, f"check {self.path}").save(folder)

        # What the network is told of time changes nothing here, and None is what earlier versions named.
        about = (dataclasses.replace(self, features=None), fingerprint(self.path))
        if any(part.repeats for cube in frames.cubes for part in cube.parts):
            about += ("without a repeated meridian",)  # earlier versions looked at it, too
        name = f"survey-{cache.key(about)}"
        return frames, Survey.load(cache.fetch(cache.folder() / name, make))

    def _selection(self, where: str) -> Selection:
        return Selection(
            where=where,
            names=self.variables,
            levels=self.levels,
            time=self.time,
            missing=self.missing_value,
        )

    def _axes(self, files: Files) -> tuple[list[Cube], np.ndarray, Cadence]:
        """The chosen variables at the chosen frames."""
        cubes = self._selection(self.path).cubes(files)
        frames, cadence = self._frames(cubes)
        return [cube.at(frames) for cube in cubes], frames, cadence

    def _frames(self, cubes: list[Cube]) -> tuple[np.ndarray, Cadence]:
        """The frames that all variables have, within the chosen range, `every` steps apart."""
        frames = common_frames(cubes)
        if not len(frames):
            names = ", ".join(cube.name for cube in cubes)
            raise InputError(f"the variables {names} of {self.path} have no time in common: choose others")
        times = frames["time"]
        inside = np.ones(len(times), bool)
        if self.start:
            inside &= times >= _bound(self.start, times, after=False)
        if self.stop:
            inside &= times < _bound(self.stop, times, after=True)
        if not inside.any():
            raise InputError(
                f"no frame of {self.path} lies between {self.start or 'its start'} and"
                f" {self.stop or 'its end'}: choose a range within {show(times.min())} and"
                f" {show(times.max())}"
            )
        frames = frames[inside]
        longest = max(series_of(frames), key=len)
        if len(longest) < 2:
            raise InputError(
                f"too few frames: {self.path} has only that of {show(longest['time'][0])} in the chosen time"
                " range; choose a longer one"
            )
        cadence = Cadence.of(longest["time"])
        kept = [s[cadence.positions(s["time"]) % self.every == 0] for s in series_of(frames)]
        return np.concatenate(kept), cadence.every(self.every)

    def _layout(self, cubes: list[Cube], times: np.ndarray, cadence: Cadence) -> Layout:
        y, x = (
            dataclasses.replace(axis, boundary="periodic" if axis.name in self.periodic else axis.boundary)
            for axis in (cubes[0].y, cubes[0].x)
        )
        unknown = [name for name in self.periodic if name not in (y.name, x.name)]
        if unknown:
            raise InputError(f"there is no horizontal axis {unknown[0]!r}: they are {y.name} and {x.name}")
        variables = tuple(variable for cube in cubes for variable in variables_of(cube))
        features, phase = self.features, self.phase
        if features == ("auto",):
            features = features_of(cadence, times, self.test_fraction)
        if phase == "auto":
            phase = phase_of(cadence, times, self.test_fraction, len(y) * len(x) * len(variables))
        layout = Layout(
            variables=variables,
            axes=(y, x),
            step=cadence.step,
            time_units=cadence.units,
            features=suitable_features(cadence) if features is None else features,
            phase=phase,
            coordinates=cubes[0].parts[0].coordinates(),
        )
        calendar.check(layout)
        twice = {name for name in layout.names if layout.names.count(name) > 1}
        if twice:
            raise InputError(f"the channel {min(twice)} is chosen twice: name each variable and level once")
        return layout


def _bound(text: str, times: np.ndarray, after: bool) -> Any:
    """The first time of the period that `text` names, or the first one after it."""
    try:
        if not dates.calendar_of(times):
            value = np.float64(text)
            return np.float64(np.nextafter(value, np.inf)) if after else value
        return dates.bound(text, times, after=after)
    except ValueError as error:
        example = "a date like 2019-03-01T06" if dates.calendar_of(times) else "a number, like its times"
        raise InputError(
            f"the time range's {'stop' if after else 'start'} {text!r} is not {example}"
        ) from error


def _split(
    ranges: list[range], times: np.ndarray, test_fraction: float, path: str
) -> tuple[tuple[range, ...], tuple[range, ...]]:
    """Splits every sequence at one time, so that the last `test_fraction` of the frames are the test part.

    Members of an ensemble are split at the same time: they share their weather, or their forcing.
    """
    used = np.sort(np.concatenate([times[run.start : run.stop] for run in ranges] or [times[:0]]))
    total = len(used)
    left = total - round(total * test_fraction)
    train, test = [], []
    for run in ranges:
        within = times[run.start : run.stop]
        cut = int(np.searchsorted(within, used[left])) if left < total else len(run)
        train += [run[:cut]] if cut else []
        test += [run[cut:]] if cut < len(run) else []
    for name, part in (("training", train), ("test", test)):
        if not part:
            raise InputError(
                f"the {name} part of {path} has nothing in it, of {total} frames in all with"
                f" test_fraction = {test_fraction}: use more data or another fraction"
            )
    return tuple(train), tuple(test)
