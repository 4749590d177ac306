"""How each score of an evaluation is shown: as a figure, or as a single number."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from rolling.metrics.protocol import HORIZON, About, Score
from rolling.run.evaluation.scores import Evaluation
from rolling.run.evaluation.tables import NO_VALUE
from rolling.run.report import bars, plots
from rolling.run.report.words import Words, pretty_units, short, with_units

BAND = re.compile(r"energy_spectrum_leads_(\d+)_to_(\d+)")
BANDS = About(
    title="Energy over the truth's", note="Below 1 a scale has lost energy.", section="scales", ideal=1.0
)
"""Description of the spectra over bands of leads, which share one figure."""
BARS = ("rollout", "statistic")
"""The axes of scores that are drawn as bars, of which a zero has none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure yet to be drawn, and its description; `named`: the title includes the variable; `said` stands
    in place of a figure that would be empty."""

    about: About
    variable: str
    draw: Callable[[], Figure]
    named: bool
    said: str = ""


def plotted(evaluation: Evaluation, words: Words) -> Iterator[Plot]:
    """The plots of an evaluation, ordered by metric."""
    groups: dict[str, list[str]] = {}
    for metric in sorted(evaluation.scores, key=lambda name: evaluation.about(name).order):
        groups.setdefault(evaluation.about(metric).together or metric, []).append(metric)
    for metric, *others in groups.values():
        if others:
            yield from _joint([metric, *others], evaluation, words)
        elif not (BAND.fullmatch(metric) or evaluation.about(metric).cumulative or metric == "member_rmse"):
            for score in evaluation.scores[metric].values():
                if len(score.values) > 1:
                    yield _plot(metric, score, evaluation, words)
    yield from _ratios(evaluation, words)


def _joint(metrics: Sequence[str], evaluation: Evaluation, words: Words) -> Iterator[Plot]:
    """One plot per variable of metrics that share a figure."""
    abouts = {metric: evaluation.about(metric) for metric in metrics}
    first = abouts[metrics[0]]
    variables = dict.fromkeys(variable for metric in metrics for variable in evaluation.scores[metric])
    for variable in variables:
        found = {about: evaluation.score(metric, variable) for metric, about in abouts.items()}
        scores = {about: score for about, score in found.items() if score and len(score.values) > 1}
        if scores:
            yield Plot(
                about=dataclasses.replace(first, title=first.together),
                variable=variable,
                named=_named(variable, len(variables), words),
                draw=lambda scores=scores: plots.joint_curves(
                    {about.label: (score, about.ideal) for about, score in scores.items()},
                    words.leads,
                    x=words.lead_label,
                ),
            )


def _plot(metric: str, score: Score, evaluation: Evaluation, words: Words) -> Plot:
    about, curves = evaluation.about(metric), score.curves
    member = evaluation.score("member_rmse", score.variable) if metric == "rmse" else None
    if member and not np.array_equal(member.values, score.values, equal_nan=True):
        curves["member"] = member.values
    yardstick = evaluation.score(about.against, score.variable)
    floor = 0.0 if yardstick is None else 0.1 * np.nanmax(yardstick.values, initial=0.0)
    return Plot(
        about=about,
        variable=score.variable,
        draw=lambda: _drawn(score, curves, about, words, floor),
        named=_named(score.variable, len(evaluation.scores[metric]), words),
        said=f"All {len(score.values)} are 0." if score.axis in BARS and not np.any(score.values) else "",
    )


def _drawn(score: Score, curves: Mapping, about: About, words: Words, floor: float) -> Figure:
    unit = pretty_units(score.units)
    if score.axis == "rank":
        bounds = None if score.low is None or score.high is None else np.stack([score.low, score.high])
        return bars.rank_histogram(score.coordinate, score.values, bounds)
    if score.axis in BARS:
        names = [str(name).replace("_", " ") for name in score.coordinate]
        return bars.named_bars(names, score.values, x=unit)
    if score.axis == "wavenumber":
        return plots.spectrum_curves(score.coordinate, curves, y=with_units("energy", unit))
    lead = score.axis == "lead"
    return plots.score_curves(
        words.leads(score.coordinate) if lead else score.coordinate,
        curves,
        x=words.lead_label if lead else score.axis.replace("_", " "),
        y=unit,
        ideal=about.ideal,
        floor=floor,
        labels={"reference": about.reference},
        zero=about.zero,
    )


def _named(variable: str, count: int, words: Words) -> bool:
    """Whether the title of a metric of `count` variables names the variable, as it need not for pictures."""
    if words.layout.is_video:
        return count > 1
    return len(words.layout.names) > 1 or not words.variable(variable)


def _ratios(evaluation: Evaluation, words: Words) -> Iterator[Plot]:
    """One plot per variable of the spectra over bands of leads, if there are any."""
    bands = {name: band for name in evaluation.scores if (band := BAND.fullmatch(name))}
    ordered = sorted(bands, key=lambda name: int(bands[name][1]))
    variables = dict.fromkeys(variable for name in ordered for variable in evaluation.scores[name])
    for variable in variables:
        scores = {_span(bands[name], words): evaluation.scores[name][variable] for name in ordered}
        yield Plot(
            about=BANDS,
            variable=variable,
            named=_named(variable, len(variables), words),
            draw=lambda scores=scores: plots.spectrum_ratios(scores),
        )


def _span(band: re.Match, words: Words) -> str:
    first, last = (words.lead(int(lead) * words.layout.step) for lead in band.groups())
    return f"lead {first}" if first == last else f"leads {first} to {last}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Number:
    """A score that is a single number: its description, and the formatted value of each curve."""

    about: About
    title: str
    variable: str
    values: Mapping[str, str]


def numbers(evaluation: Evaluation, words: Words) -> list[Number]:
    """Scores of a single value, and the last values of cumulative scores."""
    return [
        _number(metric, score, evaluation.about(metric), words)
        for metric, score in evaluation.all()
        if len(score.values) == 1 or evaluation.about(metric).cumulative
    ]


def _number(metric: str, score: Score, about: About, words: Words) -> Number:
    def formatted(value: float) -> str:
        if not np.isfinite(value):
            return NO_VALUE
        more = "> " * score.censored(value)
        if about.duration or metric.endswith("_time"):  # evaluations of before name no durations
            return more + words.duration(value)
        if score.axis == HORIZON:
            return more + short(value)
        return f"{short(value)} {pretty_units(score.units)}".strip()

    where = f" {score.coordinate[0]:g}" if score.axis == "threshold" else ""
    values = {curve: formatted(found[-1]) for curve, found in score.curves.items()}
    low, high = values.pop("low", NO_VALUE), values.pop("high", NO_VALUE)
    if low != high and NO_VALUE not in (low, high):  # equal ones add nothing, as of a horizon
        values["model"] += f" ({low} to {high})"
    return Number(about=about, title=about.title + where, variable=score.variable, values=values)
