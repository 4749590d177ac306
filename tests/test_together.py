"""Sources joined by time: which frames stand in a slot, what is left out, and what cannot be joined."""

import dataclasses
import itertools
import math
from pathlib import Path

import cftime
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import rolling
from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.data.arrays import Arrays
from rolling.data.clips.store.reader import Prepared
from rolling.data.gridded import Gridded
from rolling.data.joint_sequences import JointSequences
from rolling.data.set_apart import Place
from rolling.data.simulated import Simulated
from rolling.data.source import Counting, Described, Sequences, Source, Split
from rolling.data.stretches import covered
from rolling.data.together import NamedSource, Together
from rolling.geometry import Axis
from rolling.joint_layout import JointLayout, NamedLayout
from rolling.layout import HOURS, MONTHS, Layout, Variable
from rolling.run.experiment import codec
from rolling.run.experiment.options import parse
from rolling.run.experiment.presets import find, save

hypothesis = pytest.importorskip("hypothesis")
given, st = hypothesis.given, hypothesis.strategies
REAL = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "weather"
START = np.datetime64("2019-03-01T00", "ns")
HOUR = np.timedelta64(1, "h")


def layout_of(step=1.0, units="1", **changes):
    axes = (Axis(name="x", values=(0.0, 1.0)),)
    return Layout(variables=(Variable(name="a"),), axes=axes, step=step, time_units=units, **changes)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Named(Arrays):
    """Sequences with names."""

    names: tuple[str, ...]

    def name(self, index):
        return self.names[index]


def frames(*lengths, base=0):
    """Frame `k` of sequence `i` has the value `base + 1000 i + k`."""
    values = [base + 1000.0 * i + np.arange(n) for i, n in enumerate(lengths)]
    return [np.repeat(v[:, None, None], 2, axis=1).astype(np.float32) for v in values]


def numbered(step, *lengths, origins=None, names=None, units="1", base=0, **changes):
    made = {"layout": layout_of(step, units, **changes), "frames": frames(*lengths, base=base)}
    made["origins"] = None if origins is None else np.asarray(origins, float)
    return Named(names=names, **made) if names else Arrays(**made)


def dated(step, *spans, base=0):
    """Sequences `(hours after the start at which the first frame ends, frames)`."""
    origins = np.array([START + round(first * 3600) * np.timedelta64(1, "s") for first, _ in spans])
    lengths = (count for _, count in spans)
    return Arrays(layout=layout_of(step, HOURS), frames=frames(*lengths, base=base), origins=origins)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """A source of sequences that are there; those of training, if no others are given."""

    train: Sequences
    test: Sequences | None = None
    validation: Sequences | None = None
    skipped: tuple = ()
    notices: tuple = ()

    def open(self):
        parts = {"test": self.test or self.train, "validation": self.validation}
        return Split(train=self.train, **parts, skipped=self.skipped, notices=self.notices)


def together(**parts):
    """Of sources, or of sequences for all parts."""
    sources = {name: part if hasattr(part, "open") else Given(train=part) for name, part in parts.items()}
    return Together(parts=tuple(NamedSource(name=name, source=source) for name, source in sources.items()))


def values(joined, index):
    """By modality: the values of all frames of a joined sequence."""
    found = joined.read(index, 0, joined.length(index))
    return {name: frames[:, 0, 0].tolist() for name, frames in found.items()}


def refused(message, **parts):
    with pytest.raises(InputError, match=message) as caught:
        together(**parts).open()
    assert "\n" not in str(caught.value)


def test_paths_are_those_of_the_parts(tmp_path):
    """In their order; one is that of all, and a part that has none takes none."""
    parts = tuple(NamedSource(name=name, source=Gridded(path="own.nc")) for name in "ab")
    for paths, expected in (((), ("own.nc", "own.nc")), (("x",), ("x", "x")), (("x", "y"), ("x", "y"))):
        source = Together(parts=parts, paths=paths)
        assert tuple(source.source_of(name).path for name in "ab") == expected
    with pytest.raises(InputError, match="those of a, b, one for each or one for all, and these are 3"):
        Together(parts=parts, paths=("x", "y", "z"))
    simulated = (parts[0], NamedSource(name="c", source=debug.source))
    with pytest.raises(InputError, match="a path for c, and Simulated has none"):
        Together(parts=simulated, paths=("x", "y")).open()
    missing = Together(parts=parts, paths=(str(tmp_path / "x.nc"), str(tmp_path / "y.nc")))
    with pytest.raises(InputError, match=r"^a: .*x\.nc"):
        missing.open()


