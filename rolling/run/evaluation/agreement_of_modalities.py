"""How well the modalities of a rollout agree with each other: `agreement.json`.

Beside the score of what was made stand that of real data and that of pairs from different rollouts: one
modality of a start, the others of the next. What is better than these is owed to the modalities being made
together, or from each other.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common.documents import read_json
from rolling.common.errors import InputError
from rolling.common.files import write_text
from rolling.common.indices import spaced
from rolling.common.progress import Progress
from rolling.data.joint_sequences import JointSequences
from rolling.joint_layout import JointLayout, NamedLayout
from rolling.metrics.between_modalities import JointMetric
from rolling.metrics.protocol import about_of
from rolling.run.evaluation.scores import finite
from rolling.run.evaluation.tables import Cell, Table, number
from rolling.run.forecasting.zarr_reader import StoredForecast, open_forecast

NAME = "agreement.json"
CURVES = ("leads", "model", "truth", "shuffled")
MOST = 6  # stretches in a table
Frames = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """One score of one metric, of what was made by one law; `leads` are the ends of the stretches that are
    scored. Without real data, or with one start, there is nothing to stand beside it: NaN."""

    law: str
    metric: str
    title: str
    note: str
    variable: str
    units: str
    time_units: str
    """Of the leads."""
    leads: np.ndarray
    model: np.ndarray
    truth: np.ndarray
    shuffled: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rollouts:
    """What was made in a store, and the given modalities beside it, which are those of the test part."""

    made: dict[str, StoredForecast]
    test: JointSequences
    given: tuple[str, ...]

    @cached_property
    def layout(self) -> JointLayout:
        of = self.test.layout.of
        there = (*self.made, *self.given)
        return JointLayout(
            modalities=tuple(NamedLayout(name=name, layout=of[name]) for name in of if name in there)
        )

    @property
    def _first(self) -> tuple[str, StoredForecast]:
        return next(iter(self.made.items()))

    @property
    def starts(self) -> int:
        return self._first[1].starts

    @property
    def members(self) -> int:
        return self._first[1].members

    def _tick(self, start: int) -> tuple[int, int]:
        """The sequence of a start, and the tick at which its forecast begins."""
        name, forecast = self._first
        return int(forecast.sequence[start]), int(forecast.frame[start]) * self.test.layout.every[name]

    @cached_property
    def ticks(self) -> int:
        """That all rollouts have, with all that is given."""
        name, forecast = self._first
        made = forecast.leads * self.test.layout.every[name]
        return min(made, self.true_ticks) if self.given else made

    @cached_property
    def true_ticks(self) -> int:
        """For which there is truth at every start, of those that were made."""
        name, forecast = self._first
        made = forecast.leads * self.test.layout.every[name]
        places = map(self._tick, range(self.starts))
        slot = self.test.layout.slot
        return min(made, *((self.test.length(i) - tick) // slot * slot for i, tick in places))

    def truth(self, start: int, ticks: int) -> Frames:
        """Of all that take part."""
        sequence, tick = self._tick(start)
        frames = self.test.read(sequence, tick, tick + ticks)
        return {name: frames[name] for name in self.layout.of}

    def member(self, start: int, member: int) -> Frames:
        """One rollout, beside what it was given."""
        ticks, every = self.ticks, self.test.layout.every
        found = self.truth(start, ticks) if self.given else {}
        for name, forecast in self.made.items():
            one = forecast.read(start, 0, ticks // every[name], slice(member, member + 1))
            found[name] = one[0]
        return {name: found[name] for name in self.layout.of}


def agreement(
    store: Path,
    law: str,
    made: Sequence[str],
    given: tuple[str, ...],
    test: JointSequences,
    metrics: Sequence[JointMetric],
) -> list[Agreement]:
    """The scores of a store; none where fewer than two modalities are there, or a metric makes no sense.
    Rollouts are read one member at a time. Raises `InputError` for a store that is damaged."""
    opened = {name: open_forecast(store / name, test.layout.of[name]) for name in made}
    try:
        for name, forecast in opened.items():
            forecast.check_starts(test.parts[name])
        rollouts = Rollouts(made=opened, test=test, given=given)
        layout = rollouts.layout
        suited = [metric for metric in metrics if metric.start(layout) is not None]
        if len(layout.of) < 2 or not suited:
            return []
        return [found for metric in suited for found in _scored(metric, rollouts, law)]
    finally:
        for forecast in opened.values():
            forecast.dataset.close()


def _scored(metric: JointMetric, rollouts: Rollouts, law: str) -> Iterator[Agreement]:
    layout, starts = rollouts.layout, rollouts.starts
    first = next(iter(layout.of))
    model, shuffled, truth = (metric.start(layout) for _ in range(3))
    with Progress(f"agreement, {law}", total=starts * rollouts.members, unit="rollout") as progress:
        for start in range(starts if rollouts.true_ticks else 0):
            truth = metric.update(truth, rollouts.truth(start, rollouts.true_ticks))
        for member in range(rollouts.members):
            begin = own = rollouts.member(0, member)
            for start in range(starts):
                other = rollouts.member(start + 1, member) if start + 1 < starts else begin
                model = metric.update(model, own)
                if starts > 1:
                    shuffled = metric.update(shuffled, other | {first: own[first]})
                own = other
                progress.update(1)
    about = about_of(metric)
    by_chance, real = ({s.variable: s.values for s in metric.result(state)} for state in (shuffled, truth))
    for score in metric.result(model):
        count = len(score.values)
        yield Agreement(
            law=law,
            metric=metric.name,
            title=about.title,
            note=about.note,
            variable=score.variable,
            units=score.units,
            time_units=layout.time_units,
            leads=np.asarray(score.coordinate, float),
            model=np.asarray(score.values, float),
            truth=_as_long(real.get(score.variable, []), count),
            shuffled=_as_long(by_chance.get(score.variable, []), count),
        )


def _as_long(values: Any, count: int) -> np.ndarray:
    """With NaN behind its end."""
    found = np.full(count, np.nan)
    found[: len(values)] = values[:count]
    return found


def write_agreement(found: Sequence[Agreement], folder: Path) -> None:
    """Writes `agreement.json`, or removes it where there is nothing to say."""
    path = folder / NAME
    if not found:
        path.unlink(missing_ok=True)
        return
    content = [
        dataclasses.asdict(one) | {name: finite(getattr(one, name)) for name in CURVES} for one in found
    ]
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_agreement(folder: Path) -> list[Agreement]:
    """What `write_agreement` wrote; none where nothing was. Raises `InputError` for a damaged file."""
    path = folder / NAME
    if not path.exists():
        return []
    try:
        content = read_json(path)
        if not isinstance(content, list):
            raise ValueError("no list")
        return [_agreement(**entry) for entry in content]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not an agreement of modalities ({error}): write it again with `rolling evaluate"
            f" {folder}`"
        ) from error


def _agreement(**entry: Any) -> Agreement:
    arrays = {name: np.array(entry.pop(name), float) for name in CURVES}
    if len({array.shape for array in arrays.values()}) > 1 or arrays["leads"].ndim != 1:
        raise ValueError("curves of different lengths")
    if not all(isinstance(word, str) for word in entry.values()):
        raise ValueError("words that are none")
    found: dict[str, Any] = entry | arrays
    return Agreement(**found)


def agreement_tables(found: Sequence[Agreement]) -> Iterator[Table]:
    """For each score a row for each law, for chance, and for real data."""
    for metric, variable in dict.fromkeys((one.metric, one.variable) for one in found):
        of = [one for one in found if (one.metric, one.variable) == (metric, variable)]
        longest = max(of, key=lambda one: len(one.leads))
        places = spaced(len(longest.leads), MOST)
        rows: list[tuple[str, Any]] = [("real data", _longest([one.truth for one in of]))]
        for one in of:
            rows += [(one.law, one.model), (f"{one.law}, of different rollouts", one.shuffled)]
        unit, time = (
            "" if units in ("", "1") else f" ({units})" for units in (of[0].units, of[0].time_units)
        )
        yield Table(
            caption=f"{of[0].title}: {variable}{unit}",
            heads=(f"up to{time}", *(f"{longest.leads[i]:.4g}" for i in places)),
            rows=tuple(
                (name, tuple(Cell(text=number(values[i]) if i < len(values) else "") for i in places))
                for name, values in rows
            ),
        )


def _longest(curves: Sequence[np.ndarray]) -> np.ndarray:
    return max(curves, key=lambda values: int(np.isfinite(values).sum()))
