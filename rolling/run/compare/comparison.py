"""The result of a comparison: its tables, the facts about the groups, a verdict, and all of it as JSON."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rolling.common.counting import counted
from rolling.metrics.intervals import LEVEL
from rolling.metrics.protocol import About
from rolling.run.compare.estimates import Estimate, difference, ideal, rank
from rolling.run.compare.results import Result
from rolling.run.compare.run_scores import Scored
from rolling.run.compare.runs import Group
from rolling.run.compare.tables import at_calls, by_calls, by_lead, heading, of_rollouts
from rolling.run.evaluation.scores import Drawn, finite
from rolling.run.evaluation.tables import NO_VALUE, Cell, Table
from rolling.run.report.experiment_parts import Part, describe
from rolling.run.report.verdict import where
from rolling.run.report.words import Words, listed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Groups side by side; `scored` has the scores of each group's runs, in their order."""

    title: str
    command: str
    groups: Sequence[Group]
    scored: dict[str, list[Scored]]
    results: Sequence[Result]
    words: Words

    @property
    def names(self) -> list[str]:
        return [group.name for group in self.groups]

    @property
    def forecasts(self) -> list[Result]:
        return [result for result in self.results if result.calls is not None]

    @property
    def rollouts(self) -> list[Result]:
        return [result for result in self.results if result.calls is None]

    @property
    def notes(self) -> list[str]:
        return [note for runs in self.scored.values() for run in runs for note in run.notes]

    def drawn(self, *, long: bool = False) -> Drawn:
        """The starts of the forecasts, or of the long rollouts, and the independent blocks of them."""
        runs = [run for runs in self.scored.values() for run in runs]
        found = [kept.drawn for run in runs for key, kept in run.kept.items() if (key is None) == long]
        return max(found, key=lambda each: each.starts, default=Drawn(starts=0, blocks=0))

    @property
    def seeds(self) -> int:
        return max(len(group.runs) for group in self.groups)

    def covers(self, *, long: bool = False) -> list[str]:
        """What the intervals cover: seeds and starts, as far as there are several that are independent."""
        there = {"seeds": self.seeds, "starts": self.drawn(long=long).blocks}
        return [name for name, count in there.items() if count > 1]

    def series(self) -> list[list[Result]]:
        """The results of each metric and variable, over calls per frame."""
        found: dict[tuple[str, str], list[Result]] = {}
        for result in self.forecasts:
            found.setdefault((result.metric, result.variable), []).append(result)
        return list(found.values())

    def main_tables(self) -> list[Table]:
        """The first metric, against lead time and against calls."""
        return [
            table for results in self.series()[: len(self.words.layout.names)] for table in self._of(results)
        ]

    def tables(self) -> list[Table]:
        """All tables of scores."""
        found = [table for results in self.series() for table in self._of(results)]
        if self.rollouts:
            found.append(
                of_rollouts(self.rollouts, self.words, self.names, sure=bool(self.covers(long=True)))
            )
        return found

    def _of(self, results: Sequence[Result]) -> list[Table]:
        sure = bool(self.covers())
        found = [by_lead(result, self.words, self.names, sure=sure) for result in results]
        if results[0].averaged and len(results) > 1:
            found.append(by_calls(results, self.words, self.names, sure=sure))
        return found

    def facts(self) -> Table:
        """The facts about each group: method, size, training."""
        rows = []
        for group in self.groups:
            fact = self._facts(group)
            cells = (
                fact["window"],
                fact["solver"],
                f"{fact['network_calls']:g}",
                f"{fact['parameters']:,}",
                f"{fact['training_steps']:,} of {fact['batch']}",
                _duration(float(np.mean([run.training_seconds for run in group.runs]))),
                str(len(group.runs)),
            )
            rows.append((group.name, tuple(Cell(text=cell) for cell in cells)))
        heads = "window", "solver", "own calls", "parameters", "training steps", "training time", "seeds"
        return Table(heads=("", *heads), rows=tuple(rows))

    def verdict(self) -> str:
        """The best group by the first metric at each number of calls, those tied with it, and those that do
        not beat a baseline."""
        results = next(iter(self.series()), [])
        sentences = []
        for result in results:
            clause = f"it is {self._best(result)}"
            if result is results[0]:
                what = f"{_superlative(result.about)} {heading(result, self.words)}"
                clause = f"the {what}, averaged over all leads, is that of {self._best(result)}"
            sentences.append(f"At {at_calls(result.calls)} {clause}.")
            unbeaten = "; ".join(self._unbeaten(result))
            if unbeaten:
                sentences.append(f"{unbeaten[0].upper()}{unbeaten[1:]}.")
        return " ".join(sentences)

    def _unbeaten(self, result: Result) -> Iterator[str]:
        """Which groups are not better than a baseline, and where: the interval of their paired difference
        from it is not wholly on their side."""
        for baseline, reference in result.baselines.items():
            places: dict[str, list[str]] = {}
            for name, estimate in result.estimates.items():
                value, _, high = difference(result.about, estimate, reference)
                short = ~(np.where(np.isfinite(high), high, value) < 0) & np.isfinite(reference.value)
                if short.any():
                    place = where(short.tolist(), self.words.leads(result.leads), self.words.lead_unit)
                    places.setdefault(place, []).append(name)
            if places:
                found = [f"by {listed(names)} {place}" for place, names in places.items()]
                yield f"{baseline} is not beaten {', '.join(found)}"

    def _best(self, result: Result) -> str:
        """The group with the best mean over leads, and those tied with it."""
        means = {name: estimate.over_leads() for name, estimate in result.estimates.items()}
        ranking = rank(means, result.about)
        best = ranking.best[0]
        tied = [name for name in means if name != best and ranking.tied[name][0]]
        if not (tied and self.covers()):
            return best
        return f"{best}, tied with {'all others' if 1 < len(tied) == len(means) - 1 else listed(tied)}"

    def method(self) -> str:
        """How the intervals are computed, in words."""
        covers, few = self.covers(), ""
        if not covers:
            return f"One seed, and {self.drawn().words()}."
        only = "" if len(covers) == 2 else f" They cover {covers[0]} only."
        fewest = min(len(group.runs) for group in self.groups)
        seeds = counted(self.seeds, "seed") if fewest == self.seeds else f"{fewest} to {self.seeds} seeds"
        if fewest == 1 < self.seeds:
            few = " The interval of a method with one seed covers starts only."
        return (
            f"Means over {seeds} of scores over {self.drawn().words()}, the same for all; ± is half of the"
            f" {LEVEL:.0%} interval over {' and '.join(covers)}, each left out in turn, with Student's t for"
            f" the few that there are. The best of a column is bold; ≈ marks those for which the interval of"
            f" the paired difference from the best contains zero. Persistence and climatology are lines of"
            f" reference and not ranked.{only}{few}"
        )

    def to_json(self) -> dict[str, Any]:
        """All numbers, in the order of the page."""
        return {
            "title": self.title,
            "command": self.command,
            "level": LEVEL,
            "intervals_cover": self.covers(),
            "starts": self.drawn().starts,
            "independent_blocks": self.drawn().blocks,
            "long_starts": self.drawn(long=True).starts,
            "long_independent_blocks": self.drawn(long=True).blocks,
            "groups": {group.name: self._facts(group) for group in self.groups},
            "forecast": [_result(result) for result in self.forecasts],
            "long": [_result(result) for result in self.rollouts],
            "notes": self.notes,
        }

    def _facts(self, group: Group) -> dict[str, Any]:
        parts = {part.name: part for part in describe(group.experiment)}
        return {
            "about": group.about,
            "window": _in_words(parts["window"]),
            "solver": _in_words(parts["solver"]),
            "calls_per_frame": group.experiment.calls_per_frame,
            "network_calls": group.experiment.network_calls,
            "parameters": self.scored[group.name][0].parameters,
            "training_steps": round(float(np.mean([run.training_steps for run in group.runs]))),
            "batch": group.experiment.training.batch,
            "runs": [
                {
                    "folder": str(run.folder),
                    "seed": run.experiment.training.seed,
                    "training_seconds": finite([run.training_seconds])[0],
                }
                for run in group.runs
            ],
        }


