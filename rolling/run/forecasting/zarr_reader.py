"""A forecast store, opened, checked against the layout of the data, and read start by start."""

import dataclasses
from pathlib import Path

import numpy as np
import xarray as xr

from rolling.common import forecast_schema as schema
from rolling.common.errors import InputError
from rolling.common.files import one_line
from rolling.common.forecast_seal import METADATA, check_store_seal
from rolling.data import dates
from rolling.data.dates import show
from rolling.data.source import Sequences
from rolling.data.untrusted.sizes import check_memory
from rolling.data.untrusted.zarr_stores import open_group
from rolling.layout import MEAN_MONTH, MONTHS, Layout

LONGEST = 2**26
"""Values that a coordinate of a forecast may have."""
HOUR = np.timedelta64(1, "h")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredForecast:
    """`dataset` is lazy; `sequence`, `frame` `[start]` locate the first forecast frame in the test part."""

    path: Path
    layout: Layout
    dataset: xr.Dataset
    sequence: np.ndarray
    frame: np.ndarray

    @property
    def starts(self) -> int:
        return len(self.sequence)

    @property
    def members(self) -> int:
        return self.dataset.sizes[schema.MEMBER]

    @property
    def given(self) -> int:
        """Frames given before lead 0; one, for persistence, where the window was given none."""
        return int(self.dataset.attrs.get(schema.GIVEN, 1))

    @property
    def leads(self) -> int:
        return self.dataset.sizes[schema.LEAD]

    @property
    def lead_chunk(self) -> int:
        """Leads compressed together and best read together; a shard may hold several chunks."""
        return int(self.dataset[self.layout.names[0]].encoding["chunks"][2])

    def read(self, start: int, first: int, stop: int, members: slice = slice(None)) -> np.ndarray:
        """Leads `first .. stop - 1` of one start: `[member, lead, *space, variable]`, float32."""
        names = self.layout.names
        at = {
            schema.start_dimension(self.layout): start,
            schema.MEMBER: members,
            schema.LEAD: slice(first, stop),
        }
        try:
            fields = [np.asarray(self.dataset[name].isel(at).values, np.float32) for name in names]
        except Exception as error:  # the exception of a damaged chunk depends on the codec
            raise InputError(
                f"the forecast {self.path} is damaged at start {start}, leads {first + 1} to {stop}"
                f" ({one_line(error)}): delete it and roll out again"
            ) from error
        # What is not there reads as the fill value, without an error.
        if not all(
            any((self.path / name / file).exists() for file in (METADATA, ".zarray")) for name in names
        ):
            raise InputError(f"the forecast {self.path} was removed while it was read: roll out again")
        return np.stack(fields, axis=-1)

    def truth_leads(self, test: Sequences) -> int:
        """Leads for which there is truth at every start. Raises `InputError` where there are none, or where
        the starts do not match the test sequences."""
        self.check_starts(test)
        places = zip(self.sequence.tolist(), self.frame.tolist(), strict=True)
        ends = [test.length(sequence) - frame for sequence, frame in places]
        leads = min(self.leads, *ends)
        if leads < 1:
            raise InputError(
                f"start {int(np.argmin(ends))} of the forecast {self.path} has no frame of truth after it:"
                " choose earlier starts, or evaluate with longer test sequences"
            )
        return leads

    def check_starts(self, test: Sequences) -> None:
        """Raises `InputError` where the starts are not in these sequences."""
        there = sum(test.length(index) for index in range(len(test)))
        if self.starts > there:
            raise InputError(
                f"the forecast {self.path} has {self.starts} starts, and these test data {there} frames:"
                " evaluate it with the data that it was made from"
            )
        for start, (sequence, frame) in enumerate(
            zip(self.sequence.tolist(), self.frame.tolist(), strict=True)
        ):
            if not 0 <= sequence < len(test) or not 1 <= frame <= test.length(sequence):
                raise InputError(
                    f"start {start} of the forecast {self.path} is frame {frame} of test sequence {sequence},"
                    " which these data do not have: evaluate it with the data that it was made from"
                )
            self._check_name(start, test, sequence)
            self._check_times(start, test, sequence, frame)

    def _check_name(self, start: int, test: Sequences, sequence: int) -> None:
        names = self.dataset.attrs.get(schema.NAMES)
        if names and test.name(sequence) and names[start] != test.name(sequence):
            raise InputError(
                f"start {start} of the forecast {self.path} is in {names[start]}, but in these test data it"
                f" would be in {test.name(sequence)}: evaluate it with the data that it was made from"
            )

    def _check_times(self, start: int, test: Sequences, sequence: int, frame: int) -> None:
        """Dates are compared exactly, at every lead with truth; numbers to rounding."""
        leads = min(self.leads, test.length(sequence) - frame)
        expected = test.times(sequence, frame - 1, frame + leads)
        found = self.dataset[schema.TIME].values[start : start + 1]
        if schema.VALID in self.dataset:  # stores of former versions have leads only
            found = np.append(found, self.dataset[schema.VALID].values[start, :leads])
        expected = expected[: len(found)]
        close = np.isclose if expected.dtype.kind == "f" else np.equal
        same = np.asarray(close(found, expected), bool) if _comparable(found, expected) else np.zeros(1, bool)
        if not same.all():
            lead = int(np.argmin(same))
            where = f"start {start} of the forecast {self.path} is" + (
                f" at lead {lead} valid" if lead else ""
            )
            raise InputError(
                f"{where} at time {show(found[lead])}, but in these test data it is at"
                f" {show(expected[lead])}: evaluate it with the data that it was made from"
            )


def _comparable(a: np.ndarray, b: np.ndarray) -> bool:
    return dates.calendar_of(a) == dates.calendar_of(b)


