"""Chunks whose frames start one after another, any distance apart."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from rolling.common.errors import InputError
from rolling.windows.protocol import check_frames, in_context, per_frame, sweep_times


class _Staggered:
    """A chunk in which the clock of a frame of rank `r` starts `r s` after that of rank 0, `s = stagger`:

        tau_k(t) = clip(1 + r_k s - (1 + R s)(1 - t), 0, 1),    R = max r_k,

    where a clock takes one unit of time and the sweep takes `1 + R s`. All frames are noise at `t = 1` and
    finished at `t = 0`, so the warm-up is a cycle like any other.
    """

    size: int
    context: int
    stagger: float
    _ranks: np.ndarray  # of the frames after the context

    def __post_init__(self):
        check_frames(self.size, self.context)
        if not 0 <= self.stagger <= 1:
            raise InputError(
                f"the stagger lies between 0 (all frames together) and 1 (one after another; above it, there"
                f" would be times at which no clock runs): choose one in this range, not {self.stagger}"
            )

    @property
    def stride(self) -> int:
        return self.size - self.context

    def cycle(self, t):
        # The entries of the context are not used. In double precision up to here, so that the ends are exact.
        starts = np.concatenate([np.zeros(self.context), 1 + self._ranks * self.stagger])
        starts = per_frame(t, starts)
        tau = jnp.clip(starts - starts.max(-1, keepdims=True) * (1 - t[..., None]), 0.0, 1.0)
        return jnp.where(in_context(self, tau.shape), 0.0, tau)

    def warmup(self, t):
        return self.cycle(t)

    def sample_times(self, key, batch):
        return sweep_times(self, key, batch, 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pyramid(_Staggered):
    """The pyramid of diffusion forcing (arXiv 2407.01392): `r_k` counts the frames after the context.

    This is the continuous form of its scheduling matrix `clip(T + int(k u) - m, 0, T)` with rows
    `m = 0 .. T + int((K - 1) u)`, `T` steps for each of `K` frames and `stagger = u / T`. A stagger of 0 is
    `FullSequence`, 1 finishes each frame before the next one starts, and 0.25 is good at one call per frame.
    Each `block` frames share a rank; the last block may be shorter.
    """

    size: int = 8
    """Frames in the window, context included."""
    context: int = 2
    """Clean frames at its front."""
    stagger: float = 0.25
    """How far, of a frame's own way, each frame is behind the one before: 0 none, 1 all of it."""
    block: int = 1
    """Frames that share a rank."""

    def __post_init__(self):
        super().__post_init__()
        if self.block < 1:
            raise InputError(f"a block holds at least one frame: choose block >= 1, not {self.block}")

    @property
    def _ranks(self):
        return np.arange(self.stride) // self.block


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trapezoid(_Staggered):
    """A pyramid from both ends, `r_k = min(k, K - 1 - k)` for the `K` frames after the context: the first
    and the last are finished first, the middle last."""

    size: int = 8
    """Frames in the window, context included."""
    context: int = 2
    """Clean frames at its front."""
    stagger: float = 0.25
    """How far, of a frame's own way, each rank is behind the one before: 0 none, 1 all of it."""

    @property
    def _ranks(self):
        ranks = np.arange(self.stride)
        return np.minimum(ranks, ranks[::-1])
