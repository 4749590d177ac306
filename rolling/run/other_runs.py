"""What a run takes from other runs: a copy of each in its own folder, made before it is trained.

`others/start`, `others/weak` and `others/teacher` are runs themselves, with the averaged parameters of the
last checkpoint that there was. So a run outlives the others, and one that was received reads nothing else.
"""

import shutil
from pathlib import Path

from rolling.common.errors import InputError
from rolling.common.files import new_folder, one_line
from rolling.run.checkpoint import copy_trained, load_trained
from rolling.run.experiment import Experiment
from rolling.run.experiment.user_code import FOLDER as CODE
from rolling.sampling import Sampling

FOLDER = "others"


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


def keep(experiment: Experiment, run: Path, *, fresh: bool) -> None:
    """Copies into a run what its experiment takes from others, unless it has been copied before.

    Raises `InputError` where one of them is not trained or cannot do it; a run that is not `fresh` may do
    without.
    """
    for role, name in (named(experiment) | {"teacher": experiment.objective.teacher}).items():
        copy = copy_of(run, role)
        if not name or copy.is_dir() or not (fresh or (Path(name) / "checkpoints").is_dir()):
            continue
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
    if guess.given > recipe.given:
        raise InputError(
            f"the run of the first guess, {recipe.start.run}, needs {guess.given} given frames: say so with"
            f" --start.frames {guess.given}"
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
