"""The protocol of a forecast metric: streaming sums over starts and blocks of lead times.

A metric never sees a whole store. It is started once for a layout, updated with one block of leads of one
start after another, and asked for its scores at the end. The same code scores persistence and climatology, as
forecasts of one member; of the climatology there are draws, too, for scores of a whole distribution.
"""

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from rolling.layout import Layout


class Recorded(Protocol):
    """Real sequences of frames, as `rolling.data.source.Sequences` are."""

    def __len__(self) -> int: ...

    def length(self, index: int) -> int: ...

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Frames `[stop - start, *space, variable]` in physical units, NaN where masked."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationSetup:
    """What a metric knows before it sees data; compared by identity.

    `mask [*space, variable]` is True where there are data (None: everywhere); `members` is the size of
    the ensemble to be scored, `given` the number of frames it was given; the frame of lead `i` is
    `(i + 1) * layout.step` after the last of these. There is truth at the first `leads` leads, and the
    forecast goes on for `beyond` more, which only `Unpaired` metrics see. `real` are the held-out sequences
    as a whole, None where nothing is known of them.
    """

    layout: Layout
    leads: int
    members: int
    given: int = 1
    mask: np.ndarray | None = None
    beyond: int = 0
    real: Recorded | None = None
    of_real: dict[Hashable, Any] = dataclasses.field(default_factory=dict, repr=False)
    """What `share_real` remembers, common to the setups of all forecasts."""
    _shared: dict[Hashable, Any] = dataclasses.field(
        init=False, default_factory=dict, repr=False, compare=False
    )

    @property
    def horizon(self) -> int:
        """All leads of the forecast, with truth and without."""
        return self.leads + self.beyond

    def share(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """The result of `compute`, called once in this setup: what all states have in common."""
        return _remembered(self._shared, key, compute)

    def share_real(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """As `share`, for what depends only on layout, mask, leads and real data: `dataclasses.replace` of
        the members keeps it, so that the model and the baselines compute it once."""
        return _remembered(self.of_real, key, compute)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """Leads `first .. first + T - 1` (counted from 0) of one start, in physical units.

    `forecast [member, T, *space, variable]`; `truth`, `climatology [T, *space, variable]`;
    `given [n, *space, variable]`, the frames before lead 0, at least one. NaN only where the mask is
    False. The samples of one start come one after another, in the order of their leads. Starts of one `block`
    are not independent (`rolling.metrics.intervals`); None: a start depends on no other. A sample lies either
    where there is truth or beyond its end, where `truth` has no frame; only `Unpaired` metrics get that one.

    `frame` is the place of lead 0 in its sequence, counted from 0; None: not known.

    `previous [member, *space, variable]` are the forecast's frames right before `first`; None: the
    last given frame.

    `constants [*space, constant]` are the layout's constant fields of this sequence, in the units of the
    data; None: it has none, or they are not known.

    `climate` gives draws from the climatology's distribution, `[draw, T, *space, variable]`, and
    `distribution` those from the forecast's where that is only the mean of one, as of the climatology.
    """

    first: int
    forecast: np.ndarray
    truth: np.ndarray
    climatology: np.ndarray
    given: np.ndarray
    block: int | None = None
    frame: int | None = None
    previous: np.ndarray | None = None
    constants: np.ndarray | None = None
    climate: Callable[[], np.ndarray] | None = None
    distribution: Callable[[], np.ndarray] | None = None
    of_truth: dict[Hashable, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    """What `share_truth` remembers, common to the samples of all forecasts of one truth."""
    _shared: dict[Hashable, Any] = dataclasses.field(
        init=False, default_factory=dict, repr=False, compare=False
    )

    @property
    def initial(self) -> np.ndarray:
        """`[*space, variable]`: the last frame that was given."""
        return self.given[-1]

    @property
    def before(self) -> np.ndarray:
        """`[member, *space, variable]`: each member's frame before `first`."""
        members = self.forecast.shape[0], *self.initial.shape
        return np.broadcast_to(self.initial, members) if self.previous is None else self.previous

    def drawn(self) -> np.ndarray:
        """`[draw, T, *space, variable]`: draws from the forecast's distribution, of which its members
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


BESIDE = ("reference", "low", "high", "least", "most")
HORIZON = "horizon"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """One curve: `values` over `coordinate`, which `axis` names.

    `axis` is `"lead"` (coordinate: lead time in the layout's time units) or what the metric is a function of
    (`"wavenumber"`, `"rank"`, ...); of `"horizon"`, a single coordinate, a value that reaches it is censored:
    "more than". `reference` is the truth's own curve where there is one, as for a spectrum; `least` and
    `most` bound the range of real data. `low` and `high` bound the values over other draws of starts, and
    `without` has the same score without each of the independent blocks of starts: an evaluation fills them in
    where a metric is `Resampled`. `baselines` are the values of other forecasts by their name, and `margins
    [2, ...]` the bounds of the difference `values - baseline` over the same draws: an evaluation's, too.
    """

    variable: str
    units: str
    axis: str
    coordinate: np.ndarray
    values: np.ndarray
    reference: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    least: np.ndarray | None = None
    most: np.ndarray | None = None
    baselines: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    margins: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    without: tuple["Score", ...] = ()

    def censored(self, value: float) -> bool:
        """Whether a value only says "more than"."""
        return self.axis == HORIZON and bool(value >= self.coordinate[0])

    @property
    def curves(self) -> dict[str, np.ndarray]:
        """All curves by name: `model`, the baselines' and those of `BESIDE`, as far as there are."""
        beside = {name: getattr(self, name) for name in BESIDE}
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

    Values cannot lie beyond `limits`, where there are some, so that intervals end there.

    Metrics of the same `together` share a figure of that title, in which `label` names the curve of
    each. `duration`: values are times, in the layout's units.

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
    limits: tuple[float, float] | None = None
    together: str = ""
    label: str = ""
    duration: bool = False
    column: str = ""
    ranking: Ranking | None = None


class Named(Protocol):
    @property
    def name(self) -> str: ...


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


@runtime_checkable
class Unpaired(Metric, Protocol):
    """A metric that compares forecasts with real data as a whole (`setup.real`), not with the truth at the
    same lead: it is scored over all `setup.horizon` leads, wherever truth ends."""

    unpaired: ClassVar[bool]


def about_of(metric: Named) -> About:
    """How a metric describes itself, or its name as a title."""
    return getattr(metric, "about", None) or named_so(metric.name)


def named_so(name: str) -> About:
    """For a metric of which only the name is known."""
    return About(title=name.replace("_", " ").capitalize())
