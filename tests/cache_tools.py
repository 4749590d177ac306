"""What a session of tests keeps for the next one: compiled programs, simulated data, fonts of plots.

It lies in `.pytest_cache`, which a continuous integration can keep: what is found there is as good as new, as
its folder is named by all that it depends on and JAX's own key does not know.
"""

import hashlib
import shutil
from importlib.metadata import version
from pathlib import Path

from rolling.common.machine import processor

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".pytest_cache"
LIMIT = 2**29
"""Bytes of compiled programs, and of simulated data, that a session begins with at most."""


def compiled() -> Path:
    """By what the processor can do."""
    return KEPT / f"compiled-{processor()}"


def simulated() -> Path:
    """By all that simulates, so that a change of it shows."""
    sources = [path for top in ("data", "physics") for path in sorted((ROOT / top).rglob("*.py"))]
    versions = [version(name).encode() for name in ("exponax", "jax", "numpy")]
    return _folder("simulated", *versions, *(path.read_bytes() for path in sources))


def tidy() -> None:
    """Removes what no session can find any more, and of the rest what was not used for longest."""
    for folder in KEPT.glob("simulated-*"):
        if folder != simulated():
            shutil.rmtree(folder, ignore_errors=True)
    prune([*KEPT.glob("compiled-*/*")], LIMIT)
    prune([*KEPT.glob("simulated-*/*")], LIMIT)


def prune(entries: list[Path], limit: int) -> None:
    """Removes files and folders, those used last at the end, until the others take `limit` bytes at most."""
    uses = {entry: [path.stat() for path in (entry, *entry.rglob("*"))] for entry in entries}
    left = sum(use.st_size for found in uses.values() for use in found)
    for entry in sorted(entries, key=lambda entry: max(max(u.st_atime, u.st_mtime) for u in uses[entry])):
        if left <= limit:
            return
        left -= sum(use.st_size for use in uses[entry])
        shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)


def _folder(kind: str, *parts: bytes) -> Path:
    return KEPT / f"{kind}-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:12]}"
