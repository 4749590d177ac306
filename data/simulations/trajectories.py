"""Simulations as found on disk: what an archive says of each trajectory, and where its frames lie."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from rolling.common.errors import InputError
from rolling.data.simulations.stored_arrays import Piece
from rolling.geometry import Axis
from rolling.layout import Variable

TRAIN, VALIDATION, TEST, UNSPECIFIED = "train", "validation", "test", ""
SPLITS = {
    "train": TRAIN,
    "training": TRAIN,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "val": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
"""What folders, files and groups of a part are called."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trajectory:
    """One simulation of an archive, of which only headers have been read.

    `pieces` are its channels, those of one piece after those of the other, and `constants` fields that do not
    change, each by its name.
    """

    name: str
    """Unique, and independent of where the archive lies."""
    length: int
    """Frames."""
    variables: tuple[Variable, ...]
    axes: tuple[Axis, ...]
    pieces: tuple[Piece, ...]
    split: str = UNSPECIFIED
    step: float = 1.0
    """Time between frames."""
    origin: float = 0.0
    """Time of the first frame."""
    parameters: tuple[tuple[str, float], ...] = ()
    """Numbers that hold for the whole trajectory."""
    varying: tuple[tuple[str, Piece], ...] = ()
    """Numbers of each frame, known beforehand: an array over t alone each."""
    constants: tuple[tuple[str, Piece], ...] = ()
    scattered: bool = False
    """Whether its frames lie in many small files, which are then read once and kept in one."""

    def __post_init__(self):
        pieces = (*self.pieces, *(piece for _, piece in (*self.varying, *self.constants)))
        if not all(piece.has(self.length) for piece in pieces):
            raise InputError(
                f"{self.name} should have {self.length} frames, and one of its arrays has fewer, or is not"
                " there for it: the file is damaged, or written wrongly; leave it out"
            )


@runtime_checkable
class Archive(Protocol):
    """How one project lays out its simulations: a frozen dataclass, named by an experiment or found by
    looking at a folder."""

    def lies_in(self, place: Path) -> bool:
        """Whether a file or folder is laid out like this, by names and headers; False for a damaged file."""
        ...

    def trajectories(self, place: Path) -> Sequence[Trajectory]:
        """All of them, in an order that depends on the archive alone. Raises `InputError`."""
        ...
