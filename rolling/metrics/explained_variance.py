"""How much of one modality another one explains, linearly."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rolling.common.checks import check_least
from rolling.joint_layout import JointLayout
from rolling.metrics.between_modalities import added, ends
from rolling.metrics.protocol import About, Score

TINY = 1e-10  # of the largest eigenvalue: directions of less variance are left out


class Moments(NamedTuple):
    """Sums over slots, for one stretch of leads: of ones, of all values, and of their products."""

    count: float
    first: np.ndarray
    second: np.ndarray

    def with_(self, other: "Moments") -> "Moments":
        return Moments(self.count + other.count, self.first + other.first, self.second + other.second)


class Stretches(NamedTuple):
    layout: JointLayout
    moments: tuple[Moments, ...] = ()
    """Of one stretch after the other."""
    slots: int = 0
    """Of the longest rollout."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExplainedVariance:
    """The share of the variance of one modality that a linear regression on another explains, slot by slot:

        R^2 of b from a = mean over variables v of  trace(C_va C_aa^-1 C_av) / trace(C_vv),

    with the covariances `C` of what the modalities are in a slot, over all slots of a stretch of all
    rollouts. A modality is, in a slot, the means of its variables over its frames in the slot and over blocks
    of cells, of which there are at most `cells`.

    It says nothing of how good each modality is by itself, and of `n` slots and `p` values of `a` finds about
    `p / n` where there is nothing: compare it with that of real data, and that of rollouts which have nothing
    to do with each other. Values that are missing count as 0.
    """

    cells: int = 16
    """Of a modality, at most."""
    stretch: int = 50
    """Slots to a value of the score."""
    name = "explained_variance"
    about = About(
        title="What one explains of the other",
        note="Share of the variance of the first that a linear regression on the second explains, slot by"
        " slot.",
        section="agreement",
    )

    def __post_init__(self):
        check_least("the explained variance", self, "cells", "stretch", least=1)

    def start(self, layout: JointLayout) -> Stretches | None:
        """None of a single modality."""
        return Stretches(layout) if len(layout.of) > 1 else None

    def update(self, state: Stretches, frames: Mapping[str, np.ndarray]) -> Stretches:
        layout = state.layout
        values = np.concatenate([self._values(layout, name, frames[name]) for name in layout.of], axis=1)
        found = []
        for first in range(0, len(values), self.stretch):
            part = values[first : first + self.stretch]
            found.append(Moments(len(part), part.sum(axis=0), part.T @ part))
        nothing = Moments(0.0, np.zeros(values.shape[1]), np.zeros((values.shape[1],) * 2))
        moments = added(state.moments, found, nothing)
        return Stretches(layout, moments, max(state.slots, len(values)))

    def result(self, state: Stretches) -> tuple[Score, ...]:
        layout = state.layout
        shapes = {name: self._shape(layout, name) for name in layout.of}
        places = np.cumsum([0, *map(math.prod, shapes.values())]).tolist()
        spans = {name: slice(*span) for name, span in zip(shapes, itertools.pairwise(places), strict=True)}
        leads = ends(len(state.moments), self.stretch, state.slots) * layout.slot * layout.step
        return tuple(
            Score(
                variable=f"{one} by {other}",
                units="1",
                axis="lead",
                coordinate=leads,
                values=np.array(
                    [_explained(sums, spans[one], spans[other], shapes[one]) for sums in state.moments]
                ),
            )
            for one, other in itertools.permutations(layout.of, 2)
        )

    def _blocks(self, layout: JointLayout, name: str) -> list[np.ndarray]:
        """The first cell of each block, along each axis."""
        space = layout.of[name].space
        along = max(1, math.floor(self.cells ** (1 / len(space)) + 1e-9))
        return [np.array([part[0] for part in np.array_split(np.arange(n), min(along, n))]) for n in space]

    def _shape(self, layout: JointLayout, name: str) -> tuple[int, int]:
        """Blocks, and variables."""
        return math.prod(map(len, self._blocks(layout, name))), len(layout.of[name].variables)

    def _values(self, layout: JointLayout, name: str, frames: np.ndarray) -> np.ndarray:
        """`[slot, block x variable]`."""
        slots = frames.reshape(-1, layout.slot // layout.every[name], *frames.shape[1:])
        means = np.nan_to_num(slots.astype(np.float64)).mean(axis=1)
        for axis, firsts in enumerate(self._blocks(layout, name), start=1):
            widths = np.diff(firsts, append=means.shape[axis])
            shape = [-1 if i == axis else 1 for i in range(means.ndim)]
            means = np.add.reduceat(means, firsts, axis=axis) / widths.reshape(shape)
        return means.reshape(len(means), -1)


def _explained(sums: Moments, one: slice, other: slice, shape: tuple[int, int]) -> float:
    if sums.count < 2:
        return float("nan")
    mean = sums.first / sums.count
    covariance = sums.second / sums.count - np.outer(mean, mean)
    scale = np.sqrt(np.maximum(np.diag(covariance)[other], 0.0))
    scale = np.where(scale > 0, scale, 1.0)  # regressors of any units are of one scale
    across = covariance[one, other] / scale
    inverse = np.linalg.pinv(covariance[other, other] / np.outer(scale, scale), rcond=TINY, hermitian=True)
    found = np.einsum("ij,jk,ik->i", across, inverse, across).reshape(shape).sum(axis=0)
    total = np.diag(covariance)[one].reshape(shape).sum(axis=0)
    return float(np.mean(found[total > 0] / total[total > 0])) if (total > 0).any() else float("nan")
