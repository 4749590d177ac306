"""A forecast judged in one sentence, and in a small table, from the numbers of an evaluation."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rolling.run.report.catalogue import measure
from rolling.run.report.clips import spaced
from rolling.run.report.words import Words, listed, plain, short

BASELINES = ("persistence", "climatology")
DISTANCES = ("fvd", "spectral_frechet_distance")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Headline:
    """The measure by which a run is judged: its key in `evaluation.json`, and words for it."""

    key: str
    title: str
    short: str
    one: str
    several: str
    """What is judged where there is one member, and where there are several."""
    higher: bool = False
    """Whether higher is better."""


HEADLINES = (
    Headline(
        key="psnr",
        title="Peak signal-to-noise ratio",
        short="PSNR",
        one="By its peak signal-to-noise ratio the forecast",
        several="By its peak signal-to-noise ratio a single member",
        higher=True,
    ),
    Headline(
        key="rmse",
        title="Root mean square error",
        short="RMSE",
        one="The forecast",
        several="The ensemble mean",
    ),
)
"""In the order of preference: the first is a measure of pictures alone."""


def headline(evaluation: Mapping[str, Mapping]) -> Headline:
    """The measure by which a run is judged; the last one where it has none of them."""
    return next((each for each in HEADLINES if evaluation.get(each.key)), HEADLINES[-1])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One lead of the summary: its name and the scores, None where there is none."""

    lead: str
    model: float | None
    persistence: float | None
    climatology: float | None
    higher: bool = False

    @property
    def best(self) -> str:
        """The forecast with the smallest score, or the highest; empty where none has one."""
        scores = {name: getattr(self, name) for name in ("model", *BASELINES)}
        known = {name: score for name, score in scores.items() if score is not None}
        return (max if self.higher else min)(known, key=known.__getitem__) if known else ""


def table(score: Mapping, words: Words, *, higher: bool = False, most: int = 6) -> list[Row]:
    """A score at a few leads, the first and the last among them."""
    count = len(score["leads"])
    column = lambda name, i: score[name][i] if name in score else None  # noqa: E731
    return [
        Row(
            lead=words.lead(score["leads"][i]),
            higher=higher,
            **{name: column(name, i) for name in ("model", *BASELINES)},
        )
        for i in spaced(count, most)
    ]


def verdict(evaluation: Mapping[str, Mapping], members: int, words: Words) -> str:
    """One sentence for each variable of the headline: where the forecast beats which baseline; and how far
    its clips are from the real ones, where one number says so."""
    judge = headline(evaluation)
    subject = judge.several if members > 1 else judge.one
    scores, sentences = evaluation.get(judge.key, {}), []
    for name, score in scores.items():
        beaten: dict[str, list[str]] = {}  # baselines by where they are beaten, which may be the same
        for baseline in BASELINES:
            if baseline in score:
                where = _where(
                    _wins(score, baseline, judge.higher), words.leads(score["leads"]), words.lead_unit
                )
                beaten.setdefault(where, []).append(baseline)
        if beaten:
            of = f" of {words.title(name)}" if len(scores) > 1 else ""
            parts = [f"{listed(baselines)} {where}" for where, baselines in beaten.items()]
            sentences.append(f"{subject}{of} beats {listed(parts)}.")
    return " ".join([*sentences, *_distance(evaluation)])


def _distance(evaluation: Mapping[str, Mapping]) -> Iterator[str]:
    """A sentence on the first distance that is a single number."""
    for name in DISTANCES:
        score = evaluation.get(name, {}).get("clips", {})
        if len(score.get("model", ())) == 1 and score["model"][0] is not None:
            title = measure(name).title
            other = score.get("persistence", [None])[0]
            beside = "" if other is None else f", of persistence {short(other)}"
            yield f"{title} of its clips: {short(score['model'][0])}{beside}."
            return


def _wins(score: Mapping, baseline: str, higher: bool) -> list[bool]:
    pairs, sign = zip(score["model"], score[baseline], strict=True), -1 if higher else 1
    return [None not in pair and sign * pair[0] < sign * pair[1] for pair in pairs]


def _where(wins: Sequence[bool], leads: np.ndarray, unit: str) -> str:
    """`at every lead from 1 to 20`, `up to lead 9`, `from 3 h on`, `at no lead`, ..."""
    told = [plain(float(lead)) for lead in leads]
    name = (lambda i: f"lead {told[i]}") if unit == "frames" else (lambda i: f"{told[i]} {unit}")
    span = lambda i, j: told[i] if i == j else f"{told[i]} to {told[j]}"  # noqa: E731
    tail = "" if unit == "frames" else f" {unit}"
    runs, last = _runs(wins), len(wins) - 1
    if not runs:
        return "at no lead"
    if runs == [(0, last)]:
        return f"at every lead from {span(0, last)}{tail}" if last else f"at {name(0)}"
    if len(runs) == 1 and runs[0][0] == 0:
        return f"up to {name(runs[0][1])}"
    if len(runs) == 1 and runs[0][1] == last:
        return f"from {name(runs[0][0])} on"
    return f"at leads {listed([span(i, j) for i, j in runs])}{tail}"


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last index of every unbroken run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(flags, int), [0]])))
    return [(int(start), int(stop) - 1) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