# Which frames stand together.


def test_hourly_with_6_hourly():
    """Hourly means end at 01:00 to 50:00, fields at 06:00, 12:00, ... to 48:00."""
    joined = together(stations=dated(1, (1, 50)), field=dated(6, (6, 8), base=500)).open().train
    assert isinstance(joined, JointSequences) and len(joined) == 1
    assert joined.layout.every == {"stations": 1, "field": 6} and joined.length(0) == 48
    assert values(joined, 0) == {"stations": list(range(48)), "field": list(range(500, 508))}
    # The slot that ends with the field of 12:00 has the stations of 07:00 to 12:00.
    times, slot = joined.times(0, 6, 12), joined.read(0, 6, 12)
    np.testing.assert_array_equal(times["stations"], START + np.arange(7, 13) * HOUR)
    np.testing.assert_array_equal(times["field"], [START + 12 * HOUR])
    assert slot["stations"][:, 0, 0].tolist() == [6, 7, 8, 9, 10, 11]
    assert slot["field"][:, 0, 0].tolist() == [501]
    beyond = joined.times(0, 48, 60)
    np.testing.assert_array_equal(beyond["field"], START + np.array([54, 60]) * HOUR)


def test_the_first_frames_may_end_together():
    """At 00:00 both: the first field has no hours before it, and is left out."""
    split = together(stations=dated(1, (0, 20)), field=dated(6, (0, 4), base=500)).open()
    assert values(split.train, 0) == {"stations": list(range(1, 19)), "field": [501, 502, 503]}
    told = "2 of 20 frames of stations and 1 of 4 frames of field are left out"
    assert [told in notice for notice in split.notices] == [True, True]
    assert ["training" in split.notices[0], "test" in split.notices[1]] == [True, True]


def test_hourly_with_7_hourly_has_slots_of_7():
    joined = together(a=dated(1, (1, 30)), b=dated(7, (10, 3))).open().train
    assert joined.layout.slot == 7 and joined.length(0) == 21
    assert values(joined, 0) == {"a": list(range(3, 24)), "b": [0, 1, 2]}


def test_periods_of_2_and_3():
    """Frames of a begin at 0, 2, ..., 22 and those of b at 1, 4, ..., 19: first together at 4."""
    joined = together(a=dated(2, (2, 12)), b=dated(3, (4, 7))).open().train
    assert (joined.layout.slot, joined.layout.step) == (6, 1)
    assert values(joined, 0) == {"a": list(range(2, 11)), "b": [1, 2, 3, 4, 5, 6]}
    np.testing.assert_array_equal(joined.times(0, 0, 6)["a"], START + np.array([6, 8, 10]) * HOUR)
    np.testing.assert_array_equal(joined.times(0, 0, 6)["b"], START + np.array([7, 10]) * HOUR)


def test_three_parts():
    parts = {"a": dated(1, (1, 40)), "b": dated(2, (4, 15), base=100), "c": dated(6, (7, 5), base=500)}
    refused("a frame of b ends at .*and a frame of c ends at .*by 1 hours", **parts)
    parts["c"] = dated(6, (8, 5), base=500)
    joined = together(**parts).open().train
    assert joined.layout.every == {"a": 1, "b": 2, "c": 6} and joined.length(0) == 30
    assert values(joined, 0)["a"] == list(range(2, 32))
    assert values(joined, 0)["b"] == list(range(100, 115)) and values(joined, 0)["c"] == [*range(500, 505)]


def test_a_gap_in_one_is_a_gap_in_all():
    """The field lacks that of 24:00, and the stations the hours after 30:00 up to 36:00."""
    stations, field = dated(1, (1, 30), (37, 30)), dated(6, (6, 3), (30, 7), base=500)
    joined = together(stations=stations, field=field).open().train
    assert [joined.length(i) for i in range(len(joined))] == [18, 6, 30]
    assert values(joined, 0)["stations"] == list(range(18))
    assert values(joined, 1) == {"stations": [24, 25, 26, 27, 28, 29], "field": [1500]}
    assert values(joined, 2)["field"] == [1502, 1503, 1504, 1505, 1506]
    assert values(joined, 2)["stations"] == list(range(1000, 1030))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OfModels(Arrays):
    """Frames at given dates."""

    dates: np.ndarray

    def times(self, index, start, stop):
        return self.dates[start:stop]


