"""Clips for training: cut, augmented, normalised, batched and prefetched, in an order that a seed decides."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import grain
import jax
import numpy as np

from rolling.common.errors import InputError
from rolling.common.indices import spaced
from rolling.data import calendar
from rolling.data.augment import Augmentation
from rolling.data.clip_past import NO_PAST, Batch, ClipPast, Read
from rolling.data.conditions import conditioning
from rolling.data.joint_sequences import JointSequences
from rolling.data.joint_statistics import JointStatistics
from rolling.data.source import Sequences, Stored, has_gaps
from rolling.data.statistics import Statistics
from rolling.joint_layout import JointLayout


@dataclasses.dataclass(frozen=True, eq=False)
class Cuts:
    """All clips of `frames` frames whose starts are `stride` apart, in physical units, as they are stored."""

    sequences: Any
    frames: int
    stride: int
    places: bool
    """Whether to say which sequence a clip is of, and where in it."""
    ends: np.ndarray = dataclasses.field(init=False)
    """How many clips there are up to the end of each sequence."""
    read: Read = dataclasses.field(init=False)

    def __post_init__(self):
        lengths = np.array([self.sequences.length(i) for i in range(len(self.sequences))], int)
        starts = np.where(lengths >= self.frames, (lengths - self.frames) // self._apart + 1, 0)
        object.__setattr__(self, "ends", np.cumsum(starts))
        # Bytes stay bytes until they are a batch.
        read = self.sequences.raw if isinstance(self.sequences, Stored) else self.sequences.read
        object.__setattr__(self, "read", read)
        check_frames(self.sequences, self.frames)

    @property
    def _apart(self) -> int:
        """Frames, or ticks, from one start to the next: clips of several modalities begin where slots do."""
        layout = self.sequences.layout
        return self.stride * layout.slot if isinstance(layout, JointLayout) else self.stride

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> Batch:
        sequence = int(np.searchsorted(self.ends, index, side="right"))
        before = int(self.ends[sequence - 1]) if sequence else 0
        start = (int(index) - before) * self._apart
        stop = start + self.frames
        return {
            "x": self.read(sequence, start, stop),
            **conditioning(self.sequences, sequence, start, stop),
            **self._present(sequence, start, stop),
            **({"place": np.array([sequence, start])} if self.places else {}),
        }

    def _present(self, sequence: int, start: int, stop: int) -> dict[str, Any]:
        """Of several modalities with gaps, which frames are there."""
        joint = isinstance(self.sequences, JointSequences) and self.sequences.with_gaps
        return {"present": self.sequences.present(sequence, start, stop)} if joint else {}


@dataclasses.dataclass(frozen=True, eq=False)
class _Some:
    """Some clips of all, in this order."""

    cuts: Cuts
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Batch:
        return self.cuts[self.indices[index]]


def check_frames(sequences: Sequences, frames: int) -> None:
    """Raises `InputError` where no sequence has `frames` frames in a row."""
    longest = max((sequences.length(i) for i in range(len(sequences))), default=0)
    if longest < frames:
        raise InputError(
            f"too few frames for one window: it takes {frames} in a row, but the longest unbroken sequence of"
            f" the training part has {longest}; use a smaller window or more data"
        )


def _check_counts(**counts: int) -> None:
    """Raises `InputError` for a count of training clips below 1."""
    for name, value in counts.items():
        if value < 1:
            raise InputError(f"the {name} of training clips must be at least 1, not {value}")


def _check_changes(augment: tuple[Augmentation, ...], sequences: Sequences | JointSequences) -> None:
    """Raises `InputError` where an augmentation, a function of time, or a gap does not suit the data."""
    if isinstance(sequences, JointSequences):
        if augment:
            raise InputError(
                f"{type(augment[0]).__name__} would change one of several modalities and not the others:"
                " leave it out, with --augment none"
            )
        for part in sequences.parts.values():
            calendar.check(part.layout)
        return
    layout = sequences.layout
    calendar.check(layout)
    if has_gaps(sequences):
        raise InputError(
            f"frames of {', '.join(layout.names)} are missing, and of one modality all are needed: join it"
            " with another, or leave out the sequences that lack some"
        )
    for change in augment:
        change.check(layout, sequences.mask)
    for count, what in ((layout.forcings, "forcings"), (len(layout.constants), "constant fields")):
        if augment and count:
            raise InputError(
                f"{type(augment[0]).__name__} would change frames, but not the {count} {what} beside them:"
                " leave it out, with --augment none"
            )


def clips(
    sequences: Sequences | JointSequences,
    statistics: Statistics | JointStatistics,
    *,
    frames: int,
    batch: int,
    seed: int,
    stride: int = 1,
    augment: tuple[Augmentation, ...] = (),
    past: ClipPast = NO_PAST,
    threads: int = 2,
    ahead: int = 8,
) -> grain.DatasetIterator[Batch]:
    """An endless iterator of `{"x": [B, T, H, W, C], "vectors": [B, T, d], "label": [B], ...}`.

    `x` is normalised and 0 in masked cells, float32; the others are what a network is conditioned on, see
    `data/conditions.py`, and absent where there is nothing of the sort. Of several modalities, `present` has
    of each with gaps `[B, T]`: which frames are there. Every epoch has its own order, every
    clip its own random numbers, both functions of `seed` alone: neither `threads` nor `ahead`, the batches
    kept ready, change a bit. `get_state()` is a JSON value; after `set_state` the same batches follow. With
    `threads=0` nothing is prefetched.

    Raises `InputError` where no sequence has `frames` frames, or an augmentation or gaps do not suit the
    data.
    """
    _check_counts(frames=frames, batch=batch, stride=stride)
    _check_changes(augment, sequences)

    def augmented(clip: Batch, rng: np.random.Generator) -> Batch:
        x = clip["x"].astype(np.float32, copy=False)
        for change in augment:
            x = change.apply(x, cuts.sequences.layout, rng)
        return clip | {"x": x}

    cuts = Cuts(sequences, frames, stride, bool(past))
    # As good as endless; grain counts batches in floating point, so that more would not be counted exactly.
    epochs = 2**52 // len(cuts)
    dataset = grain.MapDataset.source(cuts).seed(seed).shuffle().repeat(epochs)
    dataset = _batched(dataset, cuts.read, statistics, batch, past, augmented if augment else None)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead if threads else 0)
    return iter(dataset.to_iter_dataset(options))


def fixed_clips(
    sequences: Sequences | JointSequences,
    statistics: Statistics | JointStatistics,
    *,
    frames: int,
    batch: int,
    least: int,
    past: ClipPast = NO_PAST,
) -> grain.MapDataset[Batch]:
    """As many batches as hold `least` clips, read when they are asked for, and the same each time: clips as
    those of `clips`, evenly spaced over all that there are; where there are fewer, some are there again.

    Each batch is spread over the sequences. Raises `InputError` where no sequence has `frames` frames.
    """
    cuts = Cuts(sequences, frames, 1, bool(past))
    batches = -(-least // batch)
    found = np.resize(spaced(len(cuts), batches * batch), (batch, batches))
    dataset = grain.MapDataset.source(_Some(cuts, found.T.ravel().tolist())).seed(0)
    return _batched(dataset, cuts.read, statistics, batch, past)


def _batched(
    dataset: grain.MapDataset[Batch],
    read: Read,
    statistics: Any,
    batch: int,
    past: ClipPast,
    augmented: Callable[[Batch, np.random.Generator], Batch] | None = None,
) -> grain.MapDataset[Batch]:
    """Clips as they are stored, with frames of their past, changed, batched and normalised."""

    def normalised(clips: Batch) -> Batch:
        x = statistics.normalise(clips["x"])
        return clips | {"x": jax.tree.map(lambda part: part.astype(np.float32, copy=False), x)}

    if past:
        dataset = dataset.random_map(partial(past.joined, read))
    if augmented:
        dataset = dataset.random_map(augmented)
    dataset = dataset.batch(batch).map(normalised)
    return dataset.map(past.parted) if past else dataset
