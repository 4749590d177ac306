"""Films of forecasts next to the truth: mp4 and GIF."""

import abc
import dataclasses
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from rolling.common.errors import InputError
from rolling.common.files import write_file
from rolling.layout import Layout
from rolling.outputs import TRUTH, Shown
from rolling.sound import waveform
from rolling.video.outputs import montage
from rolling.video.outputs.encoding import AAC, Sound, check_encoder, encode_video
from rolling.video.outputs.montage import Cast, Stage, check_pictures, enlargement

SLOWEST, FASTEST = 5, 30
"""The slowest and fastest watchable rates, in frames per second."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Film(abc.ABC):
    """One film per forecast: the truth and some members side by side, given frames in a border of their own
    colour, small pictures enlarged by an integer factor."""

    starts: int = 4
    """How many forecasts to show, a file each; 0: all of them."""
    members: int = 3
    """How many members to show next to the truth."""
    frames: int = 1000
    """The most frames of a forecast to show, from the first; 0: all of them."""
    size: int = 256
    """Pictures are enlarged up to this many pixels along the longer side."""
    rate: float = 0.0
    """Frames per second; 0: that of the data, limited to between 5 and 30."""

    suffix: ClassVar[str]

    def __post_init__(self):
        if min(self.starts, self.frames, self.rate) < 0 or min(self.members, self.size) < 1:
            raise InputError(
                "a film needs one member and a size of 1 or more; starts, frames and rate are 0 or more"
            )

    def check(self, layout: Layout) -> None:
        check_pictures(layout, f"a {self.suffix} file")

    def write(self, shown: Sequence[Shown], folder: Path) -> list[Path]:
        return [
            write_file(
                folder / f"{one.name}.{self.suffix}", lambda path, one=one: self.save(self.stage(one), path)
            )
            for one in shown
        ]

    def stage(self, shown: Shown) -> Stage:
        leads = min(shown.leads, self.frames or shown.leads)
        return Stage(Cast(shown, self.members, leads), enlargement(shown.layout, self.size))

    def speed(self, layout: Layout) -> Fraction:
        """Frames per second of the film."""
        rate = self.rate or min(max(1 / layout.step, SLOWEST), FASTEST)
        return Fraction(rate).limit_denominator(1001)

    @abc.abstractmethod
    def save(self, stage: Stage, path: Path) -> None:
        """One film to a file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mp4(Film):
    """H.264 in an mp4 file, which every browser plays. It is written frame by frame, at any length.

    Of forecasts with sound, truth and members each have a film of their own, with their own sound (AAC);
    without it where the film is not as fast as the data, or the sound is not made.
    """

    quality: int = 18
    """The constant rate factor of libx264: 0 is lossless, 18 visually lossless, 51 the worst."""

    suffix: ClassVar[str] = "mp4"

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.quality <= 51:
            raise InputError(f"the quality of an mp4 file is a whole number from 0 to 51, not {self.quality}")

    def check(self, layout: Layout) -> None:
        super().check(layout)
        check_encoder("libx264", "an mp4 file")
        check_encoder(AAC, "the sound of an mp4 file")

    def write(self, shown: Sequence[Shown], folder: Path) -> list[Path]:
        return super().write([part for one in shown for part in self._films(one)], folder)

    def _films(self, shown: Shown) -> list[Shown]:
        if shown.sound is None:
            return [shown]
        found = shown.alone()
        return list(found.values())[: self.members + (TRUTH in found)]

    def _sound(self, stage: Stage) -> Sound | None:
        """Of the given frames and those that are shown; silence where it begins later than they do."""
        shown = stage.cast.shown
        heard = shown.sound
        if heard is None or abs(float(self.speed(shown.layout)) * shown.layout.step - 1) > 1e-3:
            return None
        ratio = shown.layout.step / heard.layout.step
        made = heard.forecast[0][: round(stage.cast.leads * ratio)]
        samples, rate = waveform(heard.layout, np.concatenate([heard.given, made]))
        late = round((stage.cast.given * shown.layout.step - len(heard.given) * heard.layout.step) * rate)
        return Sound(np.concatenate([np.zeros(max(late, 0), np.float32), samples[max(-late, 0) :]]), rate)

    def save(self, stage: Stage, path: Path) -> None:
        encode_video(
            stage.frames(),
            path,
            shape=stage.shape,
            form="mp4",
            codec="libx264",
            pixels="yuv420p",
            rate=self.speed(stage.cast.shown.layout),
            options={"crf": str(self.quality), "preset": "veryfast"},
            sound=self._sound(stage),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gif(Film):
    """A GIF that loops forever and pauses at its end; one palette for all frames, without dithering.

    It is held in memory while it is made, one byte per pixel.
    """

    frames: int = 120
    size: int = 192
    rest: float = 1.5
    """Seconds for which the last frame is shown."""

    suffix: ClassVar[str] = "gif"

    def save(self, stage: Stage, path: Path) -> None:
        palette = shared_palette(stage.cast)
        first, *others = (
            Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
            for frame in stage.frames()
        )
        # In hundredths of a second, at least 2: browsers play 1 as 10.
        pace = 10 * max(2, round(100 / self.speed(stage.cast.shown.layout)))
        durations = [pace] * len(others) + [max(pace, round(1000 * self.rest))]
        settings = {"duration": durations, "loop": 0, "optimize": False}
        first.save(path, format="GIF", save_all=True, append_images=others, **settings)


def shared_palette(cast: Cast, most: int = 24) -> Image.Image:
    """256 colours for all frames: those of the stage, and a median cut over a sample of the pictures."""
    letters = (montage.TEXT, montage.GIVEN, montage.MADE)
    ramps = [np.linspace(montage.PAGE, colour, 5) for colour in letters]  # letters have smooth edges
    own = np.unique(np.concatenate([*ramps, [montage.REST]]).round().astype(np.uint8), axis=0)
    sampled = np.concatenate([picture.reshape(-1, 3) for picture in _sampled(cast, most)])
    picture = Image.fromarray(sampled[None]).quantize(256 - len(own), method=Image.Quantize.MEDIANCUT)
    colours = [*own.ravel().tolist(), *(picture.getpalette() or [])][: 3 * 256]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours + colours[:3] * (256 - len(colours) // 3))
    return palette


def _sampled(cast: Cast, most: int) -> Iterator[np.ndarray]:
    """Pictures spread over a film, given frames and all panels included."""
    every = max(1, (cast.given + cast.leads) * len(cast.panels) // most)
    for index, pictures in enumerate(cast.rows()):
        if index % every == 0:
            yield from pictures
