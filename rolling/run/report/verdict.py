"""The verdict on a forecast, as a sentence and a small table, from the scores of an evaluation."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rolling.common.counting import in_unit
from rolling.common.indices import spaced
from rolling.metrics.protocol import Score
from rolling.run.evaluation.lasting import how_long_they_last
from rolling.run.evaluation.scores import BASELINES, Evaluation
from rolling.run.evaluation.tables import NO_VALUE, Cell, Table, with_interval
from rolling.run.report.plots import LINES
from rolling.run.report.words import Words, listed, plain, pretty_units, short

DISTANCES = ("fvd", "spectral_frechet_distance")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Headline:
    """The metric by which a run is judged: its key in `evaluation.json`, and its wording."""

    key: str
    short: str
    one: str
    several: str
    """The subject of the sentence for one member, and for several."""


HEADLINES = (
    Headline(
        key="psnr",
        short="PSNR",
        one="By its peak signal-to-noise ratio the forecast",
        several="By its peak signal-to-noise ratio a single member",
    ),
    Headline(key="rmse", short="RMSE", one="The forecast", several="The ensemble mean"),
)
"""In order of preference; the first is for pictures only."""


def headline(evaluation: Evaluation) -> Headline:
    """The metric by which a run is judged; the last one if it has none of them."""
    return next((each for each in HEADLINES if evaluation.scores.get(each.key)), HEADLINES[-1])


def score_table(
    score: Score, words: Words, caption: str = "", *, higher: bool = False, most: int = 6
) -> Table:
    """A score at a few leads, including the first and the last, with the best at each lead marked."""
    chosen = spaced(len(score.values), most)
    curves = {name: score.curves[name][chosen] for name in ("model", *BASELINES) if name in score.curves}
    shown = {name: values for name, values in curves.items() if np.isfinite(values).any()}
    best = [_best({name: values[i] for name, values in shown.items()}, higher) for i in range(len(chosen))]
    bounds = {name: np.full((len(chosen), 2), np.nan) for name in shown}
    if score.low is not None and score.high is not None:
        bounds["model"] = np.stack([score.low, score.high], axis=1)[chosen]
    rows = [
        (
            LINES[name]["label"],
            tuple(_cell(v, at, name == b) for v, at, b in zip(values, bounds[name], best, strict=True)),
        )
        for name, values in shown.items()
    ]
    first = "lead" if words.lead_unit == "frames" else "lead time"
    heads = (first, *(words.lead(score.coordinate[i]) for i in chosen))
    return Table(caption=caption, heads=heads, rows=tuple(rows), variable=score.variable)


def _cell(value: float, bounds: np.ndarray, best: bool) -> Cell:
    sure = np.isfinite([value, *bounds]).all()
    text = with_interval(value, bounds) if sure else short(value) if np.isfinite(value) else NO_VALUE
    return Cell(text=text, best=best)


def _best(scores: Mapping[str, float], higher: bool) -> str:
    """The forecast with the smallest (or highest) score; empty where there is none."""
    known = {name: score for name, score in scores.items() if np.isfinite(score)}
    return (max if higher else min)(known, key=known.__getitem__) if known else ""


def verdict(evaluation: Evaluation, members: int, words: Words) -> str:
    """One sentence per variable of the headline metric: at which leads the forecast is better than which
    baseline, as good or worse, as far as intervals tell, else only the numbers; and one on the distance of
    its clips from the real ones, where that is a single number; and one where all this rests on few clips."""
    judge = headline(evaluation)
    about, subject = evaluation.about(judge.key), judge.several if members > 1 else judge.one
    scores, sentences, numbers = evaluation.scores.get(judge.key, {}), [], []
    for name, score in scores.items():
        of = f" of {words.title(name)}" if len(scores) > 1 else ""
        found = judged(score, words, higher=about.higher)
        sentences += [f"{subject}{of} {found}."] if found else []
        numbers += [] if found else _numbers(score, about.title + of, words)
    sentences += [*numbers, NO_JUDGEMENT] if numbers else []
    warning = evaluation.drawn.warning if evaluation.drawn else ""
    return " ".join(filter(None, [*sentences, *_distance(evaluation), warning]))


OUTCOMES = ("beats", "is about as good as", "is worse than")
NO_JUDGEMENT = "Without intervals nothing tells which of these differences are chance."


def judged(score: Score, words: Words, *, higher: bool) -> str:
    """`beats persistence up to lead 3; it is about as good as persistence from lead 4 on`; empty where no
    baseline has an interval to be judged by."""
    places: dict[str, dict[str, list[str]]] = {outcome: {} for outcome in OUTCOMES}
    for baseline in score.baselines:
        for outcome, leads in zip(OUTCOMES, _outcomes(score, baseline, higher), strict=True):
            if leads.any():
                place = where(leads.tolist(), words.leads(score.coordinate), words.lead_unit)
                places[outcome].setdefault(place, []).append(baseline)
    clauses = [
        f"{outcome} {listed([f'{listed(baselines)} {place}' for place, baselines in found.items()])}"
        for outcome, found in places.items()
        if found
    ]
    return "; it ".join(clauses)


def _outcomes(score: Score, baseline: str, higher: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At which leads a score is better than a baseline, neither, and worse: where the interval of their
    difference excludes zero, or, in files without it, that of the score excludes the baseline."""
    bounds = score.margins.get(baseline)
    if bounds is None:
        ends = [np.full(len(score.values), np.nan) if end is None else end for end in (score.low, score.high)]
        bounds = np.stack(ends) - score.baselines[baseline]
    low, high = bounds if higher else -bounds[::-1]
    return low > 0, (low <= 0) & (high >= 0), high < 0


