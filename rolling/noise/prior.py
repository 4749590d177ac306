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

from rolling.array_types import Frames
from rolling.common.errors import InputError

Draw = Callable[[Int[Array, " time"]], Frames]
"""Frame indices to independent unit noise `[batch, time, ...]`; the same index gives the same draw."""
Generator = Callable[..., Frames]
"""`(key, frame, fold, shape, dtype)` to noise; see `gaussian`."""

FRESH = 0
"""The fold of a frame's first noise; the steps of solvers are folded from 1 on."""
CONTEXT = 2**32 - 1
"""The fold of the noise with which a finished frame is shown as context."""
RESTART = -2
"""The folds of the noise of restarts, from here downward."""


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
class Recipe(Protocol):
    """What a prior asks of the way of sampling that it is part of."""

    @property
    def solver(self) -> Any: ...

    @property
    def waits(self) -> bool:
        """Whether a noisy frame ever stands still while others move."""
        ...

    @property
    def noisy_context(self) -> bool:
        """Whether the network is ever shown its context with noise."""
        ...


@runtime_checkable
class NoisePrior(Protocol):
    """Unit Gaussian noise for each frame, stationary in time."""

    @property
    def memory(self) -> int:
        """How many frames before a frame its noise depends on, where it does not begin anew."""
        ...

    def check(self, recipe: Recipe) -> None:
        """Raises `InputError` for a way of sampling that cannot be right with this prior."""

    def __call__(self, draw: Draw, first: Int[Array, ""] | int, count: int, *, restart: bool) -> Frames:
        """The noise of the frames `first .. first + count - 1`, with `restart` independent of that of any
        earlier frame."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Independent:
    """Each frame's noise is its own."""

    @property
    def memory(self) -> int:
        return 0

    def check(self, recipe):
        pass

    def __call__(self, draw, first, count, *, restart):
        return draw(first + jnp.arange(count))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Correlated:
    """`n_k = c n_{k-1} + s eta_k`, `c = a / sqrt(1 + a^2)`, `s = 1 / sqrt(1 + a^2)`, `a = strength`.

    The progressive noise of PYoCo (arXiv 2305.10474) that ERDM rolls with (arXiv 2506.20024). A chain that
    begins anew starts with `n_0 = eta_0`; one that goes on is cut after `lags` frames, of which the last
    carries the rest of the variance, so that it is 1 exactly.

    Where all noisy frames of a window enter at once (chunks, one frame at a time), each entry begins a new
    chain and the distribution of a rollout is exact in the limit of small steps. In a rolling window the
    fresh noise depends on noise that the flow has already transformed, and a bias remains: docs/methods.md
    has its size.

    The probability-flow solvers need `E[n | z]` only. Fresh noise in a step is right where it multiplies the
    `sigma` of all noisy frames by one factor (Heun's churn over all levels, no frame waiting). Raises
    `InputError` for other fresh noise, for a context that is shown with noise, which would have to continue
    the chain of the new frames, and for a `strength` or `lags` out of range.
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

    def check(self, recipe):
        fresh, name = recipe.solver.noise, type(recipe.solver).__name__
        if fresh == "per_frame":
            raise InputError(
                f"correlated noise does not go with the fresh noise of {name}, which differs from frame to"
                " frame: choose a solver of the flow (ddim, uni_pc, heun without an interval of churn), or"
                " independent noise"
            )
        if fresh == "shared" and recipe.waits:
            raise InputError(
                f"correlated noise does not go with the fresh noise of {name} where frames wait as noise"
                " while others move: choose a solver without fresh noise (heun without churn), a window and a"
                " start in which all noisy frames move, or independent noise"
            )
        if recipe.noisy_context:
            raise InputError(
                "correlated noise does not go with a context that is shown with noise (noisy_context,"
                " aligned_context, history_guidance): choose independent noise, or a clean context"
            )

    def mixing(self, count: int, *, restart: bool) -> np.ndarray:
        """`[count, draws]`: each frame's noise in terms of the draws of the frames up to it, of `lags`
        frames before the first one where the chain does not begin there."""
        c, s = self.strength / np.hypot(1, self.strength), 1 / np.hypot(1, self.strength)
        before = 0 if restart else self.lags
        rows = np.zeros((count, before + count))
        for k, row in enumerate(rows):
            depth = k if restart else self.lags
            row[before + k - depth : before + k + 1] = np.append(s * c ** np.arange(depth), c**depth)[::-1]
        return rows

    def __call__(self, draw, first, count, *, restart):
        mixing = self.mixing(count, restart=restart)
        before = mixing.shape[1] - count
        eta = draw(first - before + jnp.arange(before + count))
        return jnp.einsum("ij,bj...->bi...", jnp.asarray(mixing, eta.dtype), eta)


def covariance(prior: NoisePrior, count: int, *, restart: bool = True) -> Float[Array, "time time"]:
    """The covariance of the noise of `count` neighbouring frames."""

    def unit(frame):
        return jax.nn.one_hot(frame + prior.memory, prior.memory + count)[None, :, None, None]

    mixing = prior(unit, 0, count, restart=restart)[0, :, 0, 0]
    return mixing @ mixing.T
