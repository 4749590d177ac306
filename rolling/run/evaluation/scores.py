"""The scores of a forecast as a value, and as `evaluation.json`.

The file is `{metric: {variable: {"unit": str, "leads" or another axis: [...], "model": [...], ...}}}`, lists
of finite numbers or null. Beside "model" there are "persistence" and "climatology", unless the metric makes
no sense for them; "reference", the truth's own curve, where there is one; "low" and "high", the bounds of
the model's confidence interval, and "least" and "most", those of the range of real data, where a metric has
them; "minus_persistence_low" and "minus_persistence_high", the bounds of the interval of the model's score
less that of persistence, and so for climatology. Two other keys: "about" has the descriptions of the metrics,
so that a report needs none of their classes; "independent" the number of starts, and of the blocks of them
that are independent and stand behind the intervals.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common.counting import counted
from rolling.common.documents import read_json
from rolling.common.errors import InputError
from rolling.common.files import write_text
from rolling.metrics.intervals import interval
from rolling.metrics.protocol import BESIDE, HORIZON, About, Metric, Ranking, Score, named_so

BASELINES = ("persistence", "climatology")
CURVES = ("model", *BASELINES, *BESIDE)
MARGINS = {name: (f"minus_{name}_low", f"minus_{name}_high") for name in BASELINES}
"""The keys of the bounds of the difference from each baseline."""
ABOUT, INDEPENDENT = "about", "independent"
FEW = 10  # clips, fewer than which say little
Scores = dict[str, tuple[Score, ...]]
"""Scores by metric name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawn:
    """How many starts were scored, in how many independent `blocks` (`rolling.metrics.intervals`), and for
    pictures the number of `clips` that they are from."""

    starts: int
    blocks: int
    clips: int = 0

    @property
    def warning(self) -> str:
        """A sentence where all scores rest on few clips; else empty."""
        if not 0 < self.clips < FEW:
            return ""
        stand = "clip stands" if self.clips == 1 else "clips stand"
        return f"Only {self.clips} {stand} behind every score: others may give other ones."

    def words(self) -> str:
        """`12 starts in 3 independent blocks`."""
        found = counted(self.starts, "start")
        if self.blocks == 1 < self.starts:
            return f"{found} in one {'clip' if self.clips else 'block'}, so without intervals"
        if self.starts == 1:
            return f"{found}, so without intervals"
        if self.clips:
            return f"{found} in {self.clips} clips"
        if self.blocks == self.starts:
            return f"{self.starts} independent starts"
        return f"{found} in {self.blocks} independent blocks"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """`scores[metric][variable]`, each with its baselines, the metrics' descriptions, and what was `drawn`,
    None where a file does not say."""

    scores: Mapping[str, Mapping[str, Score]]
    abouts: Mapping[str, About] = dataclasses.field(default_factory=dict)
    drawn: Drawn | None = None

    @classmethod
    def of(
        cls, forecasts: Mapping[str, Scores], metrics: Sequence[Metric] = (), drawn: Drawn | None = None
    ) -> "Evaluation":
        """From the scores by forecast, model and baselines; a metric without scores is left out."""
        scores = {
            metric: {
                score.variable: _beside_baselines(score, _others(forecasts, metric, i))
                for i, score in enumerate(found)
            }
            for metric, found in forecasts["model"].items()
            if found
        }
        abouts = {name: about for name, about in _abouts(metrics).items() if name in scores}
        return cls(scores=scores, abouts=abouts, drawn=drawn)

    def score(self, metric: str, variable: str) -> Score | None:
        return self.scores.get(metric, {}).get(variable)

    def about(self, metric: str) -> About:
        """A metric's description, or its name as a title."""
        return self.abouts.get(metric) or named_so(metric)

    def all(self) -> Iterator[tuple[str, Score]]:
        """Every score, by the name of its metric."""
        return ((metric, score) for metric, found in self.scores.items() for score in found.values())


def _others(forecasts: Mapping[str, Scores], metric: str, index: int) -> dict[str, Score]:
    """The scores of the baselines; one without any finite number is left out, and one that has others than
    the model, as of each of the members."""
    found = {name: forecasts.get(name, {}).get(metric) for name in BASELINES}
    scores = {name: scores[index] for name, scores in found.items() if scores}
    shape = forecasts["model"][metric][index].values.shape
    return {n: s for n, s in scores.items() if s.values.shape == shape and np.isfinite(s.values).any()}


