"""The whole state of a rollout."""

import dataclasses
from typing import Any

import jax
from jaxtyping import Array, Int, Key

from rolling.array_types import ContextFrames, Frames, PastFrames


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Carry:
    """Everything that changes: what must be saved to resume."""

    z: Frames
    """Frames of the context are stored clean, whatever noise level the network sees them at."""
    history: Any
    """The solver's: a tree of arrays `[batch, time, ...]`."""
    first: Int[Array, ""]
    """Index of the frame in slot 0; the first given frame is frame 0."""
    step: Int[Array, ""]
    """Solver steps so far."""
    key: Key[Array, " batch"]
    given: ContextFrames | None = None
    """The context with which the rollout began, where there are corrections."""
    memory: PastFrames | None = None
    """The last frames that have left the window, where the network is shown old ones."""
