"""Whether long rollouts stay as real data are: statistics of frames by age, and how long rollouts last.

No frame of a long rollout can match the truth's, so none of this compares them: each statistic is set
beside its range in real data (`rolling.metrics.real_range`), also at ages that no real sequence reaches. The
age of a frame is its lead.

A rollout *lasts N frames*: `N` is the age at the middle of the first window over which the mean of some
statistic is outside its band, where the window that follows it is outside, too; 0 where that is the very
first window. A frame with a value that is not finite, or farther from the mean of the data than any may be,
ends it at once. What does not leave is censored: it lasts more than the whole rollout. Real sequences, judged
by the bands of the others, are shorter; their share is estimated as that of lifetimes of which some are cut
short (Kaplan and Meier 1958, doi 10.1080/01621459.1958.10501452).
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from rolling.metrics.frame_statistics import STATISTICS, Frames, Measure, Statistic
from rolling.metrics.intervals import quantile_interval
from rolling.metrics.protocol import HORIZON, About, EvaluationSetup, Ranking, Sample, Score
from rolling.metrics.real_range import PARTS, RealRange, window_means
from rolling.metrics.sums import Averaged, Sums

LASTS, EACH, ALONE = "lasts", "each", "by_statistic"
MEDIAN, TENTH = "median", "one_in_ten"
SECTION = "drift"


def _frames(sample: Sample) -> Frames:
    return sample.share("frames", lambda: Frames(values=sample.forecast, previous=sample.before))


def _measured(sample: Sample, real: RealRange, statistic: Statistic, measure: Measure) -> np.ndarray:
    """`[member, T, variable]`."""
    return sample.share((statistic, real), lambda: measure.of(_frames(sample)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drift(Averaged):
    """A statistic of single frames against age: the mean over rollouts, over windows that follow each other.

    The reference is its mean over real data, `least` and `most` bound the band of real windows as long.
    """

    of: Statistic
    """What is measured of every frame."""
    unpaired: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return f"drift_{self.of.key}"

    @property
    def about(self) -> About:
        return self.of.shown

    def tools(self, setup: EvaluationSetup):
        real = RealRange.of(setup)
        measure = real and real.measure(self.of)
        return (real, measure) if measure else None

    def sums(self, setup, tools):
        return Sums(setup, tools, every=tools[0].length)

    def terms(self, tools, sample):
        return {"forecast": _measured(sample, tools[0], self.of, tools[1]).mean(axis=0)}

    def scores(self, sums):
        real, measure = sums.tools
        values, band = sums.mean("forecast"), real.band(self.of)
        age = (np.arange(len(values)) + 0.5) * real.length * sums.setup.layout.step
        same = np.ones(len(values))
        return tuple(
            Score(
                variable=variable.name,
                units=variable.units,
                axis="lead",
                coordinate=age,
                values=values[:, i],
                reference=real.mean(self.of)[i] * same,
                least=band[0, i] * same,
                most=band[1, i] * same,
            )
            for i, variable in enumerate(measure.variables)
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """Tells when sequences leave the range of real data."""

    real: RealRange
    measures: dict[Statistic, Measure]

    @classmethod
    def of(cls, setup: EvaluationSetup, statistics: Sequence[Statistic]) -> "Judge | None":
        real = RealRange.of(setup)
        found = {s: real.measure(s) for s in statistics} if real else {}
        measures = {statistic: measure for statistic, measure in found.items() if measure is not None}
        return cls(real=real, measures=measures) if real and measures else None

    def values(self, sample: Sample) -> np.ndarray:
        """`[member, T, number]`: all statistics of a block, and last how far the values go."""
        parts = [_measured(sample, self.real, s, m) for s, m in self.measures.items()]
        excess = sample.share(self.real, lambda: self.real.excess(sample.forecast))
        return np.concatenate([*parts, excess[..., None]], axis=-1)

    def ages(self, values: np.ndarray) -> np.ndarray:
        """`[member, 1 + statistic]` of whole rollouts `[member, T, number]`: the frames that each lasts, by
        all statistics together and by each; infinite where it does not leave."""
        windows = window_means(values[..., :-1], self.real.length)
        bands = np.concatenate([self.real.band(statistic) for statistic in self.measures], axis=-1)
        by_each = self._by_statistic(_left(windows, bands, self.real.length))
        broken = ~(values[..., -1] <= 1)
        at_once = np.where(broken.any(axis=-1), broken.argmax(axis=-1), np.inf)
        return np.concatenate([np.minimum(at_once, by_each.min(axis=-1))[:, None], by_each], axis=-1)

    def _by_statistic(self, ages: np.ndarray) -> np.ndarray:
        """`[..., number]` to `[..., statistic]`: the earliest of its variables."""
        begin = np.cumsum([0, *(len(measure.variables) for measure in self.measures.values())])[:-1]
        return np.minimum.reduceat(ages, begin, axis=-1)

    def of_real(self) -> tuple[np.ndarray, np.ndarray]:
        """`[piece, 1 + statistic]` and `[piece]`: how long real sequences last, each judged by the band of
        the others, and the age up to which each could have been seen to leave."""
        real, length = self.real, self.real.length
        bands = {
            group: np.concatenate([real.band(s, without=group) for s in self.measures], axis=-1)
            for group in dict.fromkeys(piece.group for piece in real.pieces)
        }
        ages, seen = [], []
        for i, piece in enumerate(real.pieces):
            windows = np.concatenate([real.windows(s)[i] for s in self.measures], axis=-1)
            if not np.isnan(bands[piece.group]).any():
                by_each = self._by_statistic(_left(windows, bands[piece.group], length))
                ages.append([by_each.min(), *by_each])
                seen.append((len(windows) - 1 - PARTS) * length / PARTS + length / 2)
        return np.array(ages).reshape(-1, 1 + len(self.measures)), np.array(seen)


def _left(windows: np.ndarray, band: np.ndarray, length: int) -> np.ndarray:
    """`[..., number]` of `[..., window, number]`: the age at which each leaves its band."""
    outside = ~((windows >= band[0]) & (windows <= band[1]))
    both = outside[..., :-PARTS, :] & outside[..., PARTS:, :]
    if not both.shape[-2]:
        return np.full((*both.shape[:-2], both.shape[-1]), np.inf)
    first = both.argmax(axis=-2)
    age = np.where(first > 0, first * length / PARTS + length / 2, 0.0)
    return np.where(both.any(axis=-2), age, np.inf)


class Lifetimes:
    """How long rollouts last: `ages [rollout, 1 + statistic]`, counted `weights [rollout]` times, of starts
    in `blocks [rollout]`; and the numbers of the rollout at hand."""

    def __init__(self, setup: EvaluationSetup, judge: Judge):
        self.setup, self.judge = setup, judge
        self.ages = np.zeros((0, 1 + len(judge.measures)))
        self.weights, self.blocks = np.zeros(0), np.zeros(0, int)
        self._pending: list[np.ndarray] = []

    def add(self, sample: Sample) -> None:
        if sample.first == 0:
            self._pending = []
        self._pending.append(self.judge.values(sample))
        if sample.first + sample.forecast.shape[1] < self.setup.horizon:
            return
        ages = self.judge.ages(np.concatenate(self._pending, axis=1))
        self._pending = []
        block = len(set(self.blocks.tolist())) if sample.block is None else sample.block
        self.ages = np.concatenate([self.ages, ages])
        self.weights = np.concatenate([self.weights, np.ones(len(ages))])
        self.blocks = np.concatenate([self.blocks, np.full(len(ages), block)])

    @classmethod
    def weighted(cls, parts: Sequence["Lifetimes"], weights: np.ndarray) -> Iterator["Lifetimes"]:
        """For each row of `weights [row, part]` all parts together."""
        for row in weights:
            found = cls(parts[0].setup, parts[0].judge)
            found.ages = np.concatenate([part.ages for part in parts])
            found.blocks = np.concatenate([part.blocks for part in parts])
            found.weights = np.concatenate([w * part.weights for w, part in zip(row, parts, strict=True)])
            yield found


class Lasting:
    """Base of metrics of how long rollouts last, by all of `STATISTICS`."""

    unpaired: ClassVar[bool] = True

    def start(self, setup: EvaluationSetup) -> Lifetimes | None:
        judge = setup.share_real(Judge, lambda: Judge.of(setup, STATISTICS))
        return None if judge is None else Lifetimes(setup, judge)

    def update(self, state: Lifetimes, sample: Sample) -> Lifetimes:
        state.add(sample)
        return state


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survival(Lasting):
    """The share of rollouts that last at least up to each age; the reference is that of real sequences.

    `cumulative`: its integral, the mean of `min(N, age)`; the last value is the mean number of frames that
    rollouts last, of those that do not leave as many as they have.
    """

    cumulative: bool = False
    """The mean number of frames lasted up to each age, in place of the share that is left."""

    @property
    def name(self) -> str:
        return "cumulative_survival" if self.cumulative else "survival"

    @property
    def about(self) -> About:
        shown = About(
            title="Rollouts that last",
            note="Share whose every statistic stays in the range of real data up to each age.",
            section=SECTION,
            order=57,
            ideal=1.0,
            higher=True,
            reference="real sequences",
        )
        if not self.cumulative:
            return shown
        title = "Frames that rollouts last, on average"
        note, ranking = "At most those of the rollout.", Ranking(title="Frames lasted")
        return dataclasses.replace(
            shown, title=title, note=note, order=59, ideal=None, cumulative=True, ranking=ranking
        )

    def resample(self, states: Sequence[Lifetimes], weights: np.ndarray) -> Iterator[Lifetimes]:
        return Lifetimes.weighted(states, weights)

    def result(self, state: Lifetimes) -> tuple[Score, ...]:
        setup, length = state.setup, state.judge.real.length
        ages = np.arange(1, setup.horizon // length + 1) * length
        lasted, seen = setup.share_real(Survival, state.judge.of_real)
        left = np.minimum(state.ages[:, 0], setup.horizon)
        share = left[:, None] >= ages
        values = np.minimum(left[:, None], ages) if self.cumulative else share
        curve = state.weights @ values / state.weights.sum()
        reference = None if self.cumulative else survival(lasted[:, 0], seen, ages)
        return (
            Score(
                variable="rollouts",
                units="1",
                axis="lead",
                coordinate=ages * setup.layout.step,
                values=curve,
                reference=reference,
            ),
        )


def survival(ages: np.ndarray, seen: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The Kaplan-Meier estimate of the share that lasts up to each of `at`, from the `ages` of those that
    were observed to leave (others infinite) and those up to which each was `seen`; NaN beyond all these."""
    curve = np.ones(len(at))
    for age in np.unique(ages[np.isfinite(ages)]):
        risk = np.count_nonzero((ages >= age) & (seen >= age))
        curve = np.where(at > age, curve * (1 - np.count_nonzero(ages == age) / max(risk, 1)), curve)
    return np.where(at <= seen.max(initial=0), curve, np.nan)


