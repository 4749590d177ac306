"""Which forecast of an ensemble is scored: the mean of its members, or each of them."""

from typing import Literal

import numpy as np

from rolling.common.errors import InputError
from rolling.metrics.protocol import Sample


class MeanOrEach:
    """Base of metrics of the mean of the members or, with `member="each"`, of every one of them, averaged."""

    member: Literal["mean", "each"]

    def __post_init__(self):
        if self.member not in ("mean", "each"):
            raise InputError(f"the member that is scored is 'mean' or 'each', not {self.member!r}")

    def named(self, stem: str) -> str:
        """The metric's name."""
        return stem if self.member == "mean" else f"{stem}_of_members"

    def titled(self, title: str) -> str:
        return title if self.member == "mean" else f"{title} of one member"

    def scored(self, sample: Sample) -> np.ndarray:
        """`[1 or member, lead, *space, variable]`."""
        if self.member == "each":
            return sample.forecast
        return sample.forecast.mean(axis=0, keepdims=True, dtype=np.float64)
