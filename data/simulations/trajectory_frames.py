"""Trajectories of an archive as sequences."""

import dataclasses
import functools

import numpy as np

from rolling.common.errors import InputError
from rolling.common.indices import spaced
from rolling.data import statistics
from rolling.data.set_apart import Place, Ranges
from rolling.data.simulations.covariates import constants_of, values_of
from rolling.data.simulations.trajectories import Trajectory
from rolling.data.source import SequencesBase
from rolling.layout import Layout

BLOCK = 16  # frames read in a row for statistics


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thinning:
    """Which frames and cells of a trajectory are kept: `every` n-th from `skip` on, and means over blocks of
    `coarsen` cells along each axis."""

    skip: int = 0
    every: int = 1
    coarsen: int = 1

    def length(self, trajectory: Trajectory) -> int:
        return max(0, -(-(trajectory.length - self.skip) // self.every))

    def places(self, frames: np.ndarray) -> np.ndarray:
        """Where kept frames lie in the trajectory."""
        return self.skip + self.every * frames

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """The frames of the trajectory of which every n-th, from the first on, are `start .. stop - 1`."""
        first = self.skip + self.every * start
        return first, first + self.every * (stop - start - 1) + 1 if stop > start else first

    def coarse(self, frames: np.ndarray) -> np.ndarray:
        """Of `[n, *space, channel]`."""
        if self.coarsen == 1:
            return frames
        count, *space, channels = frames.shape
        blocks = [size for cells in space for size in (cells // self.coarsen, self.coarsen)]
        within = tuple(range(2, 2 * len(space) + 1, 2))
        return frames.reshape(count, *blocks, channels).mean(axis=within, dtype=np.float64).astype(np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TrajectoryFrames(SequencesBase):
    """See `rolling.data.source.Sequences`; `channels` are the places of those of the layout in the frames of
    the archive."""

    layout: Layout
    trajectories: tuple[Trajectory, ...]
    thinning: Thinning
    channels: tuple[int, ...]
    counted: bool = False
    """Whether times are numbers of frames, as trajectories have different steps."""
    sample: int = 0
    """Frames, at most, that statistics are measured from; 0: all."""
    mask = None

    def __len__(self) -> int:
        return len(self.trajectories)

    def length(self, index: int) -> int:
        return self.thinning.length(self.trajectories[index])

    def name(self, index: int) -> str:
        return self.trajectories[index].name

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        trajectory = self.trajectories[index]
        if not 0 <= start <= stop <= self.length(index):
            raise IndexError(f"frames {start} to {stop} of a sequence of {self.length(index)}")
        first, last = self.thinning.span(start, stop)
        space = tuple(len(axis) for axis in trajectory.axes)
        pieces = [piece.read(first, last, space)[:: self.thinning.every] for piece in trajectory.pieces]
        frames = np.concatenate(pieces, axis=-1)[..., self.channels]
        if not np.isfinite(frames).all():
            raise self._not_finite(trajectory, first, frames)
        return self.thinning.coarse(frames)

    def _not_finite(self, trajectory: Trajectory, first: int, frames: np.ndarray) -> InputError:
        frame, *_, channel = np.argwhere(~np.isfinite(frames))[0]
        return InputError(
            f"{self.layout.names[channel]} is not finite in frame {first + self.thinning.every * frame} of"
            f" {trajectory.name}: repair it, or leave that trajectory out"
        )

    def times(self, index: int, start: int, stop: int) -> np.ndarray:
        trajectory, places = self.trajectories[index], self.thinning.places(np.arange(start, stop))
        return places.astype(float) if self.counted else trajectory.origin + trajectory.step * places

    def conditioning(self, index: int, start: int, stop: int) -> dict[str, np.ndarray]:
        found, trajectory = {}, self.trajectories[index]
        if self.layout.parameters:
            span, every = self.thinning.span(start, stop), self.thinning.every
            values = [c.scaled(values_of(trajectory, c.name, *span)[::every]) for c in self.layout.parameters]
            found["parameters"] = np.stack(values, axis=-1)
        if self.layout.constants:
            found["constants"] = self._constants(index)
        return found

    @functools.lru_cache(maxsize=256)  # noqa: B019  # as long as the sequences are used
    def _constants(self, index: int) -> np.ndarray:
        trajectory = self.trajectories[index]
        fields = [c.scaled(constants_of(trajectory, c.name)) for c in self.layout.constants]
        return self.thinning.coarse(np.stack(fields, axis=-1)[None])[0]

    def statistics(self) -> statistics.Statistics:
        """Of all frames, or of blocks of them spread evenly over all trajectories."""
        lengths = [self.length(i) for i in range(len(self))]
        total = sum(lengths)
        blocks = [
            Place(i, first, min(first + BLOCK, length))
            for i, length in enumerate(lengths)
            for first in range(0, length, BLOCK)
        ]
        if self.sample and total > self.sample:
            blocks = [blocks[i] for i in spaced(len(blocks), max(1, self.sample // BLOCK))]
        return statistics.measure(Ranges(whole=self, places=tuple(blocks)))
