"""Pictures: few formats, told apart by their content, and no more pixels than a camera has.

Without a list Pillow tries everything it knows, and for EPS it starts another program.
"""

import warnings
from pathlib import Path
from typing import IO

from PIL import Image

from rolling.data.untrusted import Refused
from rolling.data.untrusted.sizes import check_regular

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF")
LARGEST = 2**27  # pixels: 8 times as many as 4K video has


def open_picture(file: Path | IO[bytes]) -> Image.Image:
    """A picture, not decoded yet, for use in a `with`. Raises `Refused` where it is too large, and Pillow's
    own error where it is of none of `FORMATS`."""
    if isinstance(file, Path):
        check_regular(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # its limit is lower than ours
            image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise Refused(f"a picture has too many pixels ({error})") from None
    check_pixels(*image.size)
    return image


def check_pixels(width: int, height: int) -> None:
    if width * height > LARGEST:
        raise Refused(
            f"its pictures have {width} x {height} pixels, more than the {LARGEST:,} that are decoded at once"
        )
