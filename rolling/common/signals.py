"""Being asked to stop: by Ctrl-C (SIGINT), or by SIGTERM, which a scheduler sends before it kills.

A signal raises `Stopped` in the main thread, but not within `deferred()`, where the work looks at
`requested()` between its steps and stops where nothing is lost. A second signal stops at once, and so does
the first one within `nothing_to_save()`.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Iterator

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 75}
"""75 says that the failure is temporary (EX_TEMPFAIL in <sysexits.h>): the job may be queued again."""

GRACE = 3.0  # seconds for the main thread to leave foreign code, such as a compiler, before the process ends

_request: signal.Signals | None = None
_handling = False
_deferring = 0
_disposable = False
_resent = 0
_sending: threading.Timer | None = None


class Stopped(KeyboardInterrupt):
    """A signal asked for a stop; the message, if there is one, says what is kept."""


def requested() -> signal.Signals | None:
    """The signal that asked for a stop, if one did."""
    return _request


def check() -> None:
    """Raises `Stopped` where a stop was asked for and the work goes on nevertheless: exceptions that arise in
    a callback of a library do not reach us."""
    if _handling and _request is not None and not _deferring:
        raise Stopped


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """A first signal does not interrupt what is done here; it is answered at the end at the latest."""
    global _deferring
    _deferring += 1
    try:
        yield
    finally:
        _deferring -= 1
    check()


@contextlib.contextmanager
def nothing_to_save() -> Iterator[None]:
    """A first signal ends the process here, within `deferred()`, too: while the first step is compiled, say,
    which no exception interrupts."""
    global _deferring, _disposable
    former, _deferring, _disposable = _deferring, 0, True
    try:
        check()
        yield
        check()
    finally:
        _deferring, _disposable = former, False


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Answers both signals as above while it lasts: in the main thread, and not where they are ignored. What
    was asked for is not asked of later work."""
    global _request, _handling
    _request = None
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.getsignal(number) for number in EXIT_CODES}
    hook = sys.unraisablehook
    ours = [number for number, handler in former.items() if handler is not signal.SIG_IGN]
    sys.unraisablehook = lambda lost: _again() if lost.exc_type is Stopped else hook(lost)
    with _watched():
        for number in ours:
            signal.signal(number, _answer)
        _handling = True
        try:
            yield
        finally:
            _handling = False
            _await_resent(ours)
            for number in ours:
                signal.signal(number, former[number])
            sys.unraisablehook = hook


def leave_with(code: int) -> None:
    """From now on a signal ends the process at once, with this exit code: the work is done."""
    for number in EXIT_CODES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(code))


def _answer(number: int, frame: object) -> None:
    global _request
    second = _request is not None
    _request = _request or signal.Signals(number)
    if second or not _deferring:
        raise Stopped


def _again() -> None:
    """`Stopped` was raised in a callback, which cannot pass it on: the signal is sent once more."""
    global _request, _resent, _sending
    number, _request = _request, None
    if number is not None:
        _resent += 1
        _sending = threading.Timer(0.02, os.kill, (os.getpid(), number))
        _sending.start()


def _await_resent(numbers: Iterable[int]) -> None:
    """Lets a signal that is on its way arrive where nobody answers it: the stop was answered without it, and
    later it would end the process."""
    global _sending
    for number in numbers:
        signal.signal(number, lambda *_: None)
    if _sending is not None:
        _sending.cancel()
        _sending.join()
        _sending = None


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    """Ends the process some time after a second signal where the main thread does not come to answer it."""
    here, there = socket.socketpair()
    there.setblocking(False)
    former = signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(here,), daemon=True, name="signals").start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(former)
        there.close()


def _watch(here: socket.socket) -> None:
    global _resent
    first = 0
    with here:
        while heard := here.recv(1):
            if heard[0] not in EXIT_CODES:
                continue
            if _resent:
                _resent -= 1
                continue
            second, first = bool(first), first or heard[0]
            if second or _disposable:
                _end(here, EXIT_CODES[signal.Signals(first)])
                return
            if _deferring:
                _say("rolling: stopping after this step; a second signal stops at once\n")


def _end(here: socket.socket, code: int) -> None:
    here.settimeout(GRACE)
    with contextlib.suppress(TimeoutError):
        if not here.recv(1):  # the main thread has left `handled()`
            return
    _say("rolling: stopped at once\n")
    os._exit(code)


def _say(words: str) -> None:
    """Straight to the descriptor: a signal may come in the middle of a `print`."""
    with contextlib.suppress(OSError):
        os.write(2, words.encode())
