"""The protocol of what a run leaves to be looked at, beside its report: files of moving or still pictures."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from rolling.fields import Layout


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shown:
    """One forecast beside its truth, in physical units.

    `given [n, height, width, variable]`, the frames before the forecast; `forecast [member, T, ...]`;
    `truth [S, ...]`, `S <= T` where the sequence ends before the forecast. `name` is fit for a file's name.
    """

    name: str
    layout: Layout
    given: np.ndarray
    truth: np.ndarray
    forecast: np.ndarray


@runtime_checkable
class Output(Protocol):
    """What an experiment names to have its forecasts written in some format."""

    def check(self, layout: Layout) -> None:
        """Raises `InputError` where such frames cannot be written, or a library is missing."""

    def write(self, shown: Sequence[Shown], folder: Path) -> list[Path]:
        """Writes one file, or several, atomically, into a folder that exists; returns their paths."""
