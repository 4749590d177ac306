"""Files of gridded fields as sequences."""

import dataclasses
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import rolling.data.gridded.contents
import rolling.data.gridded.segments
import rolling.data.gridded.survey
from rolling.common.errors import InputError
from rolling.data.gridded.formats import frames_written
from rolling.data.gridded.source import Gridded
from rolling.data.source import Sequences, Source
from rolling.data.statistics import measure

RNG = np.random.default_rng(0)
REAL = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "weather"


@pytest.fixture(autouse=True)
def cached_here(monkeypatch, tmp_path):
    monkeypatch.setenv("ROLLING_CACHE", str(tmp_path / "cache"))


def fields(count=40, step="6h", names=("t2m", "u10"), lat=(58.0, 50.0, 5), lon=(-10.0, 2.0, 7), levels=()):
    """A dataset with values of float32, latitudes descending."""
    unit = np.timedelta64(int(step[:-1]), step[-1])
    coords = {
        "time": (np.datetime64("2019-03-01") + np.arange(count) * unit).astype("datetime64[ns]"),
        **({"level": ("level", np.array(levels), {"units": "hPa"})} if levels else {}),
        "latitude": ("latitude", np.linspace(*lat), {"units": "degrees_north"}),
        "longitude": ("longitude", np.linspace(*lon), {"units": "degrees_east"}),
    }
    sizes = [len(c) if isinstance(c, np.ndarray) else len(c[1]) for c in coords.values()]
    return xr.Dataset(
        {
            name: (
                tuple(coords),
                RNG.normal(270, 10, sizes).astype(np.float32),
                {"units": "K", "long_name": f"long {name}", "standard_name": f"standard_{name}"},
            )
            for name in names
        },
        coords,
    )


def write(dataset, path):
    """By the path's ending; the engine that is always there."""
    if str(path).endswith(".zarr"):
        dataset.to_zarr(path, zarr_format=3, consolidated=False)
    else:
        dataset.to_netcdf(path, engine="h5netcdf")
    return str(path)


def everything(sequences):
    return [sequences.read(i, 0, sequences.length(i)) for i in range(len(sequences))]


def stacked(dataset):
    return np.stack([dataset[name].values for name in sorted(dataset.data_vars)], axis=-1)


def test_layout_and_split(tmp_path):
    dataset = fields()
    source = Gridded(path=write(dataset, tmp_path / "a.nc"))
    split = source.open()
    layout = split.train.layout
    assert isinstance(source, Source) and isinstance(split.test, Sequences) and split.test.layout == layout
    assert layout.names == ("t2m", "u10")
    first = layout.variables[0]
    assert (first.units, first.long_name, first.standard_name) == ("K", "long t2m", "standard_t2m")
    assert (layout.y.name, layout.y.units, layout.y.values) == (
        "latitude",
        "degrees_north",
        (58.0, 56.0, 54.0, 52.0, 50.0),
    )
    assert layout.x.values == (-10.0, -8.0, -6.0, -4.0, -2.0, 0.0, 2.0) and not layout.x.periodic
    assert (layout.step, layout.time_units, layout.phase) == (6.0, "hours", "hour_of_day")
    assert layout.features == ("hour_of_day",)
    assert split.train.mask is None and (len(split.train), len(split.test)) == (1, 1)
    values, times = stacked(dataset), dataset.time.values
    np.testing.assert_array_equal(everything(split.train)[0], values[:30])
    np.testing.assert_array_equal(everything(split.test)[0], values[30:])
    np.testing.assert_array_equal(split.train.times(0, 0, 30), times[:30])
    np.testing.assert_array_equal(split.test.times(0, 8, 12)[:2], times[38:])
    np.testing.assert_array_equal(np.diff(split.test.times(0, 8, 12)), np.timedelta64(6, "h"))
    with pytest.raises(IndexError):
        split.test.read(0, 5, 11)


