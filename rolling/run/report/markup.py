"""Pieces of the report's HTML. All text from files or users goes through `text`."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from matplotlib.figure import Figure

from rolling.layout import Layout
from rolling.run.evaluation.scores import BASELINES
from rolling.run.evaluation.tables import MEANING, NO_VALUE, Cell, Table
from rolling.run.report import plots
from rolling.run.report.drawings import drawing
from rolling.run.report.experiment_parts import Part
from rolling.run.report.figures import Number, Plot
from rolling.run.report.words import Words


def text(words: str) -> str:
    """Escaped; `code` between backticks becomes an element."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(str(words)))


def result(verdict: str, facts: str) -> str:
    """A verdict, and what it rests on."""
    return f'<p class="verdict">{text(verdict)}</p>\n<p class="facts">{text(facts)}</p>'


def section(title: str, lead: str, body: str) -> str:
    """A section with its heading; empty without a body."""
    if not body:
        return ""
    lead = f'<p class="lead">{lead}</p>' if lead else ""
    return f"<section>\n<h2>{text(title)}</h2>\n{lead}\n{body}\n</section>"


def chapter(anchor: str, title: str, lead: str, body: str) -> str:
    """Sections under a heading above theirs, with a choice of variable of their own."""
    lower = re.sub(r"(</?h)([2-5])>", lambda tag: f"{tag[1]}{int(tag[2]) + 1}>", body)
    return (
        f'<section class="chapter" id="{anchor}" data-chapter="{anchor}">\n<p class="kicker">Modality</p>\n'
        f'<h2>{text(title)}</h2>\n<p class="lead">{lead}</p>\n{lower}\n</section>'
    )


def part(anchor: str, title: str, choice: str, body: str) -> str:
    """What another section has of a chapter, with the same choice of variable."""
    heading = f'<h3><a href="#{anchor}">{text(title)}</a></h3>'
    return f'<div data-chapter="{anchor}">\n{heading}\n{choice}\n{body}\n</div>'


def contents(chapters: Mapping[str, str]) -> str:
    """Links to the chapters, whose titles are given by their anchors."""
    links = (f'<a href="#{anchor}">{text(title)}</a>' for anchor, title in chapters.items())
    return f"<nav>{' · '.join(links)}</nav>"


def sentences(found: Iterable[str]) -> str:
    """A list of them."""
    return f"<ul>{''.join(f'<li>{text(sentence)}</li>' for sentence in found)}</ul>"


def variable_attribute(variable: str, words: Words) -> str:
    """The attribute by which the page hides elements of variables other than the chosen one."""
    return (
        f' data-variable="{escape(variable)}"' if words.variable(variable) and len(words.choices) > 1 else ""
    )


def chooser(words: Words) -> str:
    """The choice of a variable for the whole page, shown by the script; empty where there is only one."""
    names = words.choices
    if len(names) < 2:
        return ""
    options = "".join(f'<option value="{escape(name)}">{text(words.title(name))}</option>' for name in names)
    return f'<p class="chooser" hidden><label>Variable <select>{options}</select></label></p>'


def grid(table: Table, words: Words, *, numbers: bool = True, keys: Sequence[str] = ()) -> str:
    """A table with the best in bold and `≈` for what is tied with it; `numbers` are aligned to the right.

    `keys` are the curves whose colours are shown beside the row names.
    """
    kind = ' class="numbers"' if numbers else ""
    caption = f"<caption>{text(table.caption)}</caption>" if table.caption else ""
    heads = "".join(f"<th>{text(word)}</th>" for word in table.heads)
    marks = [f' class="key {key}"' for key in keys] or [""] * len(table.rows)
    body = "".join(
        f"<tr><th{mark}>{text(name)}</th>{''.join(map(_cell, cells))}</tr>"
        for mark, (name, cells) in zip(marks, table.rows, strict=True)
    )
    note = f"<p>{text(table.note)}</p>" if table.note else ""
    return (
        f'<div class="table"{variable_attribute(table.variable, words)}><table{kind}>{caption}'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{note}</div>"
    )