def _superlative(about: About) -> str:
    return "best" if ideal(about) is not None else "highest" if about.higher else "smallest"


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return NO_VALUE
    return f"{seconds:.2g} s" if seconds < 60 else f"{seconds / 60:.3g} min"


def _result(result: Result) -> dict[str, Any]:
    """Curves over `leads` by group: the value, its interval, the values of each seed, and the interval of the
    group's loss against the best (the distance from 1 in the logarithm, where 1 is ideal)."""
    ranking = rank(result.estimates, result.about)
    return {
        "measure": result.metric,
        "variable": result.variable,
        "unit": result.units,
        "calls_per_frame": result.calls,
        "leads": result.leads.tolist(),
        "best": ranking.best,
        "groups": {
            name: _estimate(estimate)
            | {
                "loss_against_best": [finite(row) for row in ranking.difference[name]],
                "tied": ranking.tied[name].tolist(),
            }
            for name, estimate in result.estimates.items()
        },
        **{name: finite(estimate.value) for name, estimate in result.baselines.items()},
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    low, high = estimate.interval
    return {
        "value": finite(estimate.value),
        "low": finite(low),
        "high": finite(high),
        "seeds": [finite(run) for run in estimate.runs],
    }


def _in_words(part: Part) -> str:
    """`Rolling (size 8, context 2)`."""
    settings = ", ".join(f"{name} {value}" for name, value in part.settings)
    return f"{part.kind} ({settings})" if settings else part.kind
