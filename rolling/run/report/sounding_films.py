"""Films with their own sound, as the outputs of a run have written them, in the page itself."""

import re
from collections.abc import Mapping
from pathlib import Path

from rolling.outputs import MEMBER, TRUTH
from rolling.run.report import markup
from rolling.run.report.player import data_uri
from rolling.run.report.video_files import FOLDER

MEMBERS = 2
"""Shown of a start, beside the truth."""
LARGEST = 2**23  # bytes of all films of a page
NAME = re.compile(rf"(?P<start>.+)-(?P<who>{TRUTH}|{MEMBER}-(?P<number>\d+))\.mp4")


def films(laws: Mapping[str, Path]) -> str:
    """Those of the first start of each store, by what was made of what; empty where there are none, as of a
    run without `mp4` among its outputs. What goes beyond 8 MiB in all is left in its folder."""
    left, rows = LARGEST, []
    for law, store in laws.items():
        figures = []
        for title, path in _first_start(store.parent / FOLDER / store.stem):
            left -= path.stat().st_size
            if left < 0:
                break
            figures.append(markup.film(title, data_uri(path.read_bytes(), "video/mp4")))
        if figures:
            rows.append(markup.films(law, figures))
    lead = (
        "One start of each, with its own sound; the first frames, in yellow, are given. More of them are in"
        f" the folder {markup.text(f'`{FOLDER}`')}."
    )
    return markup.section("Seen and heard", lead, "".join(rows))


def _first_start(folder: Path) -> list[tuple[str, Path]]:
    """The truth, and a few members."""
    found: dict[str, list[tuple[int, str, Path]]] = {}
    for path in folder.glob("*.mp4"):
        if match := NAME.fullmatch(path.name):
            number = int(match["number"] or 0)
            title = match["who"].replace("-", " ").capitalize()
            found.setdefault(match["start"], []).append((number, title, path))
    if not found:
        return []
    first = min(found, key=lambda name: [int(part) if part.isdigit() else part for part in _parts(name)])
    return [(title, path) for number, title, path in sorted(found[first]) if number <= MEMBERS]


def _parts(name: str) -> list[str]:
    """Words and numbers in turn, so that the second start is before the tenth."""
    return re.split(r"(\d+)", name)
