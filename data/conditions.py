"""What a network is told of the frames of a sequence, beside the frames themselves."""

import numpy as np

from rolling.common.errors import InputError
from rolling.data import calendar
from rolling.data.source import Sequences, Told
from rolling.fields import Layout


def vector_size(layout: Layout) -> int:
    """Numbers that go with each frame."""
    return calendar.feature_size(layout) + layout.actions


def check_actions(sequences: Sequences, index: int, stop: int) -> None:
    """Raises `InputError` where the frames before `stop` want actions and have none."""
    if sequences.layout.actions and stop > sequences.length(index):
        raise InputError(
            f"each frame is told {sequences.layout.actions} actions, and they are known of"
            f" {sequences.length(index)} frames in a row, not of {stop}: ask for a shorter forecast, or give"
            " more actions"
        )


def told(sequences: Sequences, index: int, start: int, stop: int) -> dict[str, np.ndarray]:
    """The parts of a condition that the layout has: `label []`, `tokens [n, d]`, and `vectors [T, f]`, the
    calendar's features before the actions.

    A window looks at frames beyond the last one that is wanted: there the last action goes on.
    """
    layout = sequences.layout
    end = min(stop, sequences.length(index)) if layout.actions else stop
    # At least one frame is asked for, where all lie beyond.
    found = sequences.told(index, min(start, end - 1), end) if isinstance(sequences, Told) else {}
    vectors = []
    if layout.features:
        vectors.append(calendar.features(layout, sequences.times(index, start, stop)))
    if layout.actions:
        at = np.minimum(np.arange(start, stop), end - 1) - min(start, end - 1)
        vectors.append(found.pop("actions")[at])
    return found | ({"vectors": np.concatenate(vectors, axis=-1)} if vectors else {})


def label(sequences: Sequences, index: int) -> str:
    """The name of the class of a sequence; empty where it has none."""
    if not sequences.layout.labels or not isinstance(sequences, Told):
        return ""
    number = int(sequences.told(index, 0, 1)["label"])
    return sequences.layout.labels[number] if number >= 0 else ""
