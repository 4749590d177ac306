"""Files of one time each, members of an ensemble, and forecasts as sequences."""

import numpy as np
import pytest
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.gridded.source import Gridded
from tests.test_data_gridded import everything, fields, grib, hourly_messages, stacked, write


@pytest.fixture(autouse=True)
def cached_here(monkeypatch, tmp_path):
    monkeypatch.setenv("ROLLING_CACHE", str(tmp_path / "cache"))


def as_scalar_coordinate(dataset):
    return dataset


def as_variable(dataset):
    return dataset.reset_coords("time")


def as_named(dataset):
    return dataset.rename(time="scan").reset_coords("scan")


def as_numbers(dataset):
    hours = (dataset.time.values - np.datetime64("2019-03-01")) / np.timedelta64(1, "h")
    return dataset.drop_vars("time").assign(scan=hours)


@pytest.mark.parametrize(
    ("form", "time"),
    [(as_scalar_coordinate, ""), (as_variable, ""), (as_named, "scan"), (as_numbers, "scan")],
)
def test_files_of_one_time_each_are_one_sequence(tmp_path, form, time):
    dataset = fields(count=12)
    (tmp_path / "f").mkdir()
    for index in range(12):  # in another order of names than of times
        write(form(dataset.isel(time=index)), tmp_path / "f" / f"{(5 * index) % 12:02}.nc")
    split = Gridded(path=str(tmp_path / "f"), time=time).open()
    assert (len(split.train), split.train.layout.step) == (1, 6.0)
    np.testing.assert_array_equal(everything(split.train)[0], stacked(dataset)[:9])
    np.testing.assert_array_equal(everything(split.test)[0], stacked(dataset)[9:])
    if form is as_named:  # and the error says what helps
        with pytest.raises(InputError, match=r"--source\.time NAME"):
            Gridded(path=str(tmp_path / "f")).open()


def test_a_grib_file_per_message(tmp_path):
    pytest.importorskip("cfgrib")
    messages = [m for m in hourly_messages(8, short_names=("2t",)) if m[0]["shortName"] == "2t"]
    (tmp_path / "f").mkdir()
    for index, message in enumerate(messages):
        grib(tmp_path / "f" / f"{index}.grib", [message])
    split = Gridded(path=str(tmp_path / "f")).open()
    found = np.concatenate([*everything(split.train), *everything(split.test)])
    np.testing.assert_allclose(found[..., 0], [values for _, values in messages], atol=1e-4)


def test_a_static_variable_beside_a_scalar_time_is_not_a_sequence(tmp_path):
    dataset = fields(names=("t2m",)).assign_coords(reference_time=np.datetime64("2019-01-01", "ns"))
    dataset["orography"] = dataset.t2m[0].drop_vars("time")
    split = Gridded(path=write(dataset, tmp_path / "a.nc")).open()
    assert split.train.layout.names == ("t2m",) and split.skipped[0][0] == "orography"


@pytest.mark.parametrize("in_memory", [1.0, 0.0])
@pytest.mark.parametrize("how", ["a dimension", "a file each"])
def test_members_are_sequences_that_are_split_at_one_time(tmp_path, how, in_memory):
    members = [fields(count=12) for _ in range(3)]
    if how == "a dimension":
        whole = xr.concat(members, xr.Variable("realization", [1, 2, 10]))
        path = write(whole.transpose("time", "realization", ...), tmp_path / "a.nc")
    else:
        path = str(tmp_path / "f")
        (tmp_path / "f").mkdir()
        for name, member in zip("abc", members, strict=True):
            label = f"r{'abc'.index(name)}i1p1f1"
            write(member.assign_coords(member_id=label), tmp_path / "f" / f"{name}.nc")
    split = Gridded(path=path, in_memory=in_memory).open()
    assert [split.train.length(i) for i in range(3)] == [9, 9, 9]
    assert [split.test.length(i) for i in range(3)] == [3, 3, 3]
    order = [0, 2, 1] if how == "a dimension" else [0, 1, 2]  # by name: 1, 10, 2
    for index, member in enumerate(order):
        np.testing.assert_array_equal(split.train.read(index, 0, 9), stacked(members[member])[:9])
        np.testing.assert_array_equal(split.test.times(index, 0, 3), members[0].time.values[9:])
    assert split.train.layout.names == ("t2m", "u10")


def test_members_without_names_are_refused(tmp_path):
    (tmp_path / "f").mkdir()
    for name in "ab":
        write(fields(count=12), tmp_path / "f" / f"{name}.nc")
    with pytest.raises(InputError, match="12 frames twice"):
        Gridded(path=str(tmp_path / "f")).open()


@pytest.mark.parametrize("lead", ["timedelta", "hours"])
def test_forecasts_that_overlap_are_sequences(tmp_path, lead):
    """Five starts a day apart, each with leads of 0 to 42 hours."""
    steps = 6 * np.arange(8)
    starts = np.datetime64("2019-03-01", "ns") + np.arange(5) * np.timedelta64(1, "D")
    flat = fields(count=40, names=("t2m",))
    values = flat.t2m.values.reshape(5, 8, 5, 7)
    hours = ("prediction_timedelta", steps, {"units": "hours"})
    spans = ("prediction_timedelta", steps * np.timedelta64(3600 * 10**9, "ns"))
    dataset = xr.Dataset(
        {"t2m": (("time", "prediction_timedelta", "latitude", "longitude"), values, {"units": "K"})},
        {
            "time": starts,
            "prediction_timedelta": hours if lead == "hours" else spans,
            "latitude": flat.latitude,
            "longitude": flat.longitude,
        },
    )
    split = Gridded(path=write(dataset, tmp_path / "a.nc"), test_fraction=0.2).open()
    # Frames before the one time at which all are split, and those from it on.
    assert sum(split.train.length(i) for i in range(len(split.train))) == 32
    last = split.train.times(0, 0, split.train.length(0))
    np.testing.assert_array_equal(last, starts[0] + steps.astype("timedelta64[h]"))
    np.testing.assert_array_equal(split.train.read(1, 2, 8)[..., 0], values[1, 2:])
    ends = [split.train.times(i, 0, split.train.length(i))[-1] for i in range(len(split.train))]
    firsts = [split.test.times(i, 0, 1)[0] for i in range(len(split.test))]
    assert max(ends) < min(firsts)
