"""`report.html`: a run in one file that opens anywhere, without a network.

The page is composed of `template.html`, `style.css`, `player.js` and `page.js`; figures are inline SVG,
animations are sprite sheets. What a run does not have, such as a long rollout or more than one member, leaves
no trace on the page. `joint_page.py` makes one of several modalities from the same sections.
"""

import contextlib
import dataclasses
import functools
import io
import itertools
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rolling.common.counting import counted
from rolling.common.files import write_text
from rolling.common.forecast_schema import STORE
from rolling.data.source import Sequences
from rolling.metrics.protocol import Metric
from rolling.run.evaluation.protocol_tables import tables_in
from rolling.run.evaluation.scores import Evaluation, read
from rolling.run.forecasting.zarr_reader import open_forecast
from rolling.run.report import markup, plots
from rolling.run.report.drawings import drawing
from rolling.run.report.experiment_parts import describe
from rolling.run.report.figures import Plot, numbers, plotted
from rolling.run.report.player import data_uri, manifest, panels
from rolling.run.report.shown_clips import Budget, Clip, read_clips
from rolling.run.report.stills import filmstrip
from rolling.run.report.verdict import headline, lasting_words, real_last, score_table, verdict
from rolling.run.report.words import Words, pretty_units, with_units
from rolling.run.training.log import records

KIND = "forecast report"
MOST_GIVEN = 8  # frames shown before a forecast
FIELDS = Budget()
LONG = Budget(starts=1, variables=2, frames=60, cells=64, summary=False, pixels=1_000_000)
PICTURES = Budget(starts=6, members=3, cells=128, pixels=6_000_000)
SECTIONS = {
    "skill": ("Skill", "Scores over all starts, against lead time; bands are 95 % intervals."),
    "calibration": ("Calibration", "Whether the ensemble is as uncertain as it ought to be."),
    "scales": ("Scales", "Whether a forecast looks like the truth, wherever its features are."),
    "realism": (
        "Realism",
        "How far the forecast clips are from the real ones, each taken as a set. A distance grows as sets get"
        " smaller, so halves of the clips are set beside the distance between two halves that are both real.",
    ),
    "drift": (
        "Drift",
        "Statistics of the frames of long rollouts by age, over windows of a few frames. Real windows as long"
        " lie in the grey range, however old; a rollout lasts until some statistic leaves it.",
    ),
    "more": ("Further scores", ""),
}
FIRST, ALONE = "skill", ("realism", "drift")
DRIFT = "drift"
FOLLOWING = ("skill", "calibration")
"""Sections of scores that are meaningless for a long rollout, in which no frame can match the truth."""


def write_report(
    run: Path,
    *,
    experiment: Any,
    test: Sequences,
    context: int,
    commands: Sequence[str],
    notices: Sequence[str] = (),
    skipped: Sequence[tuple[str, str]] = (),
    forecast: Budget | None = None,
    rollout: Budget = LONG,
) -> Path:
    """Writes `run/report.html` from the run's stores, evaluations and log, and returns its path.

    `experiment` is a dataclass with a `name`; `test` holds the truth; `context` given frames, 1 to 8, are
    shown before each forecast; `commands` reproduce the run; `notices` are sentences on the data; `skipped`
    lists those that could not be used, with the reasons. Raises `InputError` where `forecast.zarr` or
    `evaluation.json` is missing, damaged, or not of `test`, and where the page cannot be written.
    """
    page = Page(
        run=run,
        test=test,
        context=shown_before(context),
        words=Words(test.layout),
        metrics=(*getattr(experiment, "metrics", ()), *getattr(experiment, "long_metrics", ())),
    )
    evaluation = page.evaluation(page.scores)
    content = compose(
        kind=KIND,
        title=experiment.name,
        results=[page.result(evaluation)],
        chooser=markup.chooser(page.words),
        summary=page.summary(evaluation),
        sections=[
            *page.sections(evaluation, forecast, rollout),
            *page.closing(experiment, notices, skipped, commands),
        ],
    )
    return write_text(run / "report.html", content)


def shown_before(context: int) -> int:
    """How many of the given frames are shown before a forecast."""
    return min(max(context, 1), MOST_GIVEN)


