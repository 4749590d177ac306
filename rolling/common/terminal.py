"""What is printed holds names and units that others chose: none of them gives orders to a terminal."""

import contextlib
import functools
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any, cast

ORDERS = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of control and format characters, lone surrogates, and separators of lines."""


def printable(text: str, keep: str = "") -> str:
    """`text` with the characters that a terminal obeys escaped, but for those in `keep`."""
    if text.isascii() and text.isprintable():
        return text
    obeyed = (c not in keep and unicodedata.category(c) in ORDERS for c in text)
    return "".join(
        c.encode("unicode_escape").decode() if yes else c for c, yes in zip(text, obeyed, strict=True)
    )


@functools.cache
def tell(words: str) -> None:
    """Says something once on the standard error stream, such as why a metric is left out."""
    print(words, file=sys.stderr, flush=True)


class _Guarded:
    """A stream that writes printable text only."""

    def __init__(self, stream: Any):
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(printable(text, keep="\n\t"))
        return len(text)

    def writelines(self, lines) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Within, both standard streams are guarded, whoever writes to them."""
    with (
        contextlib.redirect_stdout(cast(Any, _Guarded(sys.stdout))),
        contextlib.redirect_stderr(cast(Any, _Guarded(sys.stderr))),
    ):
        yield


def bare(stream: Any) -> Any:
    """A stream without its guard, for what is ours and needs orders: colours, a bar that redraws itself."""
    return stream.stream if isinstance(stream, _Guarded) else stream
