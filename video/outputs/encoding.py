"""Writes frames to a video file with PyAV, which is imported only when a file is written."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from rolling.common.errors import InputError

BT709 = 1  # of ITU-T H.273, tables 2 and 3
AAC = "aac"
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
"""Samples per second that AAC knows; others become the next of them."""


class Sound(NamedTuple):
    """Samples from -1 to 1, of one channel, and how many there are to a second."""

    samples: np.ndarray
    rate: int


def check_encoder(codec: str, what: str) -> None:
    """Raises `InputError` if PyAV or one of its encoders is missing."""
    try:
        import av.codec
    except ImportError:
        raise InputError(
            f"{what} is written by PyAV, which is not installed: `pip install av`, or leave it out of"
            " `outputs`"
        ) from None
    try:
        av.codec.Codec(codec, "w")
    except ValueError:  # what PyAV raises for an unknown codec
        raise InputError(
            f"{what} is written by {codec}, which this PyAV was built without: `pip install --upgrade av`, or"
            " leave it out of `outputs`"
        ) from None


def encode_video(
    frames: Iterator[np.ndarray],
    path: Path,
    *,
    shape: tuple[int, int],
    form: str,
    codec: str,
    pixels: str,
    rate: Fraction,
    options: Mapping[str, str],
    sound: Sound | None = None,
) -> None:
    """Writes frames `uint8 [*shape, 3]` one by one, in the pixel format `pixels`, with their sound.

    Chroma follows BT.709, and the file says so: without the label, players guess from the size.
    """
    import av
    from av.error import FFmpegError
    from av.video.reformatter import ColorRange, Colorspace

    try:
        # With its index in front, an mp4 file plays in a browser before it is fully loaded.
        table = {"movflags": "faststart"} if form == "mp4" else {}
        with av.open(str(path), "w", format=form, options=table) as container:
            stream = cast(av.VideoStream, container.add_stream(codec, rate=rate, options=dict(options)))
            stream.height, stream.width = shape
            stream.pix_fmt, in_yuv = pixels, pixels.startswith("yuv")
            if in_yuv:
                context = stream.codec_context
                context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
                context.color_primaries = context.color_trc = BT709
            if sound is not None:
                _add_sound(container, sound)
            for array in frames:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
                if in_yuv:
                    frame = frame.reformat(
                        format=pixels, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
                    )
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except FFmpegError as error:
        raise OSError(f"{codec}: {error}") from error


def _add_sound(container: Any, sound: Sound) -> None:
    import av

    rate = next((rate for rate in AAC_RATES if rate >= sound.rate), AAC_RATES[-1])
    stream = cast(av.AudioStream, container.add_stream(AAC, rate=rate, layout="mono"))
    samples = np.ascontiguousarray(sound.samples, np.float32)[None]
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate, frame.pts = sound.rate, 0
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate)
    for piece in (*resampler.resample(frame), *resampler.resample(None)):
        container.mux(stream.encode(piece))
    container.mux(stream.encode())
