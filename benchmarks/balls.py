"""How long the balls of `moving_shapes` stay balls: `python benchmarks/balls.py runs/A/long.zarr ...`

A ball keeps its size for ever, and nothing in the data pulls one back that has grown. Of each rollout the
area of what differs from the background is followed, in units of its contrast. A ball is lost where for 7 of
10 frames its area lies outside those of the balls in the data, widened by a fifth, or it is no disc: the
second moment of a disc about its centre is its area over 2 pi. The rate is the slope of the logarithm of the
area over the first 60 frames. The truth has a rate of 0 and loses none.
"""

import sys
from typing import Any, cast

import numpy as np
import xarray as xr

from rolling.configs.moving_shapes import experiment

BACKGROUND, FIRST = 20.0, 60
RADII = 32 * np.array(cast(Any, experiment.source).simulator.sizes)
LEAST, MOST = np.pi * RADII**2 * (1 / 1.2, 1.2)
PIXELS = np.stack(np.mgrid[:32, :32]) + 0.5


def ball(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area in pixels, and second moment in terms of a disc's, of frames `[t, 32, 32, 3]` in grey levels."""
    distance = np.linalg.norm(frames.astype(float) - BACKGROUND, axis=-1)
    contrast = np.sort(distance.reshape(len(distance), -1), axis=1)[:, -100:-20].mean(axis=1)
    cover = distance / np.maximum(contrast, 1)[:, None, None]
    area = np.where(cover > 0.15, np.minimum(cover, 1.2), 0).sum(axis=(1, 2))
    weight = np.where(cover > 0.3, cover, 0)
    total = weight.sum(axis=(1, 2))
    centre = np.einsum("thw,dhw->td", weight, PIXELS) / total[:, None]
    square = ((PIXELS[None] - centre[:, :, None, None]) ** 2).sum(axis=1)
    moment = (weight * square).sum(axis=(1, 2)) / total
    return np.where(contrast > 100, area, 0), 2 * np.pi * moment / total


def lasts(frames: np.ndarray) -> tuple[int, float]:
    """The frames that a ball stays one, and the rate at which its area grows."""
    area, disc = ball(frames)
    lost = (area < LEAST) | (area > MOST) | (disc < 0.8) | (disc > 1.35)
    often = np.convolve(lost, np.ones(10), "valid") >= 7
    rate = np.polyfit(np.arange(FIRST), np.log(np.maximum(area[:FIRST], 1)), 1)[0]
    return int(np.argmax(often)) if often.any() else len(frames), rate


def main() -> None:
    for path in sys.argv[1:]:
        store = xr.open_zarr(path)[["red", "green", "blue"]].to_array("colour")
        rollouts = store.stack(rollout=("start", "number"))
        order = ("rollout", "prediction_timedelta", "y", "x", "colour")
        found = [lasts(frames) for frames in rollouts.transpose(*order).values]
        frames, rates = map(np.array, zip(*found, strict=True))
        horizon = store.sizes["prediction_timedelta"]
        grow, error = 100 * rates.mean(), 100 * rates.std() / np.sqrt(len(rates))
        print(
            f"{path}: {np.sum(frames == horizon)} of {len(frames)} balls last all {horizon} frames,"
            f" half of them {np.median(frames):.0f}; areas grow by {grow:.2f} ± {error:.2f} % a frame"
        )


if __name__ == "__main__":
    main()