def test_lazy_reading_gives_the_same(tmp_path, monkeypatch):
    dataset = fields(levels=(500.0, 850.0))
    dataset.t2m[7] = np.nan
    dataset.u10[:, 1, 2:4, 3] = np.nan
    path = write(dataset, tmp_path / "a.nc")
    monkeypatch.setattr(rolling.data.gridded.survey, "BLOCK_VALUES", 5 * 5 * 7 * 4)
    kept, lazy, again = (Gridded(path=path, in_memory=size).open() for size in (1.0, 0.0, 0.0))
    assert len(list((tmp_path / "cache").iterdir())) == 1 and again.train.ranges == lazy.train.ranges
    np.testing.assert_array_equal(lazy.train.mask, kept.train.mask)
    os.utime(path, (0, 0))  # a file that was changed is looked at again
    Gridded(path=path, in_memory=0.0).open()
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert isinstance(kept.train.frames, rolling.data.gridded.segments.MemoryFrames)
    assert isinstance(lazy.train.frames, rolling.data.gridded.segments.FileFrames)
    for a, b in ((kept.train, lazy.train), (kept.test, lazy.test)):
        assert a.ranges == b.ranges
        for x, y in zip(everything(a), everything(b), strict=True):
            np.testing.assert_array_equal(x, y)


def test_a_store_a_folder_and_a_pattern_give_the_same_as_one_file(tmp_path):
    dataset = fields()
    whole = Gridded(path=write(dataset, tmp_path / "whole.nc")).open()
    (tmp_path / "by_time").mkdir()
    (tmp_path / "by_name").mkdir()
    # The names of the files are in another order than their times.
    for name, part in (("b", slice(0, 13)), ("a", slice(13, 32)), ("c", slice(32, 40))):
        write(dataset.isel(time=part), tmp_path / "by_time" / f"{name}.nc")
    (tmp_path / "by_time" / "notes.txt").write_text("not data")
    for name in dataset.data_vars:
        write(dataset[[name]], tmp_path / "by_name" / f"{name}.nc")
    write(dataset, tmp_path / "store.zarr")
    for path in ("by_time", "by_time/*.nc", "by_name", "store.zarr"):
        split = Gridded(path=str(tmp_path / path)).open()
        assert split.train.layout == whole.train.layout
        for a, b in ((split.train, whole.train), (split.test, whole.test)):
            for x, y in zip(everything(a), everything(b), strict=True):
                np.testing.assert_array_equal(x, y)


def test_variables_keep_the_users_order_and_levels_become_channels(tmp_path):
    dataset = fields(levels=(300.0, 500.0, 850.0))
    path = write(dataset, tmp_path / "a.nc")
    split = Gridded(path=path, variables=("u10", "t2m"), levels=(850.0, 300.0)).open()
    assert split.train.layout.names == ("u10_850", "u10_300", "t2m_850", "t2m_300")
    assert split.train.layout.variables[0].long_name == "long u10 at 850 hPa"
    expected = np.concatenate([dataset[n].values[:30, [2, 0]] for n in ("u10", "t2m")], axis=1)
    np.testing.assert_array_equal(split.train.read(0, 0, 30), np.moveaxis(expected, 1, -1))
    assert len(Gridded(path=path).open().train.layout.names) == 6


def test_axes_of_length_one_and_in_another_order(tmp_path):
    dataset = fields(names=("t2m",), levels=(500.0,)).expand_dims(number=[0])
    dataset = dataset.transpose("longitude", "number", "latitude", "level", "time")
    split = Gridded(path=write(dataset, tmp_path / "a.nc")).open()
    assert split.train.layout.names == ("t2m",)
    expected = dataset.t2m[:, 0, :, 0].transpose("time", "latitude", "longitude").values[..., None]
    np.testing.assert_array_equal(split.train.read(0, 0, 30), expected[:30])


