"""One process at a time: a lock file says who holds it, and the system frees it when its holder dies."""

import contextlib
import datetime
import errno
import fcntl
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from rolling.common.documents import parse_json
from rolling.common.errors import InputError
from rolling.common.terminal import printable

UNKNOWN = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of file systems that have no locks: work there goes on without."""


class Busy(InputError):
    """Another process is at work."""


@contextlib.contextmanager
def alone(lock: Path, what: str, *, wait: bool = False) -> Iterator[None]:
    """Holds the file `lock`, which is removed at the end, while working on `what`.

    Raises `Busy`, which names the process that holds it; or, with `wait`, prints that and waits. Raises
    `OSError` where the file cannot be made.
    """
    handle = _held(lock, what, wait)
    try:
        yield
    finally:
        # Of a folder that was made read-only meanwhile: whoever is next takes the file that is left.
        with contextlib.suppress(OSError):
            if _is_at(handle, lock):
                lock.unlink()
        os.close(handle)


def _held(lock: Path, what: str, wait: bool) -> int:
    while True:
        # A link could lead anywhere, and we write into the file.
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            _take(handle, what, wait)
            if _is_at(handle, lock):  # not removed meanwhile by the one who held it
                _sign(handle)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _take(handle: int, what: str, wait: bool) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sentence = f"{what} is in use by {_holder(handle)}"
        if not wait:
            raise Busy(f"{sentence}: wait until it has ended, or stop it") from None
        print(f"{sentence}: waiting for it", file=sys.stderr, flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise


def _is_at(handle: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(lock))
    except FileNotFoundError:
        return False


def _sign(handle: int) -> None:
    since = datetime.datetime.now().isoformat(" ", "seconds")
    text = json.dumps({"process": os.getpid(), "host": platform.node(), "since": since})
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode(), 0)


def _holder(handle: int) -> str:
    try:
        found = parse_json(os.pread(handle, 1000, 0))
        words = [str(found[name])[:100] for name in ("process", "host", "since")]
    except (ValueError, KeyError, TypeError):  # it has not yet signed
        return "another process"
    process, host, since = map(printable, words)
    return f"process {process} on {host}, since {since}"