def _cell(cell: Cell) -> str:
    if cell.best:
        return f'<td class="best">{text(cell.text)}</td>'
    return f"<td>{'≈ ' * cell.tied}{text(cell.text)}</td>"


def number_table(found: Sequence[Number], words: Words) -> str:
    """Scores that are single numbers, as a table."""
    if not found:
        return ""
    columns = {
        curve: found[0].about.reference if curve == "reference" else plots.LINES[curve]["label"]
        for curve in ("model", *BASELINES, "reference")
        if any(curve in number.values for number in found)
    }
    rows = "".join(
        f"<tr{variable_attribute(number.variable, words)}><th>{text(number.title)}</th>"
        f"<td>{text(words.title(number.variable))}</td>"
        + "".join(f"<td>{text(number.values.get(curve, ''))}</td>" for curve in columns)
        + "</tr>"
        for number in found
    )
    heads = f"<th>In one number</th><th></th>{''.join(f'<th>{text(head)}</th>' for head in columns.values())}"
    absent = any(NO_VALUE in number.values.values() for number in found)
    note = f"<p>{text(MEANING)}</p>" if absent else ""
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="table">{table}{note}</div>'


def figures(found: Iterable[tuple[Plot, str]], words: Words) -> str:
    """Plots side by side, each with its own id."""
    blocks = [_figure(plot, name, words) for plot, name in found]
    return f'<div class="plots">{"".join(blocks)}</div>' if blocks else ""


def _figure(plot: Plot, name: str, words: Words) -> str:
    title, variable = plot.about.title, words.title(plot.variable)
    if plot.named:
        title += f" · {variable}" if variable.lower() not in title.lower() else ""
    shown = f"<p>{text(plot.said)}</p>" if plot.said else plots.svg(plot.draw(), name)
    return _headed(shown, title, plot.about.note, variable_attribute(plot.variable, words))


def drawn(figure: Figure, name: str, title: str, note: str) -> str:
    """One figure with its heading."""
    return f'<div class="plots">{titled(figure, name, title, note)}</div>'


def titled(figure: Figure, name: str, title: str, note: str, attributes: str = "") -> str:
    """A figure with its heading, for use among others."""
    return _headed(plots.svg(figure, name), title, note, attributes)


def _headed(shown: str, title: str, note: str, attributes: str) -> str:
    note = f"<p>{text(note)}</p>" if note else ""
    return (
        f'<figure class="plot"{attributes}><figcaption><h3>{text(title)}</h3>{note}</figcaption>'
        f"{shown}</figure>"
    )


def player(
    panels: Sequence[Mapping], starts: Sequence[str], manifest: str, still: str, layout: Layout
) -> str:
    """A player, hidden until its script runs; until then the still picture is shown instead."""
    sheets = max(panel["sheet"] for panel in panels) + 1
    options = "".join(f'<option value="{i}">{text(start)}</option>' for i, start in enumerate(starts))
    choice = f'<label>Start<select class="start">{options}</select></label>' if len(starts) > 1 else ""
    bar = '<div class="bar"><p></p><canvas></canvas><div class="ticks"></div></div>'
    few = " few" if len(panels) < 4 else ""
    pictures = " pictures" if layout.is_video else ""
    point = (
        "point at a picture to mark the place in all of them"
        if pictures
        else "point at a cell to read\nits value in every panel"
    )
    return f"""<div class="player{pictures}" hidden>
<div class="controls">
<button type="button" class="play">▶ Play</button>
<input type="range" class="lead-slider" min="0" max="0" value="0" step="1" aria-label="lead time">
<span class="caption"></span>
{choice}
</div>
<div class="stage{few}" tabindex="0" aria-label="the frames; space plays, arrow keys step">
{"".join(_panel(panel["name"], layout) for panel in panels)}
</div>
<div class="bars">{bar * sheets}</div>
<p class="hint"><kbd>space</kbd> plays and pauses, <kbd>←</kbd> <kbd>→</kbd> step; {point}.</p>
<script type="application/json">{manifest}</script>
</div>
<img class="still" alt="the forecast beside the truth at a few leads" src="{still}">"""