def test_longitudes_that_go_round_and_those_that_cross_greenwich(tmp_path):
    globe = fields(count=12, lon=(0.0, 330.0, 12))
    assert Gridded(path=write(globe, tmp_path / "globe.nc")).open().train.layout.x.periodic
    closed = xr.concat([globe, globe.isel(longitude=[0]).assign_coords(longitude=[360.0])], "longitude")
    for in_memory in (0.0, 1.0):
        path = write(closed, tmp_path / f"closed-{in_memory}.nc")
        split = Gridded(path=path, in_memory=in_memory).open()
        assert split.train.layout.x.periodic and split.train.layout.x.values == tuple(globe.longitude.values)
        np.testing.assert_array_equal(split.train.read(0, 0, 9), stacked(globe)[:9])
        assert all("first meridian once more" in words for words in split.notices) and len(split.notices) == 2
    shifted = globe.isel(longitude=np.roll(np.arange(12), 6))
    axis = Gridded(path=write(shifted, tmp_path / "shifted.nc")).open().train.layout.x
    assert axis.periodic and axis.values == tuple(np.arange(-180.0, 180.0, 30.0))
    across = shifted.isel(longitude=slice(4, 9)).astype(np.float32)
    across["longitude"] = across.longitude.astype(np.float32)
    axis = Gridded(path=write(across, tmp_path / "across.nc")).open().train.layout.x
    assert not axis.periodic and axis.values == (-60.0, -30.0, 0.0, 30.0, 60.0)


def test_decimals_of_coordinates_in_single_precision(tmp_path):
    dataset = fields(lat=(50.1, 50.5, 5))
    dataset["latitude"] = dataset.latitude.astype(np.float32)
    assert Gridded(path=write(dataset, tmp_path / "a.nc")).open().train.layout.y.values[0] == 50.1


def test_gaps_and_missing_frames_end_sequences(tmp_path):
    dataset = fields(count=44)
    dataset.u10[9] = np.nan
    dataset = dataset.isel(time=[i for i in range(44) if i not in (20, 21, 30)])
    split = Gridded(path=write(dataset, tmp_path / "a.nc")).open()
    # 41 frames less one; the last ten of them are the test part.
    assert [split.train.length(i) for i in range(len(split.train))] == [9, 10, 8, 3]
    assert [split.test.length(i) for i in range(len(split.test))] == [10]
    steps = [np.diff(split.train.times(i, 0, split.train.length(i))) for i in range(4)]
    assert all((step == np.timedelta64(6, "h")).all() for step in steps)
    np.testing.assert_array_equal(everything(split.train)[1], stacked(dataset)[10:20])
    assert split.train.mask is None
    assert split.train.times(3, 0, 3)[-1] < split.test.times(0, 0, 1)[0]


def test_statistics_never_see_the_test_part(tmp_path):
    dataset = fields()
    changed = dataset.copy(deep=True)
    changed.t2m[30:] += 100
    a, b = (Gridded(path=write(d, tmp_path / f"{i}.nc")).open() for i, d in enumerate((dataset, changed)))
    one, other = measure(a.train).to_arrays(), measure(b.train).to_arrays()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_cells_that_are_never_there_are_masked_per_variable(tmp_path):
    dataset = fields()
    dataset.t2m[:, 1, 2:4] = np.nan
    dataset.t2m[5] = np.nan
    split = Gridded(path=write(dataset, tmp_path / "a.nc")).open()
    expected = np.ones((5, 7, 2), bool)
    expected[1, 2:4, 0] = False
    np.testing.assert_array_equal(split.train.mask, expected)
    for frames in everything(split.test):
        np.testing.assert_array_equal(np.isnan(frames), np.broadcast_to(~expected, frames.shape))


def test_moving_nan_can_be_masked_throughout(tmp_path):
    dataset = fields()
    dataset.t2m[12:15, 2, 2] = np.nan
    dataset.u10[7, 0, 0] = np.inf
    split = Gridded(path=write(dataset, tmp_path / "a.nc"), mask_moving=True).open()
    assert np.argwhere(~split.test.mask).tolist() == [[0, 0, 1], [2, 2, 0]]
    assert np.isnan(split.train.read(0, 0, 1)[0, 2, 2, 0])


def test_time_range_and_every_nth_frame(tmp_path):
    dataset = fields(count=24 * 12, step="1h")
    path = write(dataset, tmp_path / "a.nc")
    split = Gridded(path=path, start="2019-03-02", stop="2019-03-11", every=6, test_fraction=0.2).open()
    assert split.train.layout.step == 6.0
    times = np.concatenate([part.times(0, 0, part.length(0)) for part in (split.train, split.test)])
    assert times[0] == np.datetime64("2019-03-02") and times[-1] == np.datetime64("2019-03-11T18")
    assert len(times) == 40 and (np.diff(times) == np.timedelta64(6, "h")).all()
    np.testing.assert_array_equal(split.train.read(0, 0, 5), stacked(dataset)[24:54:6])
    np.testing.assert_array_equal(split.test.times(0, 7, 9)[1], np.datetime64("2019-03-12"))


