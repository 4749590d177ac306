"""Data that a network was not trained on, read to forecast from them."""

import numpy as np
import xarray as xr

from rolling.data.clips.as_pictures import AsPictures
from rolling.data.gridded.as_fields import AsFields
from rolling.data.source import ReadsOther, Sequences, Source
from rolling.layout import Layout


def read_other(source: Source, layout: Layout, mask: np.ndarray | None, data: str | xr.Dataset) -> Sequences:
    """Other data than those of training: read by the source that the network was trained on, where it is a
    `ReadsOther`, else as pictures, or as fields on a grid, by the names, units and axes of the layout.

    Raises `InputError` where `data` do not have what the layout asks for.
    """
    kind = AsPictures() if layout.is_video else AsFields()
    return (source if isinstance(source, ReadsOther) else kind).read_like(layout, mask, data)
