"""Clips of any model, scored against real ones: `rolling evaluate --real DIR --fake DIR`.

Two sets of clips are compared by distances between sets. Where names pair up, each fake clip is a forecast of
the real one of its name and is also scored frame by frame.
"""

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.common.files import write_text
from rolling.common.progress import Progress
from rolling.data.clips.collections.detect import collection_at, is_compressed
from rolling.data.clips.collections.pairs import Pair, paired
from rolling.data.clips.protocol import Picture
from rolling.layout import Layout, video
from rolling.metrics.protocol import EvaluationSetup, Metric, Sample
from rolling.run.evaluation.agreement import Agreement
from rolling.run.evaluation.clip_sets import ClipSet, OneSize
from rolling.run.evaluation.evaluate import Running, persistence
from rolling.run.evaluation.scores import Evaluation, Scores, encoded
from rolling.run.evaluation.summary import against_lead, single_values
from rolling.run.experiment.presets import default_metrics

BATCH = 2**24  # bytes of clips whose features are computed together; at least one clip


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """Scores fake clips against real ones: videos, arrays, folders of frames or stores, of any model.

    A fake clip is a forecast of the real one of its name, whatever the suffix; SAMPLE/NAME or NAME/SAMPLE are
    several forecasts, as many of each clip. Sets whose names do not pair up are compared as sets only.
    """

    real: str = ""
    """Folder, file or store of real clips."""
    fake: str = ""
    """Folder, file or store of the clips to score."""
    frames: int = 16
    """The number of frames compared, from each clip's first one on."""
    given: int = 0
    """How many of them, the first of every clip, were given to the model."""
    size: tuple[int, int] = (0, 0)
    """Height and width to which pictures are resized; 0 0 leaves them as they are."""
    real_scale: str = "levels"
    """What the values of real arrays mean: levels of 0 to 255, unit for 0 to 1, signed for -1 to 1."""
    fake_scale: str = "levels"
    """The same for fake arrays."""
    output: str = ""
    """A JSON file for the scores."""

    def __post_init__(self):
        if self.frames < 1:
            raise InputError(f"--frames must be a whole number of at least 1, not {self.frames}")
        if not 0 <= self.given < self.frames:
            raise InputError(
                f"--given must be a whole number from 0 to below --frames, {self.frames}, not {self.given}"
            )
        if min(self.size) < 0 or (0 in self.size and any(self.size)):
            raise InputError("--size is a height and a width in pixels, such as 64 64")
        if self.output and Path(self.output).is_dir():
            raise InputError(f"--output is a JSON file, and {self.output} is a folder: name a file in it")
        if self.output and not Path(self.output).parent.is_dir():  # refused before hours of work, not after
            raise InputError(f"there is no folder {Path(self.output).parent} for --output: create it first")


def score_folders(options: FolderOptions) -> str:
    """The scores as a table, also written to `options.output` if set. Raises `InputError`."""
    real, fake = (_opened(options, side) for side in ("real", "fake"))
    _warn_compressed(real, fake)
    pairs, size = paired(real.entries, fake.entries), OneSize()
    members = len(pairs[0].fakes) if pairs else 0
    if options.given and not pairs:
        raise InputError(
            f"--given {options.given} needs the real clip of which each fake one is a forecast, but their"
            f" names do not pair up ({fake.entries[0].name}, {real.entries[0].name}): name them alike, or"
            " leave --given out"
        )
    if pairs:
        alone = len(real.entries) - len(pairs)
        if alone:
            print(f"left out of {options.real}: {counted(alone, 'clip')} without a forecast", file=sys.stderr)
        agreement = Agreement(options.given)
        scores, count = _by_pairs(real, fake, pairs, options, size, agreement)
        counts = {"real": count, "fake": count * members}
    else:
        agreement = None
        scores = _by_sets(real, fake, options.frames, size)
        counts = {"real": len(real), "fake": len(fake)}
    evaluation = Evaluation.of(scores)
    told = agreement.words() if agreement and options.given else ""
    found = {
        "real": options.real,
        "fake": options.fake,
        "clips": counts,
        "members": members,
        "frames": options.frames,
        "given": options.given,
        "size": list(size.size),
        **({"given_frames": told} if told else {}),
        "skipped": {clips.place: clips.skipped for clips in (real, fake) if clips.skipped},
        "scores": encoded(evaluation),
    }
    for clips in (real, fake):
        _report_skipped(clips)
    if options.output:
        text = json.dumps(found, indent=1, allow_nan=False) + "\n"
        write_text(Path(options.output), text)
    return _summary(found, evaluation)


def _opened(options: FolderOptions, side: str) -> ClipSet:
    place = getattr(options, side)
    if not place:
        raise InputError("two sets of clips are compared: give --real FOLDER and --fake FOLDER")
    height, width = options.size
    picture = Picture(height=height, width=width)
    collection = collection_at(place, getattr(options, f"{side}_scale"))
    return ClipSet.of(collection, place, picture, options.frames)


def _by_sets(real: ClipSet, fake: ClipSet, frames: int, size: OneSize) -> dict[str, Scores]:
    """Distances between two sets of clips whose names do not pair up."""
    distances = default_metrics().distances(frames)
    with Progress("clips", total=len(real) + len(fake), unit="clip") as progress:
        features = [_features(clips, distances, size, progress) for clips in (real, fake)]
    spaces = {distance.name: distance.space(_layout(size)) for distance in distances}
    found = {
        distance.name: distance.between(*(of[spaces[distance.name]] for of in features))
        for distance in distances
        if spaces[distance.name] is not None
    }
    return {"model": found}


