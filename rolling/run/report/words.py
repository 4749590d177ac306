"""How a report names variables, times and places: long names, units, lead times, coordinates."""

import dataclasses
import math
import re
from collections.abc import Sequence

import numpy as np

from rolling.common.counting import in_unit
from rolling.data.dates import show
from rolling.geometry import Axis
from rolling.layout import MONTHS, Layout, Variable

UNITS = {"min": 1 / 60, "h": 1.0, "d": 24.0, MONTHS: 1.0}  # of the layout's
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SETS = {
    "clips": "all clips",
    "half": "halves of the clips",
    "each": "each rollout",
    "by_statistic": "by each statistic alone",
}
"""The sets that a score may refer to."""
CELSIUS = ("degc", "degrees_celsius", "degree_celsius", "celsius")


@dataclasses.dataclass(frozen=True)
class Words:
    """Words for the variables, times and places of one layout."""

    layout: Layout

    def variable(self, name: str) -> Variable | None:
        """The variable of a name; None for derived quantities, such as a kinetic energy."""
        return next((v for v in self.layout.variables if v.name == name), None)

    def title(self, name: str) -> str:
        """The long name of a variable where it has one, else its name."""
        variable = self.variable(name)
        return (variable and variable.long_name) or SETS.get(name) or name.replace("_", " ")

    @property
    def choices(self) -> tuple[str, ...]:
        """The variables that are shown one at a time; none for pictures, whose colours are shown together."""
        return () if self.layout.is_video else self.layout.names

    def units(self, name: str) -> str:
        variable = self.variable(name)
        return pretty_units(variable.units) if variable else ""

    @property
    def lead_unit(self) -> str:
        """`"min"`, `"h"`, `"d"` or `"months"`, as suits the time step; `"frames"` without a calendar."""
        if not self.layout.has_calendar:
            return "frames"
        if self.layout.time_units == MONTHS:
            return MONTHS
        return "min" if self.layout.step < 1 else "h" if self.layout.step <= 6 else "d"

    def leads(self, coordinate: Sequence[float] | np.ndarray) -> np.ndarray:
        """Lead times in `lead_unit`, from the layout's time units."""
        unit = self.lead_unit
        return np.asarray(coordinate, float) / (self.layout.step if unit == "frames" else UNITS[unit])

    def lead(self, coordinate: float) -> str:
        """One lead time: `6 h`, `2.5 d`, or a number of frames."""
        value = plain(float(self.leads([coordinate])[0]))
        return value if self.lead_unit == "frames" else in_unit(value, self.lead_unit)

    def duration(self, coordinate: float) -> str:
        """As `lead`, with the unit of frames, too: `1 frame`, `9 frames`."""
        return in_unit(plain(float(self.leads([coordinate])[0])), self.lead_unit)

    @property
    def lead_label(self) -> str:
        """The label of an axis of lead times."""
        if self.lead_unit != "frames":
            return f"lead time ({self.lead_unit})"
        step, unit = self.layout.step, self.layout.time_units
        if unit in ("1", ""):
            return "lead (frames)" if step == 1 else f"lead (frames of {step:.4g} time units)"
        return f"lead (frames of {step:.4g} {unit})"

    def moment(self, time) -> str:
        """A date, with the hour where frames are less than a day apart; `t = 3.2` without a calendar."""
        if not self.layout.has_calendar:
            return f"t = {float(time):.5g} {pretty_units(self.layout.time_units)}".strip()
        if self.layout.time_units == MONTHS:
            return show(time, "M")
        return show(time, "D") if self.layout.step >= 24 else show(time).replace("T", " ")

    def caption(self, frame: int, time) -> str:
        """The caption of a frame, counted from the last given one."""
        if frame <= 0:
            return f"given · {self.moment(time)}"
        sign = "lead " if self.lead_unit == "frames" else "+"
        return f"{sign}{self.lead(frame * self.layout.step)} · {self.moment(time)}"

    @property
    def clocks(self) -> str:
        """From where leads and times count, where times are no dates."""
        if self.layout.has_calendar:
            return ""
        whole = "clip" if self.layout.is_video else "data"
        return f"The lead counts from the last given frame, t is the time in the {whole}."

    def place(self, axis: Axis, value: float) -> str:
        """A coordinate: `50°N`, `5°W`, or a plain number."""
        if axis.is_latitude:
            return f"{abs(value):.4g}°{'N' if value > 0 else 'S' if value < 0 else ''}"
        if axis.is_longitude:
            east = (value + 180) % 360 - 180
            return f"{abs(east):.4g}°{'E' if east > 0 else 'W' if -180 < east < 0 else ''}"
        return f"{value:.4g}"


def plain(value: float) -> str:
    """A whole number in full, any other in three digits."""
    whole = round(value)
    return str(whole) if math.isclose(value, whole, rel_tol=1e-6) else f"{value:.3g}"


def short(value: float) -> str:
    """A number in three digits, but without an exponent below a million: `0.0123`, `503`, `1570`."""
    return f"{float(f'{value:.3g}'):.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def pretty_units(text: str) -> str:
    """`m s-1` and `m s**-1` as `m s⁻¹`, `degC` as `°C`, `1` as nothing."""
    if text in ("1", ""):
        return ""
    if text.lower() in CELSIUS:
        return "°C"
    raised = re.sub(
        r"(?<=[A-Za-z)])(?:\*\*|\^)?(-?\d+)", lambda found: found[1].translate(SUPERSCRIPTS), text
    )
    return re.sub(r"\((\w+)\)", r"\1", raised)  # a single symbol needs no brackets


def with_units(text: str, unit: str) -> str:
    """`text (unit)`, or just the text for a plain number."""
    return f"{text} ({unit})" if unit else text


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *head, last = items
    return f"{', '.join(head)} and {last}" if head else last
