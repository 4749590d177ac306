"""Tables of `protocol-NAME.json`: rows that others have published above those of a run.

The file holds the `title` of the protocol and its `version`, why the numbers are not comparable
(`departures`), the `columns`, the `rows` of this run and of the baselines, each with `values` and where there
are enough independent starts `low` and `high`, and the `published` rows as they were printed, with their
`source`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    others = [
        (row["name"], tuple(Cell(text=text) for text in row["numbers"])) for row in content["published"]
    ]
    ours = sorted(content["rows"], key=lambda row: row["name"] in BASELINES)
    sentences = [content["title"]]
    if content["departures"]:
        sentences.append(f"Not comparable: {'; '.join(content['departures'])}")
    sources = dict.fromkeys(row["source"] for row in content["published"])
    if sources:
        sentences.append(f"{', '.join(name for name, _ in others)}: as printed in {', '.join(sources)}")
    return Table(
        caption=". ".join(sentences) + ".",
        heads=("", *content["columns"]),
        rows=(*others, *((_ours(row["name"], content["members"]), _cells(row)) for row in ours)),
    )


def _ours(name: str, members: int) -> str:
    return name if name in BASELINES else f"this run, {name.replace('members', f'{members} members')}"


def _cells(row: dict[str, Sequence[float | None]]) -> tuple[Cell, ...]:
    numbers = zip(*(row[key] for key in BOUNDED), strict=True)
    return tuple(
        Cell(text=NO_VALUE)
        if value is None
        else Cell(text=with_interval(value, None if low is None or high is None else (low, high)))
        for value, low, high in numbers
    )