def test_dates_of_models_and_long_ones():
    """600 years of 365 days, more than 64 bits hold in nanoseconds."""

    def yearly(step, year, count):
        years = [cftime.datetime(year + step * k, 1, 1, calendar="noleap") for k in range(count)]
        layout = layout_of(8760.0 * step, HOURS)
        return OfModels(layout=layout, frames=frames(count), origins=np.array([]), dates=np.array(years))

    joined = together(a=yearly(1, 1000, 600), b=yearly(10, 1010, 59)).open().train
    assert values(joined, 0) == {"a": list(range(1, 591)), "b": list(range(59))}
    assert joined.times(0, 580, 590)["b"][0] == joined.times(0, 580, 590)["a"][-1]
    standard = dated(8760, (0, 20))
    refused("a the calendar noleap, b the calendar datetime64", a=yearly(1, 2000, 50), b=standard)


def test_calendar_months():
    """Seasons end with their last month, whatever the day that stands for a month."""

    def monthly(step, first, count):
        arrays = frames(count)
        return Arrays(
            layout=layout_of(step, MONTHS), frames=arrays, origins=np.array([np.datetime64(first, "ns")])
        )

    joined = together(a=monthly(1.0, "2001-01-16", 26), b=monthly(3.0, "2001-02-28", 9)).open().train
    assert values(joined, 0) == {"a": list(range(2, 26)), "b": [1, 2, 3, 4, 5, 6, 7, 8]}


def test_ensemble_members_are_joined_with_all_that_overlap():
    joined = together(a=dated(1, (1, 4), (1, 4)), b=dated(2, (2, 2), base=500)).open().train
    assert [values(joined, i)["a"][0] for i in range(len(joined))] == [0, 1000]


# Numbers.


def test_times_that_count_from_the_start():
    """Frame 0 of both stands at 0, the slow one lasts as long as four of the fast: `(0.2, 0.05)`."""
    fast, slow = numbered(0.05, 10, 8), numbered(0.2, 2, 2)
    assert isinstance(fast, Counting) and fast.from_start
    joined = together(slow=slow, fast=fast).open().train
    assert [joined.length(i) for i in range(len(joined))] == [8, 8]
    assert values(joined, 1) == {"slow": [1000, 1001], "fast": list(range(1000, 1008))}


def test_numbers_that_are_times_are_those_of_ends():
    fast, slow = numbered(0.05, 9, origins=[0.0]), numbered(0.2, 3, origins=[0.0])
    joined = together(slow=slow, fast=fast).open().train
    assert values(joined, 0) == {"slow": [1, 2], "fast": list(range(1, 9))}
    # With one of each kind, 0.05, 0.1, ... are the ends that a count from the start has.
    joined = together(slow=numbered(0.2, 2), fast=numbered(0.05, 9, origins=[0.05])).open().train
    assert values(joined, 0) == {"slow": [0, 1], "fast": list(range(8))}


