"""The runs of a comparison: finished comparable ones, or one trained for each family and seed."""

import dataclasses
import json
import math
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from rolling.common.errors import InputError
from rolling.run import commands
from rolling.run.checkpoint import Checkpoints, ended_early
from rolling.run.compare.estimates import ranked
from rolling.run.experiment import Experiment, check_one_modality, codec, presets as experiments, user_code
from rolling.run.training.log import records

COMPARED = {part: ("starts", "members", "frames", "from_clip_start") for part in ("forecast", "long")}
KEPT = ("source", "network", "training", "validation", "forecast", "long")
"""What a family must not change, so that only the method differs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    folder: Path
    experiment: Experiment

    @property
    def is_finished(self) -> bool:
        """Whether it is trained to its last step, or to where validation has ended it."""
        done = steps_done(self.folder)
        return done >= self.experiment.training.steps or (
            done > 0 and ended_early(self.folder, self.experiment)
        )

    @property
    def training_steps(self) -> int:
        """The steps that it was trained for, fewer than planned where validation has ended it."""
        planned = self.experiment.training.steps
        if not self.experiment.validation.patience:
            return planned
        return max((record["step"] for record in records(self.folder)), default=planned)

    @property
    def training_seconds(self) -> float:
        """Duration of the training, including compilation, from the speeds in its log; NaN without a log."""
        training, seconds, last = self.experiment.training, 0.0, 0
        for record in records(self.folder):
            frames = (record["step"] - last) * training.batch * self.experiment.clip_frames
            speed = record.get("frames_per_second")
            seconds += frames / speed if isinstance(speed, float) and speed > 0 else math.nan
            last = record["step"]
        return seconds if last else math.nan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Runs that differ only in their seed; `about` describes them in one line."""

    name: str
    runs: tuple[Run, ...]
    about: str = ""

    @property
    def experiment(self) -> Experiment:
        return self.runs[0].experiment


def finished(folders: Sequence[Path]) -> list[Group]:
    """Groups of trained runs. Raises `InputError` for a run that is missing, unfinished or of other data."""
    if len(folders) < 2:
        raise InputError("a comparison needs at least two runs, or an experiment and --windows")
    runs = []
    for folder in folders:
        if folder.resolve() in [run.folder.resolve() for run in runs]:
            raise InputError(f"{folder} is named twice: name each run once")
        runs.append(_finished(folder))
    check_comparable(runs)
    check_rankable(runs[0].experiment)
    return grouped(runs)


def _finished(folder: Path) -> Run:
    if not (folder / "experiment.json").exists():
        raise InputError(
            f"{folder} is not a run, as it has no experiment.json: make one with `rolling train`"
        )
    experiment = experiments.from_json(folder / "experiment.json")
    run = Run(folder=folder, experiment=experiment)
    if not run.is_finished:
        raise InputError(
            f"{folder} is not finished, {steps_done(folder)} of {experiment.training.steps} steps are done:"
            f" continue with `rolling train {folder} --folder {folder.parent} --resume`"
        )
    return run


def steps_done(folder: Path) -> int:
    """The training steps at a run's last checkpoint; 0 without one."""
    if not (folder / "checkpoints").is_dir():
        return 0
    checkpoints = Checkpoints(folder / "checkpoints")
    try:
        return checkpoints.latest() or 0
    finally:
        checkpoints.close()


def check_comparable(runs: Sequence[Run]) -> None:
    """Raises `InputError` where runs differ in their data or their forecasts' starts, members or leads."""
    first = runs[0]
    for run in runs[1:]:
        changed = codec.differences(_data(first), _data(run))
        if changed:
            raise InputError(
                f"{first.folder} and {run.folder} have different data ({'; '.join(changed)}): compare runs of"
                " the same source"
            )
        changed = [
            f"{part}.{name}: {a} / {b}"
            for part, names in COMPARED.items()
            for name in names
            if (a := getattr(getattr(first.experiment, part), name))
            != (b := getattr(getattr(run.experiment, part), name))
        ]
        if changed:
            raise InputError(
                f"{first.folder} and {run.folder} make different forecasts ({'; '.join(changed)}): compare"
                " runs that forecast the same starts, members and frames"
            )


