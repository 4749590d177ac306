"""The folder of a run, in which one process trains at a time and writes nowhere else, and which holds one
experiment."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rolling.common.errors import InputError
from rolling.common.files import check_links, one_line, remove, remove_leftovers
from rolling.common.lock import alone
from rolling.run import other_runs
from rolling.run.experiment import Experiment, codec, presets as experiments, user_code

LOCK = ".lock"


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Holds the lock of a run's folder, which is made if it is missing, and removed again if it stays empty.

    Raises `InputError` where another process is at work there, where a link leads out of the folder, and
    where the folder cannot be made or written to.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_links(folder)
        lock = contextlib.ExitStack()
        lock.enter_context(alone(folder / LOCK, str(folder)))
    except OSError as error:
        raise InputError(
            f"the folder {folder} cannot be made or written to ({one_line(error)}): choose another --folder"
        ) from error
    try:
        with lock:
            remove_leftovers(folder)
            yield
    finally:
        with contextlib.suppress(OSError):  # the first that is not empty
            for place in missing:
                place.rmdir()


def check_folder(experiment: Experiment, folder: Path, *, resume: bool) -> None:
    """Raises `InputError` where a run's folder is taken: only the same experiment continues, with
    `resume`."""
    described = folder / "experiment.json"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and a run needs a folder: choose another --name or --folder")
    if described.exists():
        # Decoded, as fields that were added since have their defaults there.
        changed = codec.differences(codec.encode(experiments.from_json(described)), codec.encode(experiment))
        if changed:
            raise InputError(
                f"{folder} holds another experiment (there / here: {'; '.join(changed)}): choose another"
                " --name, or give the same options"
            )
        for file, kept in user_code.changed(experiment, folder):
            raise InputError(
                f"{file} has changed since {folder} was started: bring back that version, {kept}, or start"
                " another run with --name"
            )
        if not resume:
            raise InputError(
                f"{folder} exists: add --resume to continue it, or choose another --name; delete the folder"
                " to start again"
            )
    elif folder.exists() and any(path.name != LOCK for path in folder.iterdir()):
        raise InputError(f"{folder} exists and holds no run: choose another --name or --folder")


def prepare_folder(experiment: Experiment, folder: Path, *, resume: bool) -> None:
    """Creates a run's folder; with `resume`, an existing one of the same experiment is used."""
    check_folder(experiment, folder, resume=resume)
    fresh = not (folder / "experiment.json").exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        experiments.save(experiment, folder / "experiment.json")
        user_code.keep_code(experiment, folder)
    except OSError as error:
        raise InputError(
            f"the folder {folder} cannot be made or written to ({error.strerror}): choose another --folder"
        ) from error
    other_runs.keep(experiment, folder, fresh=fresh)


@contextlib.contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    """Empties the folder of a run that could not even start; the lock goes when it is given back."""
    fresh = not (folder / "experiment.json").exists()
    try:
        yield
    except BaseException:
        for path in folder.iterdir() if fresh else ():
            if path.name != LOCK:
                with contextlib.suppress(OSError):
                    remove(path)
        raise
