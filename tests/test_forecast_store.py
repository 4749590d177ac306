"""What a store of forecasts tells whoever opens it, and that an evaluation finds its truth: exactly."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
import zarr

from rolling.common.errors import InputError
from rolling.common.forecast_schema import SEAL
from rolling.data import calendar
from rolling.data.gridded import Gridded
from rolling.data.statistics import measure
from rolling.metrics.ensemble import Rmse
from rolling.run.evaluation.evaluate import evaluate
from rolling.run.experiment import codec
from rolling.run.forecasting.init_times import choose_starts
from rolling.run.forecasting.zarr_writer import ForecastStore, skeleton
from rolling.sphere import cell_areas, directions, quadrilateral
from tests.test_data_gridded import fields, write


def store_truth(split, path, leads=4, members=2):
    """A finished store whose forecasts are the truth, where there is one."""
    test = split.test
    starts = choose_starts(test, 1, leads, 3)
    times = np.concatenate([test.times(s.sequence, s.frame - 1, s.frame) for s in starts])
    valid = np.stack([test.times(s.sequence, s.frame, s.frame + leads) for s in starts])
    store = ForecastStore(path, test.layout, {})
    store.create(skeleton(test.layout, times, valid, starts, members), leads)
    for i, start in enumerate(starts):
        for member in range(members):
            store.write(i, member, 0, test.read(start.sequence, start.frame, start.frame + leads))
    store.complete()
    return xr.open_zarr(path)


class Lengths(list):
    """Sequences of which only the lengths matter."""

    def length(self, index):
        return self[index]


@pytest.mark.parametrize(
    ("lengths", "count"),
    [
        ([100, 5, 5, 5, 5], 5),
        ([100, 5, 5, 5, 5], 8),
        ([5, 5, 100, 4, 1], 3),
        ([50, 6, 6, 50], 3),
        ([9] * 7, 4),
    ],
)
def test_no_clip_has_a_second_start_before_each_has_one(lengths, count):
    starts = choose_starts(Lengths(lengths), 2, 3, count)
    assert len(starts) == len({(s.sequence, s.frame) for s in starts}) == count
    assert all(2 <= s.frame <= lengths[s.sequence] - 3 for s in starts)
    found = np.bincount([s.sequence for s in starts], minlength=len(lengths))
    usable = np.array(lengths) >= 5
    assert found[usable].min() > 0 if count >= usable.sum() else found.max() == 1
    assert starts == sorted(starts, key=lambda s: (s.sequence, s.frame))


def test_starts_are_even_over_all_clips_where_that_covers_them():
    starts = choose_starts(Lengths([12, 12, 12]), 2, 3, 7)
    places = np.linspace(0, 23, 7).round().astype(int)
    assert [8 * s.sequence + s.frame - 2 for s in starts] == places.tolist()
    assert len(choose_starts(Lengths([6, 5]), 2, 3, 99)) == 3


CALENDARS = {
    "months": xr.date_range("2001-01-16", periods=40, freq="MS"),
    "noleap": xr.date_range("2000-02-10", periods=40, calendar="noleap", use_cftime=True),
    "360_day": xr.date_range("2000-01-01", periods=40, freq="MS", calendar="360_day", use_cftime=True),
}


@pytest.mark.parametrize("kind", CALENDARS)
def test_valid_times_are_those_of_the_data(tmp_path, kind):
    dataset = fields(count=40).assign_coords(time=CALENDARS[kind])
    split = Gridded(path=write(dataset, tmp_path / "a.nc")).open()
    store = store_truth(split, tmp_path / "forecast.zarr")
    assert store.valid_time.dims == ("time", "prediction_timedelta")
    places = np.searchsorted(dataset.time.values, store.time.values)
    expected = dataset.time.values[places[:, None] + np.arange(1, 5)]
    np.testing.assert_array_equal(store.valid_time.values, expected)
    lead = store.prediction_timedelta
    if kind == "noleap":
        np.testing.assert_array_equal(lead, np.arange(1, 5) * np.timedelta64(1, "D"))
    else:
        assert lead.values.tolist() == [1, 2, 3, 4] and lead.attrs["units"] == "months"
    found = evaluate(
        tmp_path / "forecast.zarr", split, measure(split.train), (Rmse(),), tmp_path / "evaluation"
    )
    assert found.score("rmse", "t2m").values.tolist() == [0, 0, 0, 0]
    beyond = calendar.after(split.test.layout, dataset.time.values[:30], np.arange(1, 11))
    np.testing.assert_array_equal(beyond, dataset.time.values[30:])


def test_leads_of_dates_that_were_decoded_from_floats(tmp_path):
    """Minutes as fractions of days since 1900 are off by microseconds, which add up."""
    dataset = fields(count=60)
    minutes = 110 * 365 * 1440 + 10 * np.arange(60)
    dataset["time"] = ("time", minutes / 1440, {"units": "days since 1900-01-01"})
    split = Gridded(path=write(dataset, tmp_path / "a.nc")).open()
    store = store_truth(split, tmp_path / "forecast.zarr", leads=12)
    np.testing.assert_array_equal(store.prediction_timedelta, np.arange(1, 13) * np.timedelta64(600, "s"))
    np.testing.assert_array_equal(store.valid_time, store.time + store.prediction_timedelta)
    assert (store.time.values.astype("datetime64[s]") == store.time.values).all()


def test_a_store_whose_frames_are_valid_at_other_times_is_refused(tmp_path):
    split = Gridded(path=write(fields(), tmp_path / "a.nc")).open()
    store = store_truth(split, tmp_path / "forecast.zarr").load()
    for change, told in (
        (store.valid_time + np.timedelta64(1, "s"), "at lead 1 valid at time 2019"),
        (
            store.valid_time.where(store.prediction_timedelta < np.timedelta64(1, "D"), store.time),
            "at lead 4",
        ),
    ):
        moved = store.assign_coords(valid_time=change)
        del moved.attrs[SEAL]  # of what was written first
        for name in moved.variables:
            moved[name].encoding = {}
        moved.to_zarr(tmp_path / "moved.zarr", mode="w", zarr_format=3, consolidated=False)
        with pytest.raises(InputError, match=told):
            evaluate(tmp_path / "moved.zarr", split, measure(split.train), (Rmse(),), tmp_path / "e")


def rotated(tmp_path, pole=(39.25, -162.0), shape=(6, 8), times=None):
    """A file on a rotated pole, with its grid mapping and the true places of its cells."""
    count = 24 if times is None else len(times)
    grid = fields(count=count, lat=(10, -10, shape[0]), lon=(-12, 12, shape[1]), names=("tas",))
    grid = grid if times is None else grid.assign_coords(time=times)
    grid = grid.rename(latitude="rlat", longitude="rlon")
    y, x = np.meshgrid(grid.rlat, grid.rlon, indexing="ij")
    # From the rotated system: about the y axis by the colatitude of its pole, then eastwards.
    tilt, turn = np.deg2rad(90 - pole[0]), np.deg2rad(pole[1] + 180)
    a, b, c = np.moveaxis(directions(y, x), -1, 0)
    a, c = a * np.cos(tilt) - c * np.sin(tilt), a * np.sin(tilt) + c * np.cos(tilt)
    latitude, longitude = np.rad2deg(np.arcsin(c)), np.rad2deg(np.arctan2(b, a) + turn)
    for name, standard in (("rlat", "grid_latitude"), ("rlon", "grid_longitude")):
        grid[name].attrs = {"units": "degrees", "standard_name": standard}
    for name, values in (("lat", latitude), ("lon", longitude)):
        named = {"lat": "latitude", "lon": "longitude"}[name]
        units = {"lat": "degrees_north", "lon": "degrees_east"}[name]
        grid.coords[name] = (("rlat", "rlon"), values, {"units": units, "standard_name": named})
    mapping = {"grid_mapping_name": "rotated_latitude_longitude", "grid_north_pole_latitude": pole[0]}
    grid["rotated_pole"] = ((), np.int32(0), mapping | {"grid_north_pole_longitude": pole[1]})
    grid.tas.attrs["grid_mapping"] = "rotated_pole"
    return grid, write(grid, tmp_path / "rotated.nc")


def test_rotated_grids_keep_their_places_and_have_the_weights_of_cells(tmp_path):
    grid, path = rotated(tmp_path)
    split = Gridded(path=path, variables=("tas",)).open()
    layout = split.test.layout
    store = store_truth(split, tmp_path / "forecast.zarr")
    for name in ("lat", "lon"):
        np.testing.assert_array_equal(store[name], grid[name])
        assert store[name].attrs["standard_name"] == grid[name].attrs["standard_name"]
    assert store.tas.attrs["grid_mapping"] == "rotated_pole" or "rotated_pole" in store.coords
    assert store.rotated_pole.attrs["grid_north_pole_latitude"] == 39.25
    # On the rotated grid itself, areas go by the cosine of the rotated latitude.
    expected = np.repeat(np.cos(np.deg2rad(grid.rlat.values))[:, None], 8, axis=1)
    np.testing.assert_allclose(layout.area_weights(), expected / expected.mean(), rtol=2e-3)
    assert layout.weighting == "the areas of the cells on the sphere"
    assert codec.decode(codec.encode(layout)) == layout
    assert layout.same_frames(dataclasses.replace(layout, coordinates=(), step=layout.step * (1 + 1e-9)))


def test_areas_on_the_sphere():
    """A quarter of a hemisphere, a cell between parallels and meridians, and all cells of the globe."""
    corners = directions(np.array([90.0, 0, 0, 45]), np.array([0.0, 0, 90, 90]))
    assert quadrilateral(*corners) == pytest.approx(np.pi / 2)
    step = 4.0
    latitude, longitude = np.meshgrid(np.arange(-88, 89, step), np.arange(0, 360, step), indexing="ij")
    areas = cell_areas(latitude, longitude)
    assert areas.sum() == pytest.approx(4 * np.pi, rel=1e-3)
    bands = np.deg2rad(step) * np.diff(np.sin(np.deg2rad(np.clip(np.arange(-90, 91, step), -90, 90))))
    np.testing.assert_allclose(areas[1:-1, 7], bands[: len(areas)][1:-1], rtol=2e-3)


LATITUDES, LONGITUDES = np.array([90, 75, 40, 38, -10, -90.0]), np.array([-5, 5, 30, 100, 180, 355.0])
"""Edges of unequal cells all round the globe, of which centres say little."""


def bounded(how):
    """A file whose cells are not halved by their centres, and the areas of these in closed form."""
    grid = fields(lat=(85, -85, 5), lon=(1, 301, 5), names=("t2m",))
    edges = {"latitude": LATITUDES, "longitude": LONGITUDES}
    for name, values in edges.items():
        grid[name] = (name, values[:-1] * 0.7 + values[1:] * 0.3, grid[name].attrs)
        pairs = np.stack([values[:-1], values[1:]], axis=1)
        if how == "the attribute":
            grid[name].attrs["bounds"] = f"edges_of_{name}"
            grid[f"edges_of_{name}"] = ((name, "two"), pairs if name == "latitude" else pairs % 360)
        elif how == "a name":
            grid[f"{name}_bnds"] = ((name, "nv"), pairs[:, ::-1].astype(np.float32))
        else:
            grid[f"{name}_edges"] = (f"{name}_edge", values)
    areas = np.deg2rad(np.diff(LONGITUDES)) * -np.diff(np.sin(np.deg2rad(LATITUDES)))[:, None]
    assert areas.sum() == pytest.approx(4 * np.pi)
    return grid, areas / areas.mean()


@pytest.mark.parametrize("how", ["the attribute", "a name", "edges"])
def test_bounds_decide_the_weights(tmp_path, how):
    grid, areas = bounded(how)
    split = Gridded(path=write(grid, tmp_path / "a.nc")).open()
    layout = split.test.layout
    np.testing.assert_allclose(layout.area_weights(), areas, rtol=1e-9)
    assert layout.weighting == "the areas of the cells on the sphere, by their edges"
    assert layout.names == ("t2m",) and codec.decode(codec.encode(layout)) == layout
    store = store_truth(split, tmp_path / "forecast.zarr")
    assert set(store.data_vars) == {"t2m", store.latitude.attrs["bounds"], store.longitude.attrs["bounds"]}
    edges = store[store.latitude.attrs["bounds"]].values
    np.testing.assert_allclose(np.sort(edges, axis=1)[:, 0], LATITUDES[1:])
    if how != "edges":  # part of the grid, in another order, has the weights of its own cells
        part = grid.isel(latitude=slice(3, 0, -1), longitude=[4, 0])
        found = Gridded(path=write(part, tmp_path / "b.nc")).open().test.layout
        expected = areas[3:0:-1][:, [4, 0]]
        np.testing.assert_allclose(found.area_weights(), expected / expected.mean(), rtol=1e-9)
    # What is not around its cells is no bound.
    wrong = grid.assign_coords(latitude=grid.latitude[::-1].values)
    found = Gridded(path=write(wrong, tmp_path / "c.nc")).open().test.layout
    assert found.weighting == "the cosine of the latitude"


def test_corners_decide_the_weights(tmp_path):
    """Of the octants between 0 and 90 degrees east, north and south, each cut in two at 60 degrees."""
    north = np.array([[0, 0, 90, 90.0], [0, 0, 90, 90]])
    east = np.array([[0, 60, 60, 60.0], [60, 90, 90, 90]])
    y, x = np.stack([north, -north]), np.stack([east, east])
    grid = fields(lat=(1, 0, 2), lon=(0, 1, 2), names=("t2m",))
    grid = grid.drop_vars(["latitude", "longitude"]).rename(latitude="j", longitude="i")
    for name, corners in (("latitude", y), ("longitude", x)):
        units = {"latitude": "degrees_north", "longitude": "degrees_east"}[name]
        attributes = {"units": units, "standard_name": name, "bounds": f"{name}_bnds"}
        grid.coords[name] = (("i", "j"), corners.mean(-1).T, attributes)
        grid[f"{name}_bnds"] = (("i", "j", "corner"), corners.swapaxes(0, 1))
    split = Gridded(path=write(grid, tmp_path / "a.nc")).open()
    np.testing.assert_allclose(split.test.layout.area_weights(), 2 * [[4 / 3, 2 / 3]], rtol=1e-9)
    assert split.test.layout.weighting == "the areas of the cells on the sphere, by their corners"
    store = store_truth(split, tmp_path / "forecast.zarr")
    np.testing.assert_array_equal(store[store.longitude.attrs["bounds"]], x)


def test_a_store_says_what_the_conventions_ask_for(tmp_path):
    store = store_truth(Gridded(path=write(fields(), tmp_path / "a.nc")).open(), tmp_path / "forecast.zarr")
    assert store.attrs["Conventions"] == "CF-1.11" and {"title", "source", "history"} <= set(store.attrs)
    standard = {
        "time": "forecast_reference_time",
        "valid_time": "time",
        "prediction_timedelta": "forecast_period",
        "number": "realization",
        "latitude": "latitude",
        "longitude": "longitude",
        "t2m": "standard_t2m",
    }
    assert {name: store[name].attrs["standard_name"] for name in standard} == standard
    assert (store.latitude.attrs["axis"], store.longitude.attrs["axis"]) == ("Y", "X")
    assert store.number.attrs["units"] == "1"
    assert {"valid_time", "sequence", "frame"} <= set(store.t2m.coords)
    for name in store.coords:
        assert "_FillValue" not in zarr.open_group(tmp_path / "forecast.zarr")[name].attrs
    store.to_netcdf(tmp_path / "forecast.nc", engine="h5netcdf")
    xr.testing.assert_equal(xr.open_dataset(tmp_path / "forecast.nc", decode_timedelta=True), store.load())