def test_views_keep_what_their_times_mean():
    joined = together(slow=numbered(0.2, 3), fast=numbered(0.05, 12)).open().train
    assert joined.parts["fast"].from_start
    assert Prepared.from_start
    again = together(**joined.parts).open().train
    assert values(again, 0) == values(joined, 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counter:
    """The state is a time, which begins at a random one."""

    interval: float = 1.0
    spin_up_frames = 0

    @property
    def layout(self):
        return layout_of(self.interval)

    def initial(self, key):
        return jax.random.uniform(key)

    def stepper(self):
        return ()

    def advance(self, stepper, state):
        return state + self.interval

    def frame(self, state):
        return jnp.full((2, 1), state)


def test_simulations_of_one_system_begin_together(tmp_path):
    """Their frames are equal where they end at the same time, which the states tell."""
    slow = Simulated(
        simulator=Counter(interval=4.0), train=2, frames=10, test=1, test_frames=10, cache=str(tmp_path)
    )
    fast = dataclasses.replace(slow, simulator=Counter(), frames=40, test_frames=40)
    source = together(slow=slow, fast=fast)
    assert isinstance(source, Described) and source.layout().every == {"slow": 4, "fast": 1}
    split = source.open()
    for joined, count in ((split.train, 2), (split.test, 1)):
        assert len(joined) == count
        for i in range(count):
            found = values(joined, i)
            np.testing.assert_allclose(found["slow"], found["fast"][3::4], rtol=1e-6)
            assert joined.length(i) == 40


def test_names():
    a = numbered(1.0, 5, 6, 7, names=("x", "y", "z"))
    b = numbered(2.0, 4, 2, names=("z", "x"))
    split = together(a=a, b=b).open()
    joined = split.train
    assert [joined.name(i) for i in range(len(joined))] == ["x", "z"]
    assert values(joined, 0) == {"a": [0, 1, 2, 3], "b": [1000, 1001]}
    assert values(joined, 1)["b"] == [0, 1, 2] and joined.length(1) == 6
    # 1 of x, all of y and 1 of z; the last of the four of z.
    assert "8 of 18 frames of a and 1 of 6 frames of b" in split.notices[0]
    refused("no name is in all parts .a has 'x', b has 'q'.", a=a, b=numbered(2.0, 4, names=("q",)))


def test_sequences_of_unequal_lengths_are_cut():
    joined = together(a=numbered(1.0, 9, 3), b=numbered(3.0, 5, 2)).open().train
    assert [joined.length(i) for i in range(2)] == [9, 3]


# What cannot be joined.


def test_parts():
    for source in (Together(), together(a=dated(1, (1, 5)))):
        with pytest.raises(InputError, match=r"source\.parts has (none|only a): name two or more"):
            source.open()
        with pytest.raises(InputError, match="name two or more"):
            source.layout()
    one = NamedSource(name="a", source=Given(train=dated(1, (1, 5))))
    with pytest.raises(InputError, match="two parts of the source are named 'a'"):
        Together(parts=(one, one))
    with pytest.raises(InputError, match="becomes a folder"):
        Together(parts=(dataclasses.replace(one, name="a/b"),))
    joint = together(a=dated(1, (1, 5)), b=dated(1, (1, 5)))
    with pytest.raises(InputError, match="source of c has several modalities already"):
        together(c=joint, d=dated(1, (1, 5)))
    refused("source of c has several modalities already", c=Given(train=joint.open().train), d=one.source)


def test_times_off_the_ticks():
    refused(
        "a frame of field ends at 2019-03-01T06:00 and a frame of stations ends at 2019-03-01T00:30, 0.5"
        " hours off their common ticks of 1 hours: move the times of field or stations by as much",
        field=dated(6, (6, 8)),
        stations=dated(1, (0.5, 60)),
    )
    refused("ends at 2 and .* ends at 0.5, 0.5 off", a=numbered(2.0, 8), b=numbered(1.0, 20, origins=[0.5]))
    # What is off within the rounding of a file is not.
    assert together(a=dated(6, (6, 8)), b=dated(1, (1.01, 60))).open().train.length(0) == 48


def test_steps_that_are_rounded_do_not_drift_apart():
    """0.1 and 0.4000003, which are taken for 4 of one, are a tick apart after 333,333 slots."""
    wrong = {"a": numbered(0.1, 1_200_000), "b": numbered(0.4000003, 300_000)}
    refused("0.09 off their common ticks of 0.1, though they begin together: resample", **wrong)


def test_frames_that_never_begin_together():
    refused(
        "a frame of a ends at 2 and a frame of b ends at 5, with steps of 2 and 4, so that no frames of both"
        " begin together: move the times of b by 1, or",
        a=numbered(2.0, 20, origins=[2.0]),
        b=numbered(4.0, 20, origins=[5.0]),
        c=numbered(1.0, 80, origins=[1.0]),
    )


def test_no_time_in_common():
    refused(
        "the training sequences of all parts never cover the same time: a from 2019-03-01T01:00 to"
        " 2019-03-01T05:00, b from 2019-03-01T06:00 to 2019-03-01T09:00; choose",
        a=dated(1, (1, 5)),
        b=dated(1, (6, 4)),
    )
    refused("nowhere cover a whole slot of 6 hours", a=dated(1, (1, 5)), b=dated(6, (6, 4)))
    refused("never cover the same time: a from .*, b has none", a=dated(1, (1, 5)), b=dated(1, (6, 0)))


def test_the_part_of_the_data_is_named():
    a, b = (Given(train=dated(1, (1, 9)), test=dated(1, (first, 9))) for first in (20, 40))
    refused("the test sequences of all parts never", a=a, b=b)


def test_counts_that_differ():
    refused("joined one by one, and a has 2, b has 1: give", a=numbered(1.0, 4, 4), b=numbered(1.0, 4))


def test_layouts_that_do_not_go_together():
    refused(
        "no common tick", video=numbered(1 / 29.97, 90, units="s"), sound=numbered(1 / 44100, 9, units="s")
    )
    refused("counted in one unit of time", a=dated(1, (1, 5)), b=numbered(1.0, 5))
    refused("the sequences of b have labels", a=numbered(1.0, 5), b=numbered(1.0, 5, labels=("cat",)))
    refused("the sequences of b have tokens", a=numbered(1.0, 5), b=numbered(1.0, 5, tokens=8))


def test_what_can_be_known_is_refused_before_anything_is_simulated(tmp_path):
    slow = Simulated(simulator=Counter(interval=1 / 29.97), train=1, test=1, cache=str(tmp_path))
    source = together(slow=slow, fast=dataclasses.replace(slow, simulator=Counter(interval=1 / 44100)))
    for ask in (source.open, source.layout):
        with pytest.raises(InputError, match="no common tick"):
            ask()
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="the source of b, Given, does not tell its layout"):
        together(a=slow, b=numbered(1.0, 3)).layout()


