"""Thumbnails of clips: one picture from which a person sees what was prepared."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rolling.common.counting import counted
from rolling.common.files import write_file
from rolling.common.indices import spaced
from rolling.data.conditions import label
from rolling.data.source import Sequences, Split, Stored

CLIPS = {"train": 16, "test": 8}  # shown of each part, at most
FRAMES, SIDE, COLUMNS = 5, 96, 2
GAP, LINE, LETTERS = 8, 18, 66
PAGE, TEXT, TEST = (16, 19, 23), (230, 234, 238), (240, 180, 41)


def write_thumbnails(split: Split) -> Path | None:
    """Writes a picture beside the store of prepared clips and returns its path; None for other data.

    Some clips of each part, evenly chosen, with their names and a few frames from the first to the last;
    those held out are named in another colour. Raises `InputError` where it cannot be written.
    """
    if not (isinstance(split.train, Stored) and split.train.layout.is_video):
        return None
    store = split.train.path
    strips = [strip for part in CLIPS for strip in _strips(getattr(split, part), part)]
    sheet = _arranged(strips)
    return write_file(store.with_name(f"{store.name}.png"), lambda path: sheet.save(path, format="PNG"))


def _strips(part: Sequences, name: str) -> Iterator[Image.Image]:
    for index in spaced(len(part), CLIPS[name]):
        frames = [_tile(part.read(index, i, i + 1)[0]) for i in spaced(part.length(index), FRAMES)]
        width, height = frames[0].size
        strip = Image.new("RGB", ((width + 2) * FRAMES, LINE + height), PAGE)
        for place, frame in enumerate(frames):
            strip.paste(frame, (place * (width + 2), LINE))
        words = [part.name(index), label(part, index), counted(part.length(index), "frame")]
        title = ", ".join("".join(c if c.isprintable() else "?" for c in word) for word in words if word)
        title = title if name == "train" else f"held out: {title}"
        title = title if len(title) <= LETTERS else f"{title[: LETTERS // 2]}...{title[-LETTERS // 2 :]}"
        colour = TEXT if name == "train" else TEST
        ImageDraw.Draw(strip).text((0, 2), title, fill=colour, font=ImageFont.load_default(12))
        yield strip


def _tile(frame: np.ndarray) -> Image.Image:
    """A frame `[height, width, 1 or 3]` as a picture whose longer side is about `SIDE`."""
    picture = Image.fromarray(np.broadcast_to(frame, (*frame.shape[:2], 3)).astype(np.uint8))
    factor = SIDE / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.BOX if factor < 1 else Image.Resampling.NEAREST)


def _arranged(strips: list[Image.Image]) -> Image.Image:
    """Strips of one size in columns."""
    width, height = strips[0].size
    rows = -(-len(strips) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (width + GAP) + GAP, rows * (height + GAP) + GAP), PAGE)
    for place, strip in enumerate(strips):
        column, row = divmod(place, rows)
        sheet.paste(strip, (GAP + column * (width + GAP), GAP + row * (height + GAP)))
    return sheet
