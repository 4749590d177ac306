"""The step between times, gaps, and times that follow."""

import numpy as np
import pytest
import xarray as xr

from rolling.common.errors import InputError
from rolling.data import calendar
from rolling.data.dates import bound, exact, show
from rolling.data.gridded.cadence import Cadence
from rolling.geometry import Axis
from rolling.layout import Layout

hypothesis = pytest.importorskip("hypothesis")
given, st = hypothesis.given, hypothesis.strategies


def dates(*texts):
    return np.array(texts, "datetime64[ns]")


def following(cadence, times, count):
    axis = Axis(name="y", values=(0.0, 1.0))
    layout = Layout(variables=(), axes=(axis, axis), step=cadence.step, time_units=cadence.units)
    return calendar.after(layout, times, np.arange(1, count + 1))


def test_hours_with_a_gap():
    times = np.arange("2020-01-01T00", "2020-01-02T00", 3, "datetime64[h]").astype("datetime64[ns]")
    times = np.delete(times, [3, 4])
    cadence = Cadence.of(times)
    assert cadence == Cadence(step=3.0, units="hours")
    np.testing.assert_array_equal(cadence.positions(times), [0, 1, 2, 5, 6, 7])
    expected = dates("2020-01-02T00", "2020-01-02T03")
    np.testing.assert_array_equal(following(cadence, times, 2), expected)


@pytest.mark.parametrize(
    "first, expected",
    [
        ("2019-11-01", ("2021-12-01", "2022-01-01", "2022-02-01")),
        ("2019-11-16T12", ("2021-12-16T12", "2022-01-16T12", "2022-02-16T12")),
        ("2019-11-30T06", ("2021-12-30T06", "2022-01-30T06", "2022-02-28T06")),
    ],
)
def test_months(first, expected):
    first = np.datetime64(first, "ns")
    start = first.astype("datetime64[M]")
    months = start + np.arange(25)
    ends = (months + 1).astype("datetime64[D]").astype("datetime64[ns]") - np.timedelta64(1, "D")
    offset = first - start.astype("datetime64[ns]")
    times = np.minimum(months.astype("datetime64[ns]") + offset, ends + offset % np.timedelta64(1, "D"))
    cadence = Cadence.of(times)
    assert cadence == Cadence(step=1, units="months")
    np.testing.assert_array_equal(cadence.positions(times), np.arange(25))
    np.testing.assert_array_equal(cadence.positions(np.delete(times, 4)), np.delete(np.arange(25), 4))
    np.testing.assert_array_equal(following(cadence, times, 3), dates(*expected))
    assert Cadence.of(times[::3]) == cadence.every(3) == Cadence(step=3, units="months")


def test_years_and_thirty_days():
    years = (np.datetime64("1990-07-01", "ns").astype("datetime64[Y]") + np.arange(9)).astype(
        "datetime64[ns]"
    )
    assert Cadence.of(years) == Cadence(step=12, units="months")
    thirty = np.datetime64("1990-07-01", "ns") + np.arange(40) * np.timedelta64(30, "D")
    assert Cadence.of(thirty) == Cadence(step=720.0, units="hours")


@pytest.mark.parametrize("place", ["middle", "end"])
def test_months_whose_dates_follow_their_lengths(place):
    """Means are dated in the middle of their months, or on their last days."""
    begin = np.datetime64("2019-06") + np.arange(12)
    start, end = (month.astype("datetime64[ns]") for month in (begin, begin + 1))
    times = start + (end - start) // 2 if place == "middle" else end - np.timedelta64(1, "D")
    cadence = Cadence.of(times[:9])
    assert cadence == Cadence(step=1, units="months")
    np.testing.assert_array_equal(following(cadence, times[:9], 3), times[9:])


def test_dates_decoded_from_floats_are_whole_again():
    times = np.datetime64("2010-08-26T00:05", "ns") + np.arange(40) * np.timedelta64(600, "s")
    noise = np.random.default_rng(0).integers(-40_000, 40_000, 40)
    found = exact(times + noise.astype("timedelta64[ns]"))
    np.testing.assert_array_equal(found, times)
    assert round(Cadence.of(found).step * 3.6e12) == 600 * 10**9
    fine = np.datetime64("2010-08-26", "ns") + np.arange(40) * np.timedelta64(250, "us")
    np.testing.assert_array_equal(exact(fine), fine)


@pytest.mark.parametrize("name, last", [("noleap", "0021-02-28"), ("360_day", "0021-02-30")])
def test_the_calendars_of_climate_models(name, last):
    """Truth is xarray's own range of dates."""
    daily = xr.date_range("0019-02-27", periods=400, calendar=name, use_cftime=True).values
    cadence = Cadence.of(daily[:300])
    assert cadence == Cadence(step=24.0, units="hours")
    np.testing.assert_array_equal(following(cadence, daily[:300], 100), daily[300:])
    monthly = xr.date_range("0019-01-01", periods=27, freq="ME", calendar=name, use_cftime=True).values
    cadence = Cadence.of(monthly[:20])
    assert cadence == Cadence(step=1, units="months") and show(monthly[25], "D") == last
    np.testing.assert_array_equal(following(cadence, monthly[:20], 7), monthly[20:])
    for text, first, end in (("0020", "0020-01-01", "0021-01-01"), ("0019-12", "0019-12-01", "0020-01-01")):
        assert show(bound(text, daily, after=False), "D") == first
        assert show(bound(text, daily, after=True), "D") == end


def test_dates_that_cannot_be_written_are_refused():
    monthly = Cadence(step=1, units="months")
    with pytest.raises(InputError, match=r"from 1678 to 2261, and these reach .* choose fewer frames"):
        following(monthly, dates("2020-01-01"), 4000)


def test_numbers_with_rounding_errors():
    times = np.arange(20) * 0.1 + 3
    cadence = Cadence.of(times)
    assert abs(cadence.step - 0.1) < 1e-12 and cadence.units == "1"
    np.testing.assert_array_equal(cadence.positions(times), np.arange(20))
    np.testing.assert_allclose(following(cadence, times, 3), [5.0, 5.1, 5.2])


def test_a_time_off_the_grid_ends_a_sequence():
    times = np.array([0.0, 1, 2, 3.5, 4.5, 5.5, 6.5])
    moves = np.diff(Cadence.of(times).positions(times))
    np.testing.assert_array_equal(moves, [1, 1, 2, 1, 1, 1])


@given(st.lists(st.integers(1, 5), min_size=3, max_size=40), st.sampled_from([0.25, 1.0, 6.0, 24.0]))
def test_positions_count_steps(moves, step):
    whole = np.concatenate([[0], np.cumsum([1, 1, *moves, *[1] * len(moves)])])
    times = np.datetime64("2001-02-03", "ns") + (whole * step * 3600e9).astype("timedelta64[ns]")
    cadence = Cadence.of(times)
    assert cadence.step == step
    np.testing.assert_array_equal(cadence.positions(times), whole)


def test_one_time_has_no_step():
    with pytest.raises(InputError, match="too few frames: 1"):
        Cadence.of(np.array([1.0]))
