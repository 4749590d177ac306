"""Curves of a report, as functions that return a matplotlib Figure.

Every figure is self-contained; `svg` makes it part of a page, whose style sheet then sets its colours for
light and dark mode.
"""

import functools
import io
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogFormatter, MaxNLocator, NullLocator

from rolling.metrics.protocol import Score
from rolling.run.report.colours import CLIMATOLOGY, INK, MEMBER, OURS, PERSISTENCE, RULE, TRUTH
from rolling.run.report.words import SUPERSCRIPTS

WIDTH, HEIGHT = 4.2, 2.9  # inches
STYLE: dict[Any, Any] = {  # names as matplotlib knows them
    "font.size": 9.5,
    "font.sans-serif": ["DejaVu Sans"],
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 1.9,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.1,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0.2,
    "figure.facecolor": "white",
}
LINES: dict[str, dict[str, Any]] = {  # in the order in which they are drawn and listed in the legend
    "reference": {"label": "truth", "color": TRUTH, "linewidth": 1.4},
    "climatology": {
        "label": "climatology",
        "color": CLIMATOLOGY,
        "linewidth": 1.8,
        "linestyle": (0, (1, 1.6)),
    },
    "persistence": {"label": "persistence", "color": PERSISTENCE, "linewidth": 1.8, "linestyle": (0, (5, 2))},
    "member": {"label": "one member", "color": MEMBER, "linewidth": 1.6},
    "model": {"label": "forecast", "color": OURS, "linewidth": 2.2},
}
# Colours that the page's style sheet may change.
ROLES = {
    OURS: "ours",
    MEMBER: "member",
    PERSISTENCE: "persistence",
    CLIMATOLOGY: "climatology",
    TRUTH: "truth",
    INK: "ink",
    RULE: "rule",
}


def styled(draw):
    """Draws in the project's style, whatever matplotlib's settings are."""

    @functools.wraps(draw)
    def wrapper(*args, **options) -> Figure:
        with matplotlib.rc_context():
            # A file `matplotlibrc` in the current folder, which may be anybody's, can ask for TeX.
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            return _without_mathematics(draw(*args, **options))

    return wrapper


def _without_mathematics(figure: Figure) -> Figure:
    """Names and units are shown as they are, dollar signs too; the ticks of a logarithm keep their powers."""
    powers = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        if isinstance(axis.get_major_formatter(), LogFormatter)
        for label in axis.get_ticklabels(which="both")
    }
    for text in figure.findobj(Text):
        if isinstance(text, Text) and text not in powers:
            text.set_parse_math(False)
    return figure


def draw_line(
    axes: Axes, x: np.ndarray, values: np.ndarray, style: Mapping, bounds: Any = None, alpha: float = 0.18
) -> None:
    """A curve over the band of its interval, `bounds [2, point]`, where it has one."""
    if bounds is not None:
        axes.fill_between(x, *bounds, color=style["color"], alpha=alpha, linewidth=0)
    axes.plot(x, values, **style)


def draw_curves(
    axes: Axes, x: np.ndarray, curves: Mapping[str, np.ndarray], labels: Mapping[str, str] | None = None
) -> None:
    """The curves of a score with the labels of `LINES` or `labels`, markers where there are few points, a
    band between "low" and "high", and the range of real data between "least" and "most"."""
    if {"least", "most"} <= curves.keys():
        least, most = curves["least"], curves["most"]
        axes.fill_between(x, least, most, color=TRUTH, alpha=0.1, linewidth=0, label="range of real data")
        for end in (least, most):  # as lines, which decide how far the axis goes
            axes.plot(x, end, color=TRUTH, linewidth=0.7, alpha=0.5)
    for name, style in LINES.items():
        if np.isfinite(curves.get(name, np.nan)).any():
            style = style | {"label": (labels or {}).get(name, style["label"])}
            if name == "model" and len(x) <= 24:
                style |= {"marker": "o", "markersize": 3.5}
            banded = name == "model" and {"low", "high"} <= curves.keys()
            bounds = (curves["low"], curves["high"]) if banded else None
            draw_line(axes, x, curves[name], style, bounds)


