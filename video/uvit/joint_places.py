"""Where the tokens of several modalities lie, for one attention over all of them."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from rolling.video.uvit.attention import Places, places_of, shares, token_angles


class Grid(NamedTuple):
    """The tokens of a modality."""

    ticks: tuple[int, ...]
    """Of each frame."""
    space: tuple[int, ...]
    """Tokens along each axis."""
    periodic: tuple[bool, ...]
    """Of each axis."""


def joint_places(grids: Sequence[Grid], dim: int, causal: bool) -> list[Places]:
    """The places of the tokens of each modality, for heads of size `dim`.

    Those of a single modality are its own (`token_angles`). Among several, attention is to depend on

    - distances in time: as many pairs turn with the tick in each modality, at the same frequencies;
    - distances along a periodic axis, so that shifting it changes nothing else. Pairs that turn along it are
      left out, in the modalities in which they do not turn: those of a single token. The second, say, axis of
      all modalities with equally many of them is taken for the same one, and turns by the same multiples.

    A place along an axis that is not periodic is seen from modalities of a single token, at angle zero.
    """
    in_time = min(shares(dim, len(grid.space))[0] for grid in grids)
    turning, around = zip(*(_turning(grid, dim, in_time) for grid in grids), strict=True)
    periodic = np.any(around, axis=0)
    shown = [np.where(turns | ~periodic, np.float32(1), np.float32(0)) for turns in turning]
    placed = []
    for grid, pairs in zip(grids, shown, strict=True):
        ticks = jnp.asarray(grid.ticks)
        angles = token_angles(ticks, grid.space, dim, grid.periodic, _multiples(grid, grids), in_time)
        places = places_of(angles, ticks, causal)
        if not np.all(shown):
            places = places._replace(shown=jnp.broadcast_to(pairs[None], places.angles.shape))
        placed.append(places)
    return placed


def _turning(
    grid: Grid, dim: int, in_time: int
) -> tuple[Bool[np.ndarray, " pair"], Bool[np.ndarray, " pair"]]:
    """The pairs that turn along an axis of space, and those of them that turn along a periodic one."""
    _, share = shares(dim, len(grid.space))
    turns, periodic = np.zeros((2, dim // 2), bool)
    for axis, (cells, wraps) in enumerate(zip(grid.space, grid.periodic, strict=True)):
        own = slice(in_time + axis * share, in_time + (axis + 1) * share)
        turns[own], periodic[own] = cells > 1, cells > 1 and wraps
    return turns, periodic


def _multiples(grid: Grid, grids: Sequence[Grid]) -> list[int | None]:
    """For each axis, the multiples of its lowest frequency that all periodic axes in its place can have."""
    alike = [other for other in grids if len(other.space) == len(grid.space)]
    found = []
    for axis in range(len(grid.space)):
        around = [other.space[axis] for other in alike if other.periodic[axis] and other.space[axis] > 1]
        found.append(min(around) // 2 if around else None)
    return found
