"""What a store of forecasts tells whoever opens it, and that an evaluation finds its truth: exactly."""

import numpy as np
import pytest
import xarray as xr

from rolling.common.errors import InputError
from rolling.data import calendar
from rolling.data.gridded import Gridded
from rolling.data.statistics import measure
from rolling.metrics.ensemble import Rmse
from rolling.run.evaluation.evaluate import evaluate
from rolling.run.forecasting.zarr_writer import ForecastStore, choose_starts, skeleton
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
        for name in moved.variables:
            moved[name].encoding = {}
        moved.to_zarr(tmp_path / "moved.zarr", mode="w", zarr_format=3, consolidated=False)
        with pytest.raises(InputError, match=told):
            evaluate(tmp_path / "moved.zarr", split, measure(split.train), (Rmse(),), tmp_path / "e")
