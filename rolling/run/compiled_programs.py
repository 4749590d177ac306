"""Compiled programs are kept for the next command: JAX's persistent cache, in a folder that one can trust."""

import os
import stat
import time
from pathlib import Path

import google_crc32c

from rolling.common import machine
from rolling.common.errors import InputError
from rolling.common.files import write_text

FOLDER = "JAX_COMPILATION_CACHE_DIR"
PROGRAMS, SEAL = "*-cache", ".crc32c"
LIMIT = 2**28
"""Bytes of the programs that are kept, those that were used last; one of a network takes some 300 kB."""
WRITTEN = 60.0
"""Seconds after which a program is taken to be whole."""


def keep_compiled_programs() -> Path | None:
    """Lets JAX find what an earlier command has compiled; returns the folder, None where none is used.

    The folder is `rolling-diffusion/compiled-…` in the user's own cache, `$XDG_CACHE_HOME` or `~/.cache`, for
    this processor: a program for another one may not run. Programs are machine code, so the folder is used
    only if nobody else can write there, which is also why it is not in `$ROLLING_CACHE`. A program that has
    changed since it was written is deleted. Call it before JAX is imported. A folder that the user names in
    `JAX_COMPILATION_CACHE_DIR` is left to JAX, and with `JAX_ENABLE_COMPILATION_CACHE=false` nothing is kept.
    """
    if FOLDER in os.environ:
        return None
    try:
        folder = machine.user_cache() / f"compiled-{machine.processor()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_private(folder):
            return None
        _tidy(folder)
    except (OSError, RuntimeError, InputError):  # a full or read-only disk, no home: all just takes longer
        return None
    os.environ[FOLDER] = str(folder)
    # What XLA would keep there by itself carries no checksum.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "none")
    return folder


def _is_private(folder: Path) -> bool:
    found = folder.lstat()
    mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return stat.S_ISDIR(found.st_mode) and mine and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _tidy(folder: Path) -> None:
    """Deletes what has changed and, beyond the limit, what was not used for longest."""
    left, now = LIMIT, time.time()
    uses = {path: path.lstat() for path in folder.glob(PROGRAMS)}
    for path, found in sorted(uses.items(), key=lambda item: -max(item[1].st_atime, item[1].st_mtime)):
        left -= found.st_size
        seal = path.with_name(path.name + SEAL)
        if left < 0 or not _is_intact(path, seal, now - found.st_mtime > WRITTEN):
            path.unlink(missing_ok=True)
            seal.unlink(missing_ok=True)


def _is_intact(path: Path, seal: Path, old: bool) -> bool:
    """Whether a program is as it was; its checksum is taken by the first command that finds it complete."""
    try:
        found = f"{google_crc32c.value(path.read_bytes()):08x}"
        if not seal.exists():
            if old:
                write_text(seal, found)
            return True
        return seal.read_bytes() == found.encode()
    except FileNotFoundError:  # another command has deleted it
        return True
