"""Sequences from a simulator, stored on disk."""

import dataclasses
import functools
import math
import shutil
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from rolling.common.checks import check_seed
from rolling.common.errors import InputError
from rolling.common.progress import Progress
from rolling.data import cache
from rolling.data.arrays import Arrays
from rolling.data.source import Split
from rolling.layout import Covariate, Layout, Variable
from rolling.physics.parameter_ranges import read_ranges
from rolling.physics.simulators import (
    CHUNK,
    Kolmogorov,
    Simulator,
    WithConstants,
    chunks,
    constants,
    start,
)

FORMAT = 1  # part of the cache's key: raise it when a simulator changes its numbers
TOGETHER = 64  # trajectories advanced side by side
PARTS = ("train", "test")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Trajectories(Arrays):
    """Simulated frames, and the settings `drawn [trajectory]` and constant fields `fixed [trajectory,
    *space]` that each trajectory has of its own."""

    drawn: dict[str, np.ndarray]
    fixed: dict[str, np.ndarray]

    def conditioning(self, index: int, start: int, stop: int) -> dict[str, np.ndarray]:
        found, layout = {}, self.layout
        if layout.parameters:
            shown = [covariate.scaled(self.drawn[covariate.name][index]) for covariate in layout.parameters]
            found["parameters"] = np.tile(np.stack(shown), (stop - start, 1))
        if layout.constants:
            fields = [covariate.scaled(self.fixed[covariate.name][index]) for covariate in layout.constants]
            found["constants"] = np.stack(fields, axis=-1)
        return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Simulated:
    """`train` trajectories of `frames` frames for training, and `test` others of `test_frames`, held out.

    Each has its own random initial state, and begins once the statistically steady state is reached or, where
    the simulator is one of transients, at once; the two parts have different seeds. They are simulated once
    and then memory-mapped from the cache.
    """

    simulator: Simulator = Kolmogorov()
    """What is simulated."""
    train: int = 64
    """Trajectories for training."""
    frames: int = 110
    """Frames of each of them."""
    test: int = 8
    """Other trajectories, held out."""
    test_frames: int = 310
    """Frames of each of these."""
    seed: int = 0
    """Of the initial states."""
    vary: tuple[str, ...] = cache.added(())
    """Settings of the simulator that each trajectory draws for itself, such as viscosity=0.005:0.02, evenly
    in their logarithm where both ends are above zero."""
    tell: bool = cache.added(True)
    """Whether the network is told what they are, and the constant fields of each trajectory, such as its
    obstacle."""
    cache: str | None = None
    """The folder for simulations; by default $ROLLING_CACHE, or `~/.cache/rolling-diffusion`."""
    conditions: ClassVar[tuple[str, ...]] = ("tell",)

    def __post_init__(self):
        for name in ("train", "frames", "test", "test_frames"):
            if getattr(self, name) < 1:
                raise InputError(f"a simulated source needs {name} >= 1, not {getattr(self, name)}")
        check_seed("source", self)
        read_ranges(self.simulator, self.vary)

    def layout(self) -> Layout:
        if not self.tell:
            return self.simulator.layout
        numbers = (Covariate.of(name, values) for name, values in self._drawn("train").items())
        fields = (
            Covariate.of(name, values, logarithm=False) for name, values in self._fixed("train").items()
        )
        return dataclasses.replace(
            self.simulator.layout,
            parameters=tuple(covariate for covariate in numbers if covariate),
            constants=tuple(covariate for covariate in fields if covariate),
        )

    def open(self) -> Split:
        """Simulates at the first call. Raises `InputError` if the simulation blows up."""
        identity = dataclasses.replace(self, cache=None, tell=True)
        name = f"{type(self.simulator).__name__.lower()}-{cache.key((identity, FORMAT))}"
        path = cache.fetch(cache.folder(self.cache) / name, self._make)
        return Split(train=self._part(path, "train"), test=self._part(path, "test"))

    @property
    def _variable(self) -> Variable:
        """One of the variables; all are stored in the same way."""
        return self.simulator.layout.variables[0]

    @property
    def _dtype(self) -> np.dtype:
        return np.dtype(self._variable.dtype).newbyteorder("<")

    def _part(self, path: Path, part: str) -> Arrays:
        frames = np.load(path / f"{part}.npy", mmap_mode="r")
        fixed = {name: np.load(_file_of(path, part, name)) for name in _constant_names(self.simulator)}
        return Trajectories(layout=self.layout(), frames=frames, drawn=self._drawn(part), fixed=fixed)

    def _count(self, part: str) -> int:
        return {"train": self.train, "test": self.test}[part]

    def _drawn(self, part: str) -> dict[str, np.ndarray]:
        """`[trajectory]`: the settings that each trajectory of a part has of its own."""
        rng = np.random.default_rng((self.seed, PARTS.index(part)))
        ranges, count = read_ranges(self.simulator, self.vary), self._count(part)
        return {found.name: found.draw(rng, count) for found in ranges}

    def _fixed(self, part: str) -> dict[str, np.ndarray]:
        """`[trajectory, *space]`: the constant fields of each trajectory of a part."""
        return _constant_fields(self.simulator, self.seed, part, self._count(part))

    def _make(self, folder: Path) -> None:
        shapes = {
            part: (count, frames, *self.simulator.layout.shape)
            for part, count, frames in (
                ("train", self.train, self.frames),
                ("test", self.test, self.test_frames),
            )
        }
        _check_space(folder, sum(self._dtype.itemsize * int(np.prod(shape)) for shape in shapes.values()))
        spin_up = -(-self.simulator.spin_up_frames // CHUNK) * CHUNK
        total = sum(shape[0] * (spin_up + shape[1]) for shape in shapes.values())
        label = f"simulate {type(self.simulator).__name__}"
        with Progress(label, total=total, unit="frame") as progress:
            for part, shape in shapes.items():
                self._simulate(folder, part, shape, progress)
                for name, values in self._fixed(part).items():
                    np.save(_file_of(folder, part, name), values)

    def _simulate(self, folder: Path, part: str, shape: tuple[int, ...], progress: Progress) -> None:
        """Writes one part, `[trajectory, frame, *space, variable]`, block by block."""
        (count, frames), drawn = shape[:2], self._drawn(part)
        with open(folder / f"{part}.npy", "wb") as handle:
            descr = np.lib.format.dtype_to_descr(self._dtype)
            header = {"shape": shape, "fortran_order": False, "descr": descr}
            np.lib.format.write_array_header_1_0(handle, header)
            origin, frame_bytes = handle.tell(), self._dtype.itemsize * int(np.prod(shape[2:]))
            for first in range(0, count, TOGETHER):
                indices = np.arange(first, min(first + TOGETHER, count))
                keys = _keys(self.seed, part, indices)
                own = {name: jnp.asarray(values[indices], jnp.float32) for name, values in drawn.items()}
                done = 0
                for block in chunks(self.simulator, keys, frames, CHUNK, own):
                    if block is None:
                        progress.update(CHUNK * len(indices))
                        continue
                    values = np.asarray(block)
                    self._check(values, done)
                    values = self._variable.stored(values)
                    for index, trajectory in zip(indices, values, strict=True):
                        handle.seek(origin + (int(index) * frames + done) * frame_bytes)
                        handle.write(trajectory.tobytes())
                    done += values.shape[1]
                    progress.update(values.shape[0] * values.shape[1])

    def _check(self, values: np.ndarray, frame: int) -> None:
        if not np.isfinite(values).all():
            raise InputError(
                f"the simulation of {type(self.simulator).__name__} blew up before frame"
                f" {frame + values.shape[1]}: reduce its time step, simulator.dt, which is"
                f" {getattr(self.simulator, 'dt', 'its own')}"
            )


def _keys(seed: int, part: str, indices: np.ndarray) -> jax.Array:
    """Of the initial states of some trajectories of a part."""
    root = jax.random.fold_in(jax.random.key(seed), PARTS.index(part))
    return jax.vmap(lambda i: jax.random.fold_in(root, i))(indices)


def _constant_names(simulator: Simulator) -> tuple[str, ...]:
    return simulator.constant_names if isinstance(simulator, WithConstants) else ()


@functools.lru_cache(maxsize=4)  # layouts are asked for often
def _constant_fields(simulator: Simulator, seed: int, part: str, count: int) -> dict[str, np.ndarray]:
    if not isinstance(simulator, WithConstants):
        return {}
    blocks = [
        np.asarray(constants(simulator, start(simulator, _keys(seed, part, indices))))
        for indices in np.array_split(np.arange(count), math.ceil(count / TOGETHER))
    ]
    fields = np.moveaxis(np.concatenate(blocks), -1, 0)
    return dict(zip(simulator.constant_names, fields, strict=True))


def _file_of(folder: Path, part: str, name: str) -> Path:
    """Of a constant field."""
    return folder / f"{part}-{name}.npy"


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"simulating needs {needed / 2**20:.0f} MiB in {folder.parent}, but {free / 2**20:.0f} are free:"
            " free some space, or name another folder with the environment variable ROLLING_CACHE"
        )
