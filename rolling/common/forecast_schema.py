"""A forecast on disk: its names, dimensions and attributes, for all who write or read one.

A store holds one variable for each of the layout's, with the dimensions (start, number, prediction_timedelta,
y, x). Along the first, `sequence` and `frame` say with which frame of which test sequence a forecast begins,
and `time` is that of the frame before, the last that was given.
"""

from collections.abc import Mapping
from typing import Any

from rolling.fields import Layout

STORE = "forecast.zarr"  # in the folder of a run

TIME, START = "time", "start"
LEAD = "prediction_timedelta"
MEMBER = "number"
SEQUENCE, FRAME = "sequence", "frame"

# Attributes.
IDENTITY = "rolling_forecast"  # all that decides the frames, as JSON
COMPLETE = "rolling_complete"
GIVEN = "given_frames"
NAMES = "sequence_names"  # of each start


def start_dimension(layout: Layout) -> str:
    """The name of a store's first dimension."""
    return TIME if layout.has_calendar else START


def dimensions(layout: Layout) -> tuple[str, ...]:
    return (start_dimension(layout), MEMBER, LEAD, layout.y.name, layout.x.name)


def is_unfinished(attributes: Mapping[str, Any]) -> bool:
    """Whether a rollout is under way, or was stopped; a store of another program has neither mark."""
    return IDENTITY in attributes and not attributes.get(COMPLETE, False)
