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

from rolling.metrics.frame_statistics import STATISTICS, Statistic
from rolling.metrics.intervals import quantile_interval
from rolling.metrics.lifetimes import Judge, Lifetimes, survival, survival_quantile
from rolling.metrics.protocol import HORIZON, About, EvaluationSetup, Ranking, Sample, Score
from rolling.metrics.real_range import RealRange
from rolling.metrics.sums import Averaged, Sums

LASTS, EACH, ALONE = "lasts", "each", "by_statistic"
MEDIAN, TENTH = "median", "one_in_ten"
SECTION = "drift"


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
        return {"forecast": tools[0].of_forecast(self.of, sample).mean(axis=0)}

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
            limits=(0.0, 1.0),
            higher=True,
            reference="real sequences",
        )
        if not self.cumulative:
            return shown
        return dataclasses.replace(
            shown,
            title="Frames that rollouts last, on average",
            note="At most those of the rollout.",
            order=59,
            ideal=None,
            limits=None,
            cumulative=True,
            ranking=Ranking(title="Lifetime in frames"),
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