def test_monthly_data(tmp_path):
    dataset = fields(count=60)
    months = np.datetime64("2001-01") + np.arange(60)
    dataset["time"] = months.astype("datetime64[ns]")
    split = Gridded(path=write(dataset, tmp_path / "a.nc")).open()
    layout = split.train.layout
    assert (layout.phase, layout.features) == ("month_of_year", ("day_of_year",))
    assert len(split.train) == 1 and (layout.step, layout.time_units) == (1, "months")
    following = split.test.times(0, 14, 17).astype("datetime64[M]")
    np.testing.assert_array_equal(following, np.datetime64("2005-12") + np.arange(3))


def test_the_calendar_of_a_climate_model(tmp_path):
    """The 1st of March follows the 28th of February of 2020, and the 30th of February the 29th."""
    for name, last in (("noleap", 28), ("360_day", 30)):
        dataset = fields(count=60)
        dataset["time"] = xr.date_range("2020-02-01", periods=60, calendar=name, use_cftime=True)
        path = write(dataset, tmp_path / f"{name}.nc")
        split = Gridded(path=path, start="2020-02-10").open()
        assert (len(split.train), split.train.layout.step) == (1, 24.0)
        np.testing.assert_array_equal(split.train.read(0, 0, 9), stacked(dataset)[9:18])
        first = split.train.times(0, 0, last - 8)
        assert [str(time)[:10] for time in first[[0, -2, -1]]] == [
            *("2020-02-10", f"2020-02-{last}", "2020-03-01")
        ]
        assert split.test.layout.features == ()


@pytest.mark.parametrize(
    "step, count, features, phase",
    [
        ("6h", 8, (), "none"),  # a day and a half in training
        ("6h", 40, ("hour_of_day",), "hour_of_day"),
        ("6h", 4 * 366 * 3, ("hour_of_day", "day_of_year"), "month_and_hour"),
        ("1D", 366 * 3, ("day_of_year",), "month_of_year"),
        ("1D", 366, (), "none"),
    ],
)
def test_features_and_phase_suit_the_data(tmp_path, step, count, features, phase):
    dataset = fields(count=count, step=step, lat=(1, 0, 2), lon=(0, 1, 2))
    path = write(dataset, tmp_path / "a.nc")
    layout = Gridded(path=path).open().train.layout
    assert (layout.features, layout.phase) == (features, phase)
    layout = Gridded(path=path, features=(), phase="none").open().train.layout
    assert (layout.features, layout.phase) == ((), "none")
    # As experiments of before ask for, whose networks were trained so.
    assert "day_of_year" in Gridded(path=path, features=None).open().train.layout.features


def test_a_large_climatology_is_not_chosen_unasked(tmp_path, monkeypatch):
    path = write(fields(count=4 * 366 * 3, lat=(1, 0, 2), lon=(0, 1, 2)), tmp_path / "a.nc")
    monkeypatch.setattr(rolling.data.gridded.contents, "CLIMATOLOGY", 4 * 100 * 8)
    assert Gridded(path=path).open().train.layout.phase == "month_of_year"


@pytest.mark.parametrize(
    "settings, encoding",
    [
        ({"zarr_format": 2}, {"chunks": (6, 5, 7)}),
        ({"zarr_format": 3}, {"chunks": (6, 3, 4)}),
        ({"zarr_format": 3}, {"chunks": (3, 5, 7), "shards": (6, 5, 7)}),
    ],
)
def test_how_far_a_store_was_written(tmp_path, settings, encoding):
    dataset = fields(count=20, names=("t2m",))
    path = tmp_path / "a.zarr"
    dataset.to_zarr(path, consolidated=False, encoding={"t2m": encoding}, **settings)
    assert frames_written(str(path), "t2m", 0) == 20
    for file in path.glob("t2m/**/*"):
        if file.is_file() and file.relative_to(path / "t2m").as_posix().replace("c/", "").startswith("3"):
            file.unlink()
    assert frames_written(str(path), "t2m", 0) == 18
    with pytest.raises(InputError, match="last 2 of 20 frames"):
        Gridded(path=str(path)).open()
    assert Gridded(path=str(path), stop="2019-03-05T06").open().test.length(0) == 4


