"""What a published protocol consists of: which forecasts are made, by what they are scored, the numbers that
others report, and what departs from it."""

import dataclasses
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from rolling.metrics.correlation import steps_above
from rolling.metrics.intervals import interval
from rolling.metrics.protocol import Metric, Score

MEAN, MEMBER, ALL = "mean of the members", "one member", "all members"
"""What of an ensemble is scored: with `ALL`, its members as a distribution."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """One number for each forecast: a metric's curve over the leads `first` to `last`, counted from 1 and
    both included, raised to `power`, put together over leads and then over variables."""

    title: str
    metric: Metric
    of: str = MEAN
    """What of the ensemble it is of: the row it stands in."""
    first: int = 1
    last: int | None = None
    """None: up to the last lead that was scored."""
    power: int = 1
    leads: Literal["mean", "sum", "geometric mean"] = "mean"
    given: int = 0
    """Given frames that a mean over leads counts, too, without an error."""
    above: float | None = None
    """The number of leads at which the curve is above this, in place of a mean or a sum over leads."""
    variables: Literal["mean", "sum"] = "mean"
    fields: tuple[str, ...] = ()
    """The variables that count; empty: all."""

    def reaches(self, frames: int) -> bool:
        """Whether a forecast of so many frames is long enough for it."""
        return self.last is None or self.last <= frames

    def value(self, scores: Sequence[Score], curve: str = "model") -> float:
        """Of the scores of all variables; NaN where a lead, or this curve of a variable, is missing."""
        curves = [score.curves.get(curve) for score in self._counted(scores)]
        known = [values for values in curves if values is not None]
        return self._number(known) if len(known) == len(curves) > 0 else float("nan")

    def bounds(self, scores: Sequence[Score]) -> tuple[float, float]:
        """Of the interval of the model's number, from the same blocks of starts left out of every variable;
        NaN where there are too few."""
        counted = self._counted(scores)
        blocks = min((len(score.without) for score in counted), default=0)
        others = [self._number([score.without[i].values for score in counted]) for i in range(blocks)]
        low, high = interval(np.array(self.value(scores)), np.array(others)).tolist()
        return low, high

    def _counted(self, scores: Sequence[Score]) -> list[Score]:
        return [score for score in scores if not self.fields or score.variable in self.fields]

    def _number(self, curves: Sequence[np.ndarray]) -> float:
        values = np.stack(curves).astype(np.float64) ** self.power
        last = values.shape[1] if self.last is None else self.last
        chosen = values[:, self.first - 1 : last]
        if chosen.shape[1] < last - self.first + 1 or not chosen.size:
            return float("nan")
        if self.above is not None:
            each = np.array([steps_above(curve, self.above) for curve in chosen])
        elif self.leads == "geometric mean":
            with np.errstate(divide="ignore"):
                each = np.exp(np.log(chosen).mean(axis=1))
        else:
            each = chosen.sum(axis=1) / (chosen.shape[1] + self.given if self.leads == "mean" else 1)
        return float(getattr(each, self.variables)())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """Forecasts that a protocol asks for. `frames` of each, None: as many as the longest sequence allows;
    from every frame that has the given ones before it and `frames` of truth after it, or only from the first
    such frame of every sequence; of those sequences whose names end as `named` says, by default of all. With
    `parts`, sequences are cut into parts of so many frames, each of which is one by itself; what is left at
    their ends is not used."""

    name: str
    """Of the store: short, in lower case."""
    columns: tuple[Column, ...]
    frames: int | None = None
    every_frame: bool = False
    named: tuple[str, ...] = ()
    parts: int | None = None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Each once."""
        return tuple({column.metric.name: column.metric for column in self.columns}.values())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A row that others have published: numbers as they are printed there, by the titles of columns."""

    name: str
    numbers: Mapping[str, str]
    source: str


@typing.runtime_checkable
class PublishedProtocol(typing.Protocol):
    """A way of scoring that others have published, and that their numbers are comparable by."""

    @property
    def title(self) -> str:
        """A short sentence: whose protocol, and what the numbers are."""
        ...

    @property
    def version(self) -> int:
        """Raised when the same forecasts would have other numbers."""
        ...

    @property
    def given(self) -> int:
        """Frames that a forecast is given; it may use fewer."""
        ...

    @property
    def members(self) -> int:
        """Of each forecast."""
        ...

    @property
    def starts(self) -> int:
        """At most so many forecasts of each kind, where all would take too long; 0: all."""
        ...

    def asked(self) -> tuple[Asked, ...]: ...

    def published(self, source: Any) -> tuple[Published, ...]:
        """Rows for the data of a source; none where no comparable number is known."""
        ...

    def departures(self, source: Any, test: Any) -> Iterator[str]:
        """Why numbers of this source, with the held-out sequences `test`, are not comparable: a clause each,
        about the data alone. Frames given and starts left out are looked after elsewhere."""
        ...
