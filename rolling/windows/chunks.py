"""Windows with one clock for all frames after the context, which are finished together."""

import dataclasses

import jax.numpy as jnp

from rolling.windows.protocol import check_frames, in_context, sweep_times


class _OneClock:
    """`tau_k = t` for all frames after the context."""

    size: int
    context: int

    @property
    def stride(self) -> int:
        return self.size - self.context

    def cycle(self, t):
        return jnp.where(in_context(self, (*t.shape, self.size)), 0.0, t[..., None])

    def warmup(self, t):
        return self.cycle(t)

    def sample_times(self, key, batch):
        return sweep_times(self, key, batch, 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FullSequence(_OneClock):
    """Standard diffusion, chunk by chunk.

    The last `context` frames of a chunk are the context of the next one; with `context = 0` the chunks are
    independent.
    """

    size: int = 8
    """Frames in a chunk, context included."""
    context: int = 2
    """Clean frames at its front, the last ones of the chunk before."""

    def __post_init__(self):
        check_frames(self.size, self.context)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Autoregressive(_OneClock):
    """One frame at a time, given `context` clean ones, as in GenCast (arXiv 2312.15796)."""

    context: int = 2
    """Clean frames given for each new one."""

    def __post_init__(self):
        check_frames(self.size, self.context)

    @property
    def size(self) -> int:
        return self.context + 1
