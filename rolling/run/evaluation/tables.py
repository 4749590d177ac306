"""Tables of strings, rendered as text, Markdown and, by `rolling.run.report.markup`, HTML."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

NO_VALUE = "–"
MEANING = f"{NO_VALUE}: there is no value, or too little to compute it from."
ROWS = (1, 2, 3, 5, 8, 12, 20, 50, 100, 300, 1000)


SMALL = 1e-3
"""Numbers below it are written with a power of ten."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A formatted number; `best` of those that it is compared with, or `tied` with the best."""

    text: str
    best: bool = False
    tied: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """`rows` of a name and its cells under `heads`, the first of which is above the names."""

    caption: str = ""
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    variable: str = ""

    @property
    def note(self) -> str:
        """What `NO_VALUE` means, where a cell is one; else empty."""
        return MEANING if any(cell.text == NO_VALUE for _, cells in self.rows for cell in cells) else ""

    def plain(self) -> str:
        """Lines of text; `*` marks the best, `~` what is tied with it."""
        lines = [list(self.heads)]
        for name, cells in self.rows:
            marks = ["*" if cell.best else "~" if cell.tied else " " * self.marked for cell in cells]
            lines.append([name, *(cell.text + mark for cell, mark in zip(cells, marks, strict=True))])
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.heads))]
        body = [
            "  ".join(
                word.ljust(w) if i == 0 else word.rjust(w)
                for i, (word, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        lines = (line.rstrip() for line in body)
        return "\n".join([*filter(None, [self.caption]), *lines, *filter(None, [self.note])])

    @property
    def marked(self) -> bool:
        """Whether some cell is marked as the best, or as tied with it."""
        return any(cell.best or cell.tied for _, cells in self.rows for cell in cells)

    def markdown(self) -> str:
        """The best is bold; `≈` marks what is tied with it."""
        rows = [
            [name, *(f"**{c.text}**" if c.best else f"≈ {c.text}" if c.tied else c.text for c in cells)]
            for name, cells in self.rows
        ]
        rule = ["---", *["---:"] * (len(self.heads) - 1)]
        lines = [
            "| " + " | ".join(word.replace("|", "\\|") for word in line) + " |"
            for line in (self.heads, rule, *rows)
        ]
        above, below = [f"{self.caption}:", ""] if self.caption else [], ["", self.note] if self.note else []
        return "\n".join([*above, *lines, *below])


def columns(named: Mapping[str, Sequence[float] | np.ndarray | None], caption: str = "") -> Table:
    """Numbers side by side, at the rows of `ROWS` and the last one; None makes no column."""
    there = {name: values for name, values in named.items() if values is not None}
    last = min(map(len, there.values()))
    rows = sorted({row for row in ROWS if row <= last} | {last})
    cells = [[number(values[row - 1]) for values in there.values()] for row in rows]
    return Table(
        caption=caption,
        heads=tuple(there),
        rows=tuple((first, tuple(Cell(text=text) for text in others)) for first, *others in cells),
    )


def number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "-"


def with_interval(value: float, bounds: Sequence[float] | np.ndarray | None = None) -> str:
    """`0.1234 ± 0.0042`, half of the interval to two digits; without one, the value to three. Small numbers
    have their power of ten, `(7.2 ± 1.1)e-06`."""
    if not math.isfinite(value):
        return NO_VALUE
    half = 0.0 if bounds is None else (bounds[1] - bounds[0]) / 2
    if not (math.isfinite(half) and half > 0):
        return f"{value:.3g}"
    if max(abs(value), half) < SMALL:
        power = math.floor(math.log10(max(abs(value), half)))
        scaled, reach = value / 10.0**power, half / 10.0**power
        return f"({with_interval(scaled, (scaled - reach, scaled + reach))})e{power:03d}"
    decimals = max(0, 1 - math.floor(math.log10(half)))
    return f"{value:.{decimals}f} ± {half:.{decimals}f}"
