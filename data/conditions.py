"""What a network is conditioned on for the frames of a sequence, beside the frames themselves."""

from typing import Any

import numpy as np

from rolling.common.errors import InputError
from rolling.data import calendar
from rolling.data.joint_sequences import JointSequences
from rolling.data.source import Sequences
from rolling.layout import Layout


def vector_size(layout: Layout) -> int:
    """Numbers that go with each frame."""
    return calendar.feature_size(layout) + layout.actions + len(layout.parameters)


def check_actions(sequences: Sequences | JointSequences, index: int, stop: int) -> None:
    """Raises `InputError` where the frames before `stop` need actions, or forcings, and have none."""
    if isinstance(sequences, JointSequences):
        for name, part in sequences.parts.items():
            check_actions(part, index, stop // sequences.layout.every[name])
        return
    layout, length = sequences.layout, sequences.length(index)
    wanted = ((layout.actions, "actions"), (layout.forcings, "forcings"))
    names = " and ".join(f"{count} {name}" for count, name in wanted if count)
    if names and stop > length:
        raise InputError(
            f"the network is conditioned on {names} of each frame, and they are known of {length} frames in a"
            f" row, not of {stop}: ask for a shorter forecast, or give more of them"
        )


def conditioning(sequences: Sequences | JointSequences, index: int, start: int, stop: int) -> dict[str, Any]:
    """The parts of a condition that the layout has: `label []`, `tokens [n, d]`, `vectors [T, f]`, the
    calendar's features before the actions and the parameters, `fields [T, *space, f]` and
    `constants [*space, f]`.

    A window looks at frames beyond the last one that is wanted: there the last action, parameter or
    field goes on. Of several modalities `{"of": ...}` has these parts of each, for ticks in place of frames.
    """
    if isinstance(sequences, JointSequences):
        every = sequences.layout.every
        return {
            "of": {
                name: conditioning(part, index, start // every[name], stop // every[name])
                for name, part in sequences.parts.items()
            }
        }
    layout = sequences.layout
    # At least one frame is asked for, where all lie beyond.
    end = max(1, min(stop, sequences.length(index)))
    first = min(start, end - 1)
    found = dict(sequences.conditioning(index, first, end))
    at = np.minimum(np.arange(start, stop), end - 1) - first
    vectors = []
    if layout.features:
        vectors.append(calendar.features(layout, sequences.times(index, start, stop)))
    if layout.actions:
        vectors.append(found.pop("actions")[at])
    if layout.parameters:
        vectors.append(found.pop("parameters")[at])
    if vectors:
        found["vectors"] = np.concatenate(vectors, axis=-1)
    if layout.forcings:
        found["fields"] = found["fields"][at]
    return found


def label(sequences: Sequences, index: int) -> str:
    """The name of the class of a sequence; empty where it has none."""
    layout = sequences.layout
    number = int(sequences.conditioning(index, 0, 1).get("label", -1)) if layout.labels else -1
    return layout.labels[number] if number >= 0 else ""
