"""What a network is told of the frames of a sequence, beside the frames themselves."""

import numpy as np

from data import calendar
from data.source import Sequences, Told
from rolling.fields import Layout


def vector_size(layout: Layout) -> int:
    """Numbers that go with each frame."""
    return calendar.feature_size(layout) + layout.actions


def told(sequences: Sequences, index: int, start: int, stop: int) -> dict[str, np.ndarray]:
    """The parts of a condition that the layout has: `label []`, `tokens [n, d]`, and `vectors [T, f]`, the
    calendar's features before the actions."""
    layout = sequences.layout
    found = sequences.told(index, start, stop) if isinstance(sequences, Told) else {}
    vectors = []
    if layout.features:
        vectors.append(calendar.features(layout, sequences.times(index, start, stop)))
    if layout.actions:
        vectors.append(found.pop("actions"))
    return found | ({"vectors": np.concatenate(vectors, axis=-1)} if vectors else {})


def label(sequences: Sequences, index: int) -> str:
    """The name of the class of a sequence; empty where it has none."""
    if not sequences.layout.labels or not isinstance(sequences, Told):
        return ""
    number = int(sequences.told(index, 0, 1)["label"])
    return sequences.layout.labels[number] if number >= 0 else ""
