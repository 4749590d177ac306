"""NetCDF files and Zarr stores with a dimension of trajectories."""

import warnings

import numpy as np
import pytest
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.simulations.archives import Labelled
from rolling.data.simulations.covariates import constants_of, values_of
from rolling.data.simulations.known_archives import archive_at
from tests import archive_files
from tests.archive_files import coded, expected
from tests.test_simulations import check_frames, opened

SPACE = {"y": 4, "x": 6}
NAMES = {"y": "lat", "x": "lon"}
PARTS = {"train": (0, 3), "valid": (3, 2), "test": (5, 2)}
"""The first trajectory and the count of each part."""


def write(dataset, file, engine="scipy"):
    """A Zarr store, or a file of NetCDF 3 or, by `h5netcdf`, of NetCDF 4."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata of format 3
        dataset.to_zarr(file) if file.suffix == ".zarr" else dataset.to_netcdf(file, engine=engine)


def globe(first=0, count=3, frames=12):
    """As PDEArena's shallow water: `u` and `v` have a level of one entry, the pressure has none; with numbers
    of trajectories, of frames, and of both, and an orography."""
    lead, plane = ("b", "time"), ("lat", "lon")
    values = [coded(count, frames, SPACE, channel, first=first) for channel in range(3)]
    places = np.arange(first, first + count)
    return xr.Dataset(
        {
            "v": (
                (*lead, "lev", *plane),
                values[1][:, :, None],
                {"units": "m/s", "long_name": "to the north"},
            ),
            "u": ((*lead, "lev", *plane), values[0][:, :, None], {"units": "m/s", "standard_name": "x_wind"}),
            "pres": ((*lead, *plane), values[2].astype(np.float32), {"units": "hPa"}),
            "nu": (("b",), 0.5 * places),
            "gravity": ((), 9.81),
            "solar": (("time",), 10.0 * np.arange(frames)),
            "rain": (lead, 100.0 * places[:, None] + np.arange(frames)),
            "orography": (plane, coded(1, 1, SPACE, 7)[0, 0]),
            "mask": (("b", *plane), coded(count, 1, SPACE, 8, first=first)[:, 0]),
            "author": ((), "nobody"),
        },
        coords={
            "time": ("time", 0.25 * np.arange(frames)),
            "lat": ("lat", [60.0, 20.0, -20.0, -60.0], {"units": "degrees_north"}),
            "lon": ("lon", 60.0 * np.arange(6), {"units": "degrees_east"}),
            "lev": ("lev", [500.0]),
            "depth_of_pool": ("b", 1000.0 + places),
            "height": ((), 2.0),
        },
    )


def parts(folder, suffix=".nc"):
    for part, (first, count) in PARTS.items():
        write(globe(first, count), folder / f"{part}{suffix}")


@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
def test_a_file_for_each_part(tmp_path, suffix):
    parts(tmp_path, suffix)
    split = opened(tmp_path)
    layout = split.train.layout
    assert layout.names == ("pres", "u", "v") and layout.step == 0.25
    lat, lon = layout.axes
    assert (lat.name, lat.values, lat.boundary) == ("lat", (60.0, 20.0, -20.0, -60.0), "open")
    assert (lon.name, len(lon), lon.boundary) == ("lon", 6, "periodic")
    assert lat.is_latitude and lon.is_longitude
    pres, u, v = layout.variables
    assert (pres.units, u.units, u.standard_name, v.long_name) == ("hPa", "m/s", "x_wind", "to the north")
    for name, (first, count) in PARTS.items():
        part = {"train": split.train, "valid": split.validation, "test": split.test}[name]
        assert len(part) == count
        for index in range(count):
            check_frames(part, index, first + index, (2, 0, 1), SPACE)
    assert split.train.name(1) == f"train{suffix}[1]"
    np.testing.assert_allclose(split.train.times(0, 2, 4), [0.5, 0.75])


def test_files_of_netcdf_4(tmp_path):
    write(globe()[["u", "pres", "nu"]], tmp_path / "a.nc", "h5netcdf")
    split = opened(tmp_path)
    check_frames(split.train, 1, 1, (2, 0), SPACE)
    assert [parameter.name for parameter in split.train.layout.parameters] == ["nu", "depth_of_pool"]


def test_parameters_numbers_of_frames_and_constant_fields(tmp_path):
    parts(tmp_path)
    found = Labelled().trajectories(tmp_path)
    assert [each.split for each in found] == ["test"] * 2 + ["train"] * 3 + ["validation"] * 2
    for each, place in zip(found, (5, 6, 0, 1, 2, 3, 4), strict=True):
        assert dict(each.parameters) == {
            "nu": 0.5 * place,
            "gravity": 9.81,
            "depth_of_pool": 1000.0 + place,
        }
        np.testing.assert_array_equal(values_of(each, "solar", 3, 6), [30, 40, 50])
        np.testing.assert_array_equal(values_of(each, "rain", 3, 6), 100 * place + np.array([3, 4, 5]))
        assert [name for name, _ in each.constants] == ["mask", "orography"]
        np.testing.assert_array_equal(
            constants_of(each, "orography"), expected(0, 0, 1, SPACE, 7)[0].astype(np.float32)
        )
        np.testing.assert_array_equal(
            constants_of(each, "mask"), expected(place, 0, 1, SPACE, 8)[0].astype(np.float32)
        )
    assert {c.name for c in opened(tmp_path).train.layout.parameters} == {
        *("nu", "depth_of_pool", "solar", "rain")
    }


def test_files_of_a_part_are_more_trajectories_and_one_may_be_a_single_one(tmp_path):
    lengths = {0: 12, 1: 10, 2: 14, 3: 12, 4: 12}
    folders = [
        "train/seed=1/run1",
        "train/seed=1/run2",
        "train/seed=2/run10",
        "valid/seed=3/run1",
        "test/a/b",
    ]
    for place, folder in enumerate(folders):
        dataset = globe(place, 1, lengths[place]).isel(b=0, lev=0)
        write(dataset, tmp_path / folder / "output.nc")
    split = opened(tmp_path)
    assert (len(split.train), len(split.test)) == (3, 1)
    for part, index, place in ((split.train, 2, 2), (split.validation, 0, 3), (split.test, 0, 4)):
        assert part is not None and part.length(index) == lengths[place]
        check_frames(part, index, place, (2, 0, 1), SPACE)
    assert split.train.name(0) == "train/seed=1/run1/output.nc"
    found = Labelled().trajectories(tmp_path)
    assert dict(found[1].parameters) == {"nu": 0.0, "gravity": 9.81, "depth_of_pool": 1000.0}


def test_axes_named_x_y_z_are_ours_wherever_they_lie(tmp_path):
    space = {"x": 5, "z": 2, "y": 4}
    values = coded(3, 12, space, 1)
    write(
        xr.Dataset({"rho": (("t", "x", "sample", "z", "y"), values.transpose(1, 2, 0, 3, 4))}),
        tmp_path / "a.nc",
    )
    split = opened(tmp_path / "a.nc")
    assert [(a.name, a.values) for a in split.train.layout.axes] == [
        ("z", (0.0, 1.0)),
        ("y", (0.0, 1.0, 2.0, 3.0)),
        ("x", (0.0, 1.0, 2.0, 3.0, 4.0)),
    ]
    assert (len(split.train), len(split.test), split.train.layout.step) == (2, 1, 1.0)
    for part, index, place in ((split.train, 1, 1), (split.test, 0, 2)):
        check_frames(part, index, place, (1,), space)


def test_dimensions_may_be_named(tmp_path):
    space = {"x": 6}
    file = tmp_path / "waves.nc"
    write(xr.Dataset({"h": (("case", "slot", "cell"), coded(4, 12, space))}), file)
    assert not Labelled().lies_in(file)
    archive = Labelled(trajectory="case", time="slot")
    assert archive.lies_in(file)
    split = opened(file, archive=archive)
    assert [(a.name, len(a)) for a in split.train.layout.axes] == [("cell", 6)]
    check_frames(split.test, 0, 3, (0,), space)


def test_components_are_channels(tmp_path):
    values = np.stack([coded(2, 12, SPACE, channel) for channel in range(2)], axis=2)
    dims = ("trajectory", "time", "channel", "y", "x")
    still = ("channel", "y", "x")
    dataset = xr.Dataset({"q": (dims, values), "f": (still, values[0, 0])}, coords={"channel": ["a", "b"]})
    write(dataset, tmp_path / "a.nc")
    split = opened(tmp_path)
    assert split.train.layout.names == ("q_a", "q_b")
    check_frames(split.train, 0, 0, (0, 1), SPACE)
    (found, _) = Labelled().trajectories(tmp_path)
    for channel, name in enumerate(("f_a", "f_b")):
        truth = expected(0, 0, 1, SPACE, channel)[0]
        np.testing.assert_array_equal(constants_of(found, name), truth.astype(np.float32))


def test_times_may_be_dates_and_differ_between_trajectories(tmp_path):
    days = np.datetime64("2019-12-31T00", "ns") + np.arange(4) * np.timedelta64(6, "h")
    write(
        xr.Dataset({"u": (("run", "time", "x"), coded(2, 4, {"x": 5}))}, coords={"time": days}),
        tmp_path / "dates.nc",
    )
    (found, _) = Labelled().trajectories(tmp_path / "dates.nc")
    assert (found.origin, found.step) == (0.0, 6.0)
    noleap = xr.date_range("2000-02-28", periods=4, freq="D", calendar="noleap", use_cftime=True)
    write(
        xr.Dataset({"u": (("run", "time", "x"), coded(2, 4, {"x": 5}))}, coords={"time": noleap}),
        tmp_path / "noleap.nc",
    )
    assert [each.step for each in Labelled().trajectories(tmp_path / "noleap.nc")] == [24.0, 24.0]
    each = np.array([[0.0, 1, 2, 3], [5.0, 5.5, 6, 6.5]])
    dataset = xr.Dataset({"u": (("run", "frame_no", "x"), coded(2, 4, {"x": 5}))})
    for dims, values in ((("run", "frame_no"), each), (("frame_no", "run"), each.T)):
        file = tmp_path / f"{dims[0]}.nc"
        write(dataset.assign_coords(time=(dims, values)), file)
        found = Labelled().trajectories(file)
        assert [(t.origin, t.step, t.varying) for t in found] == [(0.0, 1.0, ()), (5.0, 0.5, ())]


def test_bounds_of_cells_are_their_edges(tmp_path):
    dataset = globe(count=2)
    dataset["lat_bnds"] = (("lat", "bnds"), [[90.0, 40], [40, 0], [0, -40], [-40, -90]])
    dataset["time_bnds"] = (("time", "bnds"), np.zeros((12, 2)))
    dataset["lat"].attrs["bounds"] = "lat_bnds"
    write(dataset, tmp_path / "a.nc")
    found = Labelled().trajectories(tmp_path)[0]
    assert found.axes[0].bounds == (90.0, 40.0, 40.0, 0.0, 0.0, -40.0, -40.0, -90.0)
    assert [variable.name for variable in found.variables] == ["pres", "u", "v"]


def test_is_found_and_claims_no_others(tmp_path):
    write(globe(), tmp_path / "parts" / "train.zarr")
    parts(tmp_path / "files")
    for place in ("parts", "files", "parts/train.zarr", "files/test.nc"):
        assert isinstance(archive_at(tmp_path / place), Labelled)
    single = globe(count=1).isel(b=0, lev=0).drop_vars("depth_of_pool")
    write(single, tmp_path / "single" / "weather.nc")
    write(single, tmp_path / "single" / "train.nc")
    write(single, tmp_path / "years" / "2019.nc")
    write(globe().isel(time=0), tmp_path / "timeless.nc")
    archive_files.the_well(tmp_path / "well")
    for name, engine in (("broken.nc", "h5netcdf"), ("short.nc", "scipy")):
        write(globe(count=1), tmp_path / name, engine)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:1000])
    (tmp_path / "words.nc").write_text("nothing of the kind", encoding="utf-8")
    (tmp_path / "hollow.zarr").mkdir()
    claimed = Labelled().lies_in
    for name in ("single/weather.nc", "single/train.nc", "years", "timeless.nc", "well", "broken.nc"):
        assert not claimed(tmp_path / name)
    for name in ("short.nc", "words.nc", "hollow.zarr", "nothing"):
        assert not claimed(tmp_path / name)


def test_a_damaged_chunk_is_said_when_it_is_read(tmp_path):
    write(globe(), tmp_path / "a.zarr")
    found = Labelled().trajectories(tmp_path / "a.zarr")[0]
    chunk = next(path for path in (tmp_path / "a.zarr" / "pres" / "c").rglob("*") if path.is_file())
    chunk.write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"a.zarr cannot be read"):
        found.pieces[0].read(0, 2, (4, 6))


def renamed(**names):
    return lambda: globe().rename(names)


@pytest.mark.parametrize(
    ("make", "settings", "match"),
    [
        (lambda: globe().isel(b=0), {}, "has no dimension of trajectories among .* `rolling run gridded`"),
        (renamed(time="moment"), {}, "has no dimension of time among .*: name it with --source.archive.time"),
        (
            globe,
            {"trajectory": "case"},
            "has no dimension 'case', but .* give --source.archive.trajectory one",
        ),
        (globe, {"time": "lap"}, "has no dimension 'lap', but"),
        (renamed(lev="number"), {}, None),
        (
            lambda: globe().isel(lev=[0, 0]).rename(lev="number"),
            {},
            "a dimension of members or leads, number",
        ),
        (
            lambda: globe().isel(lat=0, lon=0, lev=0),
            {},
            "has 0 dimensions beside those of trajectories and time",
        ),
        (
            lambda: xr.Dataset({"u": (("b", "time", "k", "z", "y", "x"), np.zeros((1, 2, 2, 2, 2, 2)))}),
            {},
            r"has 4 dimensions beside those of trajectories and time \(k, z, y, x\)",
        ),
        (lambda: globe().assign_coords(lat=[1.0, 3, 2, 4]), {}, "values of lat that neither rise nor fall"),
        (lambda: globe().assign_coords(time=[0.0, 1, *range(3, 13)]), {}, "are not evenly spaced"),
        (
            lambda: globe().assign_coords(time=[*"abcdefghijkl"]),
            {},
            "the times time of .* are values of type",
        ),
    ],
)
def test_malformed_files_are_refused(tmp_path, make, settings, match):
    write(make(), tmp_path / "a.nc")
    if match is None:
        assert Labelled(**settings).trajectories(tmp_path / "a.nc")
        return
    with pytest.raises(InputError, match=match):
        Labelled(**settings).trajectories(tmp_path / "a.nc")


def test_what_is_no_file_or_damaged_is_refused(tmp_path):
    with pytest.raises(InputError, match="no NetCDF file or Zarr store in"):
        Labelled().trajectories(tmp_path)
    for engine in ("scipy", "h5netcdf"):
        file = tmp_path / f"{engine}.nc"
        write(globe(count=1), file, engine)
        file.write_bytes(file.read_bytes()[:-2000])
        with pytest.raises(InputError, match=r".nc cannot be opened .*damaged, cut short"):
            Labelled().trajectories(file)
