"""Series at stations as frames on a line, and the preset that joins them with a field."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import xarray as xr

import rolling
from rolling.common.errors import InputError
from rolling.data.gridded import Gridded, Stations
from rolling.data.source import Described, ReadsOther, Source
from rolling.run import commands, load
from rolling.run.cli import main
from rolling.run.experiment.presets import find
from rolling.run.experiment.registry import alternatives
from tests.run_tools import thin_towers

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2020-01-01T00", "ns")
RNG = np.random.default_rng(0)
SERIES = RNG.normal(280, 5, (240, 7)).astype(np.float32)


def hourly(values=SERIES, **coordinates):
    """Series of temperatures, the first of them at 01:00."""
    times = START + HOUR * np.arange(1, len(values) + 1)
    array = (("time", "station"), values, {"units": "K"})
    return xr.Dataset({"t2m": array}, {"time": times, **coordinates})


def six_hourly(count=40, gap=(20, 22)):
    """Fields on 6 x 8 cells, two of them missing."""
    times = START + 6 * HOUR * np.arange(count)
    values = RNG.normal(280, 5, (count, 6, 8)).astype(np.float32)
    coordinates = {"time": times, "lat": np.linspace(60, 45, 6), "lon": np.linspace(0, 21, 8)}
    field = xr.Dataset({"t2m": (("time", "lat", "lon"), values, {"units": "K"})}, coordinates)
    return field.isel(time=np.r_[: gap[0], gap[1] : count])


def saved(dataset, path):
    dataset.to_netcdf(path, engine="h5netcdf")
    return str(path)


@pytest.mark.parametrize(
    ("station", "expected"),
    [
        (np.arange(10, 17), range(10, 17)),
        (np.array([5, 3, 9, 1, 2, 8, 7]), range(7)),  # in no order
        (np.array([f"ST{i}" for i in range(7)]), range(7)),
        (None, range(7)),
    ],
)
def test_stations_lie_on_a_line(tmp_path, station, expected):
    places = {"lat": ("station", np.linspace(46, 59, 7)), "height": ("station", np.arange(7.0))}
    named = {} if station is None else {"station": station}
    source = Stations(path=saved(hourly(**places, **named), tmp_path / "s.nc"))
    assert isinstance(source, Source) and isinstance(source, Described) and isinstance(source, ReadsOther)
    split, layout = source.open(), source.layout()
    assert split.train.layout == split.test.layout == layout
    assert layout.shape == (7, 1) and layout.names == ("t2m",) and layout.step == 1
    assert layout.axes[0].name == "station" and list(layout.axes[0].values) == list(expected)
    np.testing.assert_array_equal(split.train.read(0, 3, 9)[..., 0], SERIES[3:9])
    cut = split.train.length(0)
    np.testing.assert_array_equal(split.test.read(0, 0, 5)[..., 0], SERIES[cut : cut + 5])
    assert split.train.times(0, 0, 1)[0] == START + HOUR


def test_two_variables_and_a_gap(tmp_path):
    data = hourly().assign(pressure=lambda d: d.t2m * 3 + 1).isel(time=np.r_[:100, 120:240])
    source = Stations(path=saved(data.transpose("station", "time"), tmp_path / "s.nc"))
    train = source.open().train
    assert train.layout.names == ("pressure", "t2m")
    assert [train.length(i) for i in range(len(train))] == [100, 65]
    np.testing.assert_array_equal(train.read(1, 0, 4)[..., 1], SERIES[120:124])
    np.testing.assert_array_equal(train.read(1, 0, 4)[..., 0], SERIES[120:124] * 3 + 1)


def test_a_station_without_data_is_masked(tmp_path):
    values = SERIES.copy()
    values[:, 2] = np.nan
    train = Stations(path=saved(hourly(values), tmp_path / "s.nc")).open().train
    assert train.mask is not None
    np.testing.assert_array_equal(train.mask[:, 0], np.arange(7) != 2)
    assert np.isnan(train.read(0, 0, 3)[:, 2]).all()


def test_other_data_are_read_alike(tmp_path):
    source = Stations(path=saved(hourly(), tmp_path / "s.nc"))
    layout = source.layout()
    later = hourly().isel(time=slice(50, 60))
    other = source.read_like(layout, None, later)
    assert other.layout == layout and other.length(0) == 10
    np.testing.assert_array_equal(other.read(0, 0, 10)[..., 0], SERIES[50:60])


def test_fields_are_no_stations_and_stations_no_fields(tmp_path):
    field, series = saved(six_hourly(), tmp_path / "f.nc"), saved(hourly(), tmp_path / "s.nc")
    with pytest.raises(InputError, match=r"f\.nc is a field of 6 x 8 cells along lat and lon, and stations"):
        Stations(path=field).open()
    with pytest.raises(InputError, match=r"station \(7\); choose .* series at stations as `stations`"):
        Gridded(path=series).open()


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ((), "field: no data were named: give --source.paths FILE"),
        (("f.nc",), "stations: t2m of f.nc is a field of 6 x 8 cells"),
        (("s.nc",), "field: variable t2m of s.nc has no two horizontal dimensions"),
        (("s.nc", "f.nc"), "field: variable t2m of s.nc has no two horizontal dimensions"),
        (("f.nc", "gone.nc"), "stations: there is no file gone.nc"),
        (("f.nc", "late.nc"), "never cover the same time"),
        (("f.nc", "s.nc", "s.nc"), "source.paths are those of field, stations"),
    ],
)
def test_files_that_cannot_be_joined(tmp_path, monkeypatch, capsys, paths, said):
    monkeypatch.chdir(tmp_path)
    saved(six_hourly(), tmp_path / "f.nc")
    saved(hourly(), tmp_path / "s.nc")
    late = hourly()
    saved(late.assign_coords(time=late.time + np.timedelta64(900, "D")), tmp_path / "late.nc")
    words = ["train", "fields_and_stations", *(["--source.paths", *paths] if paths else [])]
    assert main(words) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rolling: ")]
    assert len(told) == 1 and said in told[0]
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_the_preset_joins_two_files(tmp_path):
    preset: Any = find("fields_and_stations")
    paths = (
        saved(six_hourly(81), tmp_path / "f.nc"),
        saved(hourly(np.tile(SERIES, (2, 1))), tmp_path / "s.nc"),
    )
    experiment = dataclasses.replace(
        preset,
        source=dataclasses.replace(preset.source, paths=paths),
        network=thin_towers(preset.network),
        calls_per_frame=1 / 6,
        training=dataclasses.replace(preset.training, steps=2, batch=2),
        forecast=dataclasses.replace(preset.forecast, starts=1, members=2, frames=12),
    )
    commands.train(experiment, tmp_path / "run")
    commands.rollout(tmp_path / "run", lambda own: dataclasses.replace(own, given=("stations",)))
    store = tmp_path / "run" / "forecast-given-stations.zarr"
    assert xr.open_zarr(store, group="field").t2m.shape == (1, 2, 2, 6, 8)
    # From Python, with datasets as they lie in the files.
    fields, series = (xr.open_dataset(path, engine="h5netcdf") for path in paths)
    made = load(tmp_path / "run").forecast({"field": fields, "stations": series}, frames=6, members=1)
    assert made["stations"].t2m.dims[-1] == "station" and made["field"].t2m.shape[-2:] == (6, 8)


def test_it_is_a_source_by_name():
    assert rolling.Stations is alternatives(Source)["stations"] is Stations
