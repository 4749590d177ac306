"""The protocol of a data set: random access to sequences of frames."""

import dataclasses
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import xarray as xr

from rolling.layout import Layout


@runtime_checkable
class Sequences(Protocol):
    """A number of unbroken sequences; frames of one sequence are `layout.step` apart, without gaps."""

    @property
    def layout(self) -> Layout: ...

    @property
    def mask(self) -> np.ndarray | None:
        """`[*space, variable]`: True where there are data; None where there are data everywhere."""
        ...

    def __len__(self) -> int:
        """How many sequences."""
        ...

    def length(self, index: int) -> int:
        """Frames of one sequence."""
        ...

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Frames `[stop - start, *space, variable]`, float32, physical units, NaN where masked."""
        ...

    def times(self, index: int, start: int, stop: int) -> np.ndarray:
        """Times of frames, dates (`rolling.data.dates`) or float64; `stop` may lie beyond the sequence."""
        ...

    def conditioning(self, index: int, start: int, stop: int) -> dict[str, np.ndarray]:
        """What else is known of the frames of one sequence, whichever the layout has: `label []`, an index
        into its `labels` or -1, int32; `tokens [n, layout.tokens]`, `actions [stop - start, layout.actions]`,
        `fields [stop - start, *space, layout.forcings]`, `parameters [stop - start, layout.parameters]` and
        `constants [*space, layout.constants]`, float32, of the scale that the network is to see. Never
        asked for frames beyond the end of the sequence.
        """
        ...

    def name(self, index: int) -> str:
        """A name that identifies the sequence, whatever its position; empty where it has no name."""
        ...


class SequencesBase:
    """Sequences without names, of which nothing is known but their frames.

    A class of its own, as a dataclass would take the protocol's properties for the defaults of its fields.
    """

    def conditioning(self, index: int, start: int, stop: int) -> dict[str, np.ndarray]:
        return {}

    def name(self, index: int) -> str:
        return ""


@runtime_checkable
class Stored(Sequences, Protocol):
    """Sequences that also hand out frames as they lie in `path`, for those who convert many at once."""

    @property
    def path(self) -> Path: ...

    def raw(self, index: int, start: int, stop: int) -> np.ndarray:
        """What `read` returns, in the type in which it is kept; read-only."""
        ...


@runtime_checkable
class Counting(Protocol):
    """Sequences that say what their times mean where these are plain numbers."""

    @property
    def from_start(self) -> bool:
        """Whether times count from the start of a sequence: frame `k` is at `step k` and lasts until
        `step (k + 1)`. Those of other sequences are the ends of the frames' intervals."""
        ...


@runtime_checkable
class WithGaps(Protocol):
    """Sequences of which some frames may be missing: the sound of a clip that has none. What is read of these
    is zeros."""

    def present(self, index: int, start: int, stop: int) -> np.ndarray:
        """`[stop - start]`, bool: which frames are there."""
        ...


def present(sequences: Sequences, index: int, start: int, stop: int) -> np.ndarray:
    """`[stop - start]`, bool: which frames of any sequences are there."""
    if isinstance(sequences, WithGaps):
        return sequences.present(index, start, stop)
    return np.ones(stop - start, bool)


def has_gaps(sequences: Sequences) -> bool:
    """Whether any frame is missing."""
    return isinstance(sequences, WithGaps) and not all(
        sequences.present(i, 0, sequences.length(i)).all() for i in range(len(sequences))
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """The parts of a data set. Nothing of `test` is ever seen in training, statistics included."""

    train: Sequences
    test: Sequences
    validation: Sequences | None = None
    """What to validate on, where an experiment wants to: the data's own part, or else what the experiment has
    set apart from `train`."""
    skipped: tuple[tuple[str, str], ...] = ()
    """What could not be used, and why: a name and a reason each."""
    notices: tuple[str, ...] = ()
    """What else is worth knowing of the data, a sentence each."""


@runtime_checkable
class Source(Protocol):
    """What an experiment names: a frozen dataclass that opens or simulates data, and downloads nothing.

    An attribute `conditions` names those of its settings that say what networks are told of the data: runs
    that differ in them alone forecast the same frames, and can be compared.
    """

    def open(self) -> Split:
        """The data, read lazily. Raises `rolling.common.errors.InputError` for whatever cannot be used."""
        ...


@runtime_checkable
class Described(Protocol):
    """A source that knows what its frames are before it is opened."""

    def layout(self) -> Layout:
        """The layout of what `open` gives, without simulating, preparing or reading frames.

        Raises `InputError` where it cannot be known.
        """
        ...


@runtime_checkable
class Joins(Protocol):
    """A source of several modalities."""

    def source_of(self, modality: str) -> Source:
        """The source of one of them."""
        ...


@runtime_checkable
class ReadsOther(Protocol):
    """A source that reads other data than its own in the same way, to forecast from them."""

    def read_like(self, layout: Layout, mask: np.ndarray | None, data: str | xr.Dataset) -> Sequences:
        """The frames of `data`, a path or an open dataset, as a network of this layout and mask takes them.

        Variables, units, cells and the time step are those of `layout`, wherever `data` have them; what else
        they have is left out. Raises `InputError` where something is not there.
        """
        ...
