"""A forecast judged in one sentence, and in a small table, from the numbers of an evaluation."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from rolling.run.report.clips import spaced
from rolling.run.report.words import Words, listed

BASELINES = ("persistence", "climatology")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One lead of the summary: its name and the errors, None where there is none."""

    lead: str
    model: float | None
    persistence: float | None
    climatology: float | None

    @property
    def best(self) -> str:
        """The forecast with the smallest error; empty where none has one."""
        errors = {name: getattr(self, name) for name in ("model", *BASELINES)}
        known = {name: error for name, error in errors.items() if error is not None}
        return min(known, key=known.__getitem__) if known else ""


def table(score: Mapping, words: Words, most: int = 6) -> list[Row]:
    """The root mean square error at a few leads, the first and the last among them."""
    count = len(score["leads"])
    column = lambda name, i: score[name][i] if name in score else None  # noqa: E731
    return [
        Row(
            lead=words.lead(score["leads"][i]),
            **{name: column(name, i) for name in ("model", *BASELINES)},
        )
        for i in spaced(count, most)
    ]


def verdict(rmse: Mapping[str, Mapping], members: int, words: Words) -> str:
    """One sentence for each variable that `rmse` scores: where the forecast beats which baseline.

    `rmse` maps variables to entries of `evaluation.json`.
    """
    subject = "The ensemble mean" if members > 1 else "The forecast"
    sentences = []
    for name, score in rmse.items():
        beaten: dict[str, list[str]] = {}  # baselines by where they are beaten, which may be the same
        for baseline in BASELINES:
            if baseline in score:
                where = _where(_wins(score, baseline), words.leads(score["leads"]), words.lead_unit)
                beaten.setdefault(where, []).append(baseline)
        if beaten:
            of = f" of {words.title(name)}" if len(rmse) > 1 else ""
            parts = [f"{listed(baselines)} {where}" for where, baselines in beaten.items()]
            sentences.append(f"{subject}{of} beats {listed(parts)}.")
    return " ".join(sentences)


def _wins(score: Mapping, baseline: str) -> list[bool]:
    pairs = zip(score["model"], score[baseline], strict=True)
    return [ours is not None and theirs is not None and ours < theirs for ours, theirs in pairs]


def _where(wins: Sequence[bool], leads: np.ndarray, unit: str) -> str:
    """`at every lead from 1 to 20`, `up to lead 9`, `from 3 h on`, `at no lead`, ..."""
    name = (lambda i: f"lead {leads[i]:.3g}") if unit == "frames" else (lambda i: f"{leads[i]:.3g} {unit}")
    span = lambda i, j: f"{leads[i]:.3g}" if i == j else f"{leads[i]:.3g} to {leads[j]:.3g}"  # noqa: E731
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
