"""A window whose clocks are a function of those of another one."""

import jax
import jax.numpy as jnp

from rolling.windows.protocol import SampledTimes
from rolling.windows.wrapper import Wrapper


class Warped(Wrapper):
    """Base of a window with clocks `tau = warp(u)`, `u` those of `inner`; `rate = warp'(u) du / dt`.

    A `warp` that increases from 0 at 0 to 1 at 1, the same for every frame, keeps the hand-over of clocks.
    """

    def warp(self, u):
        raise NotImplementedError

    def cycle(self, t):
        return self.warp(self.inner.cycle(t))

    def warmup(self, t):
        return self.warp(self.inner.warmup(t))

    def sample_times(self, key, batch):
        u, speed = self.inner.sample_times(key, batch)
        tau, rate = jax.jvp(self.warp, (u,), (speed,))
        # The slope of `warp` may be infinite at 0 and 1, where frames do not move.
        return SampledTimes(tau, jnp.where(speed == 0, 0.0, rate))
