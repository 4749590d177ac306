"""Video files: containers that hold their own pictures, read through nothing but the file itself.

A playlist or a list of parts may call itself mp4, and FFmpeg would fetch what it names; a file name such as
`concat:a|b` is an address to it.
"""

import os
from pathlib import Path
from typing import Any

from rolling.data.untrusted import Refused
from rolling.data.untrusted.pictures import LARGEST, check_pixels

FORMATS = ("mov", "matroska", "avi", "mpeg", "mpegvideo", "m4v", "mpegts", "asf", "flv", "ogg", "gif")


def open_video(av: Any, path: Path) -> Any:
    """A container of PyAV, the library `av`, for use in a `with`. Raises `Refused` for other formats, and
    PyAV's own errors."""
    limits = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}
    try:
        return av.open("file:" + os.path.abspath(path), metadata_errors="ignore", options=limits)
    except av.error.ArgumentError:
        kinds = ", ".join(FORMATS)
        raise Refused(f"it is damaged, or of none of the formats that are read ({kinds})") from None


def limit_pixels(stream: Any) -> None:
    """Before a stream is decoded: raises `Refused` if its frames are too large, and has the decoder do so for
    frames that become larger."""
    check_pixels(stream.codec_context.width, stream.codec_context.height)
    stream.codec_context.options = {"max_pixels": str(LARGEST)}
