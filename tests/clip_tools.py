"""Small video files, written where a test wants them, and a collection of clips without any file."""

import dataclasses
import os
import signal
import time
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.clips.protocol import TEST, TRAIN, BadClip, Block, Entry

TICKS = 1000  # of the clock, in a second


def levels(count: int, height: int = 32, width: int = 32) -> np.ndarray:
    """Frames `[T, H, W, 1]` of one grey each, by which they are known: 4 times the frame's number."""
    return (
        np.full((count, height, width, 1), 4, np.uint8)
        * np.arange(count, dtype=np.uint8)[:, None, None, None]
    )


def write_video(
    path: Path,
    frames: np.ndarray,
    *,
    rate: int = 10,
    codec: str = "ffv1",
    times=None,
    aspect: Fraction | None = None,
    turned: int = 0,
    key_frames: int = 12,
) -> Path:
    """Writes `frames [T, H, W, C]`, lossless by default, at `times` in seconds or `rate` a second."""
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        grey = frames.shape[-1] == 1
        stream.pix_fmt = ("gray" if grey else "bgr0") if codec == "ffv1" else "yuv420p"
        stream.codec_context.gop_size = key_frames
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if turned:
            stream.set_display_rotation(turned)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, TICKS)
        for number, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(*((array[..., 0], "gray") if grey else (array, "rgb24")))
            if times is not None:
                frame.pts, frame.time_base = round(times[number] * TICKS), Fraction(1, TICKS)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


def write_film(
    path: Path,
    *sounds: np.ndarray,
    pictures: int = 20,
    rate: int = 10,
    samples: int = 48_000,
    codec: str = "pcm_s16le",
    layout: str = "mono",
    late: float = 0.0,
    first_picture: float = 0.0,
) -> Path:
    """Writes pictures, `rate` a second, and tracks `[channel, sample]`, `samples` a second, that begin `late`
    seconds into the file; the first picture is shown at `first_picture`. Those of other names differ."""
    av = pytest.importorskip("av")
    blocks = np.random.default_rng(list(path.name.encode())).integers(0, 256, (pictures, 4, 4, 3), np.uint8)
    pixels = blocks.repeat(8, axis=1).repeat(8, axis=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=rate)
        video.width = video.height = 32
        video.pix_fmt, video.codec_context.time_base = "yuv420p", Fraction(1, TICKS)
        tracks = [container.add_stream(codec, rate=samples, layout=layout) for _ in sounds]
        for number in range(pictures):
            frame = av.VideoFrame.from_ndarray(pixels[number], "rgb24")
            frame.pts, frame.time_base = round((first_picture + number / rate) * TICKS), Fraction(1, TICKS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for track, sound in zip(tracks, sounds, strict=True):
            whole = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound, np.float32), "fltp", layout)
            whole.sample_rate, whole.time_base = samples, Fraction(1, samples)
            whole.pts = round(late * samples)
            size = track.codec_context.frame_size or 1024
            cut = av.AudioResampler(track.codec_context.format, layout, samples, frame_size=size)
            for frame in cut.resample(whole) + cut.resample(None):
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return path


def write_sound(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))
    return path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """Clips made up on the spot: clip `i` of `count`; what its name says goes wrong with it."""

    count: int = 12
    actions: int = 0
    tokens: int = 0
    odd: tuple[str, ...] = ()  # "NUMBER how"
    pause: float = 0.0

    def entries(self):
        return [
            Entry(name=f"clip{i}", split=TEST if i % 4 == 3 else TRAIN, label="ab"[i % 2])
            for i in range(self.count)
        ]

    def read(self, entry, picture):
        number = int(entry.name.removeprefix("clip"))
        how = dict(word.split() for word in self.odd).get(str(number), "")
        rng = np.random.default_rng(number)
        time.sleep(self.pause)
        actions = self.actions + (how == "many")
        for block in range(3):
            if block == 2 and how in BREAKS:
                BREAKS[how]()
            shape = (5, picture.height, picture.width, picture.channels)
            told = {}
            if actions:
                told["actions"] = np.full((5, actions), number + block / 10, np.float32)
            if self.tokens:
                told["tokens"] = np.full((3, self.tokens), number, np.float32)
            yield Block(frames=rng.integers(0, 256, shape, np.uint8), **told)


def fail():
    raise BadClip("it is bad")


def stumble():
    raise KeyError("header")


def die():
    os.kill(os.getpid(), signal.SIGSEGV)


def need():
    raise InputError("a library is missing")


BREAKS = {"bad": fail, "stumble": stumble, "die": die, "need": need}
