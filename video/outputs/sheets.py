"""A contact sheet: many forecasts in one still picture."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from rolling.common.errors import InputError
from rolling.common.files import write_file
from rolling.layout import Layout
from rolling.outputs import Shown
from rolling.video.outputs.montage import (
    BORDER,
    GAP,
    GIVEN,
    LINE,
    MADE,
    PAGE,
    REST,
    Cast,
    border,
    check_pictures,
    enlarged,
    enlargement,
    pixels,
    write_text,
)

NAMES = 84  # pixels to the left of the pictures


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContactSheet:
    """A PNG file: for each start a row for the truth and one for each member, at a few leads including the
    first and the last; the last given frames come first, in a border of their own colour."""

    starts: int = 6
    """How many forecasts to show; 0: all of them."""
    members: int = 2
    """How many members to show below the truth."""
    given: int = 2
    """The most given frames to show."""
    leads: int = 8
    """The most leads to show, evenly spaced."""
    size: int = 128
    """Pictures are enlarged up to this many pixels along the longer side."""

    def __post_init__(self):
        if min(self.members, self.leads, self.size) < 1 or min(self.starts, self.given) < 0:
            raise InputError(
                "a contact sheet needs members, leads and size of 1 or more; starts and given are 0 or more"
            )

    def check(self, layout: Layout) -> None:
        check_pictures(layout, "a contact sheet")

    def write(self, shown: Sequence[Shown], folder: Path) -> list[Path]:
        blocks = [self.block(one) for one in shown]
        sheet = Image.new("RGB", (max(b.width for b in blocks), sum(b.height for b in blocks) + GAP), PAGE)
        top = 0
        for block in blocks:
            sheet.paste(block, (0, top))
            top += block.height
        return [write_file(folder / "contact-sheet.png", lambda path: sheet.save(path, format="PNG"))]

    def block(self, shown: Shown) -> Image.Image:
        """The rows of one start."""
        cast = Cast(shown, self.members, shown.leads)
        chosen = np.unique(np.linspace(0, cast.leads - 1, min(self.leads, cast.leads)).round().astype(int))
        given, panels = pixels(shown.given[max(0, cast.given - self.given) :]), cast.panels.items()
        columns = [[frame] * len(panels) for frame in given]
        columns += [
            [cast.read(name, lead, lead + 1)[0] if lead < len(frames) else None for name, frames in panels]
            for lead in chosen.tolist()
        ]
        heads = ["given"] * len(given) + [f"+{lead + 1}" for lead in chosen]
        return _grid(
            columns, heads, list(cast.panels), len(given), enlargement(shown.layout, self.size), shown.name
        )


def _grid(columns, heads, names, given: int, factor: int, title: str) -> Image.Image:
    """Pictures in columns with heads, and rows with names; the first `given` columns are given frames. None
    leaves a place empty, as after the end of the truth."""
    height, width = (factor * side for side in columns[0][0].shape[:2])
    step_y, step_x = height + 2 * BORDER + 4, width + 2 * BORDER + 4
    left, top = GAP + NAMES, GAP + 2 * LINE
    canvas = np.full((top + len(names) * step_y + GAP, left + len(columns) * step_x + GAP, 3), PAGE, np.uint8)
    for i, column in enumerate(columns):
        for j, (name, picture) in enumerate(zip(names, column, strict=True)):
            if picture is None:
                continue
            y, x = top + j * step_y + BORDER, left + i * step_x + BORDER
            border(canvas, y, x, height, width, GIVEN if i < given else REST if name == "Truth" else MADE)
            canvas[y : y + height, x : x + width] = enlarged(picture, factor)
    image = Image.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    write_text(draw, (GAP, GAP + LINE // 2), title)
    for i, head in enumerate(heads):
        colour = GIVEN if i < given else MADE
        write_text(draw, (left + i * step_x + step_x // 2, top - LINE // 2), head, colour, "mm")
    for j, name in enumerate(names):
        write_text(draw, (GAP, top + j * step_y + step_y // 2), name)
    return image
