"""The scores of a run of several modalities: of each as of one alone, and side by side by what was given."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rolling.common.errors import InputError
from rolling.common.forecast_schema import STORE
from rolling.data.joint_sequences import JointSequences
from rolling.data.joint_statistics import JointStatistics
from rolling.data.source import Sequences, Split
from rolling.metrics.protocol import About, Metric, Score
from rolling.run.evaluation.agreement_of_modalities import (
    Agreement,
    agreement,
    agreement_tables,
    write_agreement,
)
from rolling.run.evaluation.evaluate import evaluate
from rolling.run.evaluation.scores import Evaluation, read
from rolling.run.evaluation.summary import summary_table
from rolling.run.evaluation.tables import Table, columns
from rolling.run.experiment.joint_experiment import JointExperiment
from rolling.run.forecasting.law_of_store import groups, law_of

TOGETHER = "all together"
LONG = "long.zarr"
COMPARED = ("crps", "rmse", "spread_skill_ratio")
"""Metrics that are shown side by side, where a run has them."""


class Scored(NamedTuple):
    """What was made of one modality, and its scores."""

    store: Path
    modality: str
    evaluation: Evaluation

    @property
    def law(self) -> str:
        """What it was made of: `given fast`."""
        return self.store.stem.removeprefix(Path(STORE).stem).strip("-").replace("-", " ") or TOGETHER


def part_of(split: Split, name: str) -> Split:
    """The data of one modality."""
    train, test = (_part(part, name) for part in (split.train, split.test))
    return Split(train=train, test=test)


def _part(sequences, name: str):
    assert isinstance(sequences, JointSequences)
    return sequences.parts[name]


def evaluation_stem(store: Path, modality: str) -> Path:
    """The file stem of the scores of a group of a store: `evaluation-slow` of `forecast.zarr`, and
    `evaluation-given-fast-slow` of `forecast-given-fast.zarr`."""
    law = store.stem.removeprefix(Path(STORE).stem)
    return store.with_name(f"evaluation{law if law[:1] in ('', '-') else '-' + law}-{modality}")


def stores(folder: Path) -> list[Path]:
    """The stores of a run: the forecast of all together first, long rollouts last."""
    first, last = folder / STORE, folder / LONG
    laws = sorted(folder.glob(f"{first.stem}-*.zarr"))
    return [store for store in (first, *laws, last) if store.exists()]


def evaluate_modalities(
    experiment: JointExperiment, statistics: JointStatistics, split: Split, folder: Path
) -> list[Scored]:
    """Scores every modality in every store of a run, and writes the scores beside the stores. Raises
    `InputError` where there is none."""
    found = []
    for store in stores(folder):
        metrics = experiment.long_metrics if store.name == LONG else experiment.metrics
        for name in groups(store, split.test):
            own = part_of(split, name)
            evaluation = evaluate(
                store / name, own, statistics.of[name], metrics, evaluation_stem(store, name)
            )
            found.append(Scored(store, name, evaluation))
    _any(found, folder)
    write_agreement(_agreement(experiment, split.test, found), folder)
    return found


def _agreement(
    experiment: JointExperiment, test: Sequences | JointSequences, scored: list[Scored]
) -> list[Agreement]:
    """Of the modalities of each store with one another."""
    assert isinstance(test, JointSequences)
    found = []
    for store in dict.fromkeys(one.store for one in scored if experiment.joint_metrics):
        of = [one for one in scored if one.store == store]
        given = law_of(store, test, experiment.recipe).given
        made = [one.modality for one in of]
        found += agreement(store, of[0].law, made, given, test, experiment.joint_metrics)
    return found


def scores_in(folder: Path, test: JointSequences, metrics: Sequence[Metric] = ()) -> list[Scored]:
    """The scores beside the forecasts of a run, as `evaluate_modalities` wrote them; `metrics` as those of
    `read`. Raises `InputError` where there is no forecast, and where scores are missing or damaged."""
    found = [
        Scored(store, name, read(folder / f"{evaluation_stem(store, name).name}.json", metrics))
        for store in stores(folder)
        for name in (groups(store, test) if store.name != LONG else ())
    ]
    return _any(found, folder)


def _any(found: list[Scored], folder: Path) -> list[Scored]:
    if not found:
        raise InputError(f"{folder} has no forecast yet: `rolling rollout {folder}` makes one")
    return found


def told(scored: list[Scored], agreed: Sequence[Agreement] = ()) -> str:
    """The scores as lines of text: those of all together, and of the others what they differ in."""
    whole = [
        f"{one.modality}, {one.law}\n{summary_table(one.evaluation)}"
        for one in scored
        if one.store.name == STORE or len({other.store for other in scored}) == 1
    ]
    tables = [*by_law(scored), *agreement_tables(agreed)]
    return "\n\n".join([*whole, *(table.plain() for table in tables)])


class Compared(NamedTuple):
    """The scores of one variable of a modality, by what it was made of."""

    modality: str
    about: About
    variable: str
    scores: dict[str, Score]


def compared(scored: list[Scored]) -> Iterator[Compared]:
    """For each modality and metric of `COMPARED`; none where a modality was made once."""
    for modality in dict.fromkeys(one.modality for one in scored):
        made = [one for one in scored if one.modality == modality and one.store.name != LONG]
        for metric in COMPARED if len(made) > 1 else ():
            for variable in made[0].evaluation.scores.get(metric, {}):
                found = {one.law: one.evaluation.score(metric, variable) for one in made}
                scores = {law: score for law, score in found.items() if score}
                yield Compared(modality, made[0].evaluation.about(metric), variable, scores)


def by_law(scored: list[Scored]) -> Iterator[Table]:
    """Those as tables of numbers against the lead."""
    for modality, about, variable, scores in compared(scored):
        of = modality if variable == modality else f"{modality}, {variable}"
        lead = next(iter(scores.values())).coordinate
        named = {"lead": lead} | {law: score.values for law, score in scores.items()}
        yield columns(named, f"{about.title} of {of}")