def finish_leads(
    axes: Axes, label: str, *, ideal: float | None = None, floor: float = 0.0, zero: bool = True
) -> None:
    """Common settings of the axes of a score against lead time; for the arguments see `score_curves`.

    The axis is that of the curves, with room for their own range at both sides: a band of few independent
    starts may be far wider, and is cut.
    """
    low, high = axes.get_ylim()
    curves = _drawn(axes)
    if len(curves):
        least, most = float(curves.min()), float(curves.max())
        room = max(most - least, 0.2 * max(abs(least), abs(most))) or 1.0
        low, high = max(low, least - room), min(high, most + room)
        low = max(low, 0.0) if least >= 0 and zero and ideal is None else low
        axes.set_ylim(low, high)
    if ideal is not None:
        axes.axhline(ideal, color=INK, linewidth=1, zorder=1)
        axes.set_ylim(min(low, ideal - floor), max(high, ideal + floor))
    elif low >= 0 and zero:
        axes.set_ylim(0, high + 0.05 * low)  # room above nearly constant curves
    axes.set(xlabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.margins(x=0.02)


def _drawn(axes: Axes) -> np.ndarray:
    """All finite values of the curves."""
    found = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    values = np.concatenate(found) if found else np.zeros(0)
    return values[np.isfinite(values)]


def legend(axes: Axes) -> None:
    """A legend above the axes, where it hides no curve; none for a single curve."""
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) > 1:
        axes.figure.legend(handles[::-1], labels[::-1], loc="outside upper left", ncols=min(3, len(handles)))


def single() -> tuple[Figure, Axes]:
    """A figure of one pair of axes."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    return figure, figure.subplots()


@styled
def score_curves(
    at: np.ndarray,
    curves: Mapping[str, np.ndarray],
    *,
    x: str,
    y: str,
    ideal: float | None = None,
    floor: float = 0.0,
    labels: Mapping[str, str] | None = None,
    zero: bool = True,
) -> Figure:
    """A score against lead time or another coordinate.

    `ideal` draws a thin line at the best value, and the axis extends at least `floor` to both sides of it, so
    that rounding errors are not magnified into an apparent signal. For positive values the axis starts at
    zero, unless `zero` is False.
    """
    figure, axes = single()
    draw_curves(axes, at, curves, labels)
    finish_leads(axes, x, ideal=ideal, floor=floor, zero=zero)
    axes.set(ylabel=y)
    legend(axes)
    return figure


@styled
def joint_curves(
    scores: Mapping[str, tuple[Score, float | None]], leads: Callable[[np.ndarray], np.ndarray], *, x: str
) -> Figure:
    """Scores of the forecast against lead time, each with its ideal value, a thin line, where it has one;
    later ones are paler. Over decades the axis is logarithmic."""
    figure, axes = single()
    for i, (label, (score, ideal)) in enumerate(scores.items()):
        alpha, at = 1 - 0.7 * i / len(scores), leads(score.coordinate)
        style = LINES["model"] | {"label": label, "alpha": alpha, "zorder": 3 - i / 10}
        bounds = None if score.low is None or score.high is None else (score.low, score.high)
        draw_line(axes, at, score.values, style, bounds, 0.1 * alpha)
        if ideal is not None:
            axes.axhline(ideal, color=INK, alpha=alpha, linewidth=1, zorder=1)
    finish_leads(axes, x)
    values = _drawn(axes)
    if 0 < 100 * values.min(initial=np.inf) < values.max(initial=0):
        axes.set(yscale="log", ylim=(values.min() / 2, 2 * values.max()))
        _plain_log(axes.yaxis, *axes.get_ylim(), most=7)
    legend(axes)
    return figure


@styled
def spectrum_curves(wavenumber: np.ndarray, curves: Mapping[str, np.ndarray], *, y: str) -> Figure:
    """Energy against wavenumber, both logarithmic, over at most eight decades below the truth's maximum."""
    figure, axes = single()
    draw_curves(axes, wavenumber, curves)
    _wavenumbers(axes, wavenumber)
    axes.set(yscale="log", ylabel=y)
    top, found = np.nanmax(curves.get("reference", curves["model"])), _drawn(axes)
    bottom = found[found > 0].min(initial=top) / 2
    axes.set_ylim(max(bottom, 1e-8 * top), min(axes.get_ylim()[1], 10 * found.max(initial=top)))
    legend(axes)
    return figure


