"""The protocol of a forecast metric: streaming sums over starts and blocks of lead times.

A metric never sees a whole store. It is started once for a layout, updated with one block of leads of one
start after another, and asked for its scores at the end. The same code scores persistence and climatology, as
forecasts of one member; of the climatology there are draws, too, for scores of a whole distribution.
"""

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rolling.fields import Layout


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationSetup:
    """What a metric knows before it sees data; compared by identity.

    `mask [height, width, variable]` is True where there are data (None: everywhere); `members` is the size of
    the ensemble to be scored, `given` the number of frames it was given; the frame of lead `i` is
    `(i + 1) * layout.step` after the last of these.
    """

    layout: Layout
    leads: int
    members: int
    given: int = 1
    mask: np.ndarray | None = None
    _shared: dict[Hashable, Any] = dataclasses.field(
        init=False, default_factory=dict, repr=False, compare=False
    )

    def share(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """The result of `compute`, called once in this setup: what all states have in common."""
        return _remembered(self._shared, key, compute)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """Leads `first .. first + T - 1` (counted from 0) of one start, in physical units.

    `forecast [member, T, height, width, variable]`; `truth`, `climatology [T, height, width, variable]`;
    `given [n, height, width, variable]`, the frames before lead 0, at least one. NaN only where the mask is
    False. The samples of one start come one after another, in the order of their leads. Starts of one `block`
    are not independent (`rolling.metrics.intervals`); None: a start depends on no other.

    `climate` gives draws from the climatology's distribution, `[draw, T, height, width, variable]`, and
    `distribution` those from the forecast's where that is only the mean of one, as of the climatology.
    """

    first: int
    forecast: np.ndarray
    truth: np.ndarray
    climatology: np.ndarray
    given: np.ndarray
    block: int | None = None
    climate: Callable[[], np.ndarray] | None = None
    distribution: Callable[[], np.ndarray] | None = None
    of_truth: dict[Hashable, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    """What `share_truth` remembers, common to the samples of all forecasts of one truth."""
    _shared: dict[Hashable, Any] = dataclasses.field(
        init=False, default_factory=dict, repr=False, compare=False
    )

    @property
    def initial(self) -> np.ndarray:
        """`[height, width, variable]`: the last frame that was given."""
        return self.given[-1]

    def drawn(self) -> np.ndarray:
        """`[draw, T, height, width, variable]`: draws from the forecast's distribution, of which its members
        are."""
        return self.forecast if self.distribution is None else self.distribution()

    def share(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """The result of `compute`, called for the first metric that asks and remembered for the others.

        A key stands for one computation in one setup. `dataclasses.replace` gives a sample without memory.
        """
        return _remembered(self._shared, key, compute)

    def share_truth(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """As `share`, for what depends only on truth and given frames: `dataclasses.replace` of the forecast
        keeps it, so that the model and the baselines compute it once."""
        return _remembered(self.of_truth, key, compute)


def _remembered(memory: dict[Hashable, Any], key: Hashable, compute: Callable[[], Any]) -> Any:
    if key not in memory:
        memory[key] = compute()
    return memory[key]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """One curve: `values` over `coordinate`, which `axis` names.

    `axis` is `"lead"` (coordinate: lead time in the layout's time units) or what the metric is a function of
    (`"wavenumber"`, `"rank"`, ...). `reference` is the truth's own curve where there is one, as for a
    spectrum. `low` and `high` bound the values over other draws of starts, and `without` has the same score
    without each of the independent blocks of starts: an evaluation fills them in where a metric is
    `Resampled`. `baselines` are the values of other forecasts by their name: an evaluation's, too.
    """

    variable: str
    units: str
    axis: str
    coordinate: np.ndarray
    values: np.ndarray
    reference: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    baselines: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    without: tuple["Score", ...] = ()

    @property
    def curves(self) -> dict[str, np.ndarray]:
        """All curves by name: `model`, the baselines', `reference`, `low` and `high`, as far as there are."""
        beside = {name: getattr(self, name) for name in ("reference", "low", "high")}
        found = {"model": self.values, **self.baselines, **beside}
        return {name: values for name, values in found.items() if values is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ranking:
    """How `rolling compare` ranks forecasts by a metric: the smaller the better, unless its `About` names
    an ideal or says that higher is better.

    `title` replaces the metric's own. `first`: the verdict goes by this metric, or by the one
    of the lowest `order` where several say so. `relative`: ranked by the score over its reference, of
    which 1 is ideal.
    """

    title: str = ""
    first: bool = False
    relative: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """What a metric says of itself, wherever its scores are shown: `about` of a `Metric` that has one.

    A report shows the title, one line on how to read it (`note`), and the curves in its `section`: skill,
    calibration, scales, realism, more, or one of its own; metrics of lower `order` come first. `ideal` is the
    best value where there is one, and `against` names a metric of the same unit: departures from the ideal
    below a tenth of its largest value are drawn as small as they are. `reference` is what a score's own
    reference stands for, `zero` whether positive values are drawn above zero. `cumulative`: each value is
    over all leads up to its own, so that the last one covers the whole rollout.

    `column` heads its numbers in the printed table, `ranking` makes it one by which `rolling compare` ranks.
    """

    title: str
    note: str = ""
    section: str = "more"
    order: int = 1000
    ideal: float | None = None
    higher: bool = False
    against: str = ""
    reference: str = "truth"
    zero: bool = True
    cumulative: bool = False
    column: str = ""
    ranking: Ranking | None = None


@runtime_checkable
class Metric(Protocol):
    """A metric of forecasts; `name` is its key in `evaluation.json`.

    It may also have an attribute `about`, an `About`; without one its scores are shown under its name.
    """

    @property
    def name(self) -> str: ...

    def start(self, setup: EvaluationSetup) -> Any:
        """Empty sums, or None where the metric makes no sense for these variables or members."""
        ...

    def update(self, state: Any, sample: Sample) -> Any:
        """The sums with one more block."""
        ...

    def result(self, state: Any) -> tuple[Score, ...]:
        """The scores of all data so far: one per variable or derived quantity."""
        ...


@runtime_checkable
class Resampled(Metric, Protocol):
    """A metric whose sums over parts of the data add up, so that its scores get intervals."""

    def resample(self, states: Sequence[Any], weights: np.ndarray) -> Iterator[Any]:
        """For each row of `weights [row, state]` the sums in which the data of `states[i]` count
        `weights[., i]` times; all states are of one setup."""
        ...


def about_of(metric: Metric) -> About:
    """How a metric describes itself, or its name as a title."""
    return getattr(metric, "about", None) or named_so(metric.name)


def named_so(name: str) -> About:
    """For a metric of which only the name is known."""
    return About(title=name.replace("_", " ").capitalize())
