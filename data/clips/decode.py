"""One video file as blocks of small pictures: decoded in order, resampled in time, resized and cropped.

Containers are not trusted about where frames are: files are decoded from their start, or from a key frame
as long as nothing contradicts it. Large collections are full of broken timestamps and wrong key frames.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rolling.common.errors import InputError
from rolling.data.clips.protocol import BadClip, Block, Picture
from rolling.data.untrusted import Refused
from rolling.data.untrusted.videos import limit_pixels, open_video

BLOCK = 32  # frames per block
FAR = 2.0  # seconds; a cut that starts later is worth a seek
LONGEST_GAP = 10.0  # seconds between frames beyond which timestamps are not trusted
SHORTFALL = 0.05  # share of the promised length that may be missing


class _Unreliable(Exception):
    """Evidence against one way of reading a file; another way may work."""


@dataclasses.dataclass(frozen=True)
class _Strategy:
    """How a file is read: from a key frame before the cut or from its start, by timestamps or by counting."""

    seek: bool = False
    count: bool = False


def read_video(
    path: Path, picture: Picture, start: float = 0.0, stop: float | None = None
) -> Iterator[Block]:
    """The frames from `start` to `stop`, in seconds after the first one.

    With a rate, output frame k is the frame whose time is nearest to `start + k / rate`, so that a variable
    frame rate becomes constant. If timestamps are missing, go backwards or jump, frame i is taken to be shown
    at `i / average rate`. A corrupt frame, or the end of a file that was cut short, ends the clip, and the
    last block says so. Raises `BadClip` if not even the first frame is left, `InputError` without PyAV.
    """
    check_file(path)
    ways = ([_Strategy(seek=True)] if start > FAR else []) + [_Strategy(), _Strategy(count=True)]
    for place, way in enumerate(ways):
        handed = False
        try:
            for block in _blocks(path, picture, start, stop, way):
                handed = True
                yield block
            return
        except (_Unreliable, BadClip) as problem:
            hopeless = isinstance(problem, BadClip) and not way.seek
            if hopeless or handed or place == len(ways) - 1:  # blocks already yielded cannot be taken back
                raise BadClip(str(problem)) from None


def check_file(path: Path) -> None:
    """Raises `BadClip` for a file that is missing or empty."""
    if not path.is_file():
        raise BadClip("the file is missing")
    if path.stat().st_size == 0:
        raise BadClip("the file is empty")


def library():
    """PyAV. Raises `InputError` where it is not installed."""
    try:
        import av
        import av.error
        import av.stream
    except ImportError:
        raise InputError("reading videos needs PyAV: pip install 'rolling-diffusion[video]'") from None
    return av


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its video stream; errors of the library become `BadClip`."""
    av = library()
    try:
        with open_video(av, path) as container:
            cover = av.stream.Disposition.attached_pic
            streams = [s for s in container.streams.video if not s.disposition & cover]
            if not streams:
                raise BadClip("there is no video stream in it")
            if streams[0].codec_context is None:
                raise BadClip("its codec is not known to PyAV")
            limit_pixels(streams[0])
            streams[0].thread_type = "NONE"  # all cores are kept busy by several files at once
            yield container, streams[0]
    except Refused as error:
        raise BadClip(str(error)) from None
    except av.error.FFmpegError as error:
        raise BadClip(f"it cannot be decoded: {error.strerror or error}") from None


def _blocks(
    path: Path, picture: Picture, start: float, stop: float | None, way: _Strategy
) -> Iterator[Block]:
    faults: list[str] = []
    with opened(path) as (container, stream):
        rate = float(stream.average_rate or 0) or None
        frames = _timed(container, stream, start, way, faults)
        if start > 0 or stop is not None:
            frames = _cut(frames, start, stop)
        if picture.rate is None:
            chosen = ((frame, 1) for _, _, frame in frames)
        else:
            chosen = _resampled(frames, picture.rate, start)
        fit = _Resizer(picture, float(stream.sample_aspect_ratio or 1))
        block, filled = np.empty(0, np.uint8), 0
        for frame, times in chosen:
            small = fit(frame)
            for _ in range(times):
                if filled == len(block):
                    if filled:
                        yield Block(frames=block, rate=rate)
                    block, filled = np.empty((BLOCK, *small.shape), np.uint8), 0
                block[filled] = small
                filled += 1
        if filled:
            yield Block(frames=block[:filled], rate=rate, fault="".join(faults))


def _timed(
    container, stream, start: float, way: _Strategy, faults: list[str]
) -> Iterator[tuple[float, float, Any]]:
    """Each frame with its time after the first one and its duration, in seconds; up to the first one that is
    corrupt; `faults` is told of it."""
    rate = stream.average_rate or stream.guessed_rate
    shown = 1 / float(rate) if rate else 0.0
    if way.count and not shown:
        raise BadClip("its frames have no times, and it has no frame rate")
    first = None if stream.start_time is None else float(stream.start_time * stream.time_base)
    if way.seek:
        if first is None:
            raise _Unreliable("it does not say when it begins")
        container.seek(int((start + first) / stream.time_base), stream=stream)
    packets = count = 0
    last = 0.0
    for packet in container.demux(stream):
        packets += packet.size > 0
        for frame in _decoded(packet, count):
            if frame is None or frame.is_corrupt:
                if way.seek or not count:
                    raise BadClip(f"frame {count} is corrupt")
                faults.append(f"frame {count} is corrupt")
                return
            time = count * shown if way.count else frame.time
            if time is None:
                raise _Unreliable(f"frame {count} has no time")
            if not way.count:
                first = time if first is None or not (way.seek or count) else first
                time -= first
                if count:
                    _check_times(last, time, count)
                elif way.seek and time > start:
                    raise _Unreliable("a seek did not find the frame before the cut")
            yield time, shown, frame
            last, count = time, count + 1
    if not count:
        raise BadClip("there are no frames in it")
    if not way.seek:
        faults += _missing(container, stream, packets, None if way.count else last + shown)


