"""How long sequences stay in the range of real data, and the share of them that is left at each age."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from rolling.metrics.frame_statistics import Measure, Statistic
from rolling.metrics.protocol import EvaluationSetup, Sample
from rolling.metrics.real_range import PARTS, RealRange, window_means


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
        parts = [self.real.of_forecast(statistic, sample) for statistic in self.measures]
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
