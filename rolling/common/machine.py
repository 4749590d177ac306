"""What the machine has and can do, and how it says that it has no more."""

import errno
import hashlib
import os
import platform
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk: no space, no quota."""


def processor() -> str:
    """A name for what the processor can do: a program compiled for another one may not run on it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    able = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return hashlib.sha256("|".join(able or platform.uname()).encode()).hexdigest()[:12]


def user_cache() -> Path:
    """The project's folder in the user's own cache, `$XDG_CACHE_HOME` or `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rolling-diffusion"


def memory() -> int:
    """Bytes of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
