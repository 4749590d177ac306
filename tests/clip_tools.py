"""Small video files, written where a test wants them."""

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

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


def write_sound(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))
    return path
