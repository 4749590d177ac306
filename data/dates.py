"""Dates of all calendars: `datetime64[ns]` of the standard one, objects of cftime of those of models.

Both kinds are arrays that can be compared and sorted. What else depends on the calendar is here: lengths of
months and years, and differences, which are whole nanoseconds.
"""

import re
from datetime import timedelta
from typing import Any, Protocol

import cftime
import numpy as np

from rolling.common.errors import InputError
from rolling.layout import MONTHS

DAY, HOUR, MILLISECOND = 24 * 3600 * 10**9, 3600 * 10**9, 10**6  # ns
LETTERS = {"M": 7, "D": 10, "m": 16}  # of dates to the month, day and minute
YEARS = (1678, 2261)  # of datetime64[ns], whole ones


class Dates(Protocol):
    """What an array of dates does not do by itself; `months` count from the year 0, from January on."""

    def elapsed(self, later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
        """`later - earlier` in ns, int64."""
        ...

    def moved(self, times: np.ndarray, nanoseconds: np.ndarray) -> np.ndarray: ...

    def months(self, times: np.ndarray) -> np.ndarray: ...

    def begin(self, months: np.ndarray, like: np.ndarray) -> np.ndarray:
        """The first moments of months, of the kind and calendar of the dates `like`."""
        ...


class _Standard:
    def elapsed(self, later, earlier):
        return (later - earlier).astype("timedelta64[ns]").astype(np.int64)

    def moved(self, times, nanoseconds):
        reach = np.asarray(self.months(times) // 12 + nanoseconds / (365.2425 * DAY))
        _check_years(reach)
        return times + np.asarray(nanoseconds).astype("timedelta64[ns]")

    def months(self, times):
        return times.astype("datetime64[M]").astype(np.int64) + 12 * 1970

    def begin(self, months, like):
        _check_years(months / 12)
        return (months - 12 * 1970).astype("datetime64[M]").astype("datetime64[ns]")


class _Model:
    def elapsed(self, later, earlier):
        return _each(lambda d: (d.days * 86400 + d.seconds) * 10**9 + d.microseconds * 1000, later - earlier)

    def moved(self, times, nanoseconds):
        return times + _each(lambda ns: timedelta(microseconds=int(ns) / 1000), nanoseconds, object)

    def months(self, times):
        return _each(lambda time: 12 * time.year + time.month - 1, times)

    def begin(self, months, like):
        calendar = np.asarray(like).flat[0].calendar
        return _each(lambda m: cftime.datetime(m // 12, m % 12 + 1, 1, calendar=calendar), months, object)


def of(times: np.ndarray) -> Dates:
    """The arithmetic of an array of dates."""
    return _Standard() if times.dtype.kind == "M" else _Model()


def calendar_of(times: np.ndarray) -> str:
    """`"datetime64"`, the calendar of objects of cftime, or `""` for plain numbers."""
    if times.dtype.kind == "O":
        return str(times.flat[0].calendar)
    return "datetime64" if times.dtype.kind == "M" else ""


def exact(times: np.ndarray) -> np.ndarray:
    """Dates that were decoded from floats, to the millisecond that they are within 0.1 ms of."""
    if not calendar_of(times) or not times.size:
        return times
    off = (past_of_month(times) + MILLISECOND // 2) % MILLISECOND - MILLISECOND // 2
    return of(times).moved(times, -off) if off.any() and np.abs(off).max() <= MILLISECOND // 10 else times


def read(values: np.ndarray) -> np.ndarray:
    """Times as a file or a user gives them, in the types that are computed with: dates, or float64.

    Raises `ValueError` for anything else.
    """
    values = np.asarray(values)
    if values.dtype.kind == "M":
        return exact(values.astype("datetime64[ns]"))
    if values.dtype.kind in "iuf":
        return values.astype(float)
    if values.size and all(isinstance(value, cftime.datetime) and value.calendar for value in values.flat):
        return exact(values)
    raise ValueError(f"values of type {values.dtype}")


def between(times: np.ndarray, units: str) -> np.ndarray:
    """How far each time lies after the one before, in the units of `distance`."""
    return distance(times[1:], times[:-1], units)


def distance(later: np.ndarray, earlier: np.ndarray, units: str) -> np.ndarray:
    """`later - earlier` in hours or calendar months; of plain numbers, as they are."""
    if units == MONTHS:
        return months(later) - months(earlier)
    return hours(later, earlier) if calendar_of(later) else later - earlier


def hours(later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
    """How many hours some dates are after others."""
    return of(later).elapsed(later, earlier) / HOUR


def past_of_month(times: np.ndarray) -> np.ndarray:
    """The ns of the month that have passed."""
    dates = of(times)
    return dates.elapsed(times, dates.begin(dates.months(times), times))


def months(times: np.ndarray) -> np.ndarray:
    """Calendar months since January of the year 0."""
    return of(times).months(times)


def of_day(times: np.ndarray) -> np.ndarray:
    """The ns of the day that have passed."""
    return past_of_month(times) % DAY


def of_year(times: np.ndarray) -> np.ndarray:
    """The fraction of the year, which is as long as the calendar says, that has passed."""
    dates = of(times)
    january = dates.months(times) // 12 * 12
    start, end = (dates.begin(month, times) for month in (january, january + 12))
    return dates.elapsed(times, start) / dates.elapsed(end, start)


def after(last: Any, nanoseconds: np.ndarray) -> np.ndarray:
    """Dates some time after one."""
    last = np.asarray(last)
    return of(last).moved(last, nanoseconds)


def after_months(known: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Dates some months after the last of `known`, at the same place in their months.

    That is the middle of the month, or its last day, where all of `known` lie there; otherwise the same day
    and hour, or the last day of a month that is too short.
    """
    dates, here, past = of(known), months(known), past_of_month(known)
    left = dates.elapsed(dates.begin(here + 1, known), known)
    month = here[-1] + np.asarray(count)
    first = dates.begin(month, known)
    length = dates.elapsed(dates.begin(month + 1, known), first)
    if (past == left).all():
        offset = length // 2
    elif (left == left[0]).all() and ((past != past[0]).any() or left[0] <= DAY):
        offset = length - left[0]
    else:
        offset = np.minimum(past.max(), length - DAY + past[-1] % DAY)
    return dates.moved(first, offset)


def show(time: Any, unit: str = "m") -> str:
    """A time in readable form: a date to the minute, or to the month (`M`) or day (`D`)."""
    if np.asarray(time).dtype.kind == "M":
        return str(np.datetime_as_string(time, unit="m"))[: LETTERS[unit]]
    if hasattr(time, "isoformat"):
        return time.isoformat()[: LETTERS[unit]]
    return f"{time:g}"


def bound(text: str, like: np.ndarray, *, after: bool) -> Any:
    """The first date of the period that `text` names, or the first one after it: `2019`, `2019-03`,
    `2019-03-01`, `2019-03-01T06`, to the minute. Raises `ValueError` for anything else."""
    if like.dtype.kind == "M":
        return np.datetime64(text) + int(after)
    found = re.fullmatch(r"(\d+)(?:-(\d\d))?(?:-(\d\d))?(?:[T ](\d\d))?(?::(\d\d))?", text)
    if found is None:
        raise ValueError(text)
    parts = [int(part) for part in found.groups() if part is not None]
    filled = [*parts, *(0, 1, 1, 0, 0)[len(parts) :]]
    start = cftime.datetime(*filled, calendar=calendar_of(like))
    if not after:
        return start
    if len(parts) < 3:
        months = 12 * filled[0] + filled[1] - 1 + (1 if len(parts) == 2 else 12)
        return _Model().begin(np.asarray([months]), like)[0]
    return start + (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1))[len(parts) - 3]


def _each(of, values: Any, kind: type = np.int64) -> np.ndarray:
    values = np.asarray(values)
    found = np.empty(values.shape, kind)
    found.ravel()[:] = [of(value) for value in values.ravel()]
    return found


def _check_years(years: np.ndarray) -> None:
    if years.size and not (years.min() >= YEARS[0] and years.max() < YEARS[1]):
        raise InputError(
            f"dates can be written from {YEARS[0]} to {YEARS[1]}, and these reach from year {years.min():.0f}"
            f" to {years.max():.0f}: choose fewer frames"
        )