def test_time_without_a_calendar(tmp_path):
    values = RNG.normal(size=(20, 6, 6))
    plain = xr.Dataset({"w": (("t", "y", "x"), values)}, {"t": 0.5 * np.arange(20)})
    split = Gridded(path=write(plain, tmp_path / "a.nc"), start="1.0", stop="8", periodic=("y", "x")).open()
    layout = split.train.layout
    assert (layout.step, layout.time_units, layout.features, layout.phase) == (0.5, "1", (), "none")
    assert layout.y.periodic and layout.x.periodic
    np.testing.assert_allclose(split.train.times(0, 0, 3), [1.0, 1.5, 2.0])
    np.testing.assert_array_equal(split.train.read(0, 0, 2)[..., 0], values[2:4].astype(np.float32))
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["density"] = values
    split = Gridded(path=str(tmp_path / "plain.h5"), time="phony_dim_0").open()
    np.testing.assert_array_equal(split.test.read(0, 0, 5)[..., 0], values[15:].astype(np.float32))
    np.testing.assert_allclose(split.test.times(0, 3, 7), [18.0, 19, 20, 21])


def test_a_grid_on_a_map_projection(tmp_path):
    dataset = fields(count=12, names=("rain",)).rename(latitude="south_north", longitude="columns")
    dataset = dataset.drop_vars(["south_north", "columns"])
    dataset["lat"] = (("south_north", "columns"), np.ones((5, 7)), {"units": "degrees_north"})
    dataset = dataset.set_coords("lat")
    dataset["time_bnds"] = (("time", "bnds"), np.zeros((12, 2)))
    dataset["orography"] = (("south_north", "columns"), np.ones((5, 7)))
    layout = Gridded(path=write(dataset, tmp_path / "a.nc")).open().train.layout
    assert layout.names == ("rain",)
    assert (layout.y.name, layout.x.name, layout.x.values) == ("south_north", "columns", tuple(range(7)))


def grib(path, messages):
    """Writes fields `(keys, values [5, 7])`, latitudes descending."""
    eccodes = pytest.importorskip("eccodes")
    regular = eccodes.codes_grib_new_from_samples("regular_ll_pl_grib2")
    grid = {
        "Ni": 7,
        "Nj": 5,
        "latitudeOfFirstGridPointInDegrees": 58.0,
        "longitudeOfFirstGridPointInDegrees": 350.0,
        "latitudeOfLastGridPointInDegrees": 50.0,
        "longitudeOfLastGridPointInDegrees": 2.0,
        "iDirectionIncrementInDegrees": 2.0,
        "jDirectionIncrementInDegrees": 2.0,
        "bitsPerValue": 24,
    }
    for key, value in grid.items():
        eccodes.codes_set(regular, key, value)
    with open(path, "wb") as file:
        for keys, values in messages:
            handle = eccodes.codes_clone(regular)
            for key, value in keys.items():
                eccodes.codes_set(handle, key, value)
            eccodes.codes_set_values(handle, values.astype(float).ravel())
            eccodes.codes_write(handle, file)
            eccodes.codes_release(handle)
    eccodes.codes_release(regular)
    return str(path)


