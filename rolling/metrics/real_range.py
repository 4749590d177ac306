"""The range of real data: where the statistics of held-out frames lie, over windows of a few frames.

A window has `length` frames, `LENGTH` or fewer where there are fewer; it begins every quarter of that. The
*band* of a statistic is from the 0.5 % to the 99.5 % quantile of its means over all windows of real data,
widened to both sides by a tenth of its width: on a logarithmic scale for positive numbers, so that a sequence
without any motion is outside, unless some real one is. Of data without end only `FRAMES` or `BYTES` are read,
in pieces spread evenly.

A real sequence is judged by the band of all *others*, as a band that its own frames have made would always
hold it; where there are many, by that without a sixty-fourth of them; pieces of a single sequence, by that of
the other pieces.
"""

import dataclasses
import math

import numpy as np

from rolling.metrics.frame_statistics import SLACK, Frames, Measure, Statistic
from rolling.metrics.intervals import joined
from rolling.metrics.protocol import EvaluationSetup, Recorded, Sample

LENGTH = 20
PARTS = 4
"""Of a window: one begins with each."""
FEWEST = 6
"""Windows one after another that rollouts and the longest real sequence should have."""
OUTER, WIDENED = 0.005, 0.1
FRAMES, BYTES = 20_000, 2**30
BLOCK = 2**22
"""Bytes of frames that are measured at a time."""
FARTHEST = 10.0
"""Standard deviations from the mean, which no frame of a forecast may exceed; of data that do themselves,
twice as far as they do."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """Frames `first .. stop - 1` of a sequence; the first only precedes the others. `group`: those that are
    left out together."""

    sequence: int
    first: int
    stop: int
    group: int = 0


class RealRange:
    """The range of the statistics of real data, in one setup; measured in one pass for all that were asked
    for before the first use."""

    def __init__(self, setup: EvaluationSetup, real: Recorded):
        self.setup, self.real = setup, real
        longest = max((real.length(index) for index in range(len(real))), default=0)
        self.length = PARTS * (min(LENGTH, setup.horizon // FEWEST, (longest - 1) // FEWEST) // PARTS)
        self.pieces = _pieces(setup, real, self.length) if self.length else []
        self._measures: dict[Statistic, Measure | None] = {}
        self._windows: dict[Statistic, list[np.ndarray]] = {}
        self._moments: tuple[np.ndarray, ...] = ()

    @classmethod
    def of(cls, setup: EvaluationSetup) -> "RealRange | None":
        """One for all metrics of a setup; None where nothing is known of real data, or too little."""
        if setup.real is None:
            return None
        real = setup.real
        found = setup.share_real("real range", lambda: cls(setup, real))
        return found if found.pieces else None

    def measure(self, statistic: Statistic) -> Measure | None:
        """A statistic in this setup, to be measured of the real data, too."""
        if statistic not in self._measures:
            self._measures[statistic] = statistic.measure(self.setup)
        return self._measures[statistic]

    def of_forecast(self, statistic: Statistic, sample: Sample) -> np.ndarray:
        """`[member, T, variable]`: a statistic of the frames of a forecast, which all metrics share."""
        measure = self.measure(statistic)
        assert measure is not None
        frames = sample.share("frames", lambda: Frames(values=sample.forecast, previous=sample.before))
        return sample.share((statistic, self), lambda: measure.of(frames))

    def windows(self, statistic: Statistic) -> list[np.ndarray]:
        """Means over the windows of each piece, `[window, variable]`."""
        if statistic not in self._windows:
            self._read()
        return self._windows[statistic]

    def mean(self, statistic: Statistic) -> np.ndarray:
        """`[variable]`: over all windows."""
        return np.concatenate(self.windows(statistic)).mean(axis=0)

    def band(self, statistic: Statistic, without: int | None = None) -> np.ndarray:
        """`[2, variable]`: the range of real data, or of all but the pieces of one group; NaN without any."""
        chosen = zip(self.pieces, self.windows(statistic), strict=True)
        kept = [windows for piece, windows in chosen if piece.group != without]
        measure = self.measure(statistic)
        assert measure is not None
        if not kept:
            return np.full((2, len(measure.variables)), np.nan)
        ends = np.quantile(np.concatenate(kept), (OUTER, 1 - OUTER), axis=0)
        if measure.positive:
            return _ratio_widened(ends)
        return np.maximum(_widened(ends, measure.slack(self.std)), measure.least)

    @property
    def std(self) -> np.ndarray:
        """`[variable]`: the standard deviation of all real values."""
        return self._known()[1]

    def excess(self, frames: np.ndarray) -> np.ndarray:
        """`[..., T]` of `[..., T, *space, variable]`: how far the farthest value of a frame is from
        the mean, over what is allowed; NaN where a value is missing."""
        mean, std, farthest = self._known()
        limit = np.maximum(FARTHEST * std, 2 * farthest)
        if self.setup.mask is not None:
            frames = np.where(self.setup.mask, frames, mean)
        cells = tuple(range(-len(self.setup.layout.shape), -1))
        least, most = frames.min(axis=cells), frames.max(axis=cells)
        return (np.maximum(most - mean, mean - least) / np.where(limit > 0, limit, 1.0)).max(axis=-1)

    def _known(self) -> tuple[np.ndarray, ...]:
        if not self._moments:
            self._read()
        return self._moments

    def _read(self) -> None:
        measures = {s: m for s, m in self._measures.items() if m is not None and s not in self._windows}
        found: dict[Statistic, list[np.ndarray]] = {statistic: [] for statistic in measures}
        moments = _Moments(self.setup)
        for piece in self.pieces:
            parts: dict[Statistic, list[np.ndarray]] = {statistic: [] for statistic in measures}
            for frames in self._blocks(piece):
                moments.add(frames.values)
                for statistic, measure in measures.items():
                    parts[statistic].append(measure.of(frames)[0])
            for statistic, values in parts.items():
                found[statistic].append(window_means(np.concatenate(values), self.length))
        self._windows |= found
        self._moments = self._moments or moments.result()

    def _blocks(self, piece: Piece):
        size = max(1, BLOCK // (4 * math.prod(self.setup.layout.shape)))
        previous = self.real.read(piece.sequence, piece.first, piece.first + 1)
        for first in range(piece.first + 1, piece.stop, size):
            values = self.real.read(piece.sequence, first, min(first + size, piece.stop))
            yield Frames(values=values[None], previous=previous)
            previous = values[-1:]


class _Moments:
    """Mean, standard deviation and largest distance from the mean of every variable."""

    def __init__(self, setup: EvaluationSetup):
        self.mask, variables = setup.mask, setup.layout.shape[-1]
        self.count, self.total, self.square = np.zeros((3, variables))
        self.least, self.most = np.full(variables, np.inf), np.full(variables, -np.inf)

    def add(self, values: np.ndarray) -> None:
        x = values.astype(np.float64)
        there = np.isfinite(x) if self.mask is None else np.broadcast_to(self.mask, x.shape)
        axes, zero = tuple(range(x.ndim - 1)), np.where(there, x, 0.0)
        self.count = self.count + there.sum(axis=axes)
        self.total = self.total + zero.sum(axis=axes)
        self.square = self.square + (zero**2).sum(axis=axes)
        self.least = np.minimum(self.least, np.where(there, x, np.inf).min(axis=axes))
        self.most = np.maximum(self.most, np.where(there, x, -np.inf).max(axis=axes))

    def result(self) -> tuple[np.ndarray, ...]:
        mean = self.total / self.count
        std = np.sqrt(np.maximum(self.square / self.count - mean**2, 0.0))
        return mean, std, np.maximum(self.most - mean, mean - self.least)


def window_means(values: np.ndarray, length: int) -> np.ndarray:
    """`[..., T, variable]` to `[..., window, variable]`: means over `length` frames, begun every quarter."""
    part = length // PARTS
    count = values.shape[-2] // part
    parts = values[..., : count * part, :].reshape(*values.shape[:-2], count, part, values.shape[-1])
    means = parts.mean(axis=-2)
    if count < PARTS:
        return means[..., :0, :]
    return np.lib.stride_tricks.sliding_window_view(means, PARTS, axis=-2).mean(axis=-1)


def _widened(ends: np.ndarray, slack: np.ndarray) -> np.ndarray:
    by = np.maximum(WIDENED * (ends[1] - ends[0]), slack)
    return np.stack([ends[0] - by, ends[1] + by])


def _ratio_widened(ends: np.ndarray) -> np.ndarray:
    """As `_widened`, in the logarithm; an end of 0 stays there."""
    low, high = ends
    with np.errstate(divide="ignore", invalid="ignore"):
        by = np.maximum((high / low) ** WIDENED, 1 + SLACK)
    by = np.where(low > 0, by, 1 + WIDENED)
    return np.stack([low / by, high * by])


def _pieces(setup: EvaluationSetup, real: Recorded, length: int) -> list[Piece]:
    """Pieces no longer than a rollout, all of them or evenly spread ones."""
    most = max(setup.horizon + 1, 3 * length + 1)
    found = [
        Piece(sequence=index, first=first, stop=min(first + most, real.length(index)))
        for index in range(len(real))
        for first in range(0, real.length(index), most)
    ]
    found = [piece for piece in found if piece.stop - piece.first > length]
    there = sum(piece.stop - piece.first for piece in found)
    frames = min(FRAMES, BYTES // (4 * math.prod(setup.layout.shape)))
    if there > frames:
        count = max(2, len(found) * frames // there)
        found = [found[i] for i in np.unique(np.linspace(0, len(found) - 1, count).round().astype(int))]
    sequences = [piece.sequence for piece in found]
    keys = sequences if len(set(sequences)) > 1 else range(len(found))
    groups = joined(np.unique(list(keys), return_inverse=True)[1].reshape(-1))
    return [dataclasses.replace(p, group=int(g)) for p, g in zip(found, groups, strict=True)]
