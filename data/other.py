"""Data that a network was not trained on, read to forecast from them."""

from rolling.data.gridded.other import AsFields
from rolling.data.source import ReadsOther, Source
from rolling.fields import Layout


def reader(source: Source, layout: Layout) -> ReadsOther | None:
    """What reads other data of a source's kind: the source itself, where it is a `ReadsOther`, else what
    reads gridded fields by the names, units and axes of a layout; None for pictures, which have none."""
    if isinstance(source, ReadsOther):
        return source
    return None if layout.is_video else AsFields()
