"""`report.html` of a run of several modalities: a chapter for each, of the sections of a run of one.

Where a modality was made by several laws, its chapter shows the first, and tables compare all. The page takes
in `chapters.css` beside the style of all pages, and each modality has a choice of variable of its own.
"""

import dataclasses
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rolling.common.counting import counted, in_unit
from rolling.common.files import write_text
from rolling.common.indices import spaced
from rolling.data.joint_sequences import JointSequences
from rolling.run.evaluation.agreement_of_modalities import agreement_tables, read_agreement
from rolling.run.evaluation.by_modality import (
    LONG,
    Compared,
    Scored,
    compared,
    evaluation_stem,
    scores_in,
)
from rolling.run.evaluation.tables import Cell, Table, number
from rolling.run.experiment import JointExperiment
from rolling.run.forecasting.law_of_store import known_in, law_of
from rolling.run.report import markup
from rolling.run.report.page import KIND, LONG as LONG_BUDGET, Page, compose, shown_before
from rolling.run.report.sounding_films import films
from rolling.run.report.words import Words, listed, pretty_units, with_units
from rolling.sampling import JointSampling

MOST_LEADS = 6
"""Shown of a score."""
NO_UNITS = "time units"


def write_joint_report(
    run: Path,
    *,
    experiment: JointExperiment,
    test: JointSequences,
    context: int,
    commands: Sequence[str],
    notices: Sequence[str] = (),
    skipped: Sequence[tuple[str, str]] = (),
) -> Path:
    """As `write_report`; `context` counts ticks. Raises `InputError` where a store or its scores are missing,
    damaged, or not of `test`."""
    metrics = (*experiment.metrics, *experiment.long_metrics)
    scored = scores_in(run, test, metrics)
    first = {one.modality: one for one in reversed(scored)}
    names = [name for name in test.parts if name in first]
    pages = {
        name: Page(
            run=run,
            test=test.parts[name],
            context=shown_before(context // test.layout.every[name]),
            words=Words(test.parts[name].layout),
            metrics=metrics,
            store=f"{first[name].store.name}/{name}",
            long_store=f"{LONG}/{name}",
            long_scores=f"{evaluation_stem(Path(LONG), name)}.json",
            prefix=f"{_anchor(i)}-",
        )
        for i, name in enumerate(names)
    }
    laws = _laws(scored, experiment.recipe, test)
    results = [(name, *part.result(first[name].evaluation)) for name, part in pages.items()]
    rollouts = dict.fromkeys(_rollouts(run, laws.values(), experiment.recipe))
    content = compose(
        kind=KIND,
        title=experiment.name,
        results=[(f"{name}: {told}" if told else "", f"{name}: {facts}") for name, told, facts in results],
        chooser="",
        summary=markup.contents({_anchor(i): name for i, name in enumerate(pages)}),
        sections=[
            _by_law(scored, laws, pages, test),
            films({one.law: one.store for one in scored}),
            _agreement(run, pages[names[0]].words),
            *(_chapter(i, part, first[name], laws) for i, (name, part) in enumerate(pages.items())),
            *pages[names[0]].closing(experiment, notices, skipped, [*commands, *rollouts]),
        ],
        style=("style.css", "chapters.css"),
    )
    return write_text(run / "report.html", content)


def _anchor(number: int) -> str:
    return f"modality-{number + 1}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Law:
    """How a store was made, and the modalities in it."""

    sampling: JointSampling
    made: Sequence[str]
    known: Sequence[str] = ()
    """Modalities of which some frames were known."""

    @property
    def words(self) -> str:
        """`slow is made, and fast is given and seen up to 4 ticks beyond the frames that are being made`."""
        given, absent = self.sampling.given, self.sampling.absent
        together = " together" if len(self.made) > 1 else ""
        without = f" without {listed(absent)}" if absent else ""
        said = f"{listed(self.made)} {_are(self.made)} made{together}{without}"
        if self.known:
            said += f", but for frames of {listed(self.known)} that are known"
        if not given:
            return said if absent or self.known else f"{said}, and nothing is given"
        ahead = self.sampling.ahead
        beyond = f"{counted(ahead, 'tick')} beyond" if ahead else "the end of"
        seen = f"{listed(given)} {_are(given)} given and seen up to {beyond} the frames that are being made"
        return f"{said}, and {seen}"


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _laws(scored: Sequence[Scored], recipe: JointSampling, test: JointSequences) -> dict[str, _Law]:
    """By the name that tables have for them."""
    made: dict[str, list[Scored]] = {}
    for one in scored:
        made.setdefault(one.law, []).append(one)
    return {
        law: _Law(
            sampling=law_of(ones[0].store, test, recipe),
            made=[one.modality for one in ones],
            known=known_in(ones[0].store, test),
        )
        for law, ones in made.items()
    }


def _rollouts(run: Path, laws: Iterable[_Law], recipe: JointSampling) -> Iterator[str]:
    """The commands of the laws other than that of the run."""
    for sampling in (law.sampling for law in laws):
        asked = {name: getattr(sampling, name) for name in ("given", "absent")}
        if asked != {name: getattr(recipe, name) for name in asked}:
            options = [word for name, which in asked.items() if which for word in (f"--{name}", *which)]
            yield f"rolling rollout {run} {shlex.join(options)}"


def _by_law(
    scored: list[Scored], laws: Mapping[str, _Law], pages: Mapping[str, Page], test: JointSequences
) -> str:
    """The scores of each modality by what it was made of; empty where each was made once."""
    tables: dict[str, list[str]] = {}
    for found in compared(scored):
        words = pages[found.modality].words
        tables.setdefault(found.modality, []).append(markup.grid(_table(found, words), words))
    parts = [
        markup.part(_anchor(i), name, markup.chooser(part.words), "".join(tables[name]))
        for i, (name, part) in enumerate(pages.items())
        if name in tables
    ]
    if not parts:
        return ""
    lead = (
        "The same modality, made in several ways: its chapter shows the first of them, these tables all. No"
        " intervals tell which of the differences are chance."
    )
    if any(law.sampling.given and law.sampling.ahead for law in laws.values()):
        lead += f" A tick is {_span(test.layout.step, test.layout.time_units)}."
    told = markup.sentences(f"{name}: {law.words}." for name, law in laws.items())
    return markup.section("What is made of what", lead, told + "".join(parts))


def _agreement(run: Path, words: Words) -> str:
    """How well the modalities of a rollout go together; empty where nothing tells."""
    found = read_agreement(run)
    if not found:
        return ""
    lead = (
        "Scores of the modalities of one rollout with each other, over stretches of its leads. Beside them"
        " are those of real data, and of modalities from different rollouts, which agree by chance alone."
    )
    notes = dict.fromkeys(f"{one.title}: {one.note}" for one in found if one.note)
    tables = [markup.grid(table, words) for table in agreement_tables(found)]
    return markup.section("Do they go together", lead, markup.sentences(notes) + "".join(tables))


def _table(found: Compared, words: Words) -> Table:
    """A row for each law, at a few leads."""
    first = next(iter(found.scores.values()))
    leads = spaced(min(len(score.values) for score in found.scores.values()), MOST_LEADS)
    head = "lead" if words.lead_unit == "frames" else "lead time"
    caption = f"{found.about.title} of {words.title(found.variable)}"
    return Table(
        caption=with_units(caption, pretty_units(first.units)),
        heads=(head, *(words.lead(float(first.coordinate[i])) for i in leads)),
        rows=tuple(
            (law, tuple(Cell(text=number(score.values[i])) for i in leads))
            for law, score in found.scores.items()
        ),
        variable=found.variable,
    )


def _chapter(number: int, page: Page, first: Scored, laws: Mapping[str, _Law]) -> str:
    """All of one modality."""
    layout, law = page.test.layout, laws[first.law]
    parts = [
        markup.chooser(page.words),
        page.summary(first.evaluation),
        *page.sections(first.evaluation, None, LONG_BUDGET),
    ]
    lead = f"A frame every {_span(layout.step, layout.time_units)}."
    if len(laws) > 1 or law.sampling.given or law.sampling.absent:
        lead += f" In this chapter {law.words}."
    return markup.chapter(_anchor(number), first.modality, markup.text(lead), "\n".join(parts))


def _span(step: float, units: str) -> str:
    """`0.05 s`, `1 hour`; without units, `0.05 time units`."""
    return in_unit(f"{step:.4g}", pretty_units(units) or NO_UNITS)