def open_forecast(path: Path, layout: Layout) -> StoredForecast:
    """Raises `InputError` where the store is missing, unreadable or of another layout."""
    if not path.exists():
        raise InputError(
            f"there is no forecast at {path}: make one with `rolling rollout {schema.run_of(path)}`"
        )
    try:
        _check_sizes(path, layout)
        check_store_seal(path)
        dataset = xr.open_dataset(
            path, engine="zarr", chunks=None, consolidated=False, decode_timedelta={schema.LEAD: True}
        )
        for name in dataset.coords:
            dataset[name].load()  # now, as damage to it is found by reading it
    except InputError:
        raise
    except Exception as error:  # zarr, xarray and the file system each raise their own
        raise InputError(
            f"{path} cannot be read as a Zarr store ({one_line(error)}): delete it and roll out again"
        ) from error
    _check_whole(path, dataset)
    _check_variables(path, dataset, layout)
    _check_grid(path, dataset, layout)
    _check_leads(path, dataset, layout)
    _check_attributes(path, dataset, layout)
    return StoredForecast(
        path=path,
        layout=layout,
        dataset=dataset,
        sequence=np.asarray(dataset[schema.SEQUENCE].values, int),
        frame=np.asarray(dataset[schema.FRAME].values, int),
    )


def _check_sizes(path: Path, layout: Layout) -> None:
    """Before coordinates are read. Chunks that nobody wrote cost nothing: few bytes can promise any size."""
    members = 1
    for name, array in open_group(path).arrays():
        if name in layout.names:
            members = array.shape[1] if array.ndim > 1 else 1
        elif array.size > LONGEST:
            raise InputError(
                f"the forecast {path} promises {array.size:,} values of {name!r}, more than any forecast has:"
                " it is damaged, or made to fill the memory"
            )
    check_memory(f"a lead of {path}, all members,", (members, *layout.shape), np.dtype(np.float32).itemsize)


def _check_attributes(path: Path, dataset: xr.Dataset, layout: Layout) -> None:
    """Of the attributes that are used those must suit the starts."""
    given, names = dataset.attrs.get(schema.GIVEN, 1), dataset.attrs.get(schema.NAMES)
    starts = dataset.sizes[schema.start_dimension(layout)]
    whole = isinstance(given, int | np.integer) and 1 <= given <= LONGEST
    texts = names is None or (isinstance(names, list) and len(names) == starts)
    if not whole or not (texts and all(isinstance(name, str) for name in names or ())):
        raise InputError(
            f"the forecast {path} has attributes that do not suit its {starts} starts ({schema.GIVEN} or"
            f" {schema.NAMES}): it is damaged, so roll out again"
        )


def _check_whole(path: Path, dataset: xr.Dataset) -> None:
    # A store of another program lacks the attribute; its frames are checked as they are read.
    if schema.is_unfinished(dataset.attrs):
        raise InputError(
            f"the forecast {path} is not finished: finish it with `rolling rollout {schema.run_of(path)}`"
        )
    if schema.SEQUENCE not in dataset.variables and schema.MEMBER in dataset.variables:
        raise InputError(
            f"the forecast {path} does not say which frames of the test data it starts from (`sequence` and"
            " `frame`), so there is no truth for it: score one that `rolling rollout RUN` made from the data"
        )


def _check_variables(path: Path, dataset: xr.Dataset, layout: Layout) -> None:
    wanted = dict.fromkeys(layout.names, schema.dimensions(layout))
    wanted |= dict.fromkeys((schema.SEQUENCE, schema.FRAME, schema.TIME), (schema.start_dimension(layout),))
    for name, expected in wanted.items():
        if name not in dataset.variables:
            there = ", ".join(map(str, dataset.variables)) or "nothing"
            raise InputError(
                f"the forecast {path} has no {name!r}, only {there}: it is of other data, or was cut off"
                " while being written, so roll out again"
            )
        if dataset[name].dims != expected:
            raise InputError(
                f"{name!r} in the forecast {path} has the dimensions {dataset[name].dims}, not {expected}:"
                " it is of another layout, so roll out again"
            )
        if not dataset[name].size:
            raise InputError(f"the forecast {path} is empty: roll out with at least one start and one frame")


def _check_grid(path: Path, dataset: xr.Dataset, layout: Layout) -> None:
    for axis in layout.axes:
        found = dataset[axis.name].values
        if len(found) != len(axis):
            raise InputError(
                f"the forecast {path} has {len(found)} cells along {axis.name}, the data have {len(axis)}:"
                " evaluate it with the data that it was made from"
            )
        if not np.allclose(found, axis.values, rtol=0, atol=1e-3 * axis.spacing):
            raise InputError(
                f"the {axis.name} of the forecast {path} runs from {found[0]:g} to {found[-1]:g}, that of the"
                f" data from {axis.values[0]:g} to {axis.values[-1]:g}: evaluate it with the data that it was"
                " made from"
            )


def _check_leads(path: Path, dataset: xr.Dataset, layout: Layout) -> None:
    if schema.VALID in dataset:  # which says more, and is compared with the test data
        return
    found = dataset[schema.LEAD].values
    if np.issubdtype(found.dtype, np.timedelta64):
        found = found / HOUR
    step = layout.step * (MEAN_MONTH if layout.time_units == MONTHS else 1)  # as former versions wrote them
    expected = np.arange(1, len(found) + 1) * step
    if not np.allclose(found, expected, rtol=1e-5):
        raise InputError(
            f"the lead times of the forecast {path} start with {found[:2].tolist()}, but frames of the data"
            f" are {step:g} apart: evaluate it with the data that it was made from"
        )
