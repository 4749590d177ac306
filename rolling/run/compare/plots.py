"""Figures of a comparison: skill against lead time, and against calls per frame, with intervals."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from rolling.common.counting import counted
from rolling.run.compare.estimates import ideal
from rolling.run.compare.results import Result
from rolling.run.compare.tables import at_calls, heading
from rolling.run.report.colours import INK, SERIES
from rolling.run.report.plots import HEIGHT, LINES, WIDTH, draw_line, finish_leads, legend, single, styled
from rolling.run.report.words import Words

MARKERS = "osD^vP"
STROKES = ("-", (0, (5, 2)), (0, (1, 1.6)))


REFERENCE = {"color": INK, "linewidth": 1.2}


def line(place: int) -> dict:
    """The style of the group at a place: its colour and marker, with other strokes from the seventh on."""
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
def leads_figure(result: Result, words: Words, names: Sequence[str]) -> Figure:
    """One score against lead time: a line and the band of its interval for each group."""
    figure, axes = single()
    _draw_leads(axes, result, words, names)
    legend(axes)
    return figure


@styled
def calls_figure(results: Sequence[Result], names: Sequence[str]) -> Figure:
    """The mean of one score over leads, against calls per frame, with intervals."""
    figure, axes = single()
    _draw_calls(axes, results, names)
    legend(axes)
    return figure


@styled
def overview(results: Sequence[Result], words: Words, names: Sequence[str]) -> Figure:
    """Skill against lead time at the fewest calls and, where there are several, against calls."""
    several = len(results) > 1
    figure = Figure(figsize=((2 if several else 1) * 1.25 * WIDTH, 1.3 * HEIGHT), layout="constrained")
    axes = figure.subplots(1, 2 if several else 1, squeeze=False)[0]
    _draw_leads(axes[0], results[0], words, names)
    title = heading(results[0], words)
    axes[0].set_title(f"{title} at {at_calls(results[0].calls)}", fontsize=9.5, loc="left")
    if several:
        _draw_calls(axes[1], results, names)
        axes[1].set_title(
            f"{title}, mean over {counted(len(results[0].leads), 'lead')}", fontsize=9.5, loc="left"
        )
    legend(axes[0])
    return figure


def _draw_leads(axes: Axes, result: Result, words: Words, names: Sequence[str]) -> None:
    leads, faint = words.leads(result.leads), min(0.16, 0.5 / len(names))
    for name, estimate in result.baselines.items():
        draw_line(axes, leads, estimate.value, LINES[name] | REFERENCE)
    for place, name in reversed(list(enumerate(names))):
        style = line(place) | {"label": name} | ({} if len(leads) <= 24 else {"marker": None})
        if name in result.estimates:
            found = result.estimates[name]
            draw_line(axes, leads, found.value, style, found.interval, faint)
        else:  # missing groups are listed too, so that all legends are the same
            draw_line(axes, leads, np.full(len(leads), np.nan), style)
    finish_leads(axes, words.lead_label, ideal=ideal(result.about))


def _draw_calls(axes: Axes, results: Sequence[Result], names: Sequence[str]) -> None:
    """Draws intervals as bars, side by side so that none hides another."""
    calls = [result.calls for result in results if result.calls is not None]
    for name, estimate in results[0].baselines.items():
        axes.axhline(estimate.over_leads().value[0], **LINES[name] | REFERENCE)
    for place, name in reversed(list(enumerate(names))):
        found = [(b.calls, b.estimates[name].over_leads()) for b in results if name in b.estimates]
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
