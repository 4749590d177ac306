"""The time step of a data set."""

import dataclasses

import numpy as np

from rolling.common.errors import InputError
from rolling.data import dates
from rolling.layout import HOURS, MONTHS, Layout

TOLERANCE = 0.01  # fraction of a step by which times may be off


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cadence:
    """A fixed `step`: in `"hours"` or calendar `"months"` between dates, in `"1"` between numbers."""

    step: float
    units: str

    @classmethod
    def of(cls, times: np.ndarray) -> "Cadence":
        """The most frequent step of increasing times; of equally frequent steps, the shortest."""
        if len(times) < 2:
            raise InputError(f"too few frames: {len(times)} in the chosen time range; choose a longer one")
        if not dates.calendar_of(times):
            return cls(step=_most_frequent(np.diff(times)), units="1")
        steps = dates.between(times, HOURS)
        if _monthly(times, steps):
            months = _most_frequent(dates.between(times, MONTHS).astype(float))
            return cls(step=float(round(months)), units=MONTHS)
        step, second = _most_frequent(steps), 1 / 3600
        # Whole milliseconds: the mean of steps that are off by rounding is off by less.
        return cls(step=round(step * 3.6e6) / 3.6e6 if step >= second else step, units=HOURS)

    @classmethod
    def of_layout(cls, layout: Layout) -> "Cadence":
        """The cadence of the data that a layout came from."""
        return cls(step=layout.step, units=layout.time_units)

    @property
    def calendar(self) -> bool:
        return self.units in (HOURS, MONTHS)

    @property
    def within_a_day(self) -> bool:
        """Whether a day has several frames."""
        return self.units == HOURS and self.step < 24

    def ending(self, times: np.ndarray) -> np.ndarray:
        """The indices of those of increasing `times` that are whole steps before the last one."""
        ratio = dates.distance(times[-1:], times, self.units) / self.step
        return np.flatnonzero(np.abs(ratio - np.rint(ratio)) < TOLERANCE)

    def positions(self, times: np.ndarray) -> np.ndarray:
        """How many steps each time lies after the first; a time off the grid counts as after a gap."""
        ratio = dates.between(times, self.units) / self.step
        whole = np.rint(ratio)
        regular = (np.abs(ratio - whole) < TOLERANCE) & (whole >= 1)
        moves = np.where(regular, whole, np.maximum(np.ceil(ratio), 2)).astype(int)
        return np.concatenate([[0], np.cumsum(moves)])

    def every(self, count: int) -> "Cadence":
        """The cadence of every `count`-th time."""
        return dataclasses.replace(self, step=self.step * count)


def _most_frequent(steps: np.ndarray) -> float:
    unit = np.median(steps) * TOLERANCE**2
    classes, counts = np.unique(np.rint(steps / unit), return_counts=True)
    chosen = classes[np.argmax(counts)]
    return float(np.mean(steps[np.rint(steps / unit) == chosen]))


def _monthly(times: np.ndarray, hours: np.ndarray) -> bool:
    """Whether steps are of a month or longer and either vary or keep to one day of the month."""
    past = dates.past_of_month(times)
    uneven = np.ptp(hours) > TOLERANCE * hours.min()
    return bool(hours.min() > 27 * 24 and (uneven or (past == past[0]).all()))