# What goes with the data.


def test_what_sources_tell_is_carried_over():
    a = Given(train=dated(1, (1, 6)), skipped=(("x.nc", "damaged"),), notices=("It is warm.",))
    split = together(a=a, b=dated(1, (1, 6))).open()
    assert split.skipped == (("a: x.nc", "damaged"),) and split.notices == ("a: It is warm.",)
    assert split.validation is None


def test_validation_parts():
    a, b = (Given(train=dated(1, (1, 6)), validation=dated(1, (10, n))) for n in (6, 4))
    split = together(a=a, b=b).open()
    assert isinstance(split.validation, JointSequences) and split.validation.length(0) == 4
    assert "Of the validation part, 2 of 6 frames of a are left out" in split.notices[0]
    split = together(a=a, b=dated(1, (1, 6))).open()
    assert split.validation is None and "validation part of a is not used: b has none" in split.notices[0]


def test_conditioning_and_masks_are_those_of_the_parts():
    @dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
    class Driven(Arrays):
        def conditioning(self, index, start, stop):
            return {"actions": np.arange(start, stop, dtype=np.float32)[:, None]}

    mask = np.array([[True], [False]])
    a = Driven(layout=layout_of(1.0, actions=1), frames=frames(9), mask=mask, origins=np.array([1.0]))
    joined = together(a=a, b=numbered(2.0, 4, origins=[3.0])).open().train
    np.testing.assert_array_equal(joined.mask["a"], mask)
    assert joined.mask["b"] is None
    found = joined.conditioning(0, 2, 6)
    assert found["a"]["actions"][:, 0].tolist() == [3, 4, 5, 6] and found["b"] == {}


def test_missing_values_stay_missing():
    arrays = dated(1, (1, 12))
    arrays.frames[0][3:7, 1] = np.nan
    joined = together(stations=arrays, field=dated(6, (6, 2))).open().train
    missing = np.isnan(joined.read(0, 0, 12)["stations"][..., 0])
    assert missing[3:7, 1].all() and missing.sum() == 4


# Files.


def write(path, step, count, first=0, base=0.0):
    times = START + (first + step * np.arange(count)) * HOUR
    cells = base + np.arange(count)[:, None, None] + np.zeros((count, 2, 3))
    dataset = xr.Dataset(
        {"t2m": (("time", "latitude", "longitude"), cells.astype(np.float32), {"units": "K"})},
        coords={
            "time": times.astype("datetime64[ns]"),
            "latitude": ("latitude", [51.0, 50.0], {"units": "degrees_north"}),
            "longitude": ("longitude", [0.0, 1.0, 2.0], {"units": "degrees_east"}),
        },
    )
    dataset.t2m[:] += np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    dataset.to_netcdf(path, engine="h5netcdf")
    return dataset


