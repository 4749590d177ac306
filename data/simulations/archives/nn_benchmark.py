"""The benchmark of neural networks for physics of Otness et al. (2021), on whose flows with obstacles and
spring meshes DYffusion was scored: `trajectories.npz` and `system_meta.json` in a folder for each run."""

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path

from rolling.common.errors import InputError
from rolling.data.simulations.archives import headers
from rolling.data.simulations.archives.nn_benchmark_arrays import (
    ARRAYS,
    CHANNELS,
    META,
    Run,
    trajectories_of,
)
from rolling.data.simulations.trajectories import TEST, TRAIN, Trajectory

SAME_STEP = 1e-3  # relative


@dataclasses.dataclass(frozen=True, kw_only=True)
class NnBenchmark:
    """The runs of one system, `navier-stokes` or `spring-mesh`: the folder `navier-stokes-multi`, or another
    one that holds `system_meta.json` at any depth.

    The names of the runs tell whether they are to be trained on, validated on or tested on (`train`, `val`,
    `eval`). Of several to train on, the one with the most trajectories is read, which holds those of the
    others; to test on, those with the time step of the training. Channels are velocity and pressure, or
    momentum and position; the masks of fixed cells and obstacles are constant fields.
    """

    outdist: bool = False
    """Test on trajectories that are drawn from another distribution than those trained on."""

    def lies_in(self, place: Path) -> bool:
        try:
            file = next(iter(_descriptions(place)))
            return "system" in (meta := headers.json_object(file)) and "trajectories" in meta
        except (StopIteration, OSError, InputError):
            return False

    def trajectories(self, place: Path) -> list[Trajectory]:
        runs = [_run(place, file.parent) for file in sorted(_descriptions(place))]
        if not runs:
            raise InputError(f"there is no {META} beside a {ARRAYS} in {place}: give the folder of some runs")
        systems = sorted({run.meta["system"] for run in runs})
        if len(systems) > 1:
            raise InputError(f"{place} holds runs of {' and '.join(systems)}: give the folder of one of them")
        return [trajectory for run in self._chosen(runs) for trajectory in trajectories_of(run)]

    def _chosen(self, runs: list[Run]) -> list[Run]:
        train = max(
            (run for run in runs if run.split == TRAIN), key=lambda run: len(run.trajectories), default=None
        )
        step = train.step if train else min(run.step for run in runs)

        def wanted(run: Run) -> bool:
            if run.split != TEST:
                return run.split != TRAIN or run is train
            same = math.isclose(run.step, step, rel_tol=SAME_STEP)
            return same and ("outdist" in _words(run.name)) == self.outdist

        return [run for run in runs if wanted(run)]


def _descriptions(place: Path) -> Iterator[Path]:
    found = place.rglob(META) if place.is_dir() else ()
    return (file for file in found if file.with_name(ARRAYS).is_file())


def _words(name: str) -> list[str]:
    return re.split(r"[^a-z]+", name.lower())


def _run(place: Path, folder: Path) -> Run:
    meta = headers.json_object(folder / META)
    known, listed = meta.get("system"), meta.get("trajectories")
    if not isinstance(known, str) or known not in CHANNELS:
        raise InputError(
            f"{folder} is a run of {known!r}: {' and '.join(CHANNELS)} can be read; leave it out"
        )
    if not (isinstance(listed, list) and listed and all(isinstance(each, dict) for each in listed)):
        raise InputError(f"{folder / META} lists no trajectories: fetch it again")
    name = "" if folder == place else folder.relative_to(place).as_posix()
    return Run(name, folder, TEST if "eval" in _words(name) else headers.split_in(name), meta)
