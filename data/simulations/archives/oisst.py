"""Daily sea surface temperatures as DYffusion (Rühling Cachay et al., 2023) forecasts them: regions of NOAA's
OISST version 2, of 60 x 60 cells, in files such as `sst.day.mean.box84.nc`."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.data import dates
from rolling.data.simulations.archives import headers
from rolling.data.simulations.labelled_arrays import LabelledArray, open_labelled
from rolling.data.simulations.stored_arrays import Piece, explained
from rolling.data.simulations.trajectories import TEST, TRAIN, VALIDATION, Trajectory
from rolling.layout import Variable

FILE = re.compile(r"sst\.day\.mean\.box\d+\.nc")
FIELD = "sst"
DIMENSIONS = {"time": "t", "lat": "y", "lon": "x"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class OISST:
    """The folder that holds the files of the regions, at any depth. A region is a trajectory in each part: it
    is trained on until the end of 2018, validated on in 2019 and tested on in 2020, as in the paper.

    The one channel is `sst`, from which the mean of each cell has been taken and which is in standard
    deviations; its cells are numbered, as the regions lie at different places. Times count hours.
    """

    validation: int = 2019
    """The year to validate on; what comes before is trained on."""
    test: int = 2020
    """The year to test on."""

    def __post_init__(self):
        if not self.validation < self.test:
            raise InputError(
                f"source.archive.test is {self.test}: choose a year after that of the validation,"
                f" {self.validation}"
            )

    def lies_in(self, place: Path) -> bool:
        try:
            return bool(_files(place))
        except InputError:
            return False

    def trajectories(self, place: Path) -> list[Trajectory]:
        files = _files(place)
        if not files:
            raise InputError(f"there is no sst.day.mean.box84.nc or the like in {place}: give their folder")
        found = [each for file in files for each in self._parts(headers.name_in(place, file), str(file))]
        for part, years in ((TRAIN, f"before {self.validation}"), (TEST, f"of {self.test}")):
            if not any(each.split == part for each in found):
                raise InputError(f"{place} has no days {years}: choose source.archive.validation and .test")
        return found

    def _parts(self, name: str, file: str) -> Iterator[Trajectory]:
        with explained(file):
            array = open_labelled(file).variables.get(FIELD)
            if array is None or set(array.dims) != set(DIMENSIONS):
                raise InputError(f"{file} holds no {FIELD} over time, lat and lon: leave it out")
            times = _times(file)
            years = dates.months(times) // 12
            for part, chosen in (
                (TRAIN, years < self.validation),
                (VALIDATION, years == self.validation),
                (TEST, years == self.test),
            ):
                days = np.flatnonzero(chosen)
                if len(days):
                    yield _trajectory(name, part, file, array, days, dates.hours(times, times[:1])[days])


def _trajectory(
    name: str, split: str, file: str, array: xr.Variable, days: np.ndarray, hours: np.ndarray
) -> Trajectory:
    """The days of a part, which lie one after the other."""
    origin, step = headers.time_of(hours, file)
    sizes = dict(zip(array.dims, array.shape, strict=True))
    stored = LabelledArray(file=file, name=FIELD, shape=array.shape)
    letters = " ".join(DIMENSIONS[str(dim)] for dim in array.dims)
    return Trajectory(
        name=f"{name}[{split}]",
        split=split,
        length=len(hours),
        step=step,
        origin=origin,
        variables=(Variable(name=FIELD, long_name="standardised sea surface temperature"),),
        axes=tuple(headers.even_axis(DIMENSIONS[dim], sizes[dim], sizes[dim]) for dim in ("lat", "lon")),
        pieces=(Piece(array=stored, axes=letters, first=int(days[0])),),
    )


def _files(place: Path) -> list[Path]:
    return [file for file in headers.files_in(place, ".nc") if FILE.fullmatch(file.name)]


def _times(file: str) -> np.ndarray:
    array = open_labelled(file).variables["time"]
    values = LabelledArray(file=file, name="time", shape=array.shape).take((slice(None),))
    try:
        times = dates.read(values)
    except ValueError as error:
        raise InputError(f"the times of {file} are {error}: fetch it again") from error
    if not dates.calendar_of(times):
        raise InputError(f"the times of {file} are no dates: fetch it again")
    return times