def files(folder):
    kinds = {"stations": "hourly.nc", "field": "coarse.nc"}
    return together(**{name: Gridded(path=str(folder / file)) for name, file in kinds.items()})


def test_files_of_different_steps(tmp_path):
    """100 hours from 00:00, of which 75 to train on; 16 fields from 06:00, of which 12, to 72:00."""
    hourly, coarse = write(tmp_path / "hourly.nc", 1, 100), write(tmp_path / "coarse.nc", 6, 16, first=6)
    source = files(tmp_path)
    assert isinstance(source, Source) and source.layout().every == {"stations": 1, "field": 6}
    split = source.open()
    assert source.layout() == split.train.layout
    assert [split.train.length(0), split.test.length(0)] == [72, 18]
    read = split.train.read(0, 0, 72)
    np.testing.assert_array_equal(read["stations"][..., 0], hourly.t2m.values[1:73])
    np.testing.assert_array_equal(read["field"][..., 0], coarse.t2m.values[:12])
    # The hours from 76:00 on are test, and so are the fields from 78:00 on, but the first has too few hours.
    np.testing.assert_array_equal(split.test.read(0, 0, 18)["field"][..., 0], coarse.t2m.values[13:])
    np.testing.assert_array_equal(split.test.read(0, 0, 18)["stations"][..., 0], hourly.t2m.values[79:97])


def test_training_knows_nothing_after_its_cut(tmp_path):
    """Whatever the files say of the time after it, and in which part the other has that time."""
    cut, found = 70, []
    for offset in (0.0, 50.0):
        for name, step, count in (("hourly.nc", 1, 100), ("coarse.nc", 6, 17)):
            dataset = write(tmp_path / name, step, count)
            late = (dataset.time.values > START + cut * HOUR)[:, None, None]
            dataset["t2m"] = dataset.t2m + np.where(late, offset, 0).astype(np.float32)
            dataset.to_netcdf(tmp_path / name, engine="h5netcdf")
        parts = {"stations": 0.3, "field": 0.25}
        source = files(tmp_path)
        shares = [dataclasses.replace(p.source, test_fraction=parts[p.name]) for p in source.parts]
        source = Together(
            parts=tuple(
                dataclasses.replace(p, source=share) for p, share in zip(source.parts, shares, strict=True)
            )
        )
        split = source.open()
        length = split.train.length(0)
        found.append(split.train.read(0, 0, length))
        last = max(times.max() for times in split.train.times(0, 0, length).values())
        first = min(times.min() for times in split.test.times(0, 0, split.test.length(0)).values())
        assert last <= START + cut * HOUR < first
    for name in ("stations", "field"):
        np.testing.assert_array_equal(found[0][name], found[1][name])


def test_a_station_that_is_away_for_days_is_masked_where_that_is_asked_for(tmp_path):
    dataset = write(tmp_path / "hourly.nc", 1, 100)
    dataset.t2m[20:60, 1, 2] = np.nan
    dataset.to_netcdf(tmp_path / "hourly.nc", engine="h5netcdf")
    write(tmp_path / "coarse.nc", 6, 16, first=6)
    source = files(tmp_path)
    with pytest.raises(InputError, match="mask-moving"):
        source.open()
    stations = dataclasses.replace(source.parts[0].source, mask_moving=True)
    joined = together(stations=stations, field=source.parts[1].source).open().train
    assert not joined.mask["stations"][1, 2, 0] and joined.mask["stations"].sum() == 5
    missing = np.isnan(joined.read(0, 0, joined.length(0))["stations"])
    assert missing[:, 1, 2].all() and missing.sum() == 72


@pytest.mark.skipif(not REAL.exists(), reason="the real data are not here")
def test_a_real_hourly_temperature_with_itself_every_6_hours():
    hourly = Gridded(path=str(REAL / "era5_t2m_uk_hourly_201903.nc"))
    split = together(hourly=hourly, coarse=dataclasses.replace(hourly, every=6)).open()
    # 558 of 744 hours and 93 of 124 fields are to train on, up to hours 557 and 552 after the first.
    assert [split.train.length(0), split.test.length(0)] == [552, 180]
    for part in (split.train, split.test):
        read, times = (ask(0, 0, part.length(0)) for ask in (part.read, part.times))
        np.testing.assert_array_equal(read["coarse"], read["hourly"][5::6])
        np.testing.assert_array_equal(times["coarse"], times["hourly"][5::6])


