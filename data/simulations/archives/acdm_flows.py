"""What the paper on ACDM (Kohl et al., 2023) trains and tests on, and the domains of its flows."""

import math
import os
import re
from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

from rolling.data.simulations.trajectories import TEST, TRAIN

REST = range(10**6)
"""All simulations that no line before has named."""


class Span(NamedTuple):
    """Frames of some simulations, from `first` to the one before `stop`; both None: all."""

    split: str | None
    """None: left out."""
    simulations: Container[int]
    first: int | None = None
    stop: int | None = None


class Flow(NamedTuple):
    """What the paper trains and tests on, and what its authors simulated."""

    spans: tuple[Span, ...]
    length: float
    """Of the domain along x."""
    sides: str = "open"
    """What lies beyond the ends of y."""


FLOWS = {
    "tra": Flow(
        spans=(
            Span(TEST, (0, 1, 2, 16, 17, 18), 500, 750),
            Span(TEST, (14, 15), 0, 1000),
            Span(TRAIN, REST, 0, 1000),
        ),
        length=12.0,
    ),
    "inc": Flow(
        spans=(
            Span(TRAIN, range(10, 81), 800, 1300),
            Span(TEST, (0, 2, 4, 6, 8, 82, 84, 86, 88, 90), 1000, 1150),
        ),
        length=4.0,
        sides="wall",
    ),
    "reyVar": Flow(spans=(Span(TEST, (0,), 300, 800),), length=4.0, sides="wall"),
    "iso": Flow(
        spans=(
            Span(TEST, range(200, 351, 10), 500, 600),
            Span(None, range(200, 351)),
            Span(TRAIN, REST, 0, 1000),
        ),
        length=math.pi / 2,
    ),
}
"""By a word in the name of the folder. Lengths are diameters of the cylinder for `tra`, those of the solver
for `inc`, and a quarter of the box of the turbulence for `iso`."""


def flow_of(folder: Path) -> str:
    """Which flow the name of a folder tells; empty if none."""
    words = re.split(r"[^a-z]+", os.path.basename(os.path.abspath(folder)).lower())
    return next((name for name in FLOWS if name.lower() in words), "")
