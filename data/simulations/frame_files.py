"""Arrays of which each frame is a file of its own."""

import dataclasses
from pathlib import Path

import numpy as np

from rolling.common.errors import InputError
from rolling.data.simulations.npz_arrays import NpzArray, unpacked
from rolling.data.simulations.stored_arrays import Index

KEY = "arr_0"  # what numpy calls an array that is saved without a name


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameFiles:
    """An array `[t, ...]` of which frame 7 is the npz file `velocity_000007.npz` of a folder, if `field` is
    "velocity"."""

    folder: str
    field: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, folder: Path, field: str, first: int, stop: int) -> "FrameFiles":
        """Of the frames before `stop`, with the shape of the first one there is."""
        frame = NpzArray.of(folder / file_of(field, first), KEY)
        return cls(folder=str(folder), field=field, shape=(stop, *frame.shape))

    def take(self, index: Index) -> np.ndarray:
        frames, rest = range(self.shape[0])[index[0]], index[1:]
        if isinstance(frames, int):
            return self._frame(frames)[rest]
        parts = [self._frame(number)[rest] for number in frames]
        return np.stack(parts) if parts else np.empty((0, *self.shape[1:]))[(slice(None), *rest)]

    def _frame(self, number: int) -> np.ndarray:
        file = Path(self.folder) / file_of(self.field, number)
        frame = unpacked(file, KEY)
        if frame.shape != self.shape[1:]:
            raise InputError(
                f"{file} holds an array of shape {frame.shape}, and the first frame one of shape"
                f" {self.shape[1:]}: fetch it again"
            )
        return frame


def file_of(field: str, number: int) -> str:
    """The name of the file of a frame."""
    return f"{field}_{number:06d}.npz"
