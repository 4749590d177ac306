"""A user's own Python file: loaded on purpose, copied into the runs that use it, compared with the copy."""

import dataclasses
import hashlib
import importlib.util
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rolling.common.errors import InputError
from rolling.common.files import write_file
from rolling.run.experiment import registry

FOLDER = "code"
"""The folder of a run that keeps the user's own code."""


def load_code(path: Path) -> dict[str, Any]:
    """Runs a user's Python file and registers the dataclasses that it defines as parts.

    Raises `InputError` where it is missing, or where running it fails, with the line.
    """
    if not path.is_file() or path.suffix != ".py":
        raise InputError(f"there is no Python file {path}")
    path = path.resolve()
    # Its own name, unless another module has it.
    taken = getattr(sys.modules.get(path.stem), "__file__", str(path))
    name = path.stem if taken == str(path) else f"{path.stem} of {path}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # it ends in .py and exists
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"{path}, line {_line(path, error)}: {type(error).__name__}: {error}") from error
    for value in vars(module).values():
        if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == name:
            registry.register(value)
    return vars(module)


def _line(path: Path, error: Exception) -> int | None:
    """The line of a file at which running it failed."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == str(path)), None)


def _files(value: Any) -> list[Path]:
    """The files that define the user's own parts of a value."""
    modules = sorted({part.__module__ for part in registry.own_parts(value)})
    files = [getattr(sys.modules.get(name), "__file__", None) for name in modules]
    return [Path(file) for file in files if file]


def keep_code(value: Any, run: Path) -> None:
    """Copies the files that define the user's own parts into a run, which must be self-contained."""
    for file in _files(value):
        kept = run / FOLDER / file.name
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            write_file(kept, lambda path, file=file: shutil.copyfile(file, path))


def digests(value: Any) -> dict[str, str]:
    """The SHA-256 of each file that defines one of the user's own parts of a value, by name."""
    return {file.name: _digest(file) for file in _files(value)}


def kept_digests(run: Path) -> dict[str, str]:
    """The same of the copies that a run keeps."""
    return {file.name: _digest(file) for file in sorted((run / FOLDER).glob("*.py"))}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def changed(value: Any, run: Path) -> Iterator[tuple[Path, Path]]:
    """The files that differ from the copy that a run keeps, and that copy."""
    for file in _files(value):
        kept = run / FOLDER / file.name
        if kept.exists() and kept.read_bytes() != file.read_bytes():
            yield file, kept