def survival_quantile(ages: np.ndarray, seen: np.ndarray, q: float) -> np.ndarray | None:
    """`[1]`: the age at which a share `q` has left; None where that was not seen."""
    known = np.unique(ages[np.isfinite(ages)])
    left = known[survival(ages, seen, np.nextafter(known, np.inf)) <= 1 - q + 1e-9]
    return left[:1] if len(left) else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lasts(Lasting):
    """The frames that rollouts last: the median and the 10 % quantile over all, each rollout's own, and the
    median by each statistic alone.

    Values of the horizon are censored. Intervals are those of `quantile_interval`, over blocks of starts; the
    reference is the median of real sequences.
    """

    name = LASTS
    about: ClassVar[About] = About(
        title="Frames that rollouts last",
        note="Before a statistic of theirs leaves the range of real data.",
        section=SECTION,
        order=58,
        higher=True,
        reference="real sequences",
    )

    def result(self, state: Lifetimes) -> tuple[Score, ...]:
        horizon, (lasted, seen) = state.setup.horizon, state.setup.share_real(Survival, state.judge.of_real)
        every = [
            _quantile_score(MEDIAN, state, 0.5, lasted, seen),
            _quantile_score(TENTH, state, 0.1, lasted, seen),
        ]
        ages, names = np.minimum(state.ages, horizon), [s.key for s in state.judge.measures]
        by_each = np.quantile(ages[:, 1:], 0.5, axis=0, method="inverted_cdf")
        bars = (
            (EACH, "rollout", np.arange(1, len(ages) + 1), ages[:, 0]),
            (ALONE, "statistic", names, by_each),
        )
        return *every, *(
            Score(variable=variable, units="frames", axis=axis, coordinate=np.asarray(at), values=values)
            for variable, axis, at, values in bars
        )


def _quantile_score(variable: str, state: Lifetimes, q: float, lasted: np.ndarray, seen: np.ndarray) -> Score:
    horizon = state.setup.horizon
    ages = np.minimum(state.ages[:, 0], horizon)
    low, high = quantile_interval(ages, state.blocks, q)
    return Score(
        variable=variable,
        units="frames",
        axis=HORIZON,
        coordinate=np.array([horizon]),
        values=np.quantile(ages, [q], method="inverted_cdf"),
        reference=survival_quantile(lasted[:, 0], seen, q),
        low=np.array([low]),
        high=np.array([high]),
    )
