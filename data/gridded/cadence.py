"""The time step of a data set."""

import dataclasses

import numpy as np

from rolling.common.errors import InputError
from rolling.fields import Layout

HOUR = 3600 * 10**9  # ns
MONTH = 365.2425 * 2  # hours, in the mean
TOLERANCE = 0.01  # fraction of a step by which times may be off: decoded from floats, they often are


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cadence:
    """A fixed `step`, in hours for times with a calendar, or `months` calendar months if that is not 0.

    The `step` of months is their mean length, 730.485 hours each.
    """

    step: float
    calendar: bool
    months: int = 0

    @classmethod
    def of(cls, times: np.ndarray) -> "Cadence":
        """The most frequent step of increasing times; of equally frequent steps, the shortest."""
        if len(times) < 2:
            raise InputError(f"too few frames: {len(times)} in the chosen time range; choose a longer one")
        calendar = times.dtype.kind == "M"
        steps = np.diff(times).astype(float) / (HOUR if calendar else 1.0)
        if calendar and _monthly(times, steps):
            months = _most_frequent(np.diff(_month(times)).astype(float))
            return cls(step=months * MONTH, calendar=True, months=round(months))
        return cls(step=_most_frequent(steps), calendar=calendar)

    @classmethod
    def of_layout(cls, layout: Layout) -> "Cadence":
        """The cadence of the data that a layout came from."""
        months = layout.step / MONTH if layout.has_calendar else 0.0
        whole = round(months) if abs(months - round(months)) < 1e-6 else 0
        return cls(step=layout.step, calendar=layout.has_calendar, months=whole)

    def ending(self, times: np.ndarray) -> np.ndarray:
        """The indices of those of increasing `times` that are whole steps before the last one."""
        if self.months:
            ratio = (_month(times[-1:]) - _month(times)) / self.months
        else:
            ratio = (times[-1] - times).astype(float) / (self.step * (HOUR if self.calendar else 1.0))
        return np.flatnonzero(np.abs(ratio - np.rint(ratio)) < TOLERANCE)

    def positions(self, times: np.ndarray) -> np.ndarray:
        """How many steps each time lies after the first; a time off the grid counts as after a gap."""
        if self.months:
            ratio = np.diff(_month(times)) / self.months
        else:
            ratio = np.diff(times).astype(float) / (self.step * (HOUR if self.calendar else 1.0))
        whole = np.rint(ratio)
        regular = (np.abs(ratio - whole) < TOLERANCE) & (whole >= 1)
        moves = np.where(regular, whole, np.maximum(np.ceil(ratio), 2)).astype(int)
        return np.concatenate([[0], np.cumsum(moves)])

    def every(self, count: int) -> "Cadence":
        """The cadence of every `count`-th time."""
        return dataclasses.replace(self, step=self.step * count, months=self.months * count)

    def after(self, last: np.ndarray, count: int) -> np.ndarray:
        """The `count` times that would follow the time `last`."""
        steps = np.arange(1, count + 1)
        if self.months:
            return _add_months(last, self.months * steps)
        if self.calendar:
            return last + np.round(steps * (self.step * HOUR)).astype("timedelta64[ns]")
        return last + self.step * steps


def show(time: np.ndarray) -> str:
    """A time in readable form, without nanoseconds."""
    return str(np.datetime_as_string(time, unit="m")) if time.dtype.kind == "M" else f"{time:g}"


def _most_frequent(steps: np.ndarray) -> float:
    unit = np.median(steps) * TOLERANCE**2
    classes, counts = np.unique(np.rint(steps / unit), return_counts=True)
    chosen = classes[np.argmax(counts)]
    return float(np.mean(steps[np.rint(steps / unit) == chosen]))


def _monthly(times: np.ndarray, hours: np.ndarray) -> bool:
    """Whether steps are of a month or longer and either vary or keep to one day of the month."""
    offsets = times - times.astype("datetime64[M]").astype(times.dtype)
    uneven = np.ptp(hours) > TOLERANCE * hours.min()
    return bool(hours.min() > 27 * 24 and (uneven or (offsets == offsets[0]).all()))


def _month(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[M]").astype(int)


def _add_months(time: np.ndarray, months: np.ndarray) -> np.ndarray:
    """The same day and hour of later months, or the last day of a month that is too short."""
    first = time.astype("datetime64[M]")
    offset = time - first.astype(time.dtype)
    starts = (first + months).astype("datetime64[ns]")
    lasts = (first + months + 1).astype("datetime64[ns]") - np.timedelta64(1, "D")
    return np.minimum(starts + offset, lasts + offset % np.timedelta64(1, "D"))
