"""How long several discs of `moving_shapes` stay what they are: `python benchmarks/shapes.py runs/A ...`

A disc is hidden now and then by the other, but seldom for long. Of each of a rollout's colours the largest
area within the last 60 frames is followed. A disc is lost where that is a third more or less than its first
one, and both are lost where for 7 of 10 frames another colour of the palette covers more than a quarter of
the smaller one. The rollouts are those in `long.zarr` of runs with discs of different colours. The held-out
films are judged in the same way, and last for all of 340 frames (64 films of two discs with radii of 0.13
to 0.2 pictures).
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from rolling import load
from rolling.data.moving_shapes import PALETTE

BACKGROUND = (20, 20, 20)
COLOURS = np.array([BACKGROUND, *PALETTE], np.float32)
NEAR = 70.0  # in grey levels: an edge between two colours is neither
WINDOW, OFTEN, SPAN = 80, 7, 10
LEAST, MOST, STRANGE = 2 / 3, 4 / 3, 1 / 4


def areas(frames: np.ndarray) -> np.ndarray:
    """The pixels of each colour of the palette, `[t, colour]`, in frames `[t, H, W, 3]` in grey levels."""
    distance = np.stack([np.linalg.norm(frames - colour, axis=-1) for colour in COLOURS], axis=-1)
    nearest = np.where(distance.min(-1) < NEAR, distance.argmin(-1), 0)
    return np.stack([(nearest == colour).sum((1, 2)) for colour in range(1, len(COLOURS))], axis=-1)


def lasts(frames: np.ndarray, shapes: int) -> int:
    """The frames for which all discs stay what they are."""
    area = areas(frames.astype(np.float32))
    largest = np.lib.stride_tricks.sliding_window_view(area, WINDOW, axis=0).max(-1)
    own = np.argsort(largest[0])[-shapes:]
    ratio = largest[:, own] / np.maximum(largest[0, own], 1)
    wrong = ((ratio < LEAST) | (ratio > MOST)).any(axis=1)
    lost = WINDOW - 1 + np.argmax(wrong) if wrong.any() else len(frames)
    others = np.delete(area, own, axis=1).max(axis=1) > STRANGE * largest[0, own].min()
    strange = np.convolve(others, np.ones(SPAN), "valid") >= OFTEN
    return int(min(lost, np.argmax(strange) if strange.any() else len(frames)))


def told(name: str, frames: list[np.ndarray], shapes: int) -> str:
    found, horizon = np.array([lasts(each, shapes) for each in frames]), min(map(len, frames))
    return (
        f"{name}: {np.sum(found >= horizon)} of {len(found)} keep their {shapes} discs for {horizon} frames,"
        f" half of them for {np.median(found):.0f}"
    )


def main() -> None:
    for folder in map(Path, sys.argv[1:]):
        source: Any = load(folder).experiment.source
        shapes, test = source.simulator.shapes, source.open().test
        films = [test.read(i, 0, test.length(i)) for i in range(len(test))]
        store = xr.open_zarr(folder / "long.zarr")[["red", "green", "blue"]].to_array("colour")
        rollouts = store.stack(rollout=("start", "number"))
        order = ("rollout", "prediction_timedelta", "y", "x", "colour")
        print(told(f"{folder}", list(rollouts.transpose(*order).values), shapes))
        print(told("the films themselves", films, shapes))


if __name__ == "__main__":
    main()