def hourly_messages(count, short_names=("2t", "10u")):
    for hour in range(count):
        time = {"dataDate": 20190301 + hour // 24, "dataTime": 100 * (hour % 24)}
        for name in short_names:
            yield time | {"shortName": name}, RNG.normal(270, 10, (5, 7))
        for level in (500, 850):
            keys = {"typeOfLevel": "isobaricInhPa", "level": level, "shortName": "u"}
            yield time | keys, RNG.normal(0, 10, (5, 7))


def test_grib_and_netcdf_of_the_same_data_are_equal(tmp_path):
    """Fields at 2 m, at 10 m and on pressure levels: three kinds in one file."""
    cfgrib = pytest.importorskip("cfgrib")
    path = grib(tmp_path / "a.grib", hourly_messages(16))
    split = Gridded(path=path).open()
    layout = split.train.layout
    assert set(layout.names) == {"t2m", "u_500", "u_850", "u10"}
    assert layout.variables[0].units == "K" and layout.y.values[0] == 58.0
    # The fields cross Greenwich.
    assert layout.x.values == tuple(np.arange(-10.0, 3.0, 2.0))
    assert os.listdir(tmp_path) == ["a.grib"]
    (tmp_path / "netcdf").mkdir()
    datasets = cfgrib.open_datasets(path, backend_kwargs={"indexpath": ""})
    for i, dataset in enumerate(datasets):
        for array in dataset.variables.values():
            array.attrs = {k: v for k, v in array.attrs.items() if not k.startswith("GRIB")}
        dataset["longitude"] = ("longitude", np.arange(-10.0, 3.0, 2.0), {"units": "degrees_east"})
        write(dataset.drop_vars("valid_time"), tmp_path / "netcdf" / f"{i}.nc")
    other = Gridded(path=str(tmp_path / "netcdf")).open()
    assert other.train.layout == split.train.layout
    for a, b in ((split.train, other.train), (split.test, other.test)):
        np.testing.assert_array_equal(everything(a), everything(b))
        np.testing.assert_array_equal(a.times(0, 0, a.length(0) + 3), b.times(0, 0, b.length(0) + 3))


def test_grib_forecasts_are_in_the_order_of_their_valid_time(tmp_path):
    """Accumulations as ERA5 has them: twelve hours from each of two starts a day."""
    pytest.importorskip("cfgrib")
    values = RNG.normal(size=(24, 5, 7))
    messages = [
        (
            {"dataDate": 20190301, "dataTime": 600 + 1200 * (i // 12), "step": 1 + i % 12, "shortName": "2t"},
            values[i],
        )
        for i in range(24)
    ]
    for size in (1.0, 0.0):
        split = Gridded(path=grib(tmp_path / "a.grib", messages), in_memory=size).open()
        assert split.train.times(0, 0, 1)[0] == np.datetime64("2019-03-01T07")
        assert (split.train.length(0), split.test.length(0), split.train.layout.step) == (18, 6, 1.0)
        np.testing.assert_allclose(split.train.read(0, 0, 18)[..., 0], values[:18], atol=1e-5)


def hourly_files(folder):
    """A month of a daily wave of temperature, whose 12 h persistence is wrong by 2.60 K."""
    cfgrib = pytest.importorskip("cfgrib")
    phase = np.linspace(0, 6, 35).reshape(5, 7)
    messages = [
        (
            {"dataDate": 20190301 + hour // 24, "dataTime": 100 * (hour % 24), "shortName": "2t"},
            280 + 2.60 / np.sqrt(2) * np.sin(2 * np.pi * hour / 24 + phase),
        )
        for hour in range(744)
    ]
    path = grib(folder / "era5-2mt-2019-03-uk.grib", messages)
    [dataset] = cfgrib.open_datasets(path, backend_kwargs={"indexpath": ""})
    for array in dataset.variables.values():
        array.attrs = {k: v for k, v in array.attrs.items() if not k.startswith("GRIB")}
    dataset["longitude"] = ("longitude", np.arange(-10.0, 3.0, 2.0), {"units": "degrees_east"})
    write(dataset.drop_vars("valid_time"), folder / "era5_t2m_uk_hourly_201903.nc")


def monthly_file(folder):
    """The whole earth without its poles, in every month; 0.314 of it is land."""
    sea = fields(128, names=("sst",), lat=(88.0, -88.0, 89), lon=(0.0, 358.0, 180))
    sea["time"] = np.arange("2010-01", "2020-09", dtype="datetime64[M]").astype("datetime64[ns]")
    land = np.arange(89 * 180).reshape(89, 180) < 0.314 * 89 * 180
    write(
        sea.where(~xr.DataArray(land, dims=("latitude", "longitude"))),
        folder / "ersst_v5_monthly_201001-202008.nc",
    )


def storm_file(folder):
    """Six fields every 6 hours; 0.189 of the grid is cut off, and some fields lack whole steps."""
    names = ("u_sfc", "v_sfc", "t_sfc", "mslp", "u500", "v500")
    storm = fields(64, names=names, lat=(20.0, 60.0, 33), lon=(-140.0, -52.5, 36))
    for name, step in (("v_sfc", 17), ("v_sfc", 37), ("t_sfc", 17), ("v500", 36)):
        storm[name][step] = np.nan
    from_corner = np.add.outer(np.arange(33), np.arange(36)).ravel()
    cut = np.argsort(np.argsort(from_corner)).reshape(33, 36) < 0.189 * 33 * 36
    storm = storm.where(~xr.DataArray(cut, dims=("latitude", "longitude")))
    write(storm, folder / "nmc_storm_jan1996_6h.nc")


def radar_file(folder):
    """Every 5 minutes, without any coordinates of the plane."""
    rain = ("time", "y", "x"), RNG.gamma(1.0, size=(92, 75, 75)).astype(np.float32), {"units": "mm per 5 min"}
    time = "time", 5 * np.arange(92), {"units": "minutes since 2010-08-26"}
    write(xr.Dataset({"precipitation": rain}, {"time": time}), folder / "knmi_radar_5min_20100826_4km.nc")


@pytest.fixture
def place(request, tmp_path):
    """The folder of the files that are really there, or one with the like of the file that a test reads."""
    if request.param is None:
        return REAL
    folder = tmp_path / "weather"
    folder.mkdir()
    request.param(folder)
    return folder


def on(make):
    real = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real weather in {REAL}")
    return pytest.mark.parametrize(
        "place", [pytest.param(make, id="made"), pytest.param(None, id="real", marks=real)], indirect=True
    )


class TestReal:
    @pytest.mark.slow
    @on(hourly_files)
    def test_hourly_temperature_as_grib_and_as_netcdf(self, place):
        pytest.importorskip("cfgrib")
        before = sorted(os.listdir(place))
        a = Gridded(path=str(place / "era5-2mt-2019-03-uk.grib")).open()
        b = Gridded(path=str(place / "era5_t2m_uk_hourly_201903.nc")).open()
        assert sorted(os.listdir(place)) == before
        assert a.train.layout == b.train.layout
        assert (a.train.length(0), a.test.length(0)) == (558, 186)
        np.testing.assert_array_equal(everything(a.train)[0], everything(b.train)[0])
        np.testing.assert_array_equal(everything(a.test)[0], everything(b.test)[0])
        x = np.concatenate([everything(a.train)[0], everything(a.test)[0]])
        assert abs(np.sqrt(np.mean((x[12:] - x[:-12]) ** 2)) - 2.60) < 0.005

    @on(monthly_file)
    def test_monthly_sea_surface_temperature(self, place):
        split = Gridded(path=str(place / "ersst_v5_monthly_201001-202008.nc")).open()
        layout = split.train.layout
        assert (len(split.train), split.train.length(0), split.test.length(0)) == (1, 96, 32)
        assert layout.x.periodic and layout.y.is_latitude and layout.phase == "month_of_year"
        assert abs((~split.train.mask).mean() - 0.314) < 5e-4

    @on(storm_file)
    def test_storm_with_missing_frames_and_corners(self, place):
        source = Gridded(path=str(place / "nmc_storm_jan1996_6h.nc"))
        split = source.open()
        assert [split.train.length(i) for i in range(len(split.train))] == [17, 18, 11]
        assert abs((~split.train.mask).mean() - 0.189) < 5e-4
        whole = dataclasses.replace(source, variables=("mslp",)).open()
        assert (whole.train.length(0), whole.test.length(0)) == (48, 16)

    @on(radar_file)
    def test_radar_rain(self, place):
        split = Gridded(path=str(place / "knmi_radar_5min_20100826_4km.nc")).open()
        assert split.train.layout.step == 5 / 60 and split.train.layout.shape == (75, 75, 1)
        assert split.train.layout.variables[0].units == "mm per 5 min"
