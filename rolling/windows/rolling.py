"""Rolling windows: the clocks of neighbours are apart, and one or a few frames leave at a time."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from rolling.common.errors import InputError
from rolling.windows.window import check_frames, check_share, for_each, sweep_times


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rolling:
    """Rolling diffusion (arXiv 2402.09470): `tau_k(t) = clip((k - n + t) / (W - n), 0, 1)`.

    Neighbours are `1 / (W - n)` apart and the hand-over is seamless: `cycle_k(0) = cycle_{k-1}(1)`. The
    warm-up, `clip((k - n) / (W - n) + t, 0, 1)`, is a share `warmup_share` of the training times.

    With `block > 1` the frames of a block share a clock and leave together: `k - n` becomes
    `floor((k - n) / block)` and `W - n` the number of blocks. So do, counted in steps, Rolling Forcing
    (arXiv 2509.25161: 5 blocks, 1 step for each block that leaves, 5 for each frame), MAGI-1 (2505.13211:
    4 blocks, 16 and 64 steps) and SkyReels-V2 (2504.13074: 6 to 10 blocks, 5 and 30 to 50 steps).

    Raises `InputError` where blocks do not fill the window behind the context.
    """

    size: int = 8
    context: int = 2
    warmup_share: float = 0.1
    block: int = 1

    def __post_init__(self):
        check_frames(self.size, self.context)
        check_share("a window's warmup_share", self.warmup_share)
        if self.block < 1 or (self.size - self.context) % self.block:
            raise InputError(
                f"the {self.size - self.context} frames behind the context cannot be cut into blocks of"
                f" {self.block}: choose a block that divides size - context"
            )

    @property
    def stride(self) -> int:
        return self.block

    @property
    def _blocks(self) -> int:
        return (self.size - self.context) // self.block

    def _places(self, t):
        """`floor((k - n) / block)`: negative for the context."""
        return for_each(t, (np.arange(self.size) - self.context) // self.block)

    def cycle(self, t):
        return jnp.clip((self._places(t) + t[..., None]) / self._blocks, 0.0, 1.0)

    def warmup(self, t):
        places = self._places(t)
        tau = jnp.clip(places / self._blocks + t[..., None], 0.0, 1.0)
        return jnp.where(places < 0, 0.0, tau)

    def sample_times(self, key, batch):
        return sweep_times(self, key, batch, self.warmup_share)