@styled
def spectrum_ratios(scores: Mapping[str, Score]) -> Figure:
    """Energy of the forecast over the truth's, one curve per entry; later ones are paler and drawn below."""
    figure, axes = single()
    axes.axhline(1, color=INK, linewidth=1)
    for i, (label, score) in reversed(list(enumerate(scores.items()))):
        ratio, alpha = score.values / score.reference, 1 - 0.75 * i / len(scores)
        axes.plot(score.coordinate, ratio, color=OURS, alpha=alpha, linewidth=2, label=label)
    _wavenumbers(axes, next(iter(scores.values())).coordinate)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(max(min(low, 0.5), 1e-3), max(high, 2.0))
    _plain_log(axes.yaxis, *axes.get_ylim(), most=7)
    axes.set_ylabel("forecast / truth")
    legend(axes)
    return figure


def _wavenumbers(axes: Axes, wavenumber: np.ndarray) -> None:
    """A logarithmic axis of plain numbers."""
    positive = wavenumber[wavenumber > 0]
    axes.set(xscale="log", xlabel="wavenumber")
    _plain_log(axes.xaxis, positive.min(), positive.max(), most=9)


def _plain_log(axis: Axis, low: float, high: float, *, most: int) -> None:
    """Few ticks of a logarithmic axis, with plain numbers as far as these are short."""
    axis.set_ticks(log_ticks(low, high, most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain_power(value)))
    axis.set_minor_locator(NullLocator())


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """At most so many round values between two positive ones: 1, 2, 5, 10, ..., or powers of ten, or each
    second or third of them."""
    first, last = (math.floor(math.log10(end)) for end in (low, high))
    inside = lambda values: [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]  # noqa: E731
    found = inside(float(f"{m}e{n}") for n in range(first, last + 1) for m in (1, 2, 5))
    step = 0
    while len(found) > most:
        step += 1
        found = inside(float(f"1e{n}") for n in range(first - first % step, last + 1, step))
    return found


def plain_power(value: float) -> str:
    """`0.01`, `200`, and from five digits on `10⁵` or `2 · 10⁵`."""
    if 1e-3 <= value < 1e5:
        return f"{value:g}"
    digits, power = f"{value:.0e}".split("e")
    return ("" if digits == "1" else f"{digits} · ") + "10" + str(int(power)).translate(SUPERSCRIPTS)


@styled
def loss_curve(losses: Mapping[int, float], validation: Mapping[int, float] | None = None) -> Figure:
    """The training loss by step and its running median over a fiftieth of the training, logarithmic over
    decades; beside it the validation loss, where there is one, with a mark at its lowest."""
    figure, axes = single()
    steps, values = np.asarray(list(losses)), np.asarray(list(losses.values()))
    half = max(1, len(losses) // 100)
    windows = [values[max(0, i - half) : i + half + 1] for i in range(len(losses))]
    if len(losses) > 10:
        axes.plot(steps, values, color=MEMBER, linewidth=0.8, alpha=0.7, label="as logged")
    medians = np.asarray([np.nanmedian(window) for window in windows])
    drawn = [values]
    draw_line(axes, steps, medians, LINES["model"] | {"label": "running median"})
    if validation:
        drawn.append(np.asarray(list(validation.values())))
        style = LINES["reference"] | {"label": "validation", "marker": "o", "markersize": 2.5}
        draw_line(axes, np.asarray(list(validation)), drawn[1], style)
        best = lowest(validation)
        axes.plot([best], [validation[best]], "o", color=TRUTH, markersize=7, fillstyle="none")
    axes.set(xlabel="step", ylabel="loss")
    if 0 < 10 * np.nanmin(np.concatenate(drawn)) < np.nanmax(np.concatenate(drawn)):
        axes.set_yscale("log")
    legend(axes)
    return figure


def lowest(losses: Mapping[int, float]) -> int:
    """The first step with the lowest loss."""
    return min(sorted(losses), key=losses.__getitem__)


def svg(figure: Figure, name: str) -> str:
    """A figure as an `<svg>` element that fits its column; `name` keeps its ids unique on the page.

    Text stays text, in the page's font. The colours of `ROLES` become CSS variables.
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue().decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style)\b.*?</\1>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', r'<svg viewBox="\1" role="img">', text, count=1)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r" ?font-family: [^;\"]*;?", "", text)
    # A hundredth of a point is enough for coordinates; numbers in text keep their digits.
    text = re.sub(r'"[^"]*"', lambda value: re.sub(r"(\.\d\d)\d+", r"\1", value[0]), text)
    for colour, role in ROLES.items():
        text = text.replace(colour, f"var(--{role})")
    return re.sub(r"\n\s*", "\n", text)
