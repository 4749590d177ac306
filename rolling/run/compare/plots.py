"""Figures of a comparison: skill against lead time, and against calls per frame, with intervals."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from rolling.run.compare.boards import Board
from rolling.run.compare.tables import calls_told, heading
from rolling.run.report.colours import INK, SERIES
from rolling.run.report.plots import HEIGHT, LINES, WIDTH, legend, styled
from rolling.run.report.words import Words

MARKERS = "osD^vP"
STROKES = ("-", (0, (5, 2)), (0, (1, 1.6)))


def line(place: int) -> dict:
    """How the group at a place is drawn: its own colour and marker, beyond the sixth another stroke."""
    at = place % len(SERIES)
    stroke = STROKES[(place // len(SERIES)) % len(STROKES)]
    return {
        "color": SERIES[at],
        "marker": MARKERS[at],
        "markersize": 4,
        "linewidth": 1.8,
        "linestyle": stroke,
    }


@styled
def over_leads(board: Board, words: Words, names: Sequence[str]) -> Figure:
    """One measure against lead time, a line and the band of its interval for each group."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    _draw_leads(figure.subplots(), board, words, names)
    legend(figure.axes[0])
    return figure


@styled
def over_calls(boards: Sequence[Board], names: Sequence[str]) -> Figure:
    """The mean over leads of one measure against calls per frame, with intervals."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    _draw_calls(figure.subplots(), boards, names)
    legend(figure.axes[0])
    return figure


@styled
def overview(boards: Sequence[Board], words: Words, names: Sequence[str]) -> Figure:
    """Skill against lead time at the fewest calls beside skill against calls, where there are several."""
    several = len(boards) > 1
    figure = Figure(figsize=((2 if several else 1) * 1.25 * WIDTH, 1.3 * HEIGHT), layout="constrained")
    axes = figure.subplots(1, 2 if several else 1, squeeze=False)[0]
    _draw_leads(axes[0], boards[0], words, names)
    title = heading(boards[0], words)
    axes[0].set_title(f"{title} at {calls_told(boards[0].calls)}", fontsize=9.5, loc="left")
    if several:
        _draw_calls(axes[1], boards, names)
        axes[1].set_title(f"{title}, mean over {len(boards[0].leads)} leads", fontsize=9.5, loc="left")
    legend(axes[0])
    return figure


def _draw_leads(axes: Axes, board: Board, words: Words, names: Sequence[str]) -> None:
    leads = words.leads(board.leads)
    few, faint = len(leads) <= 24, min(0.16, 0.5 / len(names))
    for name, values in board.baselines.items():
        axes.plot(leads, values, **LINES[name] | {"color": INK, "linewidth": 1.2})
    for place, name in reversed(list(enumerate(names))):
        style = line(place) if few else line(place) | {"marker": None}
        estimate = board.estimates.get(name)
        # What is not there is named all the same, so that all legends are alike.
        axes.plot(
            leads, np.full(len(leads), np.nan) if estimate is None else estimate.value, label=name, **style
        )
        if estimate is not None:
            axes.fill_between(leads, *estimate.interval, color=style["color"], alpha=faint, linewidth=0)
    low, high = axes.get_ylim()
    if board.measure.ideal is not None:
        axes.axhline(board.measure.ideal, color=INK, linewidth=1, zorder=1)
    elif low > 0:
        axes.set_ylim(0, high)
    axes.set(xlabel=words.lead_label)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.margins(x=0.02)


def _draw_calls(axes: Axes, boards: Sequence[Board], names: Sequence[str]) -> None:
    """Intervals as bars, side by side, so that none hides another."""
    calls = [board.calls for board in boards]
    for place, name in reversed(list(enumerate(names))):
        found = [(b.calls, b.estimates[name].over_leads()) for b in boards if name in b.estimates]
        if not found:
            continue
        at = np.array([k for k, _ in found]) * 1.035 ** (place - (len(names) - 1) / 2)
        value = np.array([estimate.value[0] for _, estimate in found])
        low, high = np.array([estimate.interval[:, 0] for _, estimate in found]).T
        error = np.maximum([value - low, high - value], 0)
        axes.errorbar(at, value, error, label=name, elinewidth=1, **line(place))
    axes.set(xscale="log", xlabel="calls per frame")
    axes.xaxis.set_major_locator(FixedLocator(calls))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.1)
