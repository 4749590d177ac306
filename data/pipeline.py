"""Clips for training: cut, augmented, normalised, batched and prefetched, in an order that a seed decides."""

import dataclasses
from collections.abc import Callable, Sequence

import einops
import grain
import numpy as np

from rolling.common.errors import InputError
from rolling.data import calendar
from rolling.data.augment import Augmentation
from rolling.data.conditions import conditioning
from rolling.data.source import Sequences, Stored
from rolling.data.statistics import Statistics

Batch = dict[str, np.ndarray]
Read = Callable[[int, int, int], np.ndarray]
"""Frames `start .. stop - 1` of sequence `index`, of `(index, start, stop)`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Cuts:
    """All clips of `frames` frames whose starts are `stride` apart, in physical units, as they are stored."""

    sequences: Sequences
    frames: int
    stride: int
    places: bool
    """Whether to say which sequence a clip is of, and where in it."""
    ends: np.ndarray = dataclasses.field(init=False)
    """How many clips there are up to the end of each sequence."""
    read: Read = dataclasses.field(init=False)

    def __post_init__(self):
        lengths = np.array([self.sequences.length(i) for i in range(len(self.sequences))], int)
        starts = np.where(lengths >= self.frames, (lengths - self.frames) // self.stride + 1, 0)
        object.__setattr__(self, "ends", np.cumsum(starts))
        # Bytes stay bytes until they are a batch.
        read = self.sequences.raw if isinstance(self.sequences, Stored) else self.sequences.read
        object.__setattr__(self, "read", read)
        check_frames(self.sequences, self.frames)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> Batch:
        sequence = int(np.searchsorted(self.ends, index, side="right"))
        before = int(self.ends[sequence - 1]) if sequence else 0
        start = (int(index) - before) * self.stride
        stop = start + self.frames
        return {
            "x": self.read(sequence, start, stop),
            **conditioning(self.sequences, sequence, start, stop),
            **({"place": np.array([sequence, start])} if self.places else {}),
        }


def frames_before(
    read: Read, sequence: int, first: int, before: Sequence[int], earliest: int = 0
) -> np.ndarray:
    """The frames of a sequence that lie so many frames before frame `first`, each; frame `earliest` stands in
    for those before it."""
    chosen = [max(earliest, first - count) for count in before]
    return np.concatenate([read(sequence, index, index + 1) for index in chosen])


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Past:
    """Frames of a clip's own past, which go with it through whatever changes the clip."""

    read: Read
    reference: int
    reach: int
    memory: tuple[int, ...]
    start_share: float

    def __bool__(self):
        return self.reference > 0 or len(self.memory) > 0

    def joined(self, clip: Batch, rng: np.random.Generator) -> Batch:
        """A clip with these frames before it."""
        (sequence, start), parts = clip.pop("place"), []
        if self.reference:
            first = int(rng.integers(max(0, start - self.reach), start, endpoint=True))
            parts.append(self.read(sequence, first, first + self.reference))
        if self.memory:
            late = start - int(rng.integers(0, max(self.memory), endpoint=True))
            earliest = max(0, late) if rng.random() < self.start_share else 0
            parts.append(frames_before(self.read, sequence, start, self.memory, earliest))
        return clip | {"x": np.concatenate([*parts, clip["x"]])}

    def parted(self, clips: Batch) -> Batch:
        """A batch of such clips, with these frames by themselves."""
        ends = np.cumsum([self.reference, len(self.memory)])
        reference, memory, x = np.split(clips["x"], ends, axis=1)
        named = {"reference": reference, "memory": memory}
        return clips | {
            "x": x,
            **{
                name: einops.rearrange(part, "b t h w c -> b h w (t c)")
                for name, part in named.items()
                if part.shape[1]
            },
        }


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


def _check_changes(augment: tuple[Augmentation, ...], sequences: Sequences) -> None:
    """Raises `InputError` where an augmentation does not suit the data."""
    layout = sequences.layout
    for change in augment:
        change.check(layout, sequences.mask)
    if augment and layout.forcings:
        raise InputError(
            f"{type(augment[0]).__name__} would change frames, but not the {layout.forcings} forcings beside"
            " them: leave it out, with --augment none"
        )


def clips(
    sequences: Sequences,
    statistics: Statistics,
    *,
    frames: int,
    batch: int,
    seed: int,
    stride: int = 1,
    augment: tuple[Augmentation, ...] = (),
    reference: int = 0,
    reach: int = 0,
    memory: tuple[int, ...] = (),
    start_share: float = 0.0,
    threads: int = 2,
    ahead: int = 8,
) -> grain.DatasetIterator[Batch]:
    """An endless iterator of `{"x": [B, T, H, W, C], "vectors": [B, T, d], "label": [B], ...}`.

    `x` is normalised and 0 in masked cells, float32; the others are what a network is conditioned on, see
    `data/conditions.py`, and absent where there is nothing of the sort. Every epoch has its own order, every
    clip its own random numbers, both functions of `seed` alone: neither `threads` nor `ahead`, the batches
    kept ready, change a bit. `get_state()` is a JSON value; after `set_state` the same batches follow. With
    `threads=0` nothing is prefetched.

    With `reference` frames there is also `"reference" [B, H, W, reference C]`: as many frames of the same
    sequence, which begin with the clip or up to `reach` frames before it. With `memory` there is also
    `"memory" [B, H, W, len(memory) C]`: the frames that lie so many frames before the clip, each. The first
    of the sequence stands in for older ones; for a share `start_share` of clips the sequence is taken to
    begin anywhere from the oldest of these frames to the clip.

    Raises `InputError` where no sequence has `frames` frames, or an augmentation does not suit the data.
    """
    _check_counts(frames=frames, batch=batch, stride=stride)
    layout = sequences.layout
    calendar.check(layout)
    _check_changes(augment, sequences)

    def augmented(clip: Batch, rng: np.random.Generator) -> Batch:
        x = clip["x"].astype(np.float32, copy=False)
        for change in augment:
            x = change.apply(x, layout, rng)
        return clip | {"x": x}

    def normalised(clips: Batch) -> Batch:
        return clips | {"x": statistics.normalise(clips["x"]).astype(np.float32, copy=False)}

    cuts = Cuts(sequences, frames, stride, reference > 0 or len(memory) > 0)
    # As good as endless; grain counts batches in floating point, so that more would not be counted exactly.
    epochs = 2**52 // len(cuts)
    dataset = grain.MapDataset.source(cuts).seed(seed).shuffle().repeat(epochs)
    past = _Past(read=cuts.read, reference=reference, reach=reach, memory=memory, start_share=start_share)
    if past:
        dataset = dataset.random_map(past.joined)
    if augment:
        dataset = dataset.random_map(augmented)
    dataset = dataset.batch(batch).map(normalised)
    if past:
        dataset = dataset.map(past.parted)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead if threads else 0)
    return iter(dataset.to_iter_dataset(options))
