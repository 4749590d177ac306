"""Functions of the time."""

import cftime
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data import calendar
from rolling.geometry import Axis
from rolling.layout import Layout, Variable


def layout(**changes):
    axis = Axis(name="y", values=(0.0, 1.0))
    settings = {"variables": (Variable(name="a"),), "axes": (axis, axis), "time_units": "hours"}
    return Layout(**settings | changes)


def test_features_are_points_on_their_cycles():
    times = np.array(["2020-01-01T00", "2020-07-02T06", "2019-12-31T18"], "datetime64[ns]")
    result = calendar.features(layout(features=("hour_of_day", "day_of_year")), times)
    assert result.shape == (3, 4) and result.dtype == np.float32
    np.testing.assert_allclose(result[:, :2], [[0, 1], [1, 0], [-1, 0]], atol=1e-6)
    # 183.25 of the 366 days of 2020, and 364.75 of the 365 of 2019.
    fraction = np.array([0, 183.25 / 366, 364.75 / 365])
    np.testing.assert_allclose(result[:, 2], np.sin(2 * np.pi * fraction), atol=1e-6)
    np.testing.assert_allclose(result[:, 3], np.cos(2 * np.pi * fraction), atol=1e-6)


@pytest.mark.parametrize("name, days", [("noleap", 365), ("360_day", 360), ("standard", 366)])
def test_the_year_is_as_long_as_its_calendar_says(name, days):
    time = cftime.datetime(2020, 3, 1, 6, calendar=name)
    shown = layout(features=("hour_of_day", "day_of_year"), phase="month_and_hour")
    before = {"noleap": 59, "360_day": 60, "standard": 60}[name]
    fraction = 2 * np.pi * np.array([0.25, (before + 0.25) / days])
    expected = [f(angle) for angle in fraction for f in (np.sin, np.cos)]
    np.testing.assert_allclose(calendar.features(shown, np.array([time]))[0], expected, atol=1e-6)
    assert calendar.phase(shown, np.array([time])).tolist() == [2 * 24 + 6]


def test_phases():
    times = np.array(["2020-01-01T05:59", "1969-12-02T06", "2019-07-31T18"], "datetime64[s]")
    for name, expected in {
        "hour_of_day": [5, 6, 18],
        "month_of_year": [0, 11, 6],
        "month_and_hour": [5, 270, 162],
        "none": [0, 0, 0],
    }.items():
        found = layout(phase=name)
        np.testing.assert_array_equal(calendar.phase(found, times), expected)
        assert max(expected) < calendar.phases(found)


def test_time_without_a_calendar_has_no_features():
    plain = layout(time_units="1")
    assert calendar.features(plain, np.arange(3.0)).shape == (3, 0)
    assert calendar.feature_size(plain) == 0 and calendar.phases(plain) == 1
    with pytest.raises(InputError, match="plain number"):
        calendar.features(layout(time_units="1", features=("hour_of_day",)), np.arange(3.0))
    with pytest.raises(InputError, match="plain number"):
        calendar.phase(layout(time_units="1", phase="hour_of_day"), np.arange(3.0))


def test_unknown_names_are_told_the_nearest():
    with pytest.raises(InputError, match="perhaps 'hour_of_day'"):
        calendar.check(layout(features=("hour_of_dy",)))
    with pytest.raises(InputError, match="perhaps 'month_of_year'"):
        calendar.phases(layout(phase="month_of_yeer"))
