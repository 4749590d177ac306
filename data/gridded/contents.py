"""What a layout says of the data: variables, functions of time, and what the climatology depends on."""

import numpy as np

from rolling.data import calendar, dates
from rolling.data.gridded.cadence import Cadence
from rolling.data.gridded.cubes import Cube
from rolling.layout import Variable

CLIMATOLOGY = 2**26  # bytes of the largest climatology that `phase="auto"` chooses: checkpoints contain it


def variables_of(cube: Cube) -> list[Variable]:
    """One per level, with names and units from the file."""
    attributes = cube.parts[0].array.attrs
    long_name, standard_name = (str(attributes.get(key, "")) for key in ("long_name", "standard_name"))
    found = []
    for level in cube.level_values:
        at = (
            ""
            if level is None
            else f"{long_name or cube.name} at {level:g} {cube.parts[0].level_units}".strip()
        )
        found.append(
            Variable(
                name=cube.name if level is None else f"{cube.name}_{level:g}",
                units=str(attributes.get("units", "")) or "1",
                long_name=at or long_name,
                standard_name="" if standard_name == "unknown" else standard_name,
            )
        )
    return found


def suitable_features(cadence: Cadence) -> tuple[str, ...]:
    """The hour of day for steps below a day, the day of year for all data with dates."""
    if not cadence.calendar:
        return ()
    return ("hour_of_day", "day_of_year") if cadence.within_a_day else ("day_of_year",)


def features_of(cadence: Cadence, times: np.ndarray, test_fraction: float) -> tuple[str, ...]:
    """Those of the suitable features of which training sees two whole cycles.

    Of less, a feature is the name of a day: the network learns by heart what followed, and is told a place on
    the cycle that it has never seen when it forecasts.
    """
    known = suitable_features(cadence)
    return tuple(name for name in known if _cycles(calendar.FEATURES[name].days, times, test_fraction) >= 2)


def phase_of(cadence: Cadence, times: np.ndarray, test_fraction: float, values: int) -> str:
    """The finest phase of which training sees two whole cycles and whose climatology is small enough.

    `values` is the number of values in a frame.
    """
    if not cadence.calendar:
        return "none"
    within_a_day = cadence.within_a_day
    for name in ("month_and_hour", "month_of_year", "hour_of_day") if within_a_day else ("month_of_year",):
        phase = calendar.PHASES[name]
        whole = _cycles(phase.days, times, test_fraction) >= 2
        if whole and 4 * phase.count * values <= CLIMATOLOGY:
            return name
    return "none"


def _cycles(days: float, times: np.ndarray, test_fraction: float) -> float:
    """How many cycles of so many days the training part covers."""
    return dates.hours(times[-1:], times[:1])[0] * (1 - test_fraction) / (24 * days)
