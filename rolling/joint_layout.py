"""The layouts of several modalities whose frames lie on common ticks."""

import dataclasses
import functools
import math
from fractions import Fraction

from rolling.common.errors import InputError
from rolling.common.files import check_name
from rolling.layout import Layout

MOST_TICKS = 1000
"""In a slot."""
EXACTNESS = 1e-6
"""Relative error of a step that is written as a decimal number."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamedLayout:
    """The layout of one modality."""

    name: str
    """The modality's."""
    layout: Layout
    """That of its frames."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JointLayout:
    """The frames of several modalities, each with a step of its own.

    The largest time of which all steps are whole multiples is a *tick*; frame `j` of a modality with a frame
    at every `p`-th tick ends at tick `p (j + 1) - 1`. The ticks that hold whole frames of all modalities are
    a *slot*.

    Raises `InputError` for names that are given twice, for units of time that differ, and for steps without a
    common tick, of which a slot would have more than 1,000.
    """

    modalities: tuple[NamedLayout, ...]
    """Of each modality, in their order."""

    def __post_init__(self):
        names = [part.name for part in self.modalities]
        for name in names:
            check_name(name, "the name of a modality")
        if len(set(names)) < len(names):
            raise InputError(f"modalities need names of their own, and these are {', '.join(names)}")
        units = {part.name: part.layout.time_units for part in self.modalities}
        if len(set(units.values())) > 1:
            told = ", ".join(f"that of {name} in {unit or 'no units'}" for name, unit in units.items())
            raise InputError(f"modalities are counted in one unit of time, and these are not: {told}")
        if self.slot > MOST_TICKS:
            raise InputError(
                f"the steps {self._steps()} have no common tick, as it would go {self.slot} times into the"
                " time that holds whole frames of all: resample one of them, so that the longer step is a"
                " small whole multiple of the shorter"
            )

    def _steps(self) -> str:
        return " and ".join(f"{part.layout.step:g} ({part.name})" for part in self.modalities)

    @property
    def of(self) -> dict[str, Layout]:
        """The layouts by name."""
        return {part.name: part.layout for part in self.modalities}

    @functools.cached_property
    def every(self) -> dict[str, int]:
        """Ticks from one frame of each modality to the next."""
        steps = {part.name: _fraction(part.layout.step) for part in self.modalities}
        tick = _common(list(steps.values()))
        return {name: int(step / tick) for name, step in steps.items()}

    @property
    def slot(self) -> int:
        """Ticks that hold whole frames of every modality."""
        return math.lcm(*self.every.values())

    @property
    def step(self) -> float:
        """The length of a tick."""
        first = self.modalities[0]
        return first.layout.step / self.every[first.name]

    @property
    def time_units(self) -> str:
        return self.modalities[0].layout.time_units

    @property
    def names(self) -> tuple[str, ...]:
        """The variables of all."""
        return tuple(f"{name}/{variable}" for name, layout in self.of.items() for variable in layout.names)

    def same_frames(self, other: "JointLayout | Layout") -> bool:
        """Whether both have the same modalities, with the same frames."""
        if not isinstance(other, JointLayout) or self.of.keys() != other.of.keys():
            return False
        return all(layout.same_frames(other.of[name]) for name, layout in self.of.items())


def _fraction(step: float) -> Fraction:
    """The simplest number within rounding of a step: 1 / 30 of 0.0333333."""
    found = Fraction(step)
    for most in (10**n for n in range(1, 10)):
        simple = found.limit_denominator(most)
        if simple > 0 and abs(simple - found) <= EXACTNESS * found:
            return simple
    return found


def _common(steps: list[Fraction]) -> Fraction:
    """The largest number of which all are whole multiples."""
    below = math.lcm(*(step.denominator for step in steps))
    return Fraction(math.gcd(*(int(step * below) for step in steps)), below)