def compose(
    *,
    kind: str,
    title: str,
    results: Sequence[tuple[str, str]],
    chooser: str,
    summary: str,
    sections: Sequence[str],
    style: Sequence[str] = ("style.css",),
) -> str:
    """A whole page: a head with the results, each a verdict and what it rests on, and the sections.

    `chooser`, `summary` and `sections` are HTML; `style` are the files that the page takes in.
    """
    return _resource("template.html").substitute(
        kind=markup.text(kind.capitalize()),
        title=markup.text(title),
        results="\n".join(itertools.starmap(markup.result, results)),
        chooser=chooser,
        summary=summary,
        sections="\n".join(sections),
        style="".join(_resource(name).template for name in style),
        script="".join(_resource(name).template for name in ("player.js", "page.js")),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """The sections of one run's page, or of one modality's chapter; each is empty where there is nothing to
    show.

    Stores and scores are named from the run's folder on; `prefix` keeps the ids of figures apart from those
    of other chapters.
    """

    run: Path
    test: Sequences
    context: int
    words: Words
    metrics: Sequence[Metric]
    store: str = STORE
    scores: str = "evaluation.json"
    long_store: str = "long.zarr"
    long_scores: str = "evaluation-long.json"
    prefix: str = ""

    def evaluation(self, name: str) -> Evaluation:
        """The evaluation in a file; the experiment's metrics supply descriptions that the file lacks."""
        return read(self.run / name, self.metrics)

    def sections(self, evaluation: Evaluation, forecast: Budget | None, rollout: Budget) -> list[str]:
        """What was made, and how good it is."""
        return [
            self.forecast(forecast or (PICTURES if self.test.layout.is_video else FIELDS)),
            self.protocols(),
            *self.figures(evaluation),
            self.rollout(rollout),
            self.drift(),
        ]

    def closing(
        self,
        experiment: Any,
        notices: Sequence[str],
        skipped: Sequence[tuple[str, str]],
        commands: Sequence[str],
    ) -> list[str]:
        """How it was made, once for the whole run."""
        return [
            self.training(),
            markup.experiment(describe(experiment)),
            markup.notices(notices),
            markup.skipped(skipped, self.words),
            markup.commands(commands),
        ]

    def result(self, evaluation: Evaluation) -> tuple[str, str]:
        """The verdict, and what it rests on."""
        members, facts = self.facts(evaluation)
        told = f"{verdict(evaluation, members, self.words)} {lasting_words(self.long)}"
        return told.strip(), facts

    def facts(self, evaluation: Evaluation) -> tuple[int, str]:
        """How many members the forecast has, and its size in words, with what its intervals rest on."""
        layout = self.test.layout
        forecast = open_forecast(self.run / self.store, layout)
        with forecast.dataset:
            starts, members, leads = forecast.starts, forecast.members, forecast.leads
            covered = len(set(forecast.sequence.tolist()))
        cells = layout.size.replace("x", "×")
        grid = f"{cells} cells of {counted(len(layout.variables), 'variable')}"
        if layout.is_video:
            colours = "colour" if len(layout.variables) > 1 else "grey"
            grid = f"{cells} pixels in {colours}, {1 / layout.step:.4g} frames a second"
        drawn = evaluation.drawn.words() if evaluation.drawn else counted(starts, "start")
        size = f"{drawn}, {counted(members, 'member')}, {counted(leads, 'lead')}"
        if layout.is_video:
            held_out = counted(len(self.test), "clip")
            return members, f"{grid} · {size}, from {covered} of {held_out} that training never saw"
        weights = f"means over space are weighted by {layout.weighting}"
        return members, f"{grid} · {size}, from data that training never saw; {weights}"

    def summary(self, evaluation: Evaluation) -> str:
        judge = headline(evaluation).key
        about, scores, tables = evaluation.about(judge), evaluation.scores.get(judge, {}), []
        for name, score in scores.items():
            whole = self.words.layout.is_video and len(scores) == 1  # a picture has only one score
            of = "" if whole else f" of {self.words.title(name)}"
            caption = with_units(about.title + of, pretty_units(score.units))
            found = score_table(score, self.words, caption, higher=about.higher)
            keys = {style["label"]: key for key, style in plots.LINES.items()}
            tables.append(markup.grid(found, self.words, keys=[keys[name] for name, _ in found.rows]))
        return "".join(tables)

    def forecast(self, budget: Budget) -> str:
        lead = "One colour scale for the truth and every forecast; given frames have a border."
        if self.words.layout.is_video:
            lead = "The truth beside members of the forecast; given frames have a border."
        return markup.section("The forecast", self._read(lead), self._player(self.store, budget))

    def protocols(self) -> str:
        lead = "By the rules of others; their numbers, where they are known, are as they printed them."
        tables = [markup.grid(table, self.words) for table in tables_in(self.run)]
        return markup.section("Published protocols", lead, "".join(tables))

    def _read(self, lead: str) -> str:
        """What comes before a player, with how its pictures and times are to be read."""
        told = (lead, drawing(self.test.layout).legend, self.words.clocks)
        return " ".join(part for part in told if part)

    def figures(self, evaluation: Evaluation) -> Iterator[str]:
        """The sections of plots and of single numbers."""
        found = list(plotted(evaluation, self.words))
        single = numbers(evaluation, self.words)
        for key in dict.fromkeys([*SECTIONS, *(plot.about.section for plot in found)]):
            title, lead = SECTIONS.get(key, (key.capitalize(), ""))
            chosen = [
                (plot, f"{self.prefix}{key}-{i}") for i, plot in enumerate(found) if plot.about.section == key
            ]
            # Single numbers go into the first section, except those that have a section of their own.
            here = [n for n in single if key == (n.about.section if n.about.section in ALONE else FIRST)]
            yield markup.section(
                title, lead, markup.figures(chosen, self.words) + markup.number_table(here, self.words)
            )

    def rollout(self, budget: Budget) -> str:
        """The long rollout: frames, and the statistics that should stay those of the truth."""
        moving = self._player(self.long_store, budget) if (self.run / self.long_store).exists() else ""
        evaluation = self.long
        found = [p for p in plotted(evaluation, self.words) if p.about.section not in (*FOLLOWING, DRIFT)]
        chosen = [n for n in numbers(evaluation, self.words) if n.about.section != DRIFT]
        single = markup.number_table(chosen, self.words)
        curves = self._figures("long", found)
        lead = (
            "Far beyond what can be predicted: frames differ from the truth's, their statistics should not."
        )
        lead = self._read(lead) if moving else lead
        return markup.section("The long rollout", lead, moving + single + curves)

    @functools.cached_property
    def long(self) -> Evaluation:
        """The evaluation of the long rollouts; without scores where there are none."""
        there = (self.run / self.long_scores).exists()
        return self.evaluation(self.long_scores) if there else Evaluation(scores={})

    def drift(self) -> str:
        """Whether the long rollouts stay as real data are, at any age."""
        shown = [p for p in plotted(self.long, self.words) if p.about.section == DRIFT]
        single = [n for n in numbers(self.long, self.words) if n.about.section == DRIFT]
        curves = self._figures("drift", shown)
        title, lead = SECTIONS[DRIFT]
        lead = f"{lead} {real_last(self.long, self.words)}".strip()
        return markup.section(title, lead, markup.number_table(single, self.words) + curves)

    def _figures(self, name: str, found: Sequence[Plot]) -> str:
        return markup.figures(
            [(plot, f"{self.prefix}{name}-{i}") for i, plot in enumerate(found)], self.words
        )

    def training(self) -> str:
        """The loss against the step; empty where the run has no logged losses."""
        losses, validation = (_logged(self.run, name) for name in ("loss", "validation_loss"))
        if len(losses) < 2:
            return ""
        figure = plots.loss_curve(losses, validation)
        note = "Weighted by noise level, over all clocks that the window can show."
        if validation:
            best = plots.lowest(validation)
            note += (
                f" Forecasts are made with the average of step {best}, whose loss on the data set apart for"
                f" validation was lowest ({validation[best]:.4g})."
            )
        return markup.section("Training", "", markup.drawn(figure, "loss", "Training loss", note))

    def _player(self, store: str, budget: Budget) -> str:
        layout = self.test.layout
        forecast = open_forecast(self.run / store, layout)
        with forecast.dataset:
            shown = read_clips(forecast, self.test, context=self.context, budget=budget)
        still = data_uri(_image(filmstrip(shown[0], layout)), "image/webp")
        return markup.player(panels(shown), self._starts(shown), manifest(shown, layout), still, layout)

    def _starts(self, shown: list[Clip]) -> list[str]:
        """Names of the starts: their clips or the times of their last given frames, and their classes. Where
        that tells some not apart they have the times, too, and where these do not, numbers."""
        first = [clip for clip in shown if clip.variable == shown[0].variable]
        moments = [self.words.moment(clip.times[np.searchsorted(clip.lead, 0)]) for clip in first]
        brief, full = (
            [", ".join(filter(None, [c.name, c.label, at if timed or not c.name else ""])) for c, at in pairs]
            for timed in (False, True)
            for pairs in [list(zip(first, moments, strict=True))]
        )
        for names in (brief, full):
            if len(set(names)) == len(names):
                return names
        return [f"{clip.start + 1} ({name})" for clip, name in zip(first, full, strict=True)]


def _logged(run: Path, name: str) -> dict[int, float]:
    """A figure by step, in order; where a step is logged twice, because training resumed, the later entry
    counts."""
    found = {}
    for record in records(run):
        with contextlib.suppress(ValueError, KeyError, TypeError):  # another kind of record
            found[record["step"]] = float(record[name])
    return {step: found[step] for step in sorted(found) if np.isfinite(found[step])}


def _image(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="webp", dpi=110, pil_kwargs={"quality": 85})
    return buffer.getvalue()


def _resource(name: str) -> Template:
    return Template(resources.files("rolling.run.report").joinpath(name).read_text(encoding="utf-8"))
