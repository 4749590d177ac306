"""The files of a comparison: `comparison.json`, `.md`, `.png` and `.html`, each replaced atomically."""

import json
from collections.abc import Iterator
from pathlib import Path

from rolling.common.errors import InputError
from rolling.common.files import write_file, write_text
from rolling.run.compare import plots
from rolling.run.compare.comparison import Comparison
from rolling.run.compare.tables import at_calls, heading
from rolling.run.evaluation.tables import Table
from rolling.run.report import markup
from rolling.run.report.experiment_parts import Part, describe
from rolling.run.report.page import compose

NOTE = (
    "Bands and bars are the intervals, thin lines persistence and climatology; plots against calls per frame"
    " show the mean over all leads."
)


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Writes all four files into `folder`, which is created if missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made ({error.strerror}): choose another") from error
    content = json.dumps(comparison.to_json(), indent=1, allow_nan=False) + "\n"
    write_text(folder / "comparison.json", content)
    write_text(folder / "comparison.md", markdown(comparison))
    figure = _overview(comparison)
    if figure is not None:
        write_file(folder / "comparison.png", lambda path: figure.savefig(path, format="png", dpi=160))
    write_text(folder / "comparison.html", html(comparison))


def _overview(comparison: Comparison):
    series = comparison.series()
    if not series:
        return None
    return plots.overview(series[0], comparison.words, comparison.names)


def markdown(comparison: Comparison) -> str:
    """All tables, with the verdict, the method and the command."""
    tables = [comparison.facts(), *comparison.tables()]
    parts = [
        f"# {comparison.title}",
        comparison.verdict(),
        comparison.method(),
        *(table.markdown() for table in tables),
        *(f"- {note}" for note in comparison.notes),
        f"```bash\n{comparison.command}\n```",
    ]
    if comparison.series():
        parts.insert(3, "![Skill against lead time and against calls per frame](comparison.png)")
    return "\n\n".join(part for part in parts if part) + "\n"


def html(comparison: Comparison) -> str:
    """The page."""
    words = comparison.words
    main, tables = comparison.main_tables(), comparison.tables()
    others = tables[len(main) :]
    rollouts = others.pop() if comparison.rollouts else None
    figures = "".join(_figures(comparison))
    sections = [
        markup.section("Skill", NOTE, f'<div class="plots">{figures}</div>' if figures else ""),
        markup.section("Further scores", "", "".join(markup.grid(table, words) for table in others)),
        _rollouts(comparison, rollouts),
        _compared(comparison),
        markup.experiment(_common(comparison)),
        markup.commands([comparison.command]),
    ]
    return compose(
        kind="comparison",
        title=comparison.title,
        results=[(comparison.verdict(), comparison.method())],
        chooser=markup.chooser(words),
        summary="".join(markup.grid(table, words) for table in main),
        sections=sections,
    )


def _figures(comparison: Comparison) -> Iterator[str]:
    """Every score against lead time at each number of calls, then its mean against calls."""
    words, names = comparison.words, comparison.names
    for number, results in enumerate(comparison.series()):
        shown_for, note = markup.variable_attribute(results[0].variable, words), results[0].about.note
        title = heading(results[0], words)
        for result in results:
            figure = plots.leads_figure(result, words, names)
            name = f"compare-{number}-{result.calls}"
            yield markup.titled(figure, name, f"{title} at {at_calls(result.calls)}", note, shown_for)
        if results[0].averaged and len(results) > 1:
            figure = plots.calls_figure(results, names)
            name = f"compare-{number}-calls"
            yield markup.titled(figure, name, f"{title} against calls per frame", note, shown_for)


def _rollouts(comparison: Comparison, table: Table | None) -> str:
    if table is None:
        return ""
    covers = comparison.covers(long=True)
    over = f"intervals over {' and '.join(covers)}" if covers else "without intervals"
    lead = (
        "Far beyond what can be predicted, frames differ from the truth's and their statistics should not:"
        f" {comparison.drawn(long=True).words()}, {over}."
    )
    notes = dict.fromkeys(result.about.note for result in comparison.rollouts)
    lead = " ".join(filter(None, [lead, *map(markup.text, notes)]))
    return markup.section("The long rollout", lead, markup.grid(table, comparison.words))


def _common(comparison: Comparison) -> list[Part]:
    """The parts of the experiment that all groups share."""
    first, *others = (describe(group.experiment) for group in comparison.groups)
    return [part for part in first if all(part in parts for parts in others)]


def _compared(comparison: Comparison) -> str:
    about = [group for group in comparison.groups if group.about]
    families = "".join(
        f'<p class="hint"><strong>{markup.text(group.name)}</strong> {markup.text(group.about)}</p>'
        for group in about
    )
    notes = "".join(f'<p class="hint">{markup.text(note)}</p>' for note in comparison.notes)
    body = markup.grid(comparison.facts(), comparison.words, numbers=False) + families + notes
    lead = "All use the same data and the same starts; times are those of training, including compilation."
    return markup.section("What is compared", lead, body)
