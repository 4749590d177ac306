"""An evaluation as lines of text: scores against the lead, and metrics of a single value."""

from collections.abc import Callable, Iterator

import numpy as np

from rolling.metrics.intervals import LEVEL
from rolling.metrics.protocol import Score
from rolling.run.evaluation.scores import Evaluation
from rolling.run.evaluation.tables import Cell, Table, columns, number

HALF = f"±: half of the {LEVEL:.0%} interval"


def summary_table(evaluation: Evaluation) -> str:
    """Root mean square errors at a few leads, one table per variable, beside the metrics that have a column;
    without such errors, all scores against the lead. Below them, the scores of a single value; first of all,
    how much they rest on."""
    rmse = evaluation.scores.get("rmse", {})
    drawn = evaluation.drawn
    head = f"{drawn.words()}. {drawn.warning}".rstrip() if drawn else ""
    parts = [_errors(evaluation, score).plain() for score in rmse.values()]
    parts = parts or [against_lead(evaluation, "model")]
    if all(len(score.values) > 1 for score in rmse.values()):
        parts.append(single_values(evaluation))
    return "\n\n".join(filter(None, [head, *parts, _legend(evaluation) if rmse else ""]))


def _errors(evaluation: Evaluation, rmse: Score) -> Table:
    unit = "" if rmse.units in ("", "1") else f" ({rmse.units})"
    return columns(
        {
            "frame": np.arange(1, len(rmse.values) + 1),
            "lead": rmse.coordinate,
            "ours": rmse.values,
            "±": _half(rmse),
            **rmse.baselines,
            **{
                evaluation.about(metric).column: _beside(evaluation, metric, rmse)
                for metric in _with_column(evaluation)
            },
        },
        f"rmse of {rmse.variable}{unit}",
    )


def _half(score: Score) -> np.ndarray | None:
    """Half of the interval; None where there is none at any lead."""
    if score.low is None or score.high is None or not np.isfinite(score.high - score.low).any():
        return None
    return (score.high - score.low) / 2


def _with_column(evaluation: Evaluation) -> list[str]:
    return [metric for metric in evaluation.scores if evaluation.about(metric).column]


def _beside(evaluation: Evaluation, metric: str, rmse: Score) -> np.ndarray | None:
    """The values of another metric at the same leads, for the same variable or the picture as a whole."""
    score = evaluation.score(metric, rmse.variable)
    if score is None and len(evaluation.scores[metric]) == len(evaluation.scores["rmse"]) == 1:
        (score,) = evaluation.scores[metric].values()
    if score is None or score.axis != "lead" or len(score.values) != len(rmse.values):
        return None
    return score.values


def _legend(evaluation: Evaluation) -> str:
    """What the columns beside the errors mean."""
    abouts = map(evaluation.about, _with_column(evaluation))
    halves = [_half(score) for score in evaluation.scores["rmse"].values()]
    return "\n".join(
        [
            *([] if all(half is None for half in halves) else [HALF]),
            *(f"{about.column}: {about.title}. {about.note}".rstrip() for about in abouts),
        ]
    )


def against_lead(evaluation: Evaluation, curve: str) -> str:
    """The curves of one forecast, `model` or `persistence`, over the leads, side by side; those over other
    leads, as of windows, in a table of their own."""
    wanted = lambda score: curve in score.curves and score.axis == "lead" and len(score.values) > 1  # noqa: E731
    tables: dict[tuple[float, ...], dict[str, np.ndarray]] = {}
    for name, score in _scores(evaluation, wanted):
        at = tuple(np.asarray(score.coordinate).tolist())
        tables.setdefault(at, {"lead": score.coordinate})[name] = score.curves[curve]
    return "\n\n".join(columns(table).plain() for table in tables.values())


def single_values(evaluation: Evaluation) -> str:
    """Metrics of a single value, such as distances between sets: the value, its interval, and the values of
    real clips and of persistence."""
    found = _scores(evaluation, lambda score: len(score.values) == 1 and score.axis != "threshold")
    rows = tuple((name, _single(score)) for name, score in found)
    heads = ("", "value", "95 % interval", "real clips", "persistence")
    return Table(heads=heads, rows=rows).plain() if rows else ""


def _single(score: Score) -> tuple[Cell, ...]:
    shown = {
        name: "> " * score.censored(values[0]) + number(values[0]) for name, values in score.curves.items()
    }
    interval = " to ".join(shown[end] for end in ("low", "high") if end in shown)
    cells = (shown["model"], interval or "-", shown.get("reference", "-"), shown.get("persistence", "-"))
    return tuple(Cell(text=text) for text in cells)


def _scores(evaluation: Evaluation, wanted: Callable[[Score], bool]) -> Iterator[tuple[str, Score]]:
    """The scores that `wanted` selects, named by metric, and by variable where there are several."""
    for metric, score in evaluation.all():
        if wanted(score):
            yield metric if len(evaluation.scores[metric]) == 1 else f"{metric}, {score.variable}", score
