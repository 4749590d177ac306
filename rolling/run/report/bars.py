"""Bars of a report, as functions that return a matplotlib Figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rolling.run.report.colours import INK, OURS
from rolling.run.report.plots import single, styled


@styled
def rank_histogram(rank: np.ndarray, frequency: np.ndarray, bounds: np.ndarray | None = None) -> Figure:
    """The frequency of each rank of the truth among the members, with its interval, `bounds [2, rank]`, where
    there is one; a line marks a calibrated ensemble's."""
    figure, axes = single()
    axes.bar(rank, frequency, width=0.86, color=OURS, label="forecast")
    if bounds is not None and np.isfinite(bounds).all():
        axes.vlines(rank, np.maximum(bounds[0], 0), np.minimum(bounds[1], 1), color=INK, linewidth=1)
        axes.set_ylim(0, min(axes.get_ylim()[1], 2 * frequency.max()))
    axes.axhline(1 / len(rank), color=INK, linewidth=1, label="calibrated")
    axes.set(xlabel="rank of the truth among the members", ylabel="share of cells")
    axes.grid(False, axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


@styled
def named_bars(names: Sequence[str], values: np.ndarray, *, x: str) -> Figure:
    """One number each, from the first at the top; the names are left out where there are too many."""
    figure, axes = single()
    axes.barh(np.arange(len(names)), values, height=0.8, color=OURS)
    axes.set(xlabel=x, xlim=(0, 1.05 * max(values.max(initial=0), 1)), ylim=(len(names) - 0.4, -0.6))
    axes.set_yticks(range(len(names)), names) if len(names) <= 16 else axes.set_yticks([])
    axes.grid(False, axis="y")
    return figure
