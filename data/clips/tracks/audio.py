"""The sound of one video file: decoded from its start, mixed to one channel, at any rate."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rolling.data.clips.decode import check_file, library, opened
from rolling.data.clips.protocol import BadClip

GAP = 0.05  # seconds that the times of frames may be off before they are followed
SOURCE_RATES = (4_000, 768_000)  # samples a second of a file: outside of them few samples would become many
FULL_SCALE = 32768.0


class Sound(NamedTuple):
    """Samples `[count]` from -1 to 1, float32, of which the first `known` are there; `fault` says why others
    are not. `several` is whether the file has other tracks, too."""

    samples: np.ndarray
    known: int
    fault: str
    several: bool


def read_sound(path: Path, rate: int, count: int, start: float = 0.0) -> Sound:
    """`count` samples, `rate` a second, from `start` on, in seconds after the first picture.

    Of several tracks that which is marked as the default is read, or else the first. FFmpeg mixes its
    channels to one, so that nothing becomes louder than they are. Where the track has no sound, as it begins
    late, ends early or leaves something out, there is silence; what comes after the first part that cannot be
    decoded is not known. Raises `BadClip` where nothing is.
    """
    check_file(path)
    begin = _first_picture(path) + start
    samples, av = np.zeros(count, np.float32), library()
    place, fault = 0, ""
    with opened(path) as (container, _):
        stream, several = _track(container)
        pieces = _pieces(av, container, stream, rate)
        while place < count:
            try:
                time, piece = next(pieces, (None, None))
            except (av.error.FFmpegError, ValueError) as error:
                fault = f"its sound cannot be decoded: {getattr(error, 'strerror', None) or error}"
                break
            if piece is None:
                place = count
                break
            place = place if time is None else round((time - begin) * rate)
            _put(samples, place, piece)
            place += len(piece)
    known = min(max(place, 0), count)
    samples[known:] = 0
    if fault and not known:
        raise BadClip(fault)
    return Sound(samples, known, fault, several)


def _first_picture(path: Path) -> float:
    """The time of the first picture in the clock of the file, from which those of clips are counted."""
    with opened(path) as (container, stream):
        for frame in container.decode(stream):
            if frame.time is not None:
                return frame.time
            break
        return float((stream.start_time or 0) * stream.time_base)


def _track(container: Any) -> tuple[Any, bool]:
    streams = container.streams.audio
    if not streams:
        raise BadClip("it has no sound")
    default = library().stream.Disposition.default
    stream = next((s for s in streams if s.disposition & default), streams[0])
    context = stream.codec_context
    if context is None:
        raise BadClip("the codec of its sound is not known to PyAV")
    low, high = SOURCE_RATES
    if not low <= (context.sample_rate or low) <= high:
        raise BadClip(f"its sound has {context.sample_rate} samples a second, not {low} to {high}")
    return stream, len(streams) > 1


def _pieces(av: Any, container: Any, stream: Any, rate: int) -> Iterator[tuple[float | None, np.ndarray]]:
    """The samples in order, each piece with its time in the clock of the file, or None if it follows on the
    one before.

    Times are followed only where they differ from a count of the samples: many files round them.
    """
    resampler, kind, origin, counted = None, None, 0.0, 0
    for packet in container.demux(stream):
        for frame in packet.decode():
            found = (frame.format.name, frame.layout.name, frame.sample_rate)
            expected = origin + counted / frame.sample_rate
            time = expected if frame.time is None else frame.time
            follows = found == kind and abs(time - expected) <= GAP
            if resampler is None or not follows:
                if not SOURCE_RATES[0] <= frame.sample_rate <= SOURCE_RATES[1]:
                    raise ValueError(f"{frame.sample_rate} samples a second")
                if resampler is not None:
                    yield None, _samples(resampler.resample(None))
                resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
                kind, origin, counted, follows = found, time, 0, False
            counted += frame.samples
            frame.pts = None  # as the resampler would follow them, too
            yield None if follows else time, _samples(resampler.resample(frame))
    if resampler is not None:
        yield None, _samples(resampler.resample(None))


def _samples(frames: list[Any]) -> np.ndarray:
    parts = [frame.to_ndarray().reshape(-1) for frame in frames]
    return np.concatenate([np.zeros(0), *parts]).astype(np.float32) / np.float32(FULL_SCALE)


def _put(samples: np.ndarray, place: int, piece: np.ndarray) -> None:
    begin, end = max(place, 0), min(place + len(piece), len(samples))
    if begin < end:
        samples[begin:end] = piece[begin - place : end - place]
