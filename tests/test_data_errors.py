"""Whatever cannot be used is refused in one sentence that says what, where, and what to do."""

import sys

import h5py
import numpy as np
import pytest
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.gridded.source import Gridded
from rolling.data.pipeline import clips
from rolling.data.statistics import measure

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cached_here(monkeypatch, tmp_path):
    monkeypatch.setenv("ROLLING_CACHE", str(tmp_path / "cache"))


def fields(count=24, **arrays):
    coords = {
        "time": (np.datetime64("2019-03-01") + np.arange(count)).astype("datetime64[ns]"),
        "latitude": np.linspace(58, 50, 5),
        "longitude": np.linspace(-10, 2, 7),
    }
    sizes = [len(c) for c in coords.values()]
    data = {"t2m": (tuple(coords), RNG.normal(270, 10, sizes).astype(np.float32)), **arrays}
    return xr.Dataset(data, coords)


def write(dataset, path, **settings):
    dataset.to_netcdf(path, engine="h5netcdf", **settings)
    return path


def damage(path, keep=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


def no_file(tmp_path):
    write(fields(), tmp_path / "temperature.nc")
    return {"path": tmp_path / "temperatur.nc"}


def no_match(tmp_path):
    return {"path": tmp_path / "*.nc"}


def empty_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("not data")
    return {"path": tmp_path}


def empty_file(tmp_path):
    (tmp_path / "a.nc").write_bytes(b"")
    return {"path": tmp_path / "a.nc"}


def text_file(tmp_path):
    (tmp_path / "a.csv").write_text("time,t2m\n1,2\n")
    return {"path": tmp_path / "a.csv"}


def cut_netcdf(tmp_path):
    return {"path": damage(write(fields(), tmp_path / "a.nc"))}


def cut_classic_netcdf(tmp_path):
    fields().to_netcdf(tmp_path / "a.nc", engine="scipy")
    return {"path": damage(tmp_path / "a.nc")}


def damaged_chunk(tmp_path):
    packed = {"t2m": {"zlib": True, "chunksizes": (24, 5, 7)}}
    path = write(fields(), tmp_path / "a.nc", encoding=packed)
    with h5py.File(path) as file:
        place = file["t2m"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[place.byte_offset : place.byte_offset + place.size] = b"\xff" * place.size
    path.write_bytes(content)
    return {"path": path}


def grib_messages(tmp_path):
    eccodes = pytest.importorskip("eccodes")
    path = tmp_path / "a.grib"
    with open(path, "wb") as file:
        for hour in range(20):
            handle = eccodes.codes_grib_new_from_samples("regular_ll_pl_grib2")
            eccodes.codes_set(handle, "dataTime", 100 * hour)
            eccodes.codes_write(handle, file)
            eccodes.codes_release(handle)
    return path


def cut_grib(tmp_path):
    return {"path": damage(grib_messages(tmp_path), keep=0.72)}


def damaged_grib(tmp_path):
    path = grib_messages(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"7777", b"7.77", 8))  # the marks that end messages
    return {"path": path}


def damaged_member(tmp_path):
    (tmp_path / "f").mkdir()
    write(fields(), tmp_path / "f" / "a.nc")
    damage(write(fields(), tmp_path / "f" / "b.nc"))
    return {"path": tmp_path / "f"}


def unreadable_times(tmp_path):
    dataset = fields().assign_coords(time=("time", np.arange(24), {"units": "fortnights since 2000-01-01"}))
    return {"path": write(dataset, tmp_path / "a.nc")}


def no_reader(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    return {"path": "s3://bucket/a.zarr"}


def no_grib_reader(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cfgrib", None)
    (tmp_path / "a.grib").write_bytes(b"GRIB" + b"\0" * 100)
    return {"path": tmp_path / "a.grib"}


def store(tmp_path, **settings):
    encoding = {"t2m": {"chunks": (6, 5, 7), **settings}}
    fields().to_zarr(tmp_path / "a.zarr", zarr_format=3, consolidated=False, encoding=encoding)
    return tmp_path / "a.zarr"


def cut_store(tmp_path):
    path = store(tmp_path)
    (path / "t2m" / "c" / "3" / "0" / "0").unlink()
    return {"path": path}


def cut_chunk(tmp_path):
    path = store(tmp_path)
    damage(path / "t2m" / "c" / "3" / "0" / "0")
    return {"path": path}


def cut_plain_chunk(tmp_path):
    path = store(tmp_path, compressors=None)
    damage(path / "t2m" / "c" / "3" / "0" / "0")
    return {"path": path}


def cut_store_metadata(tmp_path):
    path = store(tmp_path)
    damage(path / "t2m" / "zarr.json")
    return {"path": path}


def unknown_variable(tmp_path):
    dataset = fields(sst=(("time", "latitude", "longitude"), np.ones((24, 5, 7))))
    return {"path": write(dataset, tmp_path / "a.nc"), "variables": ("t2n",)}


def unknown_level(tmp_path):
    dataset = fields().expand_dims(level=[500.0, 850.0])
    return {"path": write(dataset, tmp_path / "a.nc"), "levels": (700.0,)}


def unknown_engine(tmp_path):
    return {"path": write(fields(), tmp_path / "a.nc"), "engine": "netcdf5"}


def no_time(tmp_path):
    return {"path": write(fields().isel(time=0, drop=True), tmp_path / "a.nc")}


def wrong_time(tmp_path):
    return {"path": write(fields(), tmp_path / "a.nc"), "time": "clock"}


def no_grid(tmp_path):
    return {"path": write(fields().mean("longitude"), tmp_path / "a.nc")}


def percentiles(tmp_path):
    return {"path": write(fields().expand_dims(percentile=[0, 1, 2]), tmp_path / "a.nc")}


def no_fields(tmp_path):
    return {"path": write(xr.Dataset({"a": ("time", np.arange(3.0))}), tmp_path / "a.nc")}


def other_grids(tmp_path):
    dataset = fields()
    fine = dataset.t2m.interp(latitude=np.linspace(58, 50, 9)).rename(latitude="lat")
    return {"path": write(dataset.assign(fine=fine), tmp_path / "a.nc")}


def other_grids_in_a_folder(tmp_path):
    (tmp_path / "f").mkdir()
    dataset = fields()
    write(dataset.isel(time=slice(0, 12)), tmp_path / "f" / "a.nc")
    write(dataset.isel(time=slice(12, 24), latitude=slice(1, None)), tmp_path / "f" / "b.nc")
    return {"path": tmp_path / "f"}


def twice(tmp_path):
    (tmp_path / "f").mkdir()
    write(fields(), tmp_path / "f" / "a.nc")
    write(fields().isel(time=slice(20, 24)), tmp_path / "f" / "b.nc")
    return {"path": tmp_path / "f"}


def no_common_time(tmp_path):
    (tmp_path / "f").mkdir()
    dataset = fields()
    write(dataset.isel(time=slice(0, 12)), tmp_path / "f" / "a.nc")
    write(dataset.isel(time=slice(12, 24)).rename(t2m="u10"), tmp_path / "f" / "b.nc")
    return {"path": tmp_path / "f"}


def leads(*attributes):
    def case(tmp_path):
        dataset = xr.concat([fields(), fields()], "step").assign_coords(*attributes)
        return {"path": write(dataset, tmp_path / "a.nc")}

    case.__name__ = f"leads {attributes}"
    return case


LEADS = [
    leads(),
    leads({"step": [0, 6]}),
    leads({"step": ("step", [0, 6], {"units": "m"})}),
    leads({"step": ["a", "b"]}),
]


def no_numbers(tmp_path):
    return {"path": write(fields().assign_coords(latitude=list("abcde")), tmp_path / "a.nc")}


def unsorted_axis(tmp_path):
    return {"path": write(fields().isel(latitude=[0, 2, 1, 3, 4]), tmp_path / "a.nc")}


def range_outside(tmp_path):
    return {"path": write(fields(), tmp_path / "a.nc"), "start": "2020"}


def no_date(tmp_path):
    return {"path": write(fields(), tmp_path / "a.nc"), "stop": "yesterday"}


def one_frame(tmp_path):
    return {"path": write(fields(), tmp_path / "a.nc"), "stop": "2019-03-01"}


def nothing_to_test(tmp_path):
    return {"path": write(fields(count=3), tmp_path / "a.nc"), "test_fraction": 0.1}


def two_columns_for_one_meridian(tmp_path):
    globe = fields().assign_coords(longitude=("longitude", np.linspace(0, 360, 7)))
    return {"path": write(globe, tmp_path / "a.nc")}


def all_nan(tmp_path):
    empty = (("time", "latitude", "longitude"), np.full((24, 5, 7), np.nan))
    return {"path": write(fields(sst=empty), tmp_path / "a.nc")}


def moving_nan(tmp_path):
    dataset = fields()
    dataset.t2m[12:14, 2, 2] = np.nan
    return {"path": write(dataset, tmp_path / "a.nc")}


def moving_everywhere(tmp_path):
    dataset = fields(count=40)
    for i in range(35):
        dataset.t2m[i, i // 7, i % 7] = np.nan
    return {"path": write(dataset, tmp_path / "a.nc"), "mask_moving": True}


def unknown_feature(tmp_path):
    return {"path": write(fields(), tmp_path / "a.nc"), "features": ("hour",)}


def unknown_axis(tmp_path):
    return {"path": write(fields(), tmp_path / "a.nc"), "periodic": ("lon",)}


def a_variable_twice(tmp_path):
    return {"path": write(fields(), tmp_path / "a.nc"), "variables": ("t2m", "t2m")}


def nothing_named(tmp_path):
    return {"path": ""}


CASES = {
    nothing_named: ["give --source.path FILE"],
    no_file: ["there is no file", "perhaps", "temperature.nc"],
    no_match: ["there is no file", "*.nc"],
    empty_folder: ["holds no file of a kind that can be read"],
    empty_file: ["a.nc is empty"],
    text_file: ["a.csv is of no kind that can be read: NetCDF", "--source.engine"],
    cut_netcdf: ["a.nc cannot be opened", "truncated"],
    cut_classic_netcdf: ["a.nc cannot be opened", "cut short"],
    damaged_chunk: ["a.nc cannot be read", "damaged"],
    damaged_member: ["f/b.nc cannot be opened", "truncated"],
    unreadable_times: ["a.nc cannot be opened", "fortnights", "its times cannot be read", "`units`"],
    no_reader: ["a.zarr cannot be opened without the package s3fs", "pip install 's3fs'"],
    cut_grib: ["a.grib cannot be opened", "cut short"],
    damaged_grib: ["a.grib cannot be opened", "damaged"],
    no_grib_reader: ["pip install 'rolling-diffusion[weather]'"],
    cut_store: ["a.zarr was not written to its end", "last 6 of 24 frames, from 2019-03-19", "--source.stop"],
    cut_chunk: ["a.zarr cannot be read", "damaged"],
    cut_plain_chunk: ["a.zarr cannot be read", "damaged"],
    cut_store_metadata: ["a.zarr cannot be opened", "damaged"],
    unknown_variable: ["no variable 't2n'", "perhaps 't2m'", "choose from sst, t2m"],
    unknown_level: ["no level 700", "choose from 500, 850"],
    unknown_engine: ["no engine 'netcdf5'", "h5netcdf"],
    no_time: ["t2m of", "no time axis", "latitude (5), longitude (7)", "--source.time"],
    wrong_time: ["no time axis 'clock'"],
    no_grid: ["no two horizontal dimensions", "latitude (5)"],
    percentiles: ["percentile (3)", "isel"],
    no_fields: ["holds no fields"],
    other_grids: ["latitude of variable t2m", "that of variable fine, 9 values", "--source.variables"],
    other_grids_in_a_folder: ["latitude of variable t2m of", "b.nc is not that of", "a.nc, 5 values"],
    twice: ["4 frames twice", "2019-03-21", "a.nc and", "b.nc"],
    no_common_time: ["t2m, u10", "no time in common"],
    LEADS[0]: ["dimension step of leads without values"],
    **{case: ["leads along step that are no numbers in a unit of time"] for case in LEADS[1:]},
    no_numbers: ["no numbers along latitude"],
    unsorted_axis: ["values of latitude", "neither rise nor fall"],
    range_outside: ["no frame of", "2020", "within 2019-03-01"],
    no_date: ["stop 'yesterday' is not a date"],
    one_frame: ["too few frames: ", "only that of 2019-03-01T00:00"],
    nothing_to_test: ["test part of", "nothing in it"],
    two_columns_for_one_meridian: ["t2m of", "first and last longitude are 360", "differ", "isel(longitude="],
    all_nan: ["sst of", "NaN everywhere"],
    moving_nan: [
        "t2m of",
        "comes and goes",
        "1 cell is NaN in",
        "2 of 24 frames",
        "first at 2019-03-13",
        "--source.mask-moving",
    ],
    moving_everywhere: ["masking leaves none"],
    unknown_feature: ["no feature of time 'hour'", "hour_of_day"],
    unknown_axis: ["no horizontal axis 'lon'", "latitude and longitude"],
    a_variable_twice: ["t2m is chosen twice"],
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_input_that_cannot_be_used(case, tmp_path, monkeypatch, capfd):
    needs = case.__code__.co_varnames[: case.__code__.co_argcount]
    settings = case(**{name: {"tmp_path": tmp_path, "monkeypatch": monkeypatch}[name] for name in needs})
    settings["path"] = str(settings["path"])
    with pytest.raises(InputError) as caught:
        Gridded(**settings).open()
    message = str(caught.value)
    for words in CASES[case]:
        assert words in message
    assert settings["path"] in message or not settings["path"] or case in NO_PLACE, message
    assert "\n" not in message and len(message) < 500
    assert "Traceback" not in capfd.readouterr().err


# About a setting rather than a place in a file.
NO_PLACE = (no_date, unknown_feature, unknown_axis, a_variable_twice, twice, no_match)


@pytest.mark.parametrize("settings", [{"test_fraction": 0.0}, {"test_fraction": 1.0}, {"every": 0}])
def test_settings_out_of_range(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        Gridded(path="a.nc", **settings)


def filled(value, where=(7, 2, 3), **settings):
    """Temperatures of which one stands for a missing value, undeclared."""

    def case(tmp_path):
        dataset = fields().astype(np.float64)
        dataset.t2m[where] = value
        return {"path": write(dataset, tmp_path / "a.nc"), **settings}

    return case


@pytest.mark.parametrize("in_memory", [1.0, 0.0])
@pytest.mark.parametrize("value", [-9999.0, 1e30, 9.969209968386869e36, -32767.0, 1e20, 1e300])
def test_a_fill_value_that_is_not_declared_is_told_with_its_place_and_can_be_masked(
    value, in_memory, tmp_path
):
    settings = filled(value, in_memory=in_memory)(tmp_path)
    settings["path"] = str(settings["path"])
    with pytest.raises(InputError, match=r"t2m of .*a\.nc has .*--source\.missing-value") as caught:
        Gridded(**settings).open()
    told = str(caught.value)
    if value != 1e300:
        assert "at 2019-03-08T00:00, latitude 54, longitude -4," in told
    named = float(told.rsplit(" ", 1)[1])
    split = Gridded(**settings, missing_value=(named,), mask_moving=True).open()
    assert np.argwhere(~split.train.mask).tolist() == [[2, 3, 0]]
    with pytest.raises(InputError, match=r"1 of 24 frames .* first at 2019-03-08"):
        Gridded(**settings, missing_value=(named,)).open()


def test_values_far_from_all_others_are_told_and_used(tmp_path):
    settings = filled(12345.0)(tmp_path)
    split = Gridded(path=str(settings["path"])).open()
    (said,) = split.notices
    assert "t2m of" in said and "has the value 12345.0 at 2019-03-08T00:00, latitude 54" in said
    assert split.train.read(0, 7, 8)[0, 2, 3, 0] == 12345.0


def test_values_that_may_be_there_are_not_told(tmp_path):
    """Rain, with -999 and 9999 among values of their size, and a field of zeros and ones."""
    sizes, dims = (24, 5, 7), ("time", "latitude", "longitude")
    rain = RNG.gamma(0.1, 1.0, sizes) * (RNG.random(sizes) < 0.2)
    height = RNG.normal(0, 5000, sizes)
    height[3, 2, 1], height[4, 2, 1] = 9999.0, -999.0
    dataset = fields(rain=(dims, rain), height=(dims, height), wet=(dims, (rain > 0).astype(float)))
    assert Gridded(path=str(write(dataset, tmp_path / "a.nc"))).open().notices == ()


def test_infinite_values_are_called_infinite(tmp_path):
    settings = filled(-np.inf)(tmp_path)
    with pytest.raises(InputError, match=r"has infinite values that come and go: 1 cell is infinite in 1"):
        Gridded(path=str(settings["path"])).open()
    dataset = fields()
    dataset.t2m[:] = np.inf
    with pytest.raises(InputError, match="is infinite everywhere"):
        Gridded(path=str(write(dataset, tmp_path / "b.nc"))).open()


def test_what_is_left_out_is_told(tmp_path, capfd):
    """Variables without common times, static ones, and files that hold something else."""
    dims = ("time", "latitude", "longitude")
    folder = tmp_path / "f"
    folder.mkdir()
    static = {"oro": (dims[1:], np.ones((5, 7))), "u10": (dims, RNG.normal(size=(24, 5, 7)))}
    write(fields(**static), folder / "a.nc")
    later = fields()
    write(later.assign_coords(time=later.time + np.timedelta64(24, "D")), folder / "b.nc")
    write(fields(**static)[["oro"]], folder / "c.nc")
    split = Gridded(path=str(folder)).open()
    assert sum(split.train.length(i) for i in range(len(split.train))) == 18
    assert [name for name, _ in split.skipped] == ["c.nc", "oro", "t2m"]
    reasons = dict(split.skipped)
    assert reasons["t2m"] == "24 of its 48 times are not those of all variables"
    assert reasons["oro"].startswith("has no time axis")
    said = capfd.readouterr().err
    assert all(f"left out: {name}: {reason}" in said for name, reason in split.skipped)


def test_irregular_times_are_told(tmp_path):
    dataset = fields(30)
    hours = np.cumsum(RNG.integers(6, 400, 30)) * 3600 * 10**9
    dataset = dataset.assign_coords(time=dataset.time[0].values + hours.astype("timedelta64[ns]"))
    (said,) = Gridded(path=str(write(dataset, tmp_path / "a.nc"))).open().notices
    assert "sequences are a single frame" in said


def test_units_that_change_between_files_are_told(tmp_path):
    (tmp_path / "f").mkdir()
    first, later = fields(), fields()
    later = later.assign_coords(time=later.time + np.timedelta64(24, "D"))
    later["t2m"] = (later.t2m - 273.15).assign_attrs(units="degC")
    first["t2m"] = first.t2m.assign_attrs(units="K")
    write(first, tmp_path / "f" / "a.nc")
    write(later, tmp_path / "f" / "b.nc")
    told = Gridded(path=str(tmp_path / "f")).open().notices
    assert told == ("t2m is converted from degC to K in 1 file, such as b.nc",)


def test_too_few_frames_for_a_window(tmp_path):
    split = Gridded(path=str(write(fields(count=12), tmp_path / "a.nc"))).open()
    with pytest.raises(InputError, match=r"takes 10 in a row, but the longest .* has 9"):
        clips(split.train, measure(split.train), frames=10, batch=2, seed=0)
