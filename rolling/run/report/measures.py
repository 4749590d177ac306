"""How each measure of an evaluation is shown: the figure that it is drawn as, or its one number.

A measure that is not in the catalogue is shown all the same, under its own name.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from rolling.common.errors import InputError
from rolling.run.report import plots
from rolling.run.report.catalogue import CATALOGUE, Measure, measure
from rolling.run.report.words import Words, pretty_units, short, with_units

CURVES = ("model", "member", "persistence", "climatology", "reference", "low", "high")
BAND = re.compile(r"energy_spectrum_leads_(\d+)_to_(\d+)")
Evaluation = Mapping[str, Mapping[str, Mapping]]


def read_evaluation(path: Path) -> Evaluation:
    """The scores of a run. Raises `InputError` where they are missing or damaged."""
    try:
        evaluation = json.loads(path.read_text())
        for score in (score for scores in evaluation.values() for score in scores.values()):
            if not len(score[axis(score)]) == len(score["model"]) > 0:
                raise ValueError("a curve has no values, or more or fewer than its coordinate")
    except FileNotFoundError:
        raise InputError(
            f"there is no {path}: score the forecast with `rolling evaluate {path.parent}`"
        ) from None
    except (OSError, ValueError, AttributeError, TypeError, KeyError, StopIteration) as error:
        raise InputError(
            f"{path} is no evaluation ({error}): write it anew with `rolling evaluate {path.parent}`"
        ) from error
    return evaluation


def axis(score: Mapping) -> str:
    """The key that holds a score's coordinate: `leads`, `wavenumber`, `rank`, ..."""
    return next(key for key in score if key not in (*CURVES, "unit"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure that is yet to be drawn, and what stands above it."""

    measure: Measure
    variable: str
    draw: Callable[[], Figure]
    told: bool
    """Whether the variable is named beside the measure."""


def plotted(evaluation: Evaluation, words: Words) -> Iterator[Plot]:
    """The plots of an evaluation, in the order of the catalogue, then those that it does not know."""
    known = [name for name in CATALOGUE if name in evaluation]
    unknown = [name for name in evaluation if name not in CATALOGUE and name != "member_rmse"]
    for name in (*known, *unknown):
        if not BAND.fullmatch(name) and not name.startswith("cumulative_"):
            for variable, score in evaluation[name].items():
                if len(score[axis(score)]) > 1:
                    yield _plot(name, variable, score, evaluation, words)
    yield from _ratios(evaluation, words)


def _plot(name, variable, score, evaluation, words) -> Plot:
    member = evaluation.get("member_rmse", {}).get(variable, {}).get("model") if name == "rmse" else None
    if member and member != score["model"]:  # they are the same for a single member
        score = {**score, "member": member}
    entry, unit = measure(name), pretty_units(score.get("unit", ""))
    yardstick = evaluation.get(entry.against, {}).get(variable, {}).get("model", ())
    floor = 0.1 * max((value for value in yardstick if value is not None), default=0.0)
    draw = DRAWN.get(axis(score), _over_anything)
    return Plot(
        measure=entry,
        variable=variable,
        draw=lambda: draw(score, entry, unit, words, floor),
        told=_told(variable, len(evaluation[name]), words),
    )


def _told(variable: str, count: int, words: Words) -> bool:
    """Whether a measure of `count` variables says of which: of a picture as a whole it need not."""
    if words.layout.is_video:
        return count > 1
    return len(words.layout.names) > 1 or not words.variable(variable)


def _ratios(evaluation: Evaluation, words: Words) -> Iterator[Plot]:
    """One plot for each variable from the spectra over bands of leads, where there are several."""
    bands = {name: BAND.fullmatch(name) for name in evaluation}
    ordered = sorted((name for name in bands if bands[name]), key=lambda name: int(bands[name][1]))
    variables = dict.fromkeys(variable for name in ordered for variable in evaluation[name])
    for variable in variables:
        scores = {_span(bands[name], words): evaluation[name][variable] for name in ordered}
        yield Plot(
            measure=measure("energy_ratio"),
            variable=variable,
            told=_told(variable, len(variables), words),
            draw=lambda scores=scores: plots.spectrum_ratios(scores),
        )


def _span(band: re.Match, words: Words) -> str:
    first, last = (words.lead(int(lead) * words.layout.step) for lead in band.groups())
    return f"lead {first}" if first == last else f"leads {first} to {last}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Number:
    """A score that is one number: what it is, and its values in words by the curves that have one."""

    measure: Measure
    title: str
    variable: str
    values: Mapping[str, str]


def numbers(evaluation: Evaluation, words: Words) -> list[Number]:
    """Scores of a single value, and the last values of cumulative ones."""
    return [
        _number(name, variable, score, words)
        for name, scores in evaluation.items()
        for variable, score in scores.items()
        if len(score[axis(score)]) == 1 or name.startswith("cumulative_")
    ]


def _number(name: str, variable: str, score: Mapping, words: Words) -> Number:
    def told(curve: str) -> str:
        value = score[curve][-1]
        if value is None:
            return "–"
        if name.endswith("_time"):
            return f"{words.lead(value)}{' frames' * (words.lead_unit == 'frames')}"
        return f"{short(value)} {pretty_units(score['unit'])}".strip()

    where = f" {score['threshold'][0]:g}" if axis(score) == "threshold" else ""
    values = {curve: told(curve) for curve in CURVES if curve in score}
    if "low" in values and "high" in values:
        values["model"] += f" ({values.pop('low')} to {values.pop('high')})"
    return Number(measure=measure(name), title=measure(name).title + where, variable=variable, values=values)


def _over_leads(score, entry, unit, words, floor) -> Figure:
    return _curves(score, entry, words.leads(score["leads"]), words.lead_label, unit, floor)


def _over_ranks(score, entry, unit, words, floor) -> Figure:
    return plots.rank_histogram(score)


def _over_wavenumbers(score, entry, unit, words, floor) -> Figure:
    return plots.spectrum(score, y=with_units("energy", unit))


def _over_anything(score, entry, unit, words, floor) -> Figure:
    name = axis(score)
    return _curves(score, entry, score[name], name.replace("_", " "), unit, floor)


def _curves(score, entry, coordinate, x, y, floor) -> Figure:
    labels = {"reference": entry.reference}
    return plots.lead_curves(
        score, coordinate, x=x, y=y, ideal=entry.ideal, floor=floor, labels=labels, zero=entry.zero
    )


DRAWN: dict[str, Callable[..., Figure]] = {
    "leads": _over_leads,
    "rank": _over_ranks,
    "wavenumber": _over_wavenumbers,
}
