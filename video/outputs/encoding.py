"""Writes frames to a video file with PyAV, which is imported only when a file is written."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np

from rolling.common.errors import InputError

BT709 = 1  # of ITU-T H.273, tables 2 and 3


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
) -> None:
    """Writes frames `uint8 [*shape, 3]` one by one, in the pixel format `pixels`.

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