def _data(run: Run) -> dict:
    """The source, without what its networks are told of the data: forecasts of the same frames compare."""
    source = run.experiment.source
    encoded = codec.encode(source)
    return {name: encoded[name] for name in encoded if name not in getattr(source, "conditions", ())}


def check_rankable(experiment: Experiment) -> None:
    """Raises `InputError` where an experiment makes no forecasts, or no metric that ranks them, and where it
    has several modalities."""
    check_one_modality(experiment, "compare")
    if not experiment.forecast.frames or not ranked(experiment.metrics):
        raise InputError(
            f"{experiment.name} has no forecasts to compare: give it forecast.frames and a metric that"
            " ranks forecasts: crps, rmse, spread_skill_ratio or one of your own with `about.ranking`"
        )


def grouped(runs: Sequence[Run]) -> list[Group]:
    """Runs grouped by all that makes their method, so that those of a group differ in name and seed only: the
    experiment and the user's own code that each keeps. In order of appearance."""
    by_method: dict[str, list[Run]] = {}
    for run in runs:
        training = dataclasses.replace(run.experiment.training, seed=0)
        method = dataclasses.replace(run.experiment, name="any", training=training)
        key = json.dumps([codec.encode(method), user_code.kept_digests(run.folder)])
        found = by_method.setdefault(key, [])
        for other in found:
            if other.experiment.training.seed == run.experiment.training.seed:
                raise InputError(
                    f"{other.folder} and {run.folder} are the same experiment with the same seed, so one adds"
                    " nothing: leave it out"
                )
        found.append(run)
    names = [_name(found) for found in by_method.values()]
    if len(set(names)) < len(names):  # folders of the same name in several places
        names = [str(found[0].folder) for found in by_method.values()]
    return [Group(name=n, runs=tuple(found)) for n, found in zip(names, by_method.values(), strict=True)]


def _name(runs: Sequence[Run]) -> str:
    """What the folders' names have in common, `rolling` for `rolling-0` and `rolling-1`, where the rest is
    the seed; otherwise all of them."""
    names = [run.folder.resolve().name for run in runs]
    if len(runs) == 1:
        return names[0]
    stems = {
        name.removesuffix(f"-{run.experiment.training.seed}") for name, run in zip(names, runs, strict=True)
    }
    return stems.pop() if len(stems) == 1 else ", ".join(names)


def planned(experiment: Experiment, families: Sequence[str], seeds: int, folder: Path) -> list[Group]:
    """A run for each family and seed, `folder/FAMILY-SEED`; nothing is written yet.

    Raises `InputError` for an unknown family, one that changes more than the method, less than one seed, and
    folders that hold another experiment.
    """
    if seeds < 1:
        raise InputError(f"--seeds must be a whole number of at least 1, not {seeds}")
    if len(families) * seeds < 2:
        raise InputError("a comparison needs at least two runs: name several families in --windows")
    check_rankable(experiment)
    groups = []
    for family in families:
        make = _family(family)
        method = make(experiment)
        changed = [part for part in KEPT if getattr(method, part) != getattr(experiment, part)]
        if changed:
            raise InputError(
                f"the family {family} changes {', '.join(changed)}, which must be the same in all runs"
                " of a comparison: set it in the experiment"
            )
        runs = []
        for seed in range(seeds):
            training, name = dataclasses.replace(experiment.training, seed=seed), f"{family}-{seed}"
            seeded = dataclasses.replace(method, name=name, training=training)
            commands.check_folder(seeded, folder / name, resume=True)
            runs.append(Run(folder=folder / name, experiment=seeded))
        groups.append(Group(name=family, runs=tuple(runs), about=experiments.about(family)))
    return groups


def _family(name: str):
    known = experiments.families()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"the nearest is {near[0]!r}; " if near else ""
        raise InputError(f"--windows knows no family {name!r}: {hint}there are {', '.join(known)}")
    return known[name]


def train_unfinished(groups: Sequence[Group]) -> None:
    """Trains unfinished runs from their last checkpoints, seed by seed, so that families advance together."""
    for runs in zip(*(group.runs for group in groups), strict=True):
        for run in runs:
            if not run.is_finished:
                commands.train(run.experiment, run.folder, resume=True)
