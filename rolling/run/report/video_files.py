"""Some forecasts of a store in the formats of an experiment's `outputs`: files in `videos/` beside it."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from rolling.common.counting import counted
from rolling.common.files import cannot_write, new_folder, safe_name
from rolling.common.indices import spaced
from rolling.data.conditions import label
from rolling.data.source import Sequences
from rolling.outputs import Output, Shown
from rolling.run.forecasting.zarr_reader import StoredForecast, open_forecast

FOLDER = "videos"


@dataclasses.dataclass(frozen=True)
class _Truth:
    """The truth: `count` frames of a sequence from `first` on."""

    test: Sequences
    sequence: int
    first: int
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, span: slice) -> np.ndarray:
        start, stop, _ = span.indices(self.count)
        if stop <= start:
            return np.empty((0, *self.test.layout.shape), np.float32)
        return self.test.read(self.sequence, self.first + start, self.first + stop)


@dataclasses.dataclass(frozen=True)
class _Member:
    """One member of a stored forecast."""

    forecast: StoredForecast
    start: int
    member: int

    def __len__(self) -> int:
        return self.forecast.leads

    def __getitem__(self, span: slice) -> np.ndarray:
        first, stop, _ = span.indices(len(self))
        return self.forecast.read(self.start, first, stop, slice(self.member, self.member + 1))[0]


def write_outputs(outputs: Sequence[Output], store: Path, test: Sequences) -> None:
    """Writes files for a few starts of `store` into `videos/STORE` beside it, replacing earlier ones at once;
    without the truth where `test` ends before the forecast.

    Without outputs, nothing is written. Raises `InputError` where the store is missing, damaged or not of
    `test`, and where the files cannot be written.
    """
    if not outputs:
        return
    for output in outputs:
        output.check(test.layout)
    folder = store.parent / FOLDER / store.stem
    found: list[Path] = []
    forecast = open_forecast(store, test.layout)
    with forecast.dataset:
        forecast.check_starts(test)
        try:
            with new_folder(folder) as fresh:
                for output in outputs:
                    chosen = spaced(forecast.starts, output.starts or forecast.starts)
                    found += output.write([_shown(forecast, test, start) for start in chosen], fresh)
        except OSError as error:
            raise cannot_write(folder, error) from error
    print(f"{folder}: {counted(len(found), 'file')}")


def _shown(forecast: StoredForecast, test: Sequences, start: int) -> Shown:
    sequence, frame = int(forecast.sequence[start]), int(forecast.frame[start])
    count = min(forecast.leads, test.length(sequence) - frame)
    return Shown(
        name=_name(forecast, test, start),
        layout=test.layout,
        given=test.read(sequence, max(0, frame - forecast.given), frame),
        truth=_Truth(test, sequence, frame, count),
        forecast=[_Member(forecast, start, member) for member in range(forecast.members)],
    )


def _name(forecast: StoredForecast, test: Sequences, start: int) -> str:
    """`CLIP-frame-12` for a forecast whose first frame is frame 12 of a clip, else `start-1-CLASS`."""
    sequence, frame = int(forecast.sequence[start]), int(forecast.frame[start])
    clip = test.name(sequence)
    if not clip:
        words = re.findall(r"\w+", label(test, sequence).lower())
        return "-".join(["start", str(start + 1), *words])
    stem = _stem(clip)
    others = {test.name(int(other)) for other in forecast.sequence} - {clip}
    alike = any(_stem(other) == stem for other in others)  # `a/b.mp4` and `a-b.mp4`
    return f"{stem}-{sequence + 1}-frame-{frame}" if alike else f"{stem}-frame-{frame}"


def _stem(clip: str) -> str:
    return safe_name(str(PurePosixPath(clip).with_suffix("")))
