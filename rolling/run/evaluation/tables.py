"""Scores as lines of text: columns of numbers against the lead, and measures of a single value."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ROWS = (1, 2, 3, 5, 8, 12, 20, 50, 100, 300, 1000)
Values = Sequence[float | None]


def columns(named: Mapping[str, Values | None]) -> list[str]:
    """A line of names, and one for each of the entries of `ROWS` and the last; without values, no column."""
    there = {name: values for name, values in named.items() if values is not None}
    last = min(map(len, there.values()))
    rows = sorted({row for row in ROWS if row <= last} | {last})
    cells = [list(there), *([number(values[row - 1]) for values in there.values()] for row in rows)]
    widths = [max(13, len(name) + 2) for name in there]
    return ["".join(map(str.rjust, line, widths)) for line in cells]


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def against_lead(evaluation: Mapping[str, Mapping[str, Any]], curve: str) -> list[str]:
    """The curves of one forecast, `model` or `persistence`, over the leads, side by side."""
    found = dict(_scores(evaluation, lambda score: curve in score and len(score.get("leads", ())) > 1))
    if not found:
        return []
    leads = next(iter(found.values()))["leads"]
    return columns({"lead": leads} | {name: score[curve] for name, score in found.items()})


def single_values(evaluation: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Measures of one value, such as distances of sets: their interval, what a set of real clips would have,
    and that of persistence."""
    found = dict(_scores(evaluation, lambda score: len(score["model"]) == 1 and "threshold" not in score))
    if not found:
        return []
    width = max(map(len, found)) + 2
    heads = ("value", "95 % interval", "real clips", "persistence")
    lines = [" " * width + "".join(f"{head:>20}" for head in heads)]
    for name, score in found.items():
        ends = [score[end][0] for end in ("low", "high") if end in score]
        others = [
            number(score[curve][0]) if curve in score else "-" for curve in ("reference", "persistence")
        ]
        cells = (number(score["model"][0]), " to ".join(map(number, ends)) or "-", *others)
        lines.append(name.ljust(width) + "".join(f"{cell:>20}" for cell in cells))
    return lines


def _scores(evaluation, wanted) -> Iterator[tuple[str, Any]]:
    """The scores that are wanted, by the name of the measure, and the variable where there are several."""
    for name, scores in evaluation.items():
        for variable, score in scores.items():
            if wanted(score):
                yield (name if len(scores) == 1 else f"{name}, {variable}"), score
