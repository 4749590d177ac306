"""Progress of a long phase: a bar on a terminal, occasional lines elsewhere; both show the time left."""

import sys
import time

from tqdm import tqdm

from rolling.common import signals
from rolling.common.terminal import bare, printable

SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """`with Progress("train", total=700, unit="step") as progress: progress.update(1, loss=0.3)`."""

    def __init__(self, label: str, total: int, unit: str = "step", done: int = 0, compiles: bool = False):
        self.label, self.total, self.unit, self.done = label, total, unit, done
        self.compiles = compiles
        self.started = self.last_line = time.monotonic()
        self.steady: tuple[float, int] | None = None  # time and count at the first update
        self.estimates = compiles  # the first one is shown as soon as there is one
        self.bar = None
        if sys.stderr.isatty():
            self.bar = tqdm(
                total=total,
                initial=done,
                desc=printable(label),
                unit=unit,
                dynamic_ncols=True,
                file=bare(sys.stderr),
            )

    def __enter__(self) -> "Progress":
        if self.bar is None:
            self._say("compiling" if self.compiles else "starts")
        return self

    def update(self, count: int = 1, **figures: float) -> None:
        """Adds `count` to what is done, with `figures` beside it. Raises `Stopped` after a signal."""
        self.done += count
        if self.steady is None:  # so far mostly compilation, which says nothing about the rest
            self.steady = (time.monotonic(), self.done)
            if self.compiles and self.bar is None:
                self._say(f"compiled and first done after {_duration(time.monotonic() - self.started)}")
        if self.bar is not None:
            if figures:
                self.bar.set_postfix({name: f"{value:.4g}" for name, value in figures.items()}, refresh=False)
            self.bar.update(count)
        elif time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES or (self.estimates and self._left()):
            self.estimates = False
            shown = "".join(f", {name} {value:.4g}" for name, value in figures.items())
            self._say(f"{100 * self.done / max(self.total, 1):.0f} %{self._left()}{shown}")
        signals.check()

    def __exit__(self, kind, error, trace) -> None:
        if self.bar is not None:
            self.bar.close()
        elif kind is None:
            self._say(f"done in {time.monotonic() - self.started:.0f} s")

    def _left(self) -> str:
        if self.steady is None or self.done == self.steady[1]:
            return ""
        since, place = self.steady
        seconds = (time.monotonic() - since) * (self.total - self.done) / (self.done - place)
        return f", {_duration(seconds)} left"

    def _say(self, words: str) -> None:
        self.last_line = time.monotonic()
        print(f"{self.label}: {words} ({self.done}/{self.total} {self.unit})", file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    """As a person says it: `70 s`, `12 min`, `3.5 h`."""
    size, unit = next(((s, u) for s, u in ((3600, "h"), (60, "min")) if seconds >= 2 * s), (1, "s"))
    return f"{seconds / size:.{1 if unit == 'h' else 0}f} {unit}"
