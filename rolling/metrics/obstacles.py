"""Obstacles in a flow: cells that a constant field of the data marks by 0, in which there is no flow."""

import numpy as np

from rolling.common.errors import InputError
from rolling.layout import Layout
from rolling.metrics.protocol import Sample


def place_of(obstacles: str, layout: Layout, metric: str) -> int | None:
    """Of the field `obstacles` among the constant ones; None where its name is empty, or the data have no
    constant fields. Raises `InputError`, in which the option is that of `metric`, where they have others."""
    names = [field.name for field in layout.constants]
    if not obstacles or not names:
        return None
    if obstacles not in names:
        raise InputError(
            f"metrics.{metric}.obstacles is {obstacles!r}, and the constant fields of the data are"
            f" {', '.join(names)}: choose one of them, or an empty name"
        )
    return names.index(obstacles)


def fluid_of(sample: Sample, place: int | None) -> np.ndarray | None:
    """`[*space, 1]`: the constant field at this place, 0 in obstacles and 1 elsewhere; None: none."""
    return None if place is None or sample.constants is None else sample.constants[..., place, None]