def films(title: str, figures: Sequence[str]) -> str:
    """Films side by side under a heading."""
    return f'<h3>{text(title)}</h3><div class="films">{"".join(figures)}</div>'


def film(title: str, source: str) -> str:
    """One that the browser plays, with its sound."""
    video = f'<video controls loop playsinline preload="auto" src="{source}"></video>'
    return f"<figure><figcaption>{text(title)}</figcaption>{video}</figure>"


def _panel(name: str, layout: Layout) -> str:
    ratio, marks = drawing(layout).aspect, "" if layout.is_video else _marks(layout)
    return (
        f'<figure class="panel"><figcaption>{text(name)}<output></output></figcaption><div class="frame">'
        f'<canvas style="aspect-ratio:{1 / ratio:.4f}" role="img" aria-label="{escape(name)}"></canvas>'
        f'<span class="cross"></span>{marks}</div></figure>'
    )


def _marks(layout: Layout) -> str:
    """Coordinates along the edges of a map."""
    words, (columns, rows) = Words(layout), drawing(layout).marks()
    x = (
        f'<span class="tick x" style="left:{100 * at:.2f}%">{text(words.place(axis, value))}</span>'
        for axis, ticks in columns
        for at, value in ticks
    )
    y = (
        f'<span class="tick y" style="top:{100 * (1 - at):.2f}%">{text(words.place(axis, value))}</span>'
        for axis, ticks in rows
        for at, value in ticks
    )
    return "".join((*x, *y))


def experiment(parts: Sequence[Part]) -> str:
    """The experiment, one row per part."""
    rows = "".join(
        f"<tr><th>{text(part.name.capitalize())}</th><td>{_part(part)}</td></tr>" for part in parts
    )
    body = f'<div class="table parts"><table><tbody>{rows}</tbody></table></div>' if rows else ""
    return section("The experiment", "What was trained, on what, and how the forecast was sampled.", body)


def _part(part: Part) -> str:
    colon = ":" if part.sentence else ""
    kind = f'<span class="kind">{text(part.kind)}{colon}</span> ' if part.kind else ""
    what = f"<p>{kind}{text(part.sentence)}</p>"  # empty for plain settings, so that all rows look alike
    settings = " · ".join(f"{text(name)} {text(value)}" for name, value in part.settings)
    return what + (f"<p>{settings}</p>" if settings else "")


def commands(lines: Sequence[str]) -> str:
    """How to reproduce the run."""
    body = f"<pre>{escape(chr(10).join(lines))}</pre>" if lines else ""
    return section("Make it again", "", body)


def notices(found: Sequence[str]) -> str:
    """What is worth knowing of the data, a sentence each."""
    return section("The data", "What was found when they were read.", sentences(found) if found else "")


def skipped(found: Sequence[tuple[str, str]], words: Words, most: int = 300) -> str:
    """The data that could not be used: counts by reason, ignoring numbers in the reasons, and the names in a
    folded list."""
    if not found:
        return ""
    counts = Counter(re.sub(r"\d+(\.\d+)?", "…", reason) for _, reason in found).most_common(most)
    reasons = _pairs(("reason", "how many"), [(why, str(many)) for why, many in counts])
    names = _pairs(("name", "reason"), found[:most])
    rest = f"<p>and {len(found) - most} more</p>" if len(found) > most else ""
    names = grid(names, words, numbers=False)
    body = f"{grid(reasons, words)}<details><summary>Which ones</summary>{names}{rest}</details>"
    return section("Left out", f"What of the data could not be used: {len(found)} in all.", body)


def _pairs(heads: tuple[str, str], rows: Iterable[tuple[str, str]]) -> Table:
    return Table(heads=heads, rows=tuple((name, (Cell(text=words),)) for name, words in rows))