def _features(clips: ClipSet, distances, size: OneSize, progress: Progress) -> dict[Any, np.ndarray]:
    """The features of all clips, `[n, d]`, in each feature space of the distances."""
    found: dict[Any, list[np.ndarray]] = {}
    for batch in _batches(clips, size, progress):
        for space in {distance.space(_layout(size)) for distance in distances} - {None}:
            found.setdefault(space, []).append(np.asarray(space(batch.astype(np.float32))))
    _check_enough(len(clips), 2, clips)
    return {space: np.concatenate(parts) for space, parts in found.items()}


def _batches(clips: ClipSet, size: OneSize, progress: Progress) -> Iterator[np.ndarray]:
    batch: list[np.ndarray] = []
    for entry in clips.entries:
        frames = clips.read(entry)
        progress.update(1)
        if frames is not None:
            size.check(clips, entry, frames)
            batch.append(frames)
            if len(batch) * frames.nbytes >= BATCH:
                yield np.stack(batch)
                batch = []
    if batch:
        yield np.stack(batch)


def _by_pairs(
    real: ClipSet,
    fake: ClipSet,
    pairs: Sequence[Pair],
    options: FolderOptions,
    size: OneSize,
    agreement: Agreement,
) -> tuple[dict[str, Scores], int]:
    """Scores of the forecasts of real clips, beside those of persistence where frames were given; and the
    number of pairs."""
    metrics = (*default_metrics().PAIRED_CLIPS, *default_metrics().distances(options.frames))
    running: dict[str, Running] = {}
    count = 0
    with Progress("clips", total=len(pairs), unit="pair") as progress:
        for pair in pairs:
            sample = _sample(real, fake, pair, size, agreement)
            progress.update(1)
            if sample is not None:
                count += 1
                running = running or _started(metrics, _layout(size), len(pair.fakes), options)
                for one in running.values():
                    one.update(sample)
    _check_enough(count, 1, real, fake)
    return {name: one.result() for name, one in running.items()}, count


def _started(
    metrics: Sequence[Metric], layout: Layout, members: int, options: FolderOptions
) -> dict[str, Running]:
    leads = options.frames - options.given
    setup = EvaluationSetup(layout=layout, leads=leads, members=members, given=options.given)
    running = {"model": Running(metrics, setup, lambda sample: sample)}
    if options.given:
        single = dataclasses.replace(setup, members=1)
        running["persistence"] = Running(metrics, single, persistence)
    return running


def _sample(real: ClipSet, fake: ClipSet, pair: Pair, size: OneSize, agreement: Agreement) -> Sample | None:
    """A real clip and its forecasts; None where one of them cannot be used."""
    truth, found = real.read(pair.real), [fake.read(entry) for entry in pair.fakes]
    forecasts = [frames for frames in found if frames is not None]
    if truth is None or len(forecasts) < len(found):
        return None
    size.check(real, pair.real, truth)
    for entry, frames in zip(pair.fakes, forecasts, strict=True):
        size.check(fake, entry, frames)
    truth, forecast = truth.astype(np.float32), np.stack(forecasts).astype(np.float32)
    given = agreement.given
    if given:
        agreement.update(truth, forecast)
    return Sample(
        first=0,
        forecast=forecast[:, given:],
        truth=truth[given:],
        climatology=np.full_like(truth[given:], np.nan),  # there is none
        given=truth[: max(given, 1)],
    )


def _layout(size: OneSize) -> Layout:
    """A layout of pictures whose time is counted in frames."""
    return dataclasses.replace(video(*size.size), time_units="1")


def _check_enough(found: int, least: int, *sets: ClipSet) -> None:
    if found < least:
        why = next((f" ({name}: {why})" for clips in sets for name, why in clips.skipped.items()), "")
        raise InputError(
            f"there are too few clips in {' and '.join(clips.place for clips in sets)}: {found} can be"
            f" used{why}, and at least {least} are needed; `rolling evaluate --help` says how clips are read"
        )


def _warn_compressed(*sets: ClipSet) -> None:
    compressed = [c.place for c in sets if is_compressed(c.collection, c.entries[0])]
    if compressed:
        places = " and ".join(dict.fromkeys(compressed))
        print(
            f"measured on compressed files: what codecs remove from {places} counts as error, too",
            file=sys.stderr,
        )


def _report_skipped(clips: ClipSet) -> None:
    if clips.skipped:
        name, why = next(iter(clips.skipped.items()))
        print(
            f"left out of {clips.place}: {counted(len(clips.skipped), 'clip')}, such as {name}: {why}",
            file=sys.stderr,
        )


def _summary(found: dict[str, Any], evaluation: Evaluation) -> str:
    """What was compared, the metrics of a single value, and the curves against the lead in frames."""
    clips, (height, width) = found["clips"], found["size"]
    head = (
        f"{counted(clips['fake'], 'fake clip')} against {counted(clips['real'], 'real one')}:"
        f" {counted(found['frames'], 'frame')} of {height} x {width}, {found['given']} of them given"
    )
    if not found["members"]:
        head += "\nThe names of fake and real clips do not pair up: they are compared as sets only."
    if "given_frames" in found:
        head += f"\n{found['given_frames']}"
    parts = [head, single_values(evaluation)]
    for curve, title in (("model", "fake clips"), ("persistence", "the last given frame, repeated")):
        lines = against_lead(evaluation, curve)
        parts.append(f"{title}\n{lines}" if lines else "")
    return "\n\n".join(filter(None, parts))