def _decoded(packet, count: int) -> list[Any]:
    """The frames of a packet; None for those of a packet that cannot be decoded, unless it is the first."""
    try:
        return packet.decode()
    except library().error.FFmpegError:
        if not count:
            raise
        return [None]


def _check_times(last: float, time: float, count: int) -> None:
    if time <= last:
        raise _Unreliable(f"the time of frame {count} is not after that of the frame before it")
    if time - last > LONGEST_GAP:
        raise _Unreliable(f"nothing is shown for {time - last:.0f} s before frame {count}")


def _missing(container, stream, packets: int, end: float | None) -> Iterator[str]:
    """A sentence on a file that promises more than it holds: the rest is lost. `end` is the time at which its
    last frame ends, None if its timestamps are not used."""
    if packets < stream.frames - max(1, SHORTFALL * stream.frames):
        yield f"it holds {packets} of the {stream.frames} frames that it promises"
    elif end is not None and not stream.frames and len(container.streams) == 1 and container.duration:
        promised = container.duration / 1e6
        if end < promised - max(0.5, SHORTFALL * promised):
            yield f"it ends after {end:.1f} s of the {promised:.1f} s that it promises"


def _cut(frames, start: float, stop: float | None):
    some = False
    for time, shown, frame in frames:
        # A frame is shown until the next one.
        if stop is not None and time >= stop - 1e-6:
            break
        if time + 0.9 * shown > start:
            some = True
            yield time, shown, frame
    if not some:
        raise BadClip(
            f"there are no frames in it between {start:g} s and {'its end' if stop is None else stop} s"
        )


def _resampled(frames, rate: float, start: float) -> Iterator[tuple[Any, int]]:
    """Frames, each with the number of times `start + k / rate` to which it is nearest; those with none are
    left out."""
    done, previous = 0, None
    for current in frames:
        if previous is not None:
            middle = (previous[0] + current[0]) / 2
            # Rounded, so that ties, up to half a tick of the coarsest clock, always fall the same way.
            until = int(np.ceil(round((middle - start) * rate, 6)))
            if until > done:
                yield previous[2], until - done
                done = until
        previous = current
    assert previous is not None  # `_timed` and `_cut` give a frame or raise
    until = int(np.ceil((previous[0] + previous[1] - start) * rate - 0.05))
    if until > done:
        yield previous[2], until - done


class _Resizer:
    """A frame as an array `[height, width, channel]`: upright, in square pixels, resized by the short side
    and centre-cropped."""

    def __init__(self, picture: Picture, aspect: float):
        from av.video.reformatter import Interpolation, VideoReformatter

        self.picture, self.aspect = picture, aspect if picture.height else 1.0
        self.reformatter = VideoReformatter()  # it reuses its state from frame to frame
        # Area averages do not alias, but exist only for shrinking. Without the two other flags, white is 253
        # and everything is slightly too dark.
        exact = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
        self.shrink, self.grow = Interpolation.AREA | exact, Interpolation.BICUBIC | exact
        self.format = "rgb24" if picture.colour else "gray"
        self.plan: tuple = ()

    def __call__(self, frame) -> np.ndarray:
        key = (frame.width, frame.height, frame.rotation)
        if not self.plan or self.plan[0] != key:
            self.plan = (key, *self._planned(frame))
        _, (width, height), interpolation, turns, rows, columns = self.plan
        small = self.reformatter.reformat(
            frame, width, height, self.format, interpolation=interpolation, threads=1
        )
        plane, channels = small.planes[0], self.picture.channels
        buffer: Any = plane  # it has the buffer protocol, which its stub does not say
        lines = np.frombuffer(buffer, np.uint8).reshape(-1, plane.line_size)  # padded at their ends
        array = lines[:height, : width * channels].reshape(height, width, channels)
        return (np.rot90(array, turns) if turns else array)[rows, columns]

    def _planned(self, frame) -> tuple:
        turns = round(frame.rotation / 90) % 4
        shape = frame.height, frame.width * self.aspect
        shape = shape[::-1] if turns % 2 else shape
        tall, wide = self.picture.size(*map(round, shape))
        scale = max(tall / shape[0], wide / shape[1])
        # Even margins, so that the crop is exactly centred, not half a pixel off.
        height = tall + 2 * round((shape[0] * scale - tall) / 2)
        width = wide + 2 * round((shape[1] * scale - wide) / 2)
        rows = slice((height - tall) // 2, (height - tall) // 2 + tall)
        columns = slice((width - wide) // 2, (width - wide) // 2 + wide)
        size = (height, width) if turns % 2 else (width, height)
        return size, self.shrink if scale < 1 else self.grow, turns, rows, columns
