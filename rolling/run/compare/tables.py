"""Tables of a comparison, made once and told as text, Markdown and HTML."""

import dataclasses
import math
from collections.abc import Sequence

from rolling.run.compare.boards import Board
from rolling.run.compare.scores import Estimate, Ranking, rank
from rolling.run.report import markup
from rolling.run.report.words import Words, pretty_units, with_units

FRAMES = (1, 3, 5, 8, 12, 20)
"""The leads that are shown, as far as there are forecasts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A number in words; `tied` with the best in its column, or that best itself."""

    text: str
    best: bool = False
    tied: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """`rows` of a name and its cells under `heads`, the first of which stands over the names."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    variable: str = ""

    def plain(self) -> str:
        """Lines of text; `*` marks the best, `~` what is tied with it."""
        lines = [list(self.heads)]
        for name, cells in self.rows:
            marks = ["*" if cell.best else "~" if cell.tied else " " for cell in cells]
            lines.append([name, *(cell.text + mark for cell, mark in zip(cells, marks, strict=True))])
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.heads))]
        body = [
            "  ".join(
                word.ljust(w) if i == 0 else word.rjust(w)
                for i, (word, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        return "\n".join([*filter(None, [self.caption]), *(line.rstrip() for line in body)])

    def markdown(self) -> str:
        """The best is bold; `≈` marks what is tied with it."""
        told = [
            [name, *(f"**{c.text}**" if c.best else f"≈ {c.text}" if c.tied else c.text for c in cells)]
            for name, cells in self.rows
        ]
        rule = ["---", *["---:"] * (len(self.heads) - 1)]
        lines = [
            "| " + " | ".join(word.replace("|", "\\|") for word in line) + " |"
            for line in (self.heads, rule, *told)
        ]
        return "\n".join([*([f"{self.caption}:", ""] if self.caption else []), *lines])

    def html(self, words: Words, *, numbers: bool = True) -> str:
        return markup.grid(
            self.caption,
            self.heads,
            [
                (name, [(f"≈ {c.text}" if c.tied and not c.best else c.text, c.best) for c in cells])
                for name, cells in self.rows
            ],
            markup.about(self.variable, words),
            numbers=numbers,
        )


def number(value: float, bounds: Sequence[float] | None = None) -> str:
    """`0.1234 ± 0.0042`, half of the interval to two digits, or three digits of the value alone."""
    if not math.isfinite(value):
        return "–"
    half = 0.0 if bounds is None else (bounds[1] - bounds[0]) / 2
    if not (math.isfinite(half) and half > 0):
        return f"{value:.3g}"
    decimals = max(0, 1 - math.floor(math.log10(half)))
    return f"{value:.{decimals}f} ± {half:.{decimals}f}"


def calls_told(calls: int | None) -> str:
    return "" if calls is None else f"{calls} {'call' if calls == 1 else 'calls'} per frame"


def heading(board: Board, words: Words) -> str:
    """The measure, and of what, where that says something new: `CRPS of 2 m temperature`."""
    alone = len(words.layout.names) == 1 and words.variable(board.variable)
    return board.measure.title if alone else f"{board.measure.title} of {words.title(board.variable)}"


def title(board: Board, words: Words) -> str:
    """`CRPS of 2 m temperature (K)`."""
    return with_units(heading(board, words), pretty_units(board.units))


def by_lead(board: Board, words: Words, names: Sequence[str], *, sure: bool) -> Table:
    """Groups against lead time; baselines stand below. Without `sure` there are no intervals to tell."""
    chosen = [frame - 1 for frame in FRAMES if frame <= len(board.leads)]
    ranking = rank(board.estimates, board.measure)
    rows = [
        (name, tuple(_cell(board.estimates[name], ranking, name, i, sure) for i in chosen))
        for name in names
        if name in board.estimates
    ]
    rows += [
        (name, tuple(Cell(text=number(values[i])) for i in chosen))
        for name, values in board.baselines.items()
    ]
    first = "lead (frames)" if words.lead_unit == "frames" else "lead time"
    return Table(
        caption=f"{title(board, words)}, {calls_told(board.calls)}",
        heads=(first, *(words.lead(board.leads[i]) for i in chosen)),
        rows=tuple(rows),
        variable=board.variable,
    )


def by_calls(boards: Sequence[Board], words: Words, names: Sequence[str], *, sure: bool) -> Table:
    """The mean over leads of one measure and variable, against calls per frame."""
    first = boards[0]
    columns = []
    for board in boards:
        means = {name: estimate.over_leads() for name, estimate in board.estimates.items()}
        columns.append((means, rank(means, first.measure)))
    rows = [
        (name, tuple(_cell(means.get(name), ranking, name, 0, sure) for means, ranking in columns))
        for name in names
    ]
    return Table(
        caption=f"{title(first, words)}, mean over {len(first.leads)} leads",
        heads=("calls per frame", *(str(board.calls) for board in boards)),
        rows=tuple(rows),
        variable=first.variable,
    )


def of_rollouts(boards: Sequence[Board], words: Words, names: Sequence[str], *, sure: bool) -> Table:
    """One number of each measure and variable of the long rollouts."""
    rankings = [rank(board.estimates, board.measure) for board in boards]
    columns = list(zip(boards, rankings, strict=True))
    rows = [
        (name, tuple(_cell(board.estimates.get(name), ranking, name, 0, sure) for board, ranking in columns))
        for name in names
    ]
    return Table(
        caption="Long rollouts, each at its own calls per frame",
        heads=("", *(title(board, words) for board in boards)),
        rows=tuple(rows),
    )


def _cell(estimate: Estimate | None, ranking: Ranking, name: str, lead: int, sure: bool) -> Cell:
    if estimate is None:
        return Cell(text="–")
    bounds = estimate.interval[:, lead] if sure else None
    return Cell(
        text=number(estimate.value[lead], bounds),
        best=ranking.best[lead] == name,
        tied=sure and bool(ranking.tied[name][lead]),
    )
