"""Noise that belongs to a frame: drawn from the sequence's key, the frame's index and a fold.

A *generator* makes independent draws; a *prior* says how the noise of neighbouring frames is correlated.
Nothing depends on the place in a chunk or a batch, so that a rollout does not depend on how it is cut.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from rolling.arrays import Frames
from rolling.common.errors import InputError

Draw = Callable[[Int[Array, " time"]], Frames]
"""Frame indices to independent unit noise `[batch, time, ...]`; the same index gives the same draw."""
Generator = Callable[..., Frames]
"""`(key, frame, fold, shape, dtype)` to noise; see `gaussian`."""

FRESH = 0
"""The fold of a frame's first noise; the steps of solvers are folded from 1 on."""
CONTEXT = 2**32 - 1
"""The fold of the noise with which a finished frame is shown as context."""


def gaussian(
    key: Key[Array, " batch"],
    frame: Int[Array, " time"],
    fold: Int[Array, ""] | int,
    shape: tuple[int, ...],
    dtype: Any,
) -> Frames:
    """Noise `[batch, time, *shape]` that depends on each sequence's key, each frame's index and the fold."""

    def one(key, frame):
        return jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, frame), fold), shape, dtype)

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(key, frame)


@runtime_checkable
class NoisePrior(Protocol):
    """Unit Gaussian noise for each frame, stationary in time."""

    @property
    def memory(self) -> int:
        """How many frames before a frame its noise depends on."""
        ...

    def check(self, solver: Any) -> None:
        """Raises `InputError` for a solver whose own noise does not go with this prior."""

    def __call__(self, draw: Draw, first: Int[Array, ""] | int, count: int) -> Frames:
        """The noise of the frames `first .. first + count - 1`."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Independent:
    """Each frame's noise is its own."""

    @property
    def memory(self) -> int:
        return 0

    def check(self, solver):
        pass

    def __call__(self, draw, first, count):
        return draw(first + jnp.arange(count))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Correlated:
    """`n_k = c n_{k-1} + s eta_k`, `c = a / sqrt(1 + a^2)`, `s = 1 / sqrt(1 + a^2)`, `a = strength`.

    The progressive noise of PYoCo (arXiv 2305.10474) that ERDM rolls with (arXiv 2506.20024). The
    recursion is cut after `lags` frames, of which the last carries the rest of the variance, so that it is
    1 exactly. The probability-flow solvers stay right: their velocity needs `E[n | z]` only. Fresh noise in
    a step is right where it multiplies all clocks' `sigma` by one factor (Heun's churn over all levels);
    ancestral steps of frames at different clocks are not.
    """

    strength: float = 1.0
    """The `a` of the recursion: 0 is independent noise, 1 a correlation of 0.71 between neighbours."""
    lags: int = 20
    """Frames after which the recursion is cut."""

    def __post_init__(self):
        if not 0 <= self.strength < np.inf or self.lags < 1:
            raise InputError(f"correlated noise needs strength >= 0 and lags >= 1, not {self}")

    @property
    def memory(self) -> int:
        return self.lags

    def check(self, solver):
        if solver.noise == "per_frame":
            raise InputError(
                f"correlated noise does not go with the fresh noise of {type(solver).__name__}, which differs"
                " from frame to frame: choose a solver of the flow (ddim, uni_pc, heun without an interval of"
                " churn), or independent noise"
            )

    def mixing(self, count: int) -> np.ndarray:
        """`[count, lags + count]`: each frame's noise in terms of its own and the earlier draws."""
        c, s = self.strength / np.hypot(1, self.strength), 1 / np.hypot(1, self.strength)
        weights = np.append(s * c ** np.arange(self.lags), c**self.lags)[::-1]
        rows = [np.concatenate([np.zeros(k), weights, np.zeros(count - 1 - k)]) for k in range(count)]
        return np.stack(rows)

    def __call__(self, draw, first, count):
        eta = draw(first - self.lags + jnp.arange(self.lags + count))
        return jnp.einsum("ij,bj...->bi...", jnp.asarray(self.mixing(count), eta.dtype), eta)


def covariance(prior: NoisePrior, count: int) -> Float[Array, "time time"]:
    """The covariance of the noise of `count` neighbouring frames."""

    def unit(frame):
        return jax.nn.one_hot(frame + prior.memory, prior.memory + count)[None, :, None, None]

    mixing = prior(unit, 0, count)[0, :, 0, 0]
    return mixing @ mixing.T
