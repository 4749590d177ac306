"""The folder of a run, in which one process trains at a time and writes nowhere else."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rolling.common.errors import InputError
from rolling.common.files import check_links, one_line, remove_leftovers
from rolling.common.lock import alone

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