def _beside_baselines(score: Score, others: Mapping[str, Score]) -> Score:
    """The score with the values of its baselines, and the intervals of the differences from them, from the
    same blocks of starts left out of both."""
    return dataclasses.replace(
        score,
        baselines={name: other.values for name, other in others.items()},
        margins={
            name: _margin(score, other)
            for name, other in others.items()
            if len(score.without) == len(other.without) > 0 and score.axis != HORIZON
        },
    )


def _margin(score: Score, other: Score) -> np.ndarray:
    pairs = zip(score.without, other.without, strict=True)
    return interval(score.values - other.values, np.stack([one.values - two.values for one, two in pairs]))


def _abouts(metrics: Sequence[Metric]) -> dict[str, About]:
    abouts = {metric.name: getattr(metric, "about", None) for metric in metrics}
    return {name: about for name, about in abouts.items() if about is not None}


def write(evaluation: Evaluation, path: Path) -> None:
    """Writes `evaluation.json`."""
    content = encoded(evaluation) | {ABOUT: {name: _changed(a) for name, a in evaluation.abouts.items()}}
    if evaluation.drawn is not None:
        content[INDEPENDENT] = dataclasses.asdict(evaluation.drawn)
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    write_text(path, text)


def read(path: Path, metrics: Sequence[Metric] = ()) -> Evaluation:
    """The evaluation in a file. `metrics` provide the descriptions that the file does not have.

    Raises `InputError` where it is missing or damaged.
    """
    try:
        content = read_json(path)
        abouts = {name: _about(words) for name, words in content.pop(ABOUT, {}).items()}
        drawn = Drawn(**found) if (found := content.pop(INDEPENDENT, None)) else None
        scores = {
            metric: {variable: decoded(variable, entry) for variable, entry in found.items()}
            for metric, found in content.items()
        }
    except FileNotFoundError:
        raise InputError(
            f"there is no {path}: score the forecast with `rolling evaluate {path.parent}`"
        ) from None
    except (OSError, ValueError, AttributeError, TypeError, KeyError, StopIteration) as error:
        raise InputError(
            f"{path} is not an evaluation ({error}): write it again with `rolling evaluate {path.parent}`"
        ) from error
    return Evaluation(scores=scores, abouts=_abouts(metrics) | abouts, drawn=drawn)


def encoded(evaluation: Evaluation) -> dict[str, Any]:
    """Scores as lists of finite numbers or None."""
    return {
        metric: {
            variable: {
                "unit": score.units,
                "leads" if score.axis == "lead" else score.axis: np.asarray(score.coordinate).tolist(),
                **{curve: finite(values) for curve, values in score.curves.items()},
                **{
                    key: finite(bound)
                    for name, margin in score.margins.items()
                    for key, bound in zip(MARGINS[name], margin, strict=True)
                },
            }
            for variable, score in found.items()
        }
        for metric, found in evaluation.scores.items()
    }


def decoded(variable: str, entry: Mapping[str, Any]) -> Score:
    """The score of an entry, whose axis is the one key that is neither a curve nor the unit."""
    axis = next(key for key in entry if key not in (*CURVES, *sum(MARGINS.values(), ()), "unit"))
    curves: dict[str, Any] = {name: np.array(entry[name], float) for name in CURVES if name in entry}
    margins = {
        name: np.array([entry[key] for key in keys], float)
        for name, keys in MARGINS.items()
        if entry.keys() >= set(keys)
    }
    if not len(entry[axis]) == len(curves["model"]) > 0:
        raise ValueError("a curve has no values, or more or fewer than its coordinate")
    return Score(
        variable=variable,
        units=entry.get("unit", ""),
        axis="lead" if axis == "leads" else axis,
        coordinate=np.asarray(entry[axis]),
        values=curves.pop("model"),
        baselines={name: curves.pop(name) for name in BASELINES if name in curves},
        margins=margins,
        **curves,
    )


def finite(values: Sequence[float] | np.ndarray) -> list[float | None]:
    """Numbers for JSON: None for those that are not finite."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _changed(about: About) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    plain = {f.name: f.default for f in dataclasses.fields(About)}
    return {name: value for name, value in dataclasses.asdict(about).items() if value != plain[name]}


def _about(words: Mapping[str, Any]) -> About:
    """A description in a file; fields that only a later version has are ignored."""
    known = {f.name: words[f.name] for f in dataclasses.fields(About) if f.name in words}
    if known.get("limits"):
        known["limits"] = tuple(known["limits"])
    if known.get("ranking"):
        ranking = {f.name for f in dataclasses.fields(Ranking)}
        known["ranking"] = Ranking(**{n: v for n, v in known["ranking"].items() if n in ranking})
    return About(**known)