# A loop over all hours.

spans = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 14)), min_size=1, max_size=3)
timings = st.lists(st.tuples(st.sampled_from((1, 2, 3, 4, 6)), spans), min_size=2, max_size=3)


def by_hand(parts):
    """Stretches, as `{name: values}`, and whether some sequences overlap for a slot without beginning
    together anywhere, hour by hour."""
    steps = [step for step, _ in parts]
    slot, found, apart = math.lcm(*steps), [], False
    for chosen in itertools.product(*(enumerate(spans) for _, spans in parts)):
        held = []  # by part: hour at which a frame begins, to its value
        for step, (i, (first, count)) in zip(steps, chosen, strict=True):
            held.append({first + step * (k - 1): 1000 * i + k for k in range(count)})
        hours = range(-6, 130)
        all_of = [
            hour
            for hour in hours
            if all(
                any(begin <= hour < begin + step for begin in each)
                for each, step in zip(held, steps, strict=True)
            )
        ]
        firsts = [(first, step) for step, (_, (first, _)) in zip(steps, chosen, strict=True)]
        ever = any(all((hour - first) % step == 0 for first, step in firsts) for hour in range(slot))
        apart |= len(all_of) >= slot and not ever
        begin = next((hour for hour in hours if all(hour in each for each in held)), None)
        if begin is None:
            continue
        taken = [[] for _ in parts]
        while all(
            begin + d in each for each, step in zip(held, steps, strict=True) for d in range(0, slot, step)
        ):
            for values, each, step in zip(taken, held, steps, strict=True):
                values += [each[begin + d] for d in range(0, slot, step)]
            begin += slot
        if taken[0]:
            found.append({str(i): values for i, values in enumerate(taken)})
    return found, apart


@given(timings)
def test_all_stretches_are_those_of_a_loop_over_hours(parts):
    expected, apart = by_hand(parts)
    source = together(**{str(i): dated(step, *spans) for i, (step, spans) in enumerate(parts)})
    if apart or not expected:
        with pytest.raises(InputError, match="resample" if apart else "never cover|nowhere cover"):
            source.open()
        return
    split = source.open()
    joined = split.train
    assert [values(joined, i) for i in range(len(joined))] == expected
    for name, part in joined.parts.items():
        total = sum(count for _, count in parts[int(name)][1])
        used = len({value for stretch in expected for value in stretch[name]})
        told = f"{total - used} of {total} frames of {name}"
        assert (told in " ".join(split.notices)) == (used < total)
        assert covered(part.places) == used


def test_frames_in_several_places_count_once():
    assert covered([Place(1, 2, 5), Place(0, 0, 3), Place(1, 4, 6), Place(1, 3, 4), Place(1, 8, 9)]) == 8
    assert covered([]) == 0


# As a part of an experiment.


def test_an_experiment_keeps_it(tmp_path):
    coarse = Gridded(path="coarse.nc", every=6)
    source = together(stations=Gridded(path="hourly.nc"), field=coarse, waves=Simulated())
    experiment = dataclasses.replace(debug, source=source)
    encoded = codec.encode(experiment)
    assert encoded["source"]["type"] == "source.together"
    assert [part["type"] for part in encoded["source"]["parts"]] == ["named_source"] * 3
    assert codec.decode(encoded) == experiment
    save(experiment, tmp_path / "experiment.json")
    assert find(str(tmp_path / "experiment.json")) == experiment
    changed = parse(experiment, ["--training.steps", "3"], "test")
    assert changed.source == source and changed.training.steps == 3
    changed = parse(experiment, ["--source.parts.1.source.every", "3"], "test")
    assert changed.source.parts[1].source == dataclasses.replace(coarse, every=3)
    layout = JointLayout(modalities=(NamedLayout(name="a", layout=layout_of()),))
    assert codec.decode(codec.encode(layout)) == layout


def test_it_is_public():
    assert (rolling.Together, rolling.NamedSource) == (Together, NamedSource)
