"""The step between times, gaps, and times that follow."""

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.gridded.cadence import Cadence

hypothesis = pytest.importorskip("hypothesis")
given, st = hypothesis.given, hypothesis.strategies


def dates(*texts):
    return np.array(texts, "datetime64[ns]")


def test_hours_with_a_gap():
    times = np.arange("2020-01-01T00", "2020-01-02T00", 3, "datetime64[h]").astype("datetime64[ns]")
    times = np.delete(times, [3, 4])
    cadence = Cadence.of(times)
    assert cadence == Cadence(step=3.0, calendar=True)
    np.testing.assert_array_equal(cadence.positions(times), [0, 1, 2, 5, 6, 7])
    expected = dates("2020-01-02T00", "2020-01-02T03")
    np.testing.assert_array_equal(cadence.after(times[-1], 2), expected)


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
    assert cadence.months == 1 and abs(cadence.step - 730.485) < 1e-9
    np.testing.assert_array_equal(cadence.positions(times), np.arange(25))
    np.testing.assert_array_equal(cadence.positions(np.delete(times, 4)), np.delete(np.arange(25), 4))
    np.testing.assert_array_equal(cadence.after(times[-1], 3), dates(*expected))
    assert Cadence.of(times[::3]).months == 3 and cadence.every(3).months == 3


def test_years_and_thirty_days():
    years = (np.datetime64("1990-07-01", "ns").astype("datetime64[Y]") + np.arange(9)).astype(
        "datetime64[ns]"
    )
    assert Cadence.of(years).months == 12
    thirty = np.datetime64("1990-07-01", "ns") + np.arange(40) * np.timedelta64(30, "D")
    assert Cadence.of(thirty) == Cadence(step=720.0, calendar=True)


def test_numbers_with_rounding_errors():
    times = np.arange(20) * 0.1 + 3
    cadence = Cadence.of(times)
    assert abs(cadence.step - 0.1) < 1e-12 and not cadence.calendar
    np.testing.assert_array_equal(cadence.positions(times), np.arange(20))
    np.testing.assert_allclose(cadence.after(times[-1], 3), [5.0, 5.1, 5.2])


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
