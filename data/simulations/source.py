"""Archives of simulations as the source of an experiment."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import xarray as xr

from rolling.common.checks import check_least
from rolling.common.errors import InputError
from rolling.data.gridded.as_fields import AsFields
from rolling.data.set_apart import Place, Ranges
from rolling.data.simulations import covariates
from rolling.data.simulations.gathered import gathered
from rolling.data.simulations.known_archives import Found, trajectories_at
from rolling.data.simulations.trajectories import TEST, TRAIN, UNSPECIFIED, VALIDATION, Archive, Trajectory
from rolling.data.simulations.trajectory_frames import Thinning, TrajectoryFrames
from rolling.data.source import Sequences, Split
from rolling.geometry import Axis
from rolling.layout import Layout


@dataclasses.dataclass(frozen=True, kw_only=True)
class Simulations:
    """Trajectories of an archive such as The Well or PDEBench, read as they lie there.

    The parts are those that the archive names; if it names none, or all of them as training, the last
    `test_fraction` of the trajectories are held out, or of the frames where there is only one. A validation
    part is used with `--validation.share`, whatever the share, and held out where there is no test part.

    Parameters that differ within the training part condition the network, and so does the time step where
    trajectories have different ones; time is then counted in frames.
    """

    path: str = ""
    """The folder, or a file, of the archive."""
    archive: Archive = Found()
    """How simulations lie in it; by default found by looking."""
    variables: tuple[str, ...] = ()
    """Names of channels; by default all, in the order of the archive."""
    parameters: tuple[str, ...] = ("all",)
    """Names of the parameters that condition the network; `all` or `none` of them."""
    constants: bool = True
    """Condition the network on fields that do not change with time, such as obstacles."""
    periodic: tuple[str, ...] = ()
    """Axes that wrap round, if the files do not say."""
    skip: int = 0
    """Frames left out at the beginning of each trajectory."""
    every: int = 1
    """Keep every n-th frame."""
    coarsen: int = 1
    """Take means over blocks of so many cells along each axis."""
    test_fraction: float = 0.1
    """What is held out of an archive that names no parts."""
    sample: int = 20_000
    """Frames, at most, that means and deviations are measured from, spread over all trajectories; 0: all."""
    cache: str | None = None
    """The folder for copies of archives of many small files; by default $ROLLING_CACHE, or
    `~/.cache/rolling-diffusion`."""
    conditions: ClassVar[tuple[str, ...]] = ("parameters", "constants")

    def __post_init__(self):
        check_least("source", self, "skip", "sample")
        check_least("source", self, "every", "coarsen", least=1)
        if not 0 < self.test_fraction < 1:
            raise InputError(f"source.test_fraction is a share between 0 and 1, not {self.test_fraction}")

    @property
    def thinning(self) -> Thinning:
        return Thinning(skip=self.skip, every=self.every, coarsen=self.coarsen)

    def layout(self) -> Layout:
        """From headers, and the constant fields of some trajectories."""
        return self.described(self.trajectories())[0]

    def open(self) -> Split:
        """Raises `InputError` for whatever cannot be used."""
        found = self.trajectories()
        layout, notices = self.described(found)
        make: dict[str, Sequences] = {
            part: self._sequences(layout, gathered(trajectories, self._place, self.cache))
            for part, trajectories in found.items()
            if trajectories
        }
        if TEST not in make and VALIDATION in make:
            make[TEST] = make.pop(VALIDATION)
            notices += ("There is no test part: the validation part is held out in its place.",)
        if TEST not in make:
            make[TRAIN], make[TEST] = _by_time(make[TRAIN], self.test_fraction)
            notices += ("There is one trajectory: its last frames are held out.",)
        return Split(train=make[TRAIN], test=make[TEST], validation=make.get(VALIDATION), notices=notices)

    def read_like(self, layout: Layout, mask: np.ndarray | None, data: str | xr.Dataset) -> Sequences:
        """All trajectories of another archive, of whichever part, or fields on a grid in an open dataset: see
        `rolling.data.source.ReadsOther`."""
        if isinstance(data, xr.Dataset):
            return AsFields().read_like(layout, mask, data)
        other = dataclasses.replace(self, path=data, variables=layout.names)
        found = other._all()
        sequences = other._sequences(layout, gathered(found, other._place, self.cache))
        sizes = tuple(len(axis) // self.coarsen for axis in found[0].axes)
        if sizes != layout.space:
            raise InputError(f"the frames of {data} have {sizes} cells, and those of training {layout.space}")
        step = found[0].step * self.every
        counted = covariates.STEP in (c.name for c in layout.parameters)
        if not counted and not np.isclose(step, layout.step, rtol=covariates.SAME_STEP):
            raise InputError(f"frames of {data} are {step:g} apart, and those of training {layout.step:g}")
        known = {*covariates.numbers_of(found[0]), *(name for name, _ in found[0].constants)}
        missing = [c.name for c in (*layout.parameters, *layout.constants) if c.name not in known]
        if missing:
            raise InputError(
                f"{data} does not say what its {missing[0]} is, which the network is conditioned on"
            )
        return sequences

    @property
    def _place(self) -> Path:
        return Path(self.path).expanduser()

    def trajectories(self) -> dict[str, tuple[Trajectory, ...]]:
        """Those of each part, of which only headers have been read."""
        if not self.path:
            raise InputError("no simulations are named: give --source.path FOLDER")
        if not self._place.exists():
            raise InputError(f"there is no {self.path}: give --source.path the folder of the simulations")
        return _by_part(self._all(), self.test_fraction)

    def described(self, found: dict[str, tuple[Trajectory, ...]]) -> tuple[Layout, tuple[str, ...]]:
        """Their layout, and what is worth knowing of their parameters and constant fields."""
        train = found[TRAIN]
        if not train:
            raise InputError(f"{self.path} has no training part: give the folder that holds all parts")
        known, notices = covariates.parameters(train, self.parameters)
        fields, more = covariates.constants(train) if self.constants else ((), ())
        first = train[0]
        counted = covariates.STEP in covariates.numbers_of(first)
        layout = Layout(
            variables=tuple(first.variables[i] for i in self._channels(first)),
            axes=tuple(_coarse(axis, self.coarsen, self.path) for axis in self._axes(first)),
            step=float(self.every * (1.0 if counted else first.step)),
            parameters=known,
            constants=fields,
        )
        return layout, notices + more

    def _all(self) -> tuple[Trajectory, ...]:
        every = trajectories_at(self.archive, self._place)
        if not every:
            raise InputError(f"{self.path} holds no trajectory: give the folder of an archive that has some")
        short = [trajectory.name for trajectory in every if not self.thinning.length(trajectory)]
        if short:
            raise InputError(f"{short[0]} has no frame after source.skip = {self.skip}: choose fewer to skip")
        covariates.check_alike(every)
        return tuple(map(_with_step, every)) if covariates.steps_differ(every) else every

    def _axes(self, trajectory: Trajectory) -> tuple[Axis, ...]:
        names = [axis.name for axis in trajectory.axes]
        unknown = [name for name in self.periodic if name not in names]
        if unknown:
            raise InputError(f"there is no axis {unknown[0]!r} in {self.path}: there are {', '.join(names)}")
        return tuple(
            dataclasses.replace(axis, boundary="periodic" if axis.name in self.periodic else axis.boundary)
            for axis in trajectory.axes
        )

    def _channels(self, trajectory: Trajectory) -> tuple[int, ...]:
        names = [variable.name for variable in trajectory.variables]
        unknown = [name for name in self.variables if name not in names]
        if unknown:
            raise InputError(
                f"there is no variable {unknown[0]!r} in {self.path}: there are {', '.join(names)}"
            )
        return tuple(names.index(name) for name in self.variables or names)

    def _sequences(self, layout: Layout, trajectories: tuple[Trajectory, ...]) -> TrajectoryFrames:
        return TrajectoryFrames(
            layout=layout,
            trajectories=trajectories,
            thinning=self.thinning,
            channels=self._channels(trajectories[0]),
            counted=covariates.STEP in covariates.numbers_of(trajectories[0]),
            sample=self.sample,
        )


def _by_part(every: Sequence[Trajectory], fraction: float) -> dict[str, tuple[Trajectory, ...]]:
    """The trajectories of each part; where nothing is held out by name, the last ones are, if there are
    several."""
    named = {trajectory.split for trajectory in every}
    if named in ({UNSPECIFIED}, {TRAIN}):
        count = min(len(every) - 1, max(1, round(fraction * len(every))))
        cut = len(every) - count
        return {TRAIN: tuple(every[:cut]), VALIDATION: (), TEST: tuple(every[cut:])}
    found = {part: tuple(t for t in every if t.split == part) for part in (TRAIN, VALIDATION, TEST)}
    unknown = [t.name for t in every if t.split == UNSPECIFIED]
    if unknown:
        raise InputError(
            f"{unknown[0]} is in no part, and others are in the training, validation or test part: move it"
            " into the folder of one of them"
        )
    return found


def _by_time(whole: Sequences, fraction: float) -> tuple[Sequences, Sequences]:
    """The first frames, and the last ones."""
    cuts = [round((1 - fraction) * whole.length(i)) for i in range(len(whole))]
    first = tuple(Place(i, 0, cut) for i, cut in enumerate(cuts))
    last = tuple(Place(i, cut, whole.length(i)) for i, cut in enumerate(cuts))
    return Ranges(whole=whole, places=first), Ranges(whole=whole, places=last)


def _with_step(trajectory: Trajectory) -> Trajectory:
    step = (covariates.STEP, trajectory.step)
    return dataclasses.replace(trajectory, parameters=(*trajectory.parameters, step))


def _coarse(axis: Axis, blocks: int, path: str) -> Axis:
    """An axis of blocks of cells."""
    if blocks == 1:
        return axis
    if len(axis) % blocks:
        raise InputError(
            f"source.coarsen = {blocks} does not divide the {len(axis)} cells of {path} along {axis.name}:"
            " choose one that does"
        )
    means = np.asarray(axis.values).reshape(-1, blocks).mean(axis=1)
    return dataclasses.replace(axis, values=tuple(means.tolist()), bounds=())
