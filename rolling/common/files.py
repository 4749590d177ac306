"""Files and folders that are written completely or not at all, and only where they are asked for.

A temporary name is random, so that nobody can have put a link there, and no writing goes through a link: a
folder that was received from elsewhere may hold any.
"""

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rolling.common.errors import InputError

LONGEST = 200
"""Bytes of a name: file systems take 255, and suffixes are added to it."""
DAY = 86_400  # seconds


def write_file(path: Path, write: Callable[[Path], Any]) -> Path:
    """Writes a temporary file beside `path` and renames it, so that `path` is never half written.

    Raises `InputError` where it cannot be written.
    """
    temporary = _temporary(path)
    try:
        write(temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # HDF5 reports a full disk by a RuntimeError
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


def write_text(path: Path, text: str) -> Path:
    """Writes a whole file of text. Raises `InputError` where it cannot be written."""
    return write_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` to be filled, which replaces `path` at the end.

    Nothing of it is left after an error. Raises `OSError` where it cannot be written.
    """
    temporary = _temporary(path)
    temporary.mkdir(parents=True)
    remove_leftovers(path.parent)
    try:
        yield temporary
        remove(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove(path: Path) -> None:
    """Deletes a file or a folder, if it is there; of a link, the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Deletes what killed processes left half written in a folder, once it is a day old: another process may
    be writing there now."""
    for leftover in folder.glob(_NAME.format("?" * 16)):
        with contextlib.suppress(OSError):
            if time.time() - leftover.lstat().st_mtime > DAY:
                remove(leftover)


def check_name(name: str, what: str) -> None:
    """Raises `InputError` where a name, which may come from elsewhere, cannot be that of one visible file."""
    wrong = {
        "it is empty": not name,
        f"it is longer than {LONGEST} bytes": len(name.encode(errors="replace")) > LONGEST,
        "it leads to another folder": "/" in name or name in (".", ".."),
        "it begins with a dot": name.startswith("."),
        "it has characters that cannot be printed": not name.isprintable(),
    }
    for reason, found in wrong.items():
        if found:
            shown = name if len(name) <= 40 else f"{name[:40]}..."
            raise InputError(f"{what} becomes a folder, and {shown!r} cannot, as {reason}: choose another")


def check_links(folder: Path) -> None:
    """Raises `InputError` where something in a folder would lead a writer out of it: a link to another place,
    or what is neither a file nor a folder."""
    home, waiting = folder.resolve(), [folder] if folder.is_dir() else []
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.is_symlink():
                    if not path.resolve().is_relative_to(home):
                        raise InputError(
                            f"{path} is a link that leads out of {folder}, where nothing may be written:"
                            " replace it with what it leads to, or delete it"
                        )
                elif entry.is_dir():
                    waiting.append(path)
                elif not entry.is_file():
                    raise InputError(f"{path} is neither a file nor a folder: delete it")


def cannot_write(path: Path, error: Exception) -> InputError:
    """The sentence for a file or folder that cannot be written."""
    return InputError(f"{path} cannot be written ({one_line(error)}): free some space, or make it writable")


def one_line(error: Exception) -> str:
    """The message of another library on one line, for use inside a sentence."""
    return " ".join(str(error).split()) or type(error).__name__


def safe_name(name: str, most: int = 100) -> str:
    """A name from outside as a part of a file's name: letters, digits, `_` and `-`, at most `most` bytes."""
    words = re.sub(r"[^\w]+", "-", name).strip("-")
    return words.encode(errors="ignore")[:most].decode(errors="ignore").rstrip("-") or "unnamed"


_NAME = ".{}.tmp"


def _temporary(path: Path) -> Path:
    """A name beside `path` that nobody else has or can foresee."""
    return path.with_name(_NAME.format(secrets.token_hex(8)))
