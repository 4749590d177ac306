"""Means over the area of a grid, per variable or over all colours of a picture."""

import dataclasses

import numpy as np

from rolling.array_types import space_of
from rolling.layout import Layout, Variable
from rolling.metrics.protocol import EvaluationSetup

PIXEL = Variable(name="pixel", long_name="all colours of a pixel")


def averaged(layout: Layout) -> tuple[Variable, ...]:
    """What is averaged: each variable, or the colours of a picture together."""
    return (PIXEL,) if layout.is_video else layout.variables


@dataclasses.dataclass(frozen=True, kw_only=True)
class Domain:
    """Area means over the cells that hold data.

    `weights [*space, variable]` are proportional to area, zero where `mask` is False, and sum to one
    for each variable. `pooled`: the mean is over variables too, as for the colours of a picture.
    """

    weights: np.ndarray
    mask: np.ndarray | None = None
    pooled: bool = False

    @classmethod
    def of(cls, setup: EvaluationSetup) -> "Domain":
        area = np.repeat(setup.layout.area_weights()[..., None], setup.layout.shape[-1], axis=-1)
        mask = None if setup.mask is None or setup.mask.all() else np.asarray(setup.mask, bool)
        if mask is not None:
            area = area * mask
        return cls(weights=area / area.sum(axis=space_of(area, 0)), mask=mask, pooled=setup.layout.is_video)

    @classmethod
    def of_cells(cls, setup: EvaluationSetup) -> "Domain":
        """For plain means, in which each cell that holds data counts alike, whatever its area."""
        cells = np.ones(setup.layout.shape) if setup.mask is None else setup.mask.astype(np.float64)
        return dataclasses.replace(cls.of(setup), weights=cells / cells.sum(axis=space_of(cells, 0)))

    def mean(self, field: np.ndarray) -> np.ndarray:
        """The sum of `weights field` over cells: `[..., *space, variable]` to `[..., variable]`, float64.

        The last axis is that of `averaged(layout)`: one entry where the variables are pooled.
        """
        if self.mask is not None:
            field = np.where(self.mask, field, 0.0)
        space = self.weights.ndim - 1
        columns = [
            np.tensordot(field[..., c].astype(np.float64, copy=False), self.weights[..., c], axes=space)
            for c in range(self.weights.shape[-1])
        ]
        means = np.stack(columns, axis=-1)
        return means.mean(axis=-1, keepdims=True) if self.pooled else means

    def everywhere(self, means: np.ndarray) -> np.ndarray:
        """Means `[..., variable]` with axes of one for the cells, to broadcast against fields."""
        return means.reshape(*means.shape[:-1], *[1] * (self.weights.ndim - 1), means.shape[-1])

    def is_whole(self, channel: int) -> bool:
        """Whether a variable has data in every cell, as a Fourier transform needs."""
        return self.mask is None or bool(self.mask[..., channel].all())
