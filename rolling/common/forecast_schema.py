"""A forecast on disk: its names, dimensions and attributes, shared by everything that writes or reads one.

A store holds one variable for each of the layout's, with the dimensions (start, number, prediction_timedelta,
y, x). Along the first, `sequence` and `frame` give the test sequence and the frame in it at which a forecast
starts, and `time` is the time of the frame before it, the last given one.

`prediction_timedelta` are durations; of data whose steps are calendar months, which differ in length, whole
numbers of months; and numbers where time is one. Where times are dates `valid_time`, over (time,
prediction_timedelta), says exactly when each frame is valid, in the calendar of the data.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rolling.layout import Layout

STORE = "forecast.zarr"  # in the folder of a run
SUFFIX = ".zarr"

TIME, START = "time", "start"
VALID = "valid_time"
LEAD = "prediction_timedelta"
MEMBER = "number"
SEQUENCE, FRAME = "sequence", "frame"

# Attributes.
IDENTITY = "rolling_forecast"  # everything that determines the frames, as JSON
COMPLETE = "rolling_complete"
SEAL = "rolling_seal"  # a checksum of the metadata
GIVEN = "given_frames"
NAMES = "sequence_names"  # one for each start


def run_of(path: Path) -> Path:
    """The folder of the run of a store, or of a group of a store of several modalities."""
    return path.parent.parent if path.parent.suffix == SUFFIX else path.parent


def start_dimension(layout: Layout) -> str:
    """The name of a store's first dimension."""
    return TIME if layout.has_calendar else START


def dimensions(layout: Layout) -> tuple[str, ...]:
    return (start_dimension(layout), MEMBER, LEAD, *(axis.name for axis in layout.axes))


def is_unfinished(attributes: Mapping[str, Any]) -> bool:
    """Whether a rollout is running or was stopped; a store of another program has neither attribute."""
    return IDENTITY in attributes and not attributes.get(COMPLETE, False)
