"""Settings of a simulator that differ between trajectories, drawn from ranges."""

import copy
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rolling.common.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Range:
    """A setting from `low` to `high`, evenly in its logarithm where both are above zero, else evenly."""

    name: str
    low: float
    high: float

    @classmethod
    def read(cls, words: str) -> "Range":
        """Of `"viscosity=0.005:0.02"`. Raises `InputError` for anything else."""
        name, equals, bounds = words.partition("=")
        low, colon, high = bounds.partition(":")
        try:
            found = cls(name=name.strip(), low=float(low), high=float(high))
        except ValueError:
            found = None
        in_order = found is not None and -math.inf < found.low < found.high < math.inf
        if found is None or not (equals and colon and in_order):
            raise InputError(
                "a range of parameters is given as NAME=LOW:HIGH, like viscosity=0.005:0.02, not as"
                f" {words!r}"
            )
        return found

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """`[count]`, float64."""
        if self.low > 0:
            return np.exp(rng.uniform(math.log(self.low), math.log(self.high), count))
        return rng.uniform(self.low, self.high, count)


def read_ranges(simulator: Any, words: Sequence[str]) -> tuple[Range, ...]:
    """Raises `InputError` where a simulator has no such setting, or cannot have the values at its ends."""
    ranges, known = tuple(map(Range.read, words)), getattr(simulator, "varying", ())
    for found in ranges:
        if found.name not in known:
            kind = type(simulator).__name__
            raise InputError(
                f"{kind} has no parameter {found.name!r} that can differ between trajectories: it has"
                f" {', '.join(known) or 'none'}"
            )
        for value in (found.low, found.high):
            dataclasses.replace(simulator, **{found.name: value})
    if len({found.name for found in ranges}) < len(ranges):
        raise InputError(f"a parameter has two ranges: {', '.join(words)}")
    return ranges


def with_parameters(simulator: Any, values: Mapping[str, Any]) -> Any:
    """The same simulator with other settings, which may be traced, and so cannot be checked."""
    other = copy.copy(simulator)
    for name, value in values.items():
        object.__setattr__(other, name, value)
    return other
