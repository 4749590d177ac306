"""Pictures side by side, with names, and borders that distinguish given from forecast frames."""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rolling.common.errors import InputError
from rolling.layout import Layout
from rolling.outputs import Frames, Shown

PAGE, TEXT, REST = (16, 19, 23), (230, 234, 238), (48, 55, 63)
GIVEN, MADE = (240, 180, 41), (58, 160, 240)
MISSING = 96  # the grey of cells without a value, and of frames after the end of the truth
BORDER, GAP, LINE = 4, 12, 22
BLOCK_VALUES = 2**22  # values of one block of leads of one panel: 16 MiB of float32


def check_pictures(layout: Layout, kind: str) -> None:
    """Raises `InputError` if frames are not pictures."""
    if not layout.is_video:
        raise InputError(
            f"{kind} shows pictures (red, green and blue, or luma, as grey levels 0 to 255), and these data"
            f" hold {', '.join(layout.names)}: leave `outputs` empty, the report draws such fields"
        )


def pixels(frames: np.ndarray) -> np.ndarray:
    """Grey levels `[..., height, width, 1 or 3]` as `uint8 [..., height, width, 3]`; NaN becomes grey."""
    levels = np.clip(np.rint(np.nan_to_num(frames, nan=MISSING)), 0, 255).astype(np.uint8)
    return np.broadcast_to(levels, (*levels.shape[:-1], 3))


def enlargement(layout: Layout, size: int) -> int:
    """The largest integer factor, at least 1, that keeps the longer side within `size` pixels."""
    return max(1, size // max(layout.shape[:2]))


def enlarged(picture: np.ndarray, factor: int) -> np.ndarray:
    """Every pixel repeated to a square of `factor` x `factor`."""
    return picture.repeat(factor, axis=-3).repeat(factor, axis=-2)


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def write_text(draw: ImageDraw.ImageDraw, at: tuple[int, int], words: str, colour=TEXT, anchor="lm") -> None:
    draw.text(at, words, fill=colour, font=font(13), anchor=anchor)


@dataclasses.dataclass(frozen=True)
class Cast:
    """The part of a forecast shown side by side: the truth, and the first `members` members.

    Frames `i < given` are given frames; the first `leads` frames of the forecast follow.
    """

    shown: Shown
    members: int
    leads: int

    @cached_property
    def panels(self) -> dict[str, Frames]:
        """The panels by name; without the truth if there is none."""
        several = len(self.shown.forecast) > 1
        made = self.shown.forecast[: self.members]
        names = [f"Member {i + 1}" if several else self.shown.title for i in range(len(made))]
        truth = {"Truth": self.shown.truth} if len(self.shown.truth) else {}
        return truth | dict(zip(names, made, strict=True))

    @property
    def given(self) -> int:
        return len(self.shown.given)

    def rows(self) -> Iterator[list[np.ndarray]]:
        """The pictures of all panels, frame by frame: `[height, width, 3]` each."""
        return (list(row) for row in zip(*map(self.frames, self.panels), strict=True))

    def frames(self, panel: str) -> Iterator[np.ndarray]:
        """The given frames and those of one panel, read in blocks: `[height, width, 3]` each."""
        yield from pixels(self.shown.given)
        size = max(1, BLOCK_VALUES // int(np.prod(self.shown.layout.shape)))
        for first in range(0, self.leads, size):
            yield from self.read(panel, first, min(first + size, self.leads))

    def read(self, panel: str, first: int, stop: int) -> np.ndarray:
        """Leads `first .. stop - 1` of one panel, `[n, height, width, 3]`; grey once the truth ends."""
        frames = pixels(self.panels[panel][first:stop])
        missing = np.full((stop - first - len(frames), *self.shown.layout.shape[:2], 3), MISSING, np.uint8)
        return np.concatenate([frames, missing])


def border(canvas: np.ndarray, y: int, x: int, height: int, width: int, colour) -> None:
    """A frame of `BORDER` pixels around the area that begins at `y, x`."""
    canvas[y - BORDER : y + height + BORDER, x - BORDER : x + width + BORDER] = colour


@dataclasses.dataclass(frozen=True)
class Stage:
    """Panels in a row, with their names above; below, the number of the frame and a progress bar."""

    cast: Cast
    factor: int

    @property
    def tile(self) -> tuple[int, int]:
        height, width = self.cast.shown.layout.shape[:2]
        return self.factor * height, self.factor * width

    def place(self, panel: int) -> tuple[int, int]:
        """Where the picture of a panel begins."""
        return LINE + 2 * BORDER, GAP + panel * (self.tile[1] + GAP + 2 * BORDER) + BORDER

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, both even, as video codecs require."""
        y, x = self.place(len(self.cast.panels))
        # At least 200 wide, so that the text fits below a single small picture.
        size = y + self.tile[0] + BORDER + LINE + GAP, max(x - BORDER, 200)
        return size[0] + size[0] % 2, size[1] + size[1] % 2

    @cached_property
    def backdrop(self) -> np.ndarray:
        height, width = self.shape
        canvas = Image.new("RGB", (width, height), PAGE)
        draw = ImageDraw.Draw(canvas)
        for panel, name in enumerate(self.cast.panels):
            y, x = self.place(panel)
            write_text(draw, (x - BORDER, y - BORDER - LINE // 2), name)
        return np.asarray(canvas)

    def frames(self) -> Iterator[np.ndarray]:
        """The film, `uint8 [height, width, 3]` each."""
        for index, pictures in enumerate(self.cast.rows()):
            yield self.frame(index, pictures)

    def frame(self, index: int, pictures: Sequence[np.ndarray]) -> np.ndarray:
        canvas, given = self.backdrop.copy(), index < self.cast.given
        for panel, (name, picture) in enumerate(zip(self.cast.panels, pictures, strict=True)):
            y, x = self.place(panel)
            height, width = self.tile
            colour = GIVEN if given else REST if name == "Truth" else MADE
            border(canvas, y, x, height, width, colour)
            canvas[y : y + height, x : x + width] = enlarged(picture, self.factor)
        return self._with_footer(canvas, index)

    def _with_footer(self, canvas: np.ndarray, index: int) -> np.ndarray:
        """The footer: a word, a number, and a progress bar in the colours of given and forecast frames."""
        given, leads, lead = self.cast.given, self.cast.leads, index + 1 - self.cast.given
        words = f"given {index + 1} of {given}" if lead <= 0 else f"forecast {lead} of {leads}"
        colour = GIVEN if lead <= 0 else MADE
        foot = self.place(0)[0] + self.tile[0] + BORDER
        image = Image.fromarray(canvas)
        write_text(ImageDraw.Draw(image), (GAP, foot + LINE // 2 + 1), words, colour)
        canvas = np.array(image)
        left, right = GAP, canvas.shape[1] - GAP
        edge = lambda frame: left + (right - left) * frame // (given + leads)  # noqa: E731
        line = slice(foot + LINE + 1, foot + LINE + 4)
        canvas[line, left:right] = REST
        canvas[line, left : edge(min(index + 1, given))] = GIVEN
        canvas[line, edge(given) : max(edge(given), edge(index + 1))] = MADE
        return canvas
