"""Trajectories of many small files, copied once into one file each."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rolling.common.progress import Progress
from rolling.data import cache
from rolling.data.simulations.known_archives import stamps
from rolling.data.simulations.stored_arrays import NpyArray, Piece
from rolling.data.simulations.trajectories import Trajectory

FORMAT = 1  # part of the cache's key
BLOCK = 64  # frames copied at once


def gathered(trajectories: Sequence[Trajectory], place: Path, chosen: str | None) -> tuple[Trajectory, ...]:
    """The same trajectories; of those that are scattered, the frames are read from a copy in the cache, which
    is made at the first call and again when their files change."""
    if not any(trajectory.scattered for trajectory in trajectories):
        return tuple(trajectories)
    name = f"trajectories-{cache.key((FORMAT, *_identity(trajectories, place)))}"
    folder = cache.fetch(cache.folder(chosen) / name, lambda work: _copy(trajectories, work))
    return tuple(
        dataclasses.replace(trajectory, pieces=(_piece(folder / f"{i}.npy"),), scattered=False)
        for i, trajectory in enumerate(trajectories)
    )


def _piece(file: Path) -> Piece:
    array = NpyArray.of(file)
    space = ("z", "y", "x")[-(len(array.shape) - 2) :]
    return Piece(array=array, axes=" ".join(("t", *space, "c")))


def _copy(trajectories: Sequence[Trajectory], work: Path) -> None:
    total = sum(trajectory.length for trajectory in trajectories)
    with Progress("gather", total=total, unit="frame") as progress:
        for i, trajectory in enumerate(trajectories):
            space = tuple(len(axis) for axis in trajectory.axes)
            shape = (trajectory.length, *space, len(trajectory.variables))
            kept = np.lib.format.open_memmap(work / f"{i}.npy", mode="w+", dtype=np.float32, shape=shape)
            for first in range(0, trajectory.length, BLOCK):
                last = min(first + BLOCK, trajectory.length)
                parts = [piece.read(first, last, space) for piece in trajectory.pieces]
                kept[first:last] = np.concatenate(parts, axis=-1)
                progress.update(last - first)
            kept.flush()


def _identity(trajectories: Sequence[Trajectory], place: Path) -> list:
    """What the copy depends on: the frames, and the files below the archive's folder."""
    told = [
        (t.name, t.length, [_lie(p) for p in t.pieces], [v.name for v in t.variables]) for t in trajectories
    ]
    return [told, [(Path(name).name, size, changed) for name, size, changed in stamps(place)]]


def _lie(piece: Piece) -> list:
    """Where frames lie in an array, wherever that one is."""
    fields = [field.name for field in dataclasses.fields(piece) if field.name != "array"]
    return [(name, getattr(piece, name)) for name in fields]
