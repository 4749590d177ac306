"""What a forecast is made of: one modality, or several, each of which is stored as one alone."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from rolling.common.forecast_schema import GIVEN, NAMES
from rolling.data.joint_sequences import JointSequences
from rolling.data.source import Sequences
from rolling.run.experiment import Forecast
from rolling.run.forecasting import zarr_writer
from rolling.run.forecasting.init_times import InitTime
from rolling.run.forecasting.joint_store import JointStore
from rolling.run.forecasting.zarr_writer import ForecastStore
from rolling.sampling import JointSampling, Sampling


@dataclasses.dataclass(frozen=True)
class OnePart:
    """One modality."""

    test: Sequences
    every: int = 1
    """Ticks, in which starts and lengths are counted, to a frame."""

    @property
    def slot(self) -> int:
        return 1

    def check(self, frames: int) -> None:
        pass

    def own(self, start: InitTime) -> tuple[int, int]:
        """The sequence of a start, and the frame of it."""
        return start.sequence, start.frame // self.every

    def last_given_times(self, starts: Sequence[InitTime]) -> np.ndarray:
        """`[start]`, of the last given frames."""
        places = [self.own(start) for start in starts]
        return np.concatenate([self.test.times(index, frame - 1, frame) for index, frame in places])

    def store(self, path: Path, identity: dict[str, Any]) -> ForecastStore:
        return ForecastStore(path, self.test.layout, identity)

    def coordinates(self, starts: Sequence[InitTime], forecast: Forecast, given: int) -> Any:
        places, count = [self.own(start) for start in starts], forecast.frames // self.every
        valid = np.stack([self.test.times(index, frame, frame + count) for index, frame in places])
        own = [InitTime(sequence=index, frame=frame) for index, frame in places]
        times = self.last_given_times(starts)
        found = zarr_writer.skeleton(self.test.layout, times, valid, own, forecast.members)
        names = [self.test.name(index) for index, _ in places]
        if any(names):
            found.attrs[NAMES] = names
        found.attrs[GIVEN] = max(given // self.every, 1)
        return found

    def checksum(self, starts: Sequence[InitTime], given: int, frames: int) -> str:
        """Of the given frames before each start and what is known of them: other frames at the same times
        lead to another forecast."""
        total = hashlib.sha256()
        self.add(total, starts, max(given // self.every, 1))
        return total.hexdigest()[:16]

    def add(self, total: Any, starts: Sequence[InitTime], before: int, after: int = 0) -> None:
        """The frames around each start, to a checksum; those that there are."""
        for index, frame in map(self.own, starts):
            at = index, frame - before, min(frame + after, self.test.length(index))
            total.update(np.ascontiguousarray(self.test.read(*at), "<f4").tobytes())
            for name, values in sorted(self.test.conditioning(*at).items()):
                total.update(name.encode() + np.ascontiguousarray(values).tobytes())


@dataclasses.dataclass(frozen=True)
class SeveralParts:
    """Several modalities. Those that are given or absent are not stored."""

    test: JointSequences
    recipe: JointSampling

    @property
    def slot(self) -> int:
        return self.test.layout.slot

    def check(self, frames: int) -> None:
        """Raises `InputError` where so many ticks cannot be made."""
        self.recipe.sampler(self.test.layout).check_ticks(frames)

    @property
    def made(self) -> dict[str, OnePart]:
        still = self.recipe.given + self.recipe.absent
        return {name: part for name, part in self._all.items() if name not in still}

    @property
    def _all(self) -> dict[str, OnePart]:
        every = self.test.layout.every
        return {name: OnePart(part, every[name]) for name, part in self.test.parts.items()}

    def last_given_times(self, starts: Sequence[InitTime]) -> np.ndarray:
        return next(iter(self._all.values())).last_given_times(starts)

    def store(self, path: Path, identity: dict[str, Any]) -> JointStore:
        layouts = {name: part.test.layout for name, part in self.made.items()}
        return JointStore(path, layouts, self.test.layout.every, identity)

    def coordinates(self, starts: Sequence[InitTime], forecast: Forecast, given: int) -> Any:
        return {name: part.coordinates(starts, forecast, given) for name, part in self.made.items()}

    def checksum(self, starts: Sequence[InitTime], given: int, frames: int) -> str:
        total = hashlib.sha256()
        for name, part in self._all.items():
            if name not in self.recipe.absent:
                after = frames // part.every if name in self.recipe.given else 0
                part.add(total, starts, max(given // part.every, 1), after)
        return total.hexdigest()[:16]


def parts_of(test: Sequences | JointSequences, recipe: Sampling) -> OnePart | SeveralParts:
    if isinstance(test, JointSequences) and isinstance(recipe, JointSampling):
        return SeveralParts(test, recipe)
    return OnePart(cast(Sequences, test))
