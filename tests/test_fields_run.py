"""A run on fields from its file to scores, and what docs/fields.md shows with it: on a rotated grid, in the
calendar of a climate model."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from rolling.common.forecast_schema import IDENTITY
from rolling.common.forecast_seal import seal_store
from rolling.run import load
from rolling.run.cli import main
from rolling.run.forecasting.zarr_writer import CHECKSUM, ForecastStore
from tests.run_tools import THIN
from tests.test_forecast_store import rotated

pytestmark = pytest.mark.slow
PAGE = Path(__file__).resolve().parent.parent / "docs" / "fields.md"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a few steps, and its data, which begin two days before 30 February."""
    folder = tmp_path_factory.mktemp("fields")
    times = xr.date_range("2000-02-28", periods=60, freq="h", calendar="360_day", use_cftime=True)
    grid, path = rotated(folder, shape=(12, 18), times=times)
    words = ["train", "gridded", "--source.path", path, "--folder", folder, "--window", "autoregressive"]
    words += ["--training.steps", "3", *THIN]
    assert main([str(word) for word in words]) == 0
    return folder / "gridded", grid


def test_forecasts_are_scored_at_their_dates_by_the_areas_of_cells(trained):
    run, grid = trained
    assert main(["rollout", str(run), "--frames", "5", "--starts", "3", "--members", "2"]) == 0
    assert main(["evaluate", str(run)]) == 0
    store, times = xr.open_zarr(run / "forecast.zarr"), grid.time.values
    starts = np.searchsorted(times, store.time.values)
    np.testing.assert_array_equal(store.valid_time, times[starts[:, None] + np.arange(1, 6)])
    assert (2, 30) in {(time.month, time.day) for time in store.valid_time.values.flat}
    np.testing.assert_array_equal(store.lat, grid.lat)
    scores = json.loads((run / "evaluation.json").read_text())["rmse"]["tas"]
    # Of persistence, with the areas that cells have on the rotated grid.
    area = np.cos(np.deg2rad(grid.rlat))
    errors = [grid.tas.values[starts + lead] - grid.tas.values[starts] for lead in range(1, 6)]
    expected = [np.sqrt(np.average(np.square(e).mean((0, 2)), weights=area)) for e in errors]
    np.testing.assert_allclose(scores["persistence"], expected, rtol=1e-3)


def test_the_code_of_the_page(trained, tmp_path, monkeypatch):
    run, grid = trained
    shutil.copytree(run, tmp_path / "runs" / "t2m")
    grid.to_netcdf(tmp_path / "tomorrow.nc", engine="h5netcdf")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    exec(code, {})
    with xr.open_dataset("forecast.nc", decode_timedelta=True) as forecast:
        assert (forecast.tas.sizes["number"], forecast.tas.sizes["prediction_timedelta"]) == (8, 18)
        hours = np.arange(1, 19) * np.timedelta64(1, "h")
        np.testing.assert_array_equal(forecast.prediction_timedelta, hours)
        expected = grid.time.values[-1] + hours.astype("timedelta64[us]").astype(object)
        np.testing.assert_array_equal(forecast.valid_time[0], expected)
        assert forecast.rlat.attrs == grid.rlat.attrs | {"axis": "Y"}
        assert "_FillValue" not in forecast.rlat.encoding


def test_a_forecast_is_continued_from_the_same_frames_only(trained, tmp_path, capsys):
    run, grid = trained
    file, output = tmp_path / "today.nc", tmp_path / "forecast.zarr"
    words = ["rollout", str(run), "--data", file, "--frames", "2", "--members", "1", "--output", output]
    for frame, code in ((None, 0), (0, 0), (-1, 2)):  # the first frame is not given
        changed = grid.copy(deep=True)
        if frame is not None:
            changed.tas[frame, 0, 0] += 1
        file.unlink(missing_ok=True)  # it may still be open, as another process would have it no longer
        changed.to_netcdf(file, engine="h5netcdf")
        assert main([str(word) for word in words]) == code
    assert "holds another forecast (there / here: checksum of the given frames: " in capsys.readouterr().err
    # A store of an earlier version does not say what it was given.
    group = zarr.open_group(output)
    identity = json.loads(group.attrs[IDENTITY])
    group.attrs[IDENTITY] = json.dumps({name: identity[name] for name in identity if name != CHECKSUM})
    seal_store(output)
    assert ForecastStore(output, load(run).layout, identity).check_identity()


def test_a_forecast_goes_by_the_calendar_of_its_data(trained, tmp_path):
    """No 29 February in 2000 where years have no leap day; the run was trained in another calendar."""
    run, grid = trained
    times = xr.date_range("2000-02-28T20", periods=4, freq="h", calendar="noleap", use_cftime=True)
    grid.isel(time=slice(4)).assign_coords(time=times).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    words = ["rollout", run, "--data", tmp_path / "a.nc", "--frames", "2", "--members", "1"]
    assert main([str(word) for word in [*words, "--output", tmp_path / "a.zarr"]]) == 0
    with xr.open_zarr(tmp_path / "a.zarr") as found:
        dates = [*found.time.values, *found.valid_time.values[0]]
    assert [str(date)[:13] for date in dates] == ["2000-02-28 23", "2000-03-01 00", "2000-03-01 01"]
    assert {date.calendar for date in dates} == {"noleap"}
