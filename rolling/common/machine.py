"""What the machine has, and how it says that it has no more."""

import errno
import os

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk: no space, no quota."""


def memory() -> int:
    """Bytes of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
