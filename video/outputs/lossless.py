"""Forecasts as lossless videos, frame for frame as stored, for metrics of other projects."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from rolling.common.errors import InputError
from rolling.common.files import write_file
from rolling.layout import Layout
from rolling.outputs import Shown
from rolling.video.outputs.encoding import check_encoder, encode_video
from rolling.video.outputs.montage import Cast, check_pictures


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lossless:
    """FFV1 in Matroska, a file for the truth and one per member: exact grey levels, nothing drawn on them.
    All have the same number of frames, limited by the truth."""

    starts: int = 0
    """How many forecasts to write; 0: all of them."""
    members: int = 0
    """How many members to write; 0: all of them."""
    given: bool = True
    """Whether the given frames come first, as metrics of whole clips expect."""

    def __post_init__(self):
        if min(self.starts, self.members) < 0:
            raise InputError("of lossless videos, starts and members are 0 or more")

    def check(self, layout: Layout) -> None:
        check_pictures(layout, "a lossless video")
        check_encoder("ffv1", "a lossless video")

    def write(self, shown: Sequence[Shown], folder: Path) -> list[Path]:
        return [path for one in shown for path in self._write(one, folder)]

    def _write(self, shown: Shown, folder: Path) -> Iterator[Path]:
        cast = Cast(shown, self.members or len(shown.forecast), len(shown.truth) or shown.leads)
        for panel in cast.panels:
            path = folder / f"{shown.name}-{panel.lower().replace(' ', '-')}.mkv"
            yield write_file(path, lambda path, panel=panel: self._save(cast, panel, path))

    def _save(self, cast: Cast, panel: str, path: Path) -> None:
        layout = cast.shown.layout
        encode_video(
            itertools.islice(cast.frames(panel), 0 if self.given else cast.given, None),
            path,
            shape=(len(layout.y), len(layout.x)),
            form="matroska",
            codec="ffv1",
            pixels="bgr0",
            rate=Fraction(1 / layout.step).limit_denominator(1001),
            options={},
        )
