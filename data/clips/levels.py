"""Grey levels, in which pictures come from outside."""

import numpy as np

from rolling.common.errors import InputError
from rolling.layout import Layout


def check_levels(frames: np.ndarray, dtype: np.dtype, layout: Layout) -> None:
    """Raises `InputError` for pictures that are not in grey levels; bytes always are."""
    if not layout.is_video or dtype == np.uint8 or not frames.size:
        return
    low, high = frames.min(), frames.max()
    if not (low >= 0 and 1 < high <= 255):
        raise InputError(
            f"pictures are given in grey levels from 0 to 255, and these lie between {low:g} and {high:g}:"
            " scale them"
        )
