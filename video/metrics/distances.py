"""Distances between sets of clips, forecast and real, in a space of features: the base of FVD and its kin.

A metric defines a *space*, a function from clips to features, and a distance between two sets of features.
The rest is here: clips are cut from the forecast of each start, rounded to grey levels as they are when
stored; the truth's features are computed once, for the model and the baselines together.

The distance of two sets falls as they grow, even if both have the same distribution, so a value is meaningful
only next to that of two real sets of the same size, the floor. A forecast has one real clip per start, and a
floor at that size would need twice as many. Hence two scores: "clips", all forecast against all real clips,
the number that is published, without a floor; and "half", for which the starts are split into random halves:
forecasts of one half are compared with the real clips of the other, and so are the real clips of the first
half, which gives the floor, as `reference`. "half" is larger, as its sets are smaller; its excess over the
floor is due to the forecast.

The interval of a value is that of `rolling.metrics.intervals`: each block of starts, which for clips is a
whole sequence, is left out in turn. It is about right if forecast and truth differ, and too wide if they do
not.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from rolling.common.errors import InputError
from rolling.common.terminal import tell
from rolling.layout import Layout
from rolling.metrics.frechet import Gaussian, Sampled, frechet_distance, kernel_distance
from rolling.metrics.intervals import interval, joined, without_each
from rolling.metrics.protocol import About, EvaluationSetup, Sample, Score

FEWEST = 8  # blocks of starts, below which no interval is given
PARTS = 4  # sets of forecasts that are compared with a half of the real clips, and averaged
HALVES = 0  # the seed of the split


def about_distance(title: str, note: str, order: int) -> About:
    """Of a distance of sets, whose reference is its floor."""
    return About(title=title, note=note, section="realism", order=order, reference="real against real")


@runtime_checkable
class Space(Protocol):
    """Equal spaces have equal features, which are computed once for all metrics of a space."""

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """Features `[n, d]` of clips `[n, time, height, width, channel]`: float32, whole grey levels from 0
        to 255, of three channels or of one."""
        ...

    def __hash__(self) -> int: ...


class ClipFeatures:
    """Features of the clips seen so far, real and forecast, for each place in the forecast."""

    def __init__(self, setup: EvaluationSetup, space: Space, given: int):
        self.setup, self.space, self.given = setup, space, given
        self.real: list[list[np.ndarray]] = []  # place, start: [d]
        self.fake: list[list[np.ndarray]] = []  # place, start: [member, d]
        self.block: list[int] = []  # start: starts of one block are not independent
        self.pending: tuple[np.ndarray, ...] = ()  # frames of clips that are not complete yet
        self.place = 0

    def begin(self, sample: Sample) -> None:
        """A new start: its first clip begins with the given frames."""
        given = sample.given[len(sample.given) - self.given :]
        members = np.broadcast_to(given, (len(sample.forecast), *given.shape))
        self.block.append(len(self.block) if sample.block is None else sample.block)
        self.place, self.pending = (
            0,
            (as_stored(self.setup.layout, given[None]), as_stored(self.setup.layout, members)),
        )

    def add(self, sample: Sample, frames: int) -> None:
        """Adds frames of the same start, and the features of the clips that they complete."""
        more = (as_stored(self.setup.layout, each) for each in (sample.truth[None], sample.forecast))
        self.pending = tuple(np.concatenate(pair, axis=1) for pair in zip(self.pending, more, strict=True))
        while self.pending[0].shape[1] >= frames:
            real, fake = (clips[:, :frames] for clips in self.pending)
            self.pending = tuple(clips[:, frames:] for clips in self.pending)
            key = (self.space, frames, self.given, self.place)
            of_real = sample.share_truth(key, functools.partial(features_of, self.space, real))[0]
            self._keep(self.real, of_real)
            self._keep(self.fake, sample.share(key, functools.partial(features_of, self.space, fake)))
            self.place += 1

    def sets(self) -> Iterator[tuple[Sampled, Sampled]]:
        """Real and forecast clips for each place, the forecasts member by member."""
        for real, fake in zip(self.real, self.fake, strict=True):
            starts, members = len(real), len(fake[0])
            block = np.unique(self.block, return_inverse=True)[1]
            yield (
                Sampled(features=np.stack(real), start=block),
                Sampled(
                    features=np.stack(fake, axis=1).reshape(members * starts, -1),
                    start=np.tile(block, members),
                ),
            )

    def _keep(self, places: list[list[np.ndarray]], features: np.ndarray) -> None:
        if self.place == len(places):
            places.append([])
        places[self.place].append(features)


def features_of(space: Space, clips: np.ndarray) -> np.ndarray:
    """`[n, d]` of clips of grey levels as they are stored."""
    return np.asarray(space(clips.astype(np.float32)))


def as_stored(layout: Layout, frames: np.ndarray) -> np.ndarray:
    """Frames `[..., variable]` as they are when stored."""
    return np.stack([v.stored(frames[..., i]) for i, v in enumerate(layout.variables)], axis=-1)


class Halved(NamedTuple):
    """Blocks of starts split into two random halves, with real clips `first` and `second`, and `pairs` of
    sets of equal size, forecast and real, that have no block in common."""

    first: Sampled
    second: Sampled
    pairs: Sequence[tuple[Sampled, Sampled]]

    @classmethod
    def of(cls, real: Sampled, fake: Sampled) -> "Halved | None":
        """None if a half would have fewer than two clips."""
        known = np.unique(real.start)
        order = np.random.default_rng(HALVES).permutation(len(known))
        cut = min(len(known) // 2, len(fake))
        chosen = known[order[:cut]], known[order[cut : 2 * cut]]
        halves = [np.flatnonzero(np.isin(real.start, half)) for half in chosen]
        size = min(*map(len, halves), len(fake)) if cut else 0
        if size < 2:
            return None
        first, second = (real[which[:size]] for which in halves)
        used = np.union1d(first.start, second.start)
        fake = fake[np.isin(fake.start, np.setdiff1d(known, used), invert=True)]
        pairs = []
        for half in (first, second):
            others = fake[~np.isin(fake.start, half.start)]
            cuts = range(0, min(len(others), PARTS // 2 * size) - size + 1, size)
            pairs += [(others[i : i + size], half) for i in cuts]
        return cls(first=first, second=second, pairs=pairs) if pairs else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SetDistance:
    """Base of metrics that compare the set of all forecast clips with the set of all true clips.

    A clip has `frames` consecutive frames. The first begins with the given frames if `with_given` is set and
    they are fewer than `frames`, as in the protocols of Kinetics-600 (5 given, 11 forecast) and BAIR (1
    given, 15 forecast); the next follow without a gap, and a remainder is left out. A long forecast gives a
    curve over lead time, a forecast of one clip one value at the lead of its last frame.
    """

    name = ""  # of a class that measures; this one is a base
    about: ClassVar[About | None] = None
    least: ClassVar[float] = -np.inf
    """The smallest possible value of the distance."""
    fewest: ClassVar[int] = 1
    """The fewest frames for which a clip has features."""

    frames: int = 16
    """Frames per clip; 16 in the usual protocols."""
    with_given: bool = True
    """Whether the first clip begins with the given frames."""

    def __post_init__(self):
        if self.frames < 1:
            raise InputError(f"a distance between clips needs frames >= 1, not {self.frames}")

    def space(self, layout: Layout) -> Space | None:
        """The feature space in which clips are compared; None if there is none for such frames."""
        raise NotImplementedError

    def distance(self, real: Sampled, fake: Sampled, weights: np.ndarray) -> np.ndarray:
        """`[row]`: the distance of the two sets for each row of `weights [row, start]`."""
        raise NotImplementedError

    def start(self, setup: EvaluationSetup) -> ClipFeatures | None:
        given = setup.given if self.with_given and setup.given < self.frames else 0
        if setup.mask is not None or not setup.layout.is_video:
            return None
        if given + setup.leads < self.frames:
            tell(
                f"{self.name} is left out: it compares clips of {self.frames} frames, and the forecasts have"
                f" {given + setup.leads}, including those given"
            )
            return None
        space = self.space(setup.layout)
        return None if space is None else ClipFeatures(setup, space, given)

    def update(self, state: ClipFeatures, sample: Sample) -> ClipFeatures:
        if sample.first == 0:
            state.begin(sample)
        state.add(sample, self.frames)
        return state

    def result(self, state: ClipFeatures) -> tuple[Score, ...]:
        layout = state.setup.layout
        places = np.arange(1, len(state.real) + 1)
        leads = (places * self.frames - state.given) * layout.step
        return self._scores(list(state.sets()), "lead", leads)

    def between(self, real: np.ndarray, fake: np.ndarray) -> tuple[Score, ...]:
        """The scores of two sets of features `[n, d]`, `[m, d]`, of unrelated clips; with `n >= 2 m` the
        floor is at the size of the whole second set."""
        sets = (
            Sampled(features=real, start=np.arange(len(real))),
            Sampled(features=fake, start=len(real) + np.arange(len(fake))),
        )
        return self._scores([sets], "frames", np.array([self.frames]))

    def _scores(self, sets: Sequence[tuple[Sampled, Sampled]], axis: str, coordinate: np.ndarray):
        if not sets or min(len(clips) for pair in sets for clips in pair) < 2:
            tell(f"{self.name} is left out: it compares sets of clips, and needs at least 2 starts")
            return ()
        score = functools.partial(Score, units="1", axis=axis, coordinate=coordinate)
        whole = [self._whole(real, fake) for real, fake in sets]
        halved = [Halved.of(real, fake) for real, fake in sets]
        scores = (score(variable="clips", **_stacked(whole)),)
        halves = [self._half(each) for each in halved if each is not None]
        if len(halves) == len(halved):
            scores += (score(variable="half", **_stacked(halves)),)
        return scores

    def _whole(self, real: Sampled, fake: Sampled) -> dict[str, Any]:
        kinds = real.start, np.setdiff1d(fake.start, real.start)
        return self._bounded(lambda weights: self.distance(real, fake, weights), *kinds)

    def _half(self, halved: Halved) -> dict[str, Any]:
        first, second, pairs = halved
        known = np.union1d(first.start, second.start)
        others = np.setdiff1d(np.concatenate([fake.start for fake, _ in pairs]), known)
        mean = lambda w: np.mean([self.distance(real, fake, w) for fake, real in pairs], axis=0)  # noqa: E731
        everything = np.ones((1, 1 + max([*known, *others])))
        return self._bounded(mean, known, others) | {"reference": self.distance(first, second, everything)[0]}

    def _bounded(self, distance: Callable[[np.ndarray], np.ndarray], *kinds: np.ndarray) -> dict[str, Any]:
        """The value and the bounds of its interval, if there are enough blocks of each of the `kinds` that
        are drawn independently; `distance [row]` is a function of `weights [row, block]`."""
        kinds = tuple(np.unique(kind) for kind in kinds if len(kind))
        everything = np.ones((1, 1 + max(kind.max() for kind in kinds)))
        if min(map(len, kinds)) < FEWEST:
            return {"values": distance(everything)[0]}
        left = []
        for kind in kinds:
            weights = np.repeat(everything, 1 + joined(np.arange(len(kind))).max(), axis=0)
            weights[:, kind] = without_each(len(weights))[1:, joined(np.arange(len(kind)))]
            left.append(weights)
        value, *others = np.split(
            distance(np.vstack([everything, *left])), np.cumsum([1, *map(len, left[:-1])])
        )
        low, high = interval(value[0], *others)
        return {"values": value[0], "low": max(low, self.least), "high": high}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrechetDistance(SetDistance):
    """Base of Frechet distances between Gaussians fitted to the features."""

    least: ClassVar[float] = 0.0
    ddof: ClassVar[int] = 1

    def distance(self, real, fake, weights):
        return np.array(
            [
                frechet_distance(
                    Gaussian.of(real.features, row[real.start]),
                    Gaussian.of(fake.features, row[fake.start]),
                    ddof=self.ddof,
                )
                for row in weights
            ]
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class KernelDistance(SetDistance):
    """Base of unbiased kernel distances: their floor is 0 on average, for any number of clips."""

    def distance(self, real, fake, weights):
        return kernel_distance(real, fake, weights)


def _stacked(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.array([each[name] for each in found]) for name in found[0]}
