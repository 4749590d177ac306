"""What a run takes from other runs: a copy of each in its own folder, made before it is trained.

`others/start`, `others/weak`, `others/teacher` and `others/init` are runs themselves, with the averaged
parameters of the last checkpoint that there was. So a run outlives the others, and one that was received
reads nothing else.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from rolling.common.errors import InputError
from rolling.common.files import new_folder, one_line
from rolling.run.checkpoint import check_trained, copy_trained, load_trained
from rolling.run.experiment import Experiment
from rolling.run.experiment.user_code import FOLDER as CODE
from rolling.sampling import Sampling

FOLDER = "others"
WORDS = {"teacher": "the teacher of this run,", "init": "the run that this one begins with,"}
"""What is said of the runs that a training asks, by what they do in it."""


def named(recipe: Sampling) -> dict[str, str]:
    """The folders of the other runs that a way of sampling asks, by what they do in it: `start` makes the
    first guess, `weak` guides. Raises `InputError` where two are to guide."""
    weak = sorted({part.weak for part in recipe.guidance if part.weak})
    if len(weak) > 1:
        raise InputError(
            "autoguidance takes one weaker network, the folder of its run: give --guidance.0.weak runs/NAME"
        )
    names = {"start": recipe.start.run, "weak": "".join(weak)}
    return {role: name for role, name in names.items() if name}


def copy_of(run: Path, role: str) -> Path:
    """Where a run keeps its copy of another."""
    return run / FOLDER / role


def place_in_training(role: str, name: str, run: Path) -> Path:
    """Where the training of `run` reads another one: in its copy, or where it is. Raises `InputError` where
    there is neither."""
    copy = copy_of(run, role)
    place = copy if copy.is_dir() else Path(name)
    if not (place / "checkpoints").is_dir():
        raise InputError(
            f"{WORDS[role]} {name}, is not there: restore its folder, or train another run with another one"
            " (a finished run forecasts without it)"
        )
    return place


def _missing(experiment: Experiment, run: Path, *, fresh: bool) -> Iterator[tuple[str, str, Path]]:
    """The other runs of which a run has no copy yet: what they do, their folders, and where to copy them; a
    run that is not `fresh` may do without."""
    trained_with = {"teacher": experiment.objective.teacher, "init": experiment.training.init}
    for role, name in (named(experiment) | trained_with).items():
        copy = copy_of(run, role)
        if name and not copy.is_dir() and (fresh or (Path(name) / "checkpoints").is_dir()):
            yield role, name, copy


def check(experiment: Experiment, run: Path, *, fresh: bool) -> None:
    """Raises `InputError` where `keep` would find that a run is not trained: before the data are prepared."""
    for _, name, _ in _missing(experiment, run, fresh=fresh):
        check_trained(Path(name))


def keep(experiment: Experiment, run: Path, *, fresh: bool) -> None:
    """Copies into a run what its experiment takes from others, unless it has been copied before.

    Raises `InputError` where one of them is not trained or cannot do it; a run that is not `fresh` may do
    without.
    """
    for role, name, copy in _missing(experiment, run, fresh=fresh):
        copy.parent.mkdir(exist_ok=True)
        try:
            with new_folder(copy) as temporary:
                copy_trained(Path(name), temporary)
                if (Path(name) / CODE).is_dir():
                    shutil.copytree(Path(name) / CODE, temporary / CODE)
        except OSError as error:
            raise InputError(
                f"the run {name} cannot be copied to {copy} ({one_line(error)}): give another one, or"
                " make both readable and writable"
            ) from error
        if role == "start":
            check_guess(load_trained(copy).experiment, experiment)
        print(f"{name} is copied to {copy}")


def check_guess(guess: Sampling, recipe: Sampling) -> None:
    """Raises `InputError` where a run that samples as `guess` cannot make the first guess for `recipe`."""
    if named(guess):
        raise InputError(
            f"the run of the first guess, {recipe.start.run}, asks others itself, for its start or its"
            " guidance: choose one that asks none"
        )
    if guess.given_frames > recipe.given_frames:
        raise InputError(
            f"the run of the first guess, {recipe.start.run}, needs {guess.given_frames} given frames: say so"
            f" with --start.frames {guess.given_frames}"
        )


def place_of(role: str, name: str, own: Experiment, run: Path | None) -> Path:
    """Where another run is read: a name that the run's own experiment gives is that of its copy in the folder
    `run`, any other one is the user's. Raises `InputError` where there is no copy."""
    if run is None or named(own).get(role) != name:
        return Path(name)
    copy = copy_of(run, role)
    if not copy.is_dir():
        raise InputError(
            f"{run} was trained without a copy of the other run that it asks, {name}, and a run reads nothing"
            f" outside its folder: copy that run to {copy}, or have it copied with"
            f" `rolling train {run} --folder {run.parent} --resume`"
        )
    return copy
