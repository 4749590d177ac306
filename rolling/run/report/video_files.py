"""Some forecasts of a store in the formats of an experiment's `outputs`: files in `videos/` beside it."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.common.files import cannot_write, new_folder, safe_name
from rolling.common.indices import spaced
from rolling.data.conditions import label
from rolling.data.joint_sequences import JointSequences
from rolling.data.source import Sequences
from rolling.joint_layout import JointLayout
from rolling.layout import Layout
from rolling.outputs import Output, Shown
from rolling.run.forecasting.law_of_store import groups, law_of
from rolling.run.forecasting.zarr_reader import StoredForecast, open_forecast
from rolling.sampling.joint_recipe import JointSampling
from rolling.sampling.recipe import Sampling
from rolling.sound import audible

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


@dataclasses.dataclass(frozen=True)
class _Shown:
    """The forecasts of a store of one modality."""

    forecast: StoredForecast
    test: Sequences

    @property
    def layout(self) -> Layout:
        return self.test.layout

    @property
    def starts(self) -> int:
        return self.forecast.starts

    def __call__(self, start: int) -> Shown:
        forecast, test = self.forecast, self.test
        sequence, frame = int(forecast.sequence[start]), int(forecast.frame[start])
        count = min(forecast.leads, test.length(sequence) - frame)
        return Shown(
            name=_name(forecast, test, start),
            layout=test.layout,
            given=test.read(sequence, max(0, frame - forecast.given), frame),
            truth=_Truth(test, sequence, frame, count),
            forecast=[_Member(forecast, start, member) for member in range(forecast.members)],
        )


@dataclasses.dataclass(frozen=True)
class _ShownTogether:
    """Those of a store of several: what is seen, beside what is heard, where it was made or given."""

    made: dict[str, StoredForecast]
    test: JointSequences
    seen: str
    heard: str | None

    @property
    def layout(self) -> Layout:
        return self.test.layout.of[self.seen]

    @property
    def starts(self) -> int:
        return next(iter(self.made.values())).starts

    def __call__(self, start: int) -> Shown:
        sound = self._of(self.heard, start) if self.heard else None
        return dataclasses.replace(self._of(self.seen, start), sound=sound)

    def _of(self, name: str, start: int) -> Shown:
        test = self.test.parts[name]
        if name in self.made:
            return _Shown(self.made[name], test)(start)
        beside, forecast = next(iter(self.made.items()))
        ours, theirs = (self.test.layout.every[one] for one in (name, beside))
        sequence, frame = int(forecast.sequence[start]), int(forecast.frame[start]) * theirs // ours
        count = min(forecast.leads * theirs // ours, test.length(sequence) - frame)
        frames = _Truth(test, sequence, frame, count)
        return Shown(
            name=_name(forecast, self.test.parts[beside], start),
            layout=test.layout,
            given=test.read(sequence, max(0, frame - forecast.given * theirs // ours), frame),
            truth=frames,
            forecast=[frames] * forecast.members,
        )


def seen_and_heard(layout: JointLayout) -> tuple[str | None, str | None]:
    """The first modality of pictures, which films show, and the first that can be heard."""
    seen = next((name for name, part in layout.of.items() if part.is_video), None)
    return seen, next((name for name, part in layout.of.items() if audible(part)), None)


def check_outputs(outputs: Sequence[Output], layout: Layout | JointLayout) -> None:
    """Raises `InputError` where an output does not suit the data."""
    if isinstance(layout, JointLayout):
        seen, _ = seen_and_heard(layout)
        if outputs and seen is None:
            raise InputError(f"outputs show pictures, and {', '.join(layout.of)} are none: leave them out")
        parts = [layout.of[seen]] if seen else []
    else:
        parts = [layout]
    for part in parts:
        for output in outputs:
            output.check(part)


def write_outputs(
    outputs: Sequence[Output],
    store: Path,
    test: Sequences | JointSequences,
    recipe: Sampling | None = None,
) -> None:
    """Writes files for a few starts of `store` into `videos/STORE` beside it, replacing earlier ones at once;
    without the truth where `test` ends before the forecast. `recipe` is the run's: one of several modalities
    needs it.

    Without outputs, nothing is written, and of a store without pictures. Raises `InputError` where the store
    is missing, damaged or not of `test`, and where the files cannot be written.
    """
    if not outputs:
        return
    check_outputs(outputs, test.layout)
    folder = store.parent / FOLDER / store.stem
    found: list[Path] = []
    with _opened(store, test, recipe) as shown:
        if shown is None:
            return
        try:
            with new_folder(folder) as fresh:
                for output in outputs:
                    chosen = spaced(shown.starts, output.starts or shown.starts)
                    found += output.write([shown(start) for start in chosen], fresh)
        except OSError as error:
            raise cannot_write(folder, error) from error
    print(f"{folder}: {counted(len(found), 'file')}")


@contextlib.contextmanager
def _opened(
    store: Path, test: Sequences | JointSequences, recipe: Sampling | None
) -> Iterator["_Shown | _ShownTogether | None"]:
    """None for a store that neither has pictures nor was given some."""
    if not isinstance(test, JointSequences):
        forecast = open_forecast(store, test.layout)
        with forecast.dataset:
            forecast.check_starts(test)
            yield _Shown(forecast, test)
        return
    assert isinstance(recipe, JointSampling)
    made, given = groups(store, test), law_of(store, test, recipe).given
    there = [name if name in (*made, *given) else None for name in seen_and_heard(test.layout)]
    with contextlib.ExitStack() as stack:
        forecasts = {name: open_forecast(store / name, test.layout.of[name]) for name in made}
        for name, forecast in forecasts.items():
            stack.enter_context(forecast.dataset)
            forecast.check_starts(test.parts[name])
        seen, heard = there
        yield _ShownTogether(forecasts, test, seen, heard) if seen else None


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
