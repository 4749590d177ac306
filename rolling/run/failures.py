"""How a command that could not be finished ends: an exit code and a sentence, or none for our own defects."""

import errno
import os
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from rolling.common import signals
from rolling.common.errors import InputError
from rolling.common.machine import FULL

CONTINUE = "give the same command again (`run` and `train` with --resume)"
ADVICE = {
    errno.EROFS: "make it writable, or name another place",
    errno.EACCES: "make it readable and writable, or name another place",
    errno.EPERM: "make it readable and writable, or name another place",
    errno.ENOENT: "it was not there, or was removed meanwhile; bring it back, or name another place",
    errno.ENOTDIR: "a file stands where a folder must be; name another place",
    errno.EISDIR: "a folder stands where a file must be; name another place",
    errno.ENAMETOOLONG: "shorten it",
    errno.EMFILE: "allow more open files with `ulimit -n`",
}


class End(NamedTuple):
    code: int
    words: str
    """Empty where there is nothing to say."""


def end_of(error: BaseException) -> End | None:
    """How an exception ends the program; None for a defect of the project, which keeps its traceback."""
    if isinstance(error, InputError):
        return End(2, str(error))
    if isinstance(error, BrokenPipeError) and error.filename is None:
        return End(128 + 13, "")  # the reader of our output has closed it, as `rolling list | head` does
    asked = signals.requested()
    if isinstance(error, KeyboardInterrupt) or (asked and isinstance(error, Exception)):
        said = str(error) if isinstance(error, signals.Stopped) else ""
        code = signals.EXIT_CODES[asked] if asked else 130
        return End(code, said or f"stopped; to continue, {CONTINUE}")
    if _is_out_of_memory(error):
        return End(
            2,
            f"the memory is not enough ({_line(error)}): take a smaller --training.batch or --forecast.batch,"
            " or split the batch with --training.accumulate; `rolling show` says what a step needs",
        )
    if any(_is_full(each) for each in _chain(error, contexts=True)):
        where = next(
            (f" ({name})" for each in _chain(error) if (name := getattr(each, "filename", None))), ""
        )
        return End(2, f"the disk is full{where}: what was finished is kept; free some space and {CONTINUE}")
    found = next((said for each in _chain(error) if (said := _of_system(each))), None)
    return End(2, found) if found else None


def _chain(error: BaseException | None, contexts: bool = False) -> Iterator[BaseException]:
    """An exception and those that it was raised from; with `contexts` those, too, that it came across."""
    while error is not None:
        yield error
        error = error.__cause__ or (error.__context__ if contexts else None)


def _is_full(error: BaseException) -> bool:
    return getattr(error, "errno", None) in FULL or "No space left on device" in str(error)


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def _of_system(error: BaseException) -> str | None:
    """The sentence for an error of the operating system, also where a library reports it in its own words."""
    if isinstance(error, OSError) and error.errno:
        names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name]
        what = " -> ".join(names) or "a file or device that is used here"
        return _sentence(what, error.errno)
    told = re.search(r"\[OS error (\d+): ", str(error))  # tensorstore
    if told is None:
        return None
    path = re.search(r"[\"'](/[^\"']+)[\"']", str(error))
    return _sentence(path.group(1) if path else "a file that is used here", int(told.group(1)))


def _sentence(what: str, number: int) -> str:
    advice = ADVICE.get(number, "see to that, then give the command again")
    return f"{what} cannot be used ({os.strerror(number)}): {advice}"


def _line(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:200]


def say(words: str) -> None:
    """One sentence on standard error; not being able to print it is no reason for another failure."""
    try:
        print(f"rolling: {words}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        detach(2)


def detach(descriptor: int) -> None:
    """Leads a standard stream that cannot be written to nowhere, so that the interpreter's own last flush
    succeeds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def open_closed_streams() -> None:
    """Opens descriptors that were closed for us (`>&-`) on nothing: a file that is opened later would get
    their number, and whatever a library prints would be written into it."""
    for descriptor, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
        if getattr(sys, name) is None:
            mode = "r" if descriptor == 0 else "w"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