def _numbers(score: Score, title: str, words: Words) -> list[str]:
    """`Root mean square error at lead 1 and lead 6: forecast 0.1 and 0.6 K, persistence 0.5 and 0.7 K.`"""
    curves = {name: score.curves[name] for name in ("model", *score.baselines)}
    known = np.flatnonzero(np.isfinite(list(curves.values())).all(axis=0))
    if not score.baselines or not len(known):
        return []
    ends = sorted({int(known[0]), int(known[-1])})
    frames = "lead " * (words.lead_unit == "frames")
    at = " and ".join(frames + words.lead(float(score.coordinate[i])) for i in ends)
    unit = pretty_units(score.units)
    told = (
        f"{LINES[name]['label']} {' and '.join(short(float(values[i])) for i in ends)} {unit}".rstrip()
        for name, values in curves.items()
    )
    return [f"{title} at {at}: {', '.join(told)}."]


def lasting_words(long: Evaluation) -> str:
    """A sentence on whether the long rollouts stay in the range of the data."""
    told = how_long_they_last(long)
    return f"{told}: see Drift." if told else ""


def real_last(long: Evaluation, words: Words) -> str:
    """How long real sequences last, in a sentence."""
    survival = long.score("survival", "rollouts")
    share = None if survival is None else survival.reference
    if survival is None or share is None or not np.isfinite(share).any():
        return ""
    last = int(np.flatnonzero(np.isfinite(share))[-1])
    age = words.duration(float(survival.coordinate[last]))
    return f"Of real sequences, each judged by the range of the others, {share[last]:.0%} last {age}."


def _distance(evaluation: Evaluation) -> Iterator[str]:
    """A sentence on the first available distance that is a single number."""
    for metric in DISTANCES:
        score = evaluation.score(metric, "clips")
        if score is not None and len(score.values) == 1 and np.isfinite(score.values[0]):
            other = score.baselines.get("persistence", [np.nan])[0]
            beside = f", of persistence {short(other)}" if np.isfinite(other) else ""
            yield f"{evaluation.about(metric).title} of its clips: {short(score.values[0])}{beside}."
            return


def where(wins: Sequence[bool], leads: np.ndarray, unit: str) -> str:
    """`at every lead from 1 to 20`, `up to lead 9`, `from 3 h on`, `at no lead`, ..."""
    shown = [plain(float(lead)) for lead in leads]
    name = (lambda i: f"lead {shown[i]}") if unit == "frames" else (lambda i: in_unit(shown[i], unit))
    span = lambda i, j: shown[i] if i == j else f"{shown[i]} to {shown[j]}"  # noqa: E731
    tail = "" if unit == "frames" else f" {unit}"
    runs, last = _runs(wins), len(wins) - 1
    if not runs:
        return "at no lead"
    if runs == [(0, last)]:
        return f"at every lead from {span(0, last)}{tail}" if last else f"at {name(0)}"
    if len(runs) == 1 and runs[0][0] == runs[0][1]:
        return f"at {name(runs[0][0])}"
    if len(runs) == 1 and runs[0][0] == 0:
        return f"up to {name(runs[0][1])}"
    if len(runs) == 1 and runs[0][1] == last:
        return f"from {name(runs[0][0])} on"
    return f"at leads {listed([span(i, j) for i, j in runs])}{tail}"


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last index of every consecutive run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(flags, int), [0]])))
    return [(int(start), int(stop) - 1) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
