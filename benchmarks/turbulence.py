"""Ten thousand frames of turbulence stay turbulence.

    rolling rollout runs/kolmogorov --starts 4 --members 1 --frames 10000 --batch 4 --output ten_thousand.zarr
    python benchmarks/turbulence.py ten_thousand.zarr

Prints the variance and the energy at each wavenumber (shells of width 1, 1 to 10) of all rollouts together,
in pieces of `PIECE` frames, as ratios to the simulator's: of the frames that `kolmogorov` is trained on and
those that are held out, which are 72 trajectories. Behind ± is the standard error of the truth's own mean
between trajectories, as a share. The goal: within 5 %.
"""

import sys
from typing import cast

import numpy as np
import xarray as xr

from rolling.configs.kolmogorov import experiment
from rolling.metrics.spectra import Planar, spectrum

PIECE, SHELLS = 1000, np.arange(1, 11)


def powers(w: np.ndarray, plane: Planar) -> np.ndarray:
    """The variance, then the kinetic energy in each shell, `[..., 11]`, means over time of vorticity
    `w [..., time, y, x]`."""
    shells = plane.kinetic_of_vorticity(w)[..., SHELLS]
    return np.concatenate([w.var(axis=(-2, -1))[..., None], shells], axis=-1).mean(-2)


def main() -> None:
    split = experiment.source.open()
    plane = cast(Planar, spectrum(split.train.layout))
    sequences = [
        part.read(i, 0, part.length(i)) for part in (split.train, split.test) for i in range(len(part))
    ]
    frames = np.array([len(x) for x in sequences])
    found = np.array([powers(x[None, ..., 0], plane)[0] for x in sequences])
    truth = np.average(found, axis=0, weights=frames)
    error = np.sqrt(np.average((found - truth) ** 2, axis=0, weights=frames) / (len(found) - 1)) / truth

    store = xr.open_zarr(sys.argv[1])["vorticity"].stack(rollout=("start", "number"))
    leads = store.sizes["prediction_timedelta"]
    print(f"{store.sizes['rollout']} rollouts of {leads} frames, as ratios to the truth")
    print("leads         variance  " + "  ".join(f"k={k:<4d}" for k in SHELLS))
    pieces = []
    for begin in range(0, leads - leads % PIECE or leads, PIECE):
        piece = store.isel(prediction_timedelta=slice(begin, begin + PIECE))
        w = piece.transpose("rollout", "prediction_timedelta", "y", "x").values.astype(np.float64)
        pieces.append(powers(w, plane).mean(0) / truth)
        print(_row(f"{begin + 1}-{begin + w.shape[1]}", pieces[-1]))
    print(_row("all", np.mean(pieces, axis=0)))
    print(_row("± (truth)", error))


def _row(name: str, values: np.ndarray) -> str:
    return f"{name:12s}  " + f"{values[0]:8.3f}  " + "  ".join(f"{value:.3f} " for value in values[1:])


if __name__ == "__main__":
    main()
