"""The input pipeline never stalls training.

    python benchmarks/pipeline.py

Clips of the main job's size (8 clips of 8 frames, 32 x 32, augmented) from an array in memory, a mapped file,
and a compressed NetCDF file read during training. Prints for each the clips per second of the pipeline alone,
their ratio to what training consumes, and the fraction of time that a loop of jitted steps of the training's
duration waits for `next`.
"""

import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from rolling.data.arrays import Arrays
from rolling.data.augment import ShiftReflect, Translate
from rolling.data.gridded.source import Gridded
from rolling.data.pipeline import clips
from rolling.data.source import Sequences
from rolling.data.statistics import measure
from rolling.physics.simulators import Kolmogorov

FRAMES, BATCH, SIZE = 8, 8, 32
TRAINED = 800.0  # frames a second: well above what the default network reaches on two cores
STEPS = 60


def busy(seconds: float):
    """A jitted function that keeps all cores busy for about `seconds`."""

    def work(x, count):
        return jax.lax.fori_loop(0, count, lambda _, y: jnp.tanh(y @ x), x)

    compiled, x = jax.jit(work), jnp.eye(512) * 0.9
    compiled(x, 1).block_until_ready()
    begin = time.perf_counter()
    compiled(x, 50).block_until_ready()
    count = max(1, round(50 * seconds / (time.perf_counter() - begin)))
    return lambda: compiled(x, count).block_until_ready()


def report(name: str, sequences: Sequences, augment: tuple, step) -> None:
    statistics = measure(sequences)
    iterator = clips(sequences, statistics, frames=FRAMES, batch=BATCH, seed=0, augment=augment)
    next(iterator)
    begin = time.perf_counter()
    for _ in range(4 * STEPS):
        next(iterator)
    alone = 4 * STEPS * BATCH / (time.perf_counter() - begin)
    waited, begin = 0.0, time.perf_counter()
    for _ in range(STEPS):
        before = time.perf_counter()
        next(iterator)
        waited += time.perf_counter() - before
        step()
    share = waited / (time.perf_counter() - begin)
    needed = TRAINED / FRAMES
    print(f"{name}: {alone:.0f} clips/s, {alone / needed:.0f} times the {needed:.0f} that training consumes")
    print(f"{name}: training waits {100 * share:.2f} % of its time")


def main() -> None:
    step = busy(FRAMES * BATCH / TRAINED)
    rng = np.random.default_rng(0)
    flow = Kolmogorov(resolution=SIZE)
    frames = rng.normal(size=(64, 110, *flow.layout.shape)).astype(np.float32)
    symmetries = (Translate(), ShiftReflect())
    report("memory", Arrays(layout=flow.layout, frames=frames), symmetries, step)
    with tempfile.TemporaryDirectory() as place:
        np.save(Path(place) / "frames.npy", frames)
        mapped = np.load(Path(place) / "frames.npy", mmap_mode="r")
        report("mapped file", Arrays(layout=flow.layout, frames=mapped), symmetries, step)
        times = np.datetime64("2020-01-01", "ns") + np.arange(7040) * np.timedelta64(1, "h")
        values = frames[..., 0].reshape(7040, SIZE, SIZE)
        hourly = xr.Dataset({"t2m": (("time", "y", "x"), values)}, {"time": times})
        packed = {"t2m": {"zlib": True, "chunksizes": (24, SIZE, SIZE)}}
        hourly.to_netcdf(Path(place) / "hourly.nc", engine="h5netcdf", encoding=packed)
        path = str(Path(place) / "hourly.nc")
        for name, size in (("NetCDF kept in memory", 1.0), ("compressed NetCDF, read lazily", 0.0)):
            report(name, Gridded(path=path, in_memory=size).open().train, (), step)


if __name__ == "__main__":
    main()
