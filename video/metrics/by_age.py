"""How far clips of each age of long rollouts are from real ones, wherever truth ends.

The distance of two sets falls as they grow, so all sets have one size: as many forecast clips of neighbouring
ages as there are real ones in the first half of the held-out sequences, or fewer, are compared with the clips
of the second half; and so are as many of the first half, which gives the floor, as `reference`.
"""

import dataclasses
import functools
import math
from typing import ClassVar

import numpy as np

from rolling.common.terminal import tell
from rolling.metrics.frechet import Gaussian, frechet_distance
from rolling.metrics.protocol import About, EvaluationSetup, Recorded, Sample, Score
from rolling.video.metrics.distances import HALVES, Space, as_stored, features_of
from rolling.video.metrics.spectral_power import SpectralPower

FEWEST = 64
"""Clips of a set."""
MOST = 512
"""Real clips of each half that are read."""


class AgedClips:
    """Features of the forecast clips seen so far, by place in the rollout: `[start, member, d]` each."""

    def __init__(self, setup: EvaluationSetup):
        self.setup = setup
        self.places: list[list[np.ndarray]] = []
        self.pending = np.zeros(0)
        self.place = 0

    def add(self, sample: Sample, frames: int, space: Space) -> None:
        levels = as_stored(self.setup.layout, sample.forecast)
        if sample.first == 0:
            self.place, self.pending = 0, levels[:, :0]
        self.pending = np.concatenate([self.pending, levels], axis=1)
        while self.pending.shape[1] >= frames:
            clips, self.pending = self.pending[:, :frames], self.pending[:, frames:]
            key = (space, "aged", self.place)
            features = sample.share(key, functools.partial(features_of, space, clips))
            if self.place == len(self.places):
                self.places.append([])
            self.places[self.place].append(features)
            self.place += 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpectralDistanceByAge:
    """Spectral Frechet distance (`SpectralFrechetDistance`) of the forecast clips of neighbouring ages from
    real clips of any age; the coordinate is the middle of the ages, and windows overlap by half.

    It needs 64 clips of each kind at least: a window of ages is as long as that takes.
    """

    frames: int = 16
    """Frames per clip."""
    name = "spectral_frechet_distance_by_age"
    unpaired: ClassVar[bool] = True
    about: ClassVar[About] = About(
        title="Spectral Fréchet distance by age",
        note="Of clips of neighbouring ages from real clips of any age.",
        section="drift",
        order=80,
        reference="real against real",
    )

    def start(self, setup: EvaluationSetup) -> AgedClips | None:
        if setup.real is None or setup.mask is not None or not setup.layout.is_video:
            return None
        there = sum(setup.real.length(index) // self.frames for index in range(len(setup.real)))
        return AgedClips(setup) if there >= 2 * FEWEST and len(setup.real) > 1 else None

    def update(self, state: AgedClips, sample: Sample) -> AgedClips:
        state.add(sample, self.frames, SpectralPower())
        return state

    def result(self, state: AgedClips) -> tuple[Score, ...]:
        rollouts = sum(map(len, state.places[0])) if state.places else 0
        several = math.ceil(FEWEST / max(rollouts, 1))
        if several > len(state.places):
            tell(f"{self.name} is left out: it compares {FEWEST} clips, and the rollouts have fewer")
            return ()
        first, second = self._halves(state.setup)
        begin = range(0, len(state.places) - several + 1, max(1, several // 2))
        windows = [
            np.concatenate([np.concatenate(place) for place in state.places[i : i + several]]) for i in begin
        ]
        size, real = min(len(first), len(windows[0])), Gaussian.of(second)
        distance = lambda clips: frechet_distance(real, Gaussian.of(_spread(clips, size)))  # noqa: E731
        age = (np.asarray(begin) + several / 2) * self.frames * state.setup.layout.step
        return (
            Score(
                variable="clips",
                units="1",
                axis="lead",
                coordinate=age,
                values=np.array([distance(clips) for clips in windows]),
                reference=np.full(len(age), distance(first)),
            ),
        )

    def _halves(self, setup: EvaluationSetup) -> tuple[np.ndarray, np.ndarray]:
        """Features of the real clips of two halves of the sequences."""
        real = setup.real
        assert real is not None
        return setup.share_real(self, lambda: real_halves(setup, real, self.frames, SpectralPower()))


def real_halves(
    setup: EvaluationSetup, real: Recorded, frames: int, space: Space
) -> tuple[np.ndarray, np.ndarray]:
    """Features `[n, d]` of the clips, one after another, of two random halves of the real sequences."""
    order = np.random.default_rng(HALVES).permutation(len(real)).tolist()
    halves = []
    for chosen in (order[::2], order[1::2]):
        clips = [(i, at) for i in chosen for at in range(0, real.length(i) - frames + 1, frames)]
        clips = [clips[i] for i in np.unique(np.linspace(0, len(clips) - 1, MOST).round().astype(int))]
        read = (as_stored(setup.layout, real.read(i, at, at + frames)[None]) for i, at in clips)
        halves.append(np.concatenate([features_of(space, clip) for clip in read]))
    return halves[0], halves[1]


def _spread(clips: np.ndarray, size: int) -> np.ndarray:
    """`size` of the clips, evenly."""
    return clips[np.linspace(0, len(clips) - 1, size).round().astype(int)]
