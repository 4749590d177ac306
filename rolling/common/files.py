"""Files that are written completely or not at all."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rolling.common.errors import InputError


def write_file(path: Path, write: Callable[[Path], Any]) -> Path:
    """Writes a temporary file beside `path` and renames it, so that `path` is never half written.

    Raises `InputError` where it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # HDF5 reports a full disk by a RuntimeError
        raise InputError(
            f"{path} cannot be written ({one_line(error)}): free some space, or make it writable"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def one_line(error: Exception) -> str:
    """The message of another library on one line, for use inside a sentence."""
    return " ".join(str(error).split()) or type(error).__name__


def safe_name(name: str, most: int = 100) -> str:
    """A name from outside as a part of a file's name: letters, digits, `_` and `-`, at most `most` bytes."""
    words = re.sub(r"[^\w]+", "-", name).strip("-")
    return words.encode(errors="ignore")[:most].decode(errors="ignore").rstrip("-") or "unnamed"
