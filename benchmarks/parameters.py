"""Whether a network heeds what it is told: `python benchmarks/parameters.py runs/kolmogorov_viscosity`.

From the same held-out starts, of whatever viscosity, the network is asked for rollouts at three viscosities.
Once the start is forgotten, after 60 frames, the power of the vorticity in three bands of wavenumbers is set
against that of simulations with this viscosity. A network that heeds nothing gives the same power at all of
them; one that is perfect has ratios of one.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rolling import load
from rolling.metrics.spectra import spectrum
from rolling.physics.simulators import simulate
from rolling.run import commands
from rolling.run.forecasting.zarr_reader import open_forecast

VALUES = (0.005, 0.01, 0.02)
STARTS, FRAMES, FORGOTTEN = 8, 120, 60
BANDS = ((1, 3), (4, 7), (8, 12))


def powers(layout: Any, frames: np.ndarray) -> np.ndarray:
    """`[band]`: the mean power of frames `[..., y, x]`."""
    power = spectrum(layout)(frames).reshape(-1, spectrum(layout)(frames).shape[-1]).mean(0)
    return np.array([power[first : last + 1].sum() for first, last in BANDS])


def simulated(source: Any, value: float) -> np.ndarray:
    simulator = dataclasses.replace(source.simulator, viscosity=value)
    keys = jax.random.split(jax.random.key(100), STARTS)
    return np.asarray(simulate(simulator, keys, FRAMES))[..., 0]


def rolled(run: Path, value: float) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "rollout.zarr")
        parts = {"parameters": (f"viscosity={value}",), "output": output, "frames": FRAMES}
        parts |= {"starts": STARTS, "members": 1, "batch": STARTS}
        commands.rollout(run, lambda own: dataclasses.replace(own, **parts))
        return open_forecast(Path(output), load(run).layout).dataset["vorticity"].values[:, 0, FORGOTTEN:]


def main() -> None:
    run = Path(sys.argv[1])
    forecaster = load(run)
    layout, source = forecaster.layout, forecaster.experiment.source
    true = np.stack([powers(layout, simulated(source, value)) for value in VALUES])
    found = np.stack([powers(layout, rolled(run, value)) for value in VALUES])
    print("power of the vorticity, forecast / simulation (ratio), at wavenumbers")
    print("viscosity  " + "  ".join(f"{f'{first} to {last}':>24}" for first, last in BANDS))
    for value, ours, theirs in zip(VALUES, found, true, strict=True):
        cells = [f"{a:8.4f} / {b:8.4f} ({a / b:.2f})" for a, b in zip(ours, theirs, strict=True)]
        print(f"{value:9g}  " + "  ".join(f"{cell:>24}" for cell in cells))
    ours, theirs = (each[0, -1] / each[-1, -1] for each in (found, true))
    print(
        f"from viscosity {VALUES[-1]:g} to {VALUES[0]:g}, at wavenumbers {BANDS[-1][0]} to {BANDS[-1][1]}:"
        f" {ours:.2f} times the power, in simulations {theirs:.2f} times (ratio {ours / theirs:.2f})"
    )


if __name__ == "__main__":
    main()
