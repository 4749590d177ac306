"""Tables of `protocol-NAME.json`: rows that others have published above those of a run.

The file holds the `title` of the protocol and its `version`, why the numbers are not comparable
(`departures`), what else is worth knowing of them (`notes`), the `columns`, the `rows` of this run and of the
baselines, each with `values` and where there are enough independent starts `low` and `high`, and the
`published` rows as they were printed, with their `source`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common.documents import read_json
from rolling.common.errors import InputError
from rolling.run.evaluation.scores import BASELINES
from rolling.run.evaluation.tables import NO_VALUE, Cell, Table, with_interval

PREFIX = "protocol-"
BOUNDED = ("values", "low", "high")


def tables_in(folder: Path) -> list[Table]:
    """Those of all protocols that a run was scored by. Raises `InputError` for a damaged file."""
    found = []
    for path in sorted(folder.glob(f"{PREFIX}*.json")):
        try:
            content = read_json(path)
            if "columns" in content:  # not one of the evaluations beside it
                found.append(table_of(content))
        except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
            raise InputError(
                f"{path} cannot be read ({error}): write it again with `rolling benchmark {folder}`"
            ) from error
    return found


def table_of(content: dict[str, Any]) -> Table:
    """Published rows above those of this run."""
    ours = sorted(content["rows"], key=lambda row: row["name"] in BASELINES)
    return _beside_published(content, ((_ours(content, row, "this run"), _cells(row)) for row in ours))


def table_of_runs(contents: Mapping[str, dict[str, Any]]) -> Table:
    """Published rows above those of several runs by their names, and those of their means; `contents` are of
    one protocol."""
    first = next(iter(contents.values()))
    departures = dict.fromkeys(reason for content in contents.values() for reason in content["departures"])
    notes = dict.fromkeys(note for content in contents.values() for note in content.get("notes", ()))
    meaning = f"± is half of a 95 % interval for a run, and the standard deviation for {len(contents)} runs"
    baselines = [(row["name"], _cells(row)) for row in first["rows"] if row["name"] in BASELINES]
    ours: list[tuple[str, tuple[Cell, ...]]] = []
    for row in first["rows"]:
        if row["name"] in BASELINES:
            continue
        same = [next(r for r in c["rows"] if r["name"] == row["name"]) for c in contents.values()]
        ours += [(_ours(first, row, name), _cells(each)) for name, each in zip(contents, same, strict=True)]
        means = tuple(map(_mean_and_deviation, zip(*(each["values"] for each in same), strict=True)))
        ours.append((_ours(first, row, f"mean of {len(contents)} runs"), means))
    together = first | {"departures": [*departures], "notes": [*notes, meaning]}
    return _beside_published(together, (*ours, *baselines))


def _beside_published(content: dict[str, Any], ours: Iterable[tuple[str, tuple[Cell, ...]]]) -> Table:
    others = [
        (row["name"], tuple(Cell(text=text) for text in row["numbers"])) for row in content["published"]
    ]
    sentences = [content["title"]]
    if content["departures"]:
        sentences.append(f"Not comparable: {'; '.join(content['departures'])}")
    sentences += content.get("notes", ())  # which files of before do not have
    sources = dict.fromkeys(row["source"] for row in content["published"])
    if sources:
        sentences.append(f"{', '.join(name for name, _ in others)}: as printed in {', '.join(sources)}")
    return Table(caption=". ".join(sentences) + ".", heads=("", *content["columns"]), rows=(*others, *ours))


def _ours(content: dict[str, Any], row: dict[str, Any], whose: str) -> str:
    name, members = row["name"], f"{content['members']} members"
    return name if name in BASELINES else f"{whose}, {name.replace('members', members)}"


def _cells(row: dict[str, Sequence[float | None]]) -> tuple[Cell, ...]:
    numbers = zip(*(row[key] for key in BOUNDED), strict=True)
    return tuple(
        Cell(text=NO_VALUE)
        if value is None
        else Cell(text=with_interval(value, None if low is None or high is None else (low, high)))
        for value, low, high in numbers
    )


def _mean_and_deviation(values: Sequence[float | None]) -> Cell:
    """Of the runs that a row is of; none where one of them has no number."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return Cell(text=NO_VALUE)
    mean, deviation = float(np.mean(known)), float(np.std(known, ddof=1))
    return Cell(text=with_interval(mean, (mean - deviation, mean + deviation)))
