"""Still pictures of a forecast: the film strip of a report read without scripts, and a poster."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure

from rolling.common.errors import InputError
from rolling.common.forecast_schema import STORE
from rolling.common.indices import spaced
from rolling.data.source import Sequences
from rolling.layout import Layout
from rolling.metrics.protocol import Metric
from rolling.run.evaluation.scores import read
from rolling.run.forecasting.zarr_reader import open_forecast
from rolling.run.report.colours import Scale, palette
from rolling.run.report.drawings import drawing
from rolling.run.report.plots import draw_curves, legend, styled
from rolling.run.report.shown_clips import Budget, Clip, read_start
from rolling.run.report.verdict import headline
from rolling.run.report.words import Words, pretty_units, with_units

TILE = 1.45  # width of one frame, inches


@styled
def filmstrip(clip: Clip, layout: Layout, columns: int = 6) -> Figure:
    """Every picture of a clip, one row each, at a few leads after the last given frame."""
    height = TILE * drawing(layout).aspect
    size = (TILE * columns + 1.6, (height + 0.08) * len(clip.fields) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    _strip(figure, clip, layout, columns, list(clip.fields))
    return figure


@styled
def poster(
    run: Path,
    test: Sequences,
    *,
    metrics: Sequence[Metric] = (),
    channel: int = 0,
    start: int = 0,
    columns: int = 5,
) -> Figure:
    """The truth above a forecast at a few leads, and its score and the baselines' against lead.

    `run` holds `forecast.zarr` and `evaluation.json`; `start` is an index into the store. The forecast is a
    single member, because the mean of an ensemble is smoother than any truth.
    """
    layout = test.layout
    words, variable = Words(layout), layout.variables[channel]
    evaluation = read(run / "evaluation.json", metrics)
    judge = headline(evaluation)
    scores = evaluation.scores.get(judge.key, {})
    score = scores.get(variable.name) or next(iter(scores.values()), None)
    if score is None:
        raise InputError(
            f"{run / 'evaluation.json'} holds neither psnr nor rmse, and a poster needs one of them: add it"
            " to `metrics` and evaluate again"
        )
    shown = Budget(frames=10**6, variables=channel + 1, members=1, cells=256, summary=False)
    forecast = open_forecast(run / STORE, layout)
    with forecast.dataset:
        clip = read_start(forecast, test, start, context=1, budget=shown)[channel]
    picture = next(name for name in clip.fields if name != "Truth")
    height = max(2.4, 2 * TILE * drawing(layout).aspect + 0.45)
    figure = Figure(figsize=(TILE * columns + 5.2, height), layout="constrained")
    halves = figure.subfigures(1, 2, width_ratios=(TILE * columns + 1.0, 4.2))
    left, right = cast(np.ndarray, halves)
    _strip(left, clip, layout, columns, ["Truth", picture])
    axes = right.subplots()
    draw_curves(axes, words.leads(score.coordinate), score.curves)
    axes.set(xlabel=words.lead_label, ylabel=with_units(judge.short, pretty_units(score.units)))
    if not evaluation.about(judge.key).higher:
        axes.set_ylim(0, None)
    legend(axes)
    return figure


def _strip(figure: Figure | SubFigure, clip: Clip, layout: Layout, columns: int, rows: list[str]) -> None:
    words, scale = Words(layout), palette([clip])
    now = int((clip.lead <= 0).sum()) - 1
    frames = [now + i for i in spaced(len(clip.lead) - now, columns)]
    grid = figure.subplots(len(rows), len(frames), squeeze=False)
    for axes, name in zip(grid, rows, strict=True):
        for place, frame in zip(axes, frames, strict=True):
            _show(place, scale.paint(clip.fields[name][frame]), drawing(layout).aspect)
        axes[0].set_ylabel(name)
    for place, frame in zip(grid[0], frames, strict=True):
        place.set_title(_title(clip.lead[frame], words), fontsize=9)
    if not isinstance(scale, Scale):
        return
    colours = ScalarMappable(Normalize(scale.low, scale.high), scale.palette)
    label = with_units(words.title(clip.variable.name), words.units(clip.variable.name))
    bar = figure.colorbar(colours, ax=grid, label=label, fraction=0.05, aspect=25, pad=0.01)
    bar.outline.set_visible(False)


def _title(lead: int, words: Words) -> str:
    if lead <= 0:
        return "given"
    time = words.lead(lead * words.layout.step)
    return f"lead {time}" if words.lead_unit == "frames" else f"+{time}"


def _show(axes, picture: np.ndarray, height: float) -> None:
    """One frame without ticks, `height` times as high as wide."""
    axes.imshow(picture, aspect="auto", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_box_aspect(height)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
