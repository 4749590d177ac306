"""Which part of a rollout's state makes its next frames wrong: errors with one part of it repaired.

The rollout is the same up to one frame. From there it goes on by one cycle, once as it is and once with each
repair, by the same noise: what is less wrong then was wrong because of that part.
"""

import dataclasses
from typing import Self

import numpy as np

from rolling.metrics.error_growth import excludes_zero
from rolling.metrics.intervals import estimated

LEAST = 0.1
"""Share of an error that a repair has to take away to be named."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Repaired:
    """The errors of one number, `[repair, 3]`: the estimate, and the bounds of its interval. The first repair
    is none.

    `error`: the bias in standard deviations, or a root mean square.
    `less`: by how much its absolute value falls with the repair, from pairs of the same start.
    """

    error: np.ndarray
    less: np.ndarray

    @classmethod
    def bias(cls, made: np.ndarray, true: np.ndarray, block: np.ndarray, least: float = 0.0) -> Self:
        """`mean(made - true) / max(std(true), least)` of a statistic `made [start, repair, T]`, `true [start,
        T]`, with the independent `block [start]` of each start."""
        scale = max(true.std(), least) or 1.0
        error = (made - true[:, None]).mean(axis=2) / scale
        return cls._of(lambda weights: weights @ error / weights.sum(), block)

    @classmethod
    def root_mean_square(cls, square: np.ndarray, block: np.ndarray) -> Self:
        """`sqrt(mean(square))` over starts of `square [start, repair]`."""
        return cls._of(lambda weights: np.sqrt(weights @ square / weights.sum()), block)

    @classmethod
    def _of(cls, error, block) -> Self:
        def numbers(weights):
            found = error(weights)
            return np.stack([found, abs(found[0]) - abs(found)])

        return cls(**dict(zip(("error", "less"), estimated(numbers, block), strict=True)))

    @property
    def is_wrong(self) -> bool:
        """Whether there certainly is an error without a repair."""
        return excludes_zero(self.error[0])

    def helps(self, repair: int) -> bool:
        """Whether the error is certainly smaller with a repair, and by a tenth or more."""
        return bool(self.less[repair, 1] > 0 and self.less[repair, 0] >= LEAST * abs(self.error[0, 0]))
