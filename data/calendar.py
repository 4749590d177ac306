"""Functions of time that are known for the future: features of a frame, and the phase of a climatology.

Each is one entry of a table below: a feature is a point on a cycle (0 <= f < 1), which the network sees as
`(sin 2 pi f, cos 2 pi f)`; a phase is an integer from 0 to its count - 1.
"""

import dataclasses
from collections.abc import Callable, Collection
from difflib import get_close_matches

import numpy as np

from rolling.common.errors import InputError
from rolling.data import dates
from rolling.layout import MONTHS, Layout


def _month(times: np.ndarray) -> np.ndarray:
    return dates.months(times) % 12


def _hour(times: np.ndarray) -> np.ndarray:
    return dates.of_day(times) // dates.HOUR


@dataclasses.dataclass(frozen=True)
class Phase:
    """A division of time into `count` classes over a cycle of `days`; `of` gives the class of each time."""

    count: int
    days: float
    of: Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Feature:
    """A place on a cycle of `days`; `of` gives that of each time, 0 <= f < 1."""

    days: float
    of: Callable[[np.ndarray], np.ndarray]


FEATURES: dict[str, Feature] = {
    "hour_of_day": Feature(1.0, lambda times: dates.of_day(times) / dates.DAY),
    "day_of_year": Feature(365.2425, dates.of_year),
}

PHASES: dict[str, Phase] = {
    "hour_of_day": Phase(24, 1.0, _hour),
    "month_of_year": Phase(12, 365.2425, _month),
    "month_and_hour": Phase(12 * 24, 365.2425, lambda times: 24 * _month(times) + _hour(times)),
}


def check(layout: Layout) -> None:
    """Raises `InputError` for an unknown function of time, or one that the data's time does not allow."""
    phases = () if layout.phase == "none" else (layout.phase,)
    kinds: tuple[tuple[str, Collection[str], Collection[str]], ...] = (
        ("feature", layout.features, FEATURES),
        ("phase", phases, PHASES),
    )
    for kind, names, known in kinds:
        for name in names:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                hint = f", perhaps {near[0]!r}" if near else ""
                raise InputError(f"there is no {kind} of time {name!r}: choose from {', '.join(known)}{hint}")
            if not layout.has_calendar:
                raise InputError(
                    f"the {kind} {name!r} needs dates, but the time of these data is a plain number: leave"
                    " it out"
                )


def feature_size(layout: Layout) -> int:
    """The last dimension of `features`."""
    return 2 * len(layout.features)


def features(layout: Layout, times: np.ndarray) -> np.ndarray:
    """`[T, feature_size]` float32 for `times [T]`."""
    times = _times(layout, times)
    angles = [2 * np.pi * FEATURES[name].of(times) for name in layout.features]
    columns = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.stack(columns, axis=-1).astype(np.float32) if columns else np.zeros((len(times), 0), np.float32)


def phases(layout: Layout) -> int:
    """How many phases a climatology has: 1 if it does not depend on time."""
    check(layout)
    return 1 if layout.phase == "none" else PHASES[layout.phase].count


def phase(layout: Layout, times: np.ndarray) -> np.ndarray:
    """`[T]` integers below `phases(layout)`, for `times [T]`."""
    times = _times(layout, times)
    return np.zeros(len(times), int) if layout.phase == "none" else PHASES[layout.phase].of(times)


def after(layout: Layout, known: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The times that lie `steps` steps after the last of `known`, which are of the layout's kind."""
    if layout.time_units == MONTHS:
        return dates.after_months(known, np.round(steps * layout.step).astype(int))
    if layout.has_calendar:
        return dates.after(known[-1], np.round(steps * (layout.step * dates.HOUR)).astype(np.int64))
    return known[-1] + layout.step * steps


def _times(layout: Layout, times: np.ndarray) -> np.ndarray:
    check(layout)
    times = np.asarray(times)
    return times.astype("datetime64[ns]") if layout.has_calendar and times.dtype.kind != "O" else times
