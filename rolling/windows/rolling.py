"""Rolling windows: noise rises along the window, and one frame or one block leaves at a time."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from rolling.common.errors import InputError
from rolling.windows.protocol import check_frames, check_share, per_frame, sweep_times


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rolling:
    """Rolling diffusion (arXiv 2402.09470): `tau_k(t) = clip((k - n + t) / (W - n), 0, 1)`.

    `W = size`, `n = context`. Neighbours are `1 / (W - n)` apart and the hand-over is seamless:
    `cycle_k(0) = cycle_{k-1}(1)`. A share `warmup_share` of the training times belongs to the warm-up,
    `clip((k - n) / (W - n) + t, 0, 1)`: 0.1, or 0 where a rollout does not begin with one.

    With `block > 1` the frames of a block share a clock and leave together: `k - n` becomes
    `floor((k - n) / block)` and `W - n` the number of blocks. Three methods use such blocks, with these steps
    per block that leaves and per frame: Rolling Forcing (arXiv 2509.25161: 5 blocks, 1 and 5 steps), MAGI-1
    (2505.13211: 4 blocks, 16 and 64) and SkyReels-V2 (2504.13074: 6 to 10 blocks, 5 and 30 to 50).

    Raises `InputError` where blocks do not fill the window after the context.
    """

    size: int = 8
    """Frames in the window, context included."""
    context: int = 2
    """Clean frames at its front."""
    warmup_share: float = 0.1
    """Share of the training clips whose clocks are those of the warm-up."""
    block: int = 1
    """Frames that share a clock and leave together."""

    def __post_init__(self):
        check_frames(self.size, self.context)
        check_share("a window's warmup_share", self.warmup_share)
        if self.block < 1 or (self.size - self.context) % self.block:
            raise InputError(
                f"the {self.size - self.context} frames after the context cannot be cut into blocks of"
                f" {self.block}: choose a block that divides size - context"
            )

    @property
    def stride(self) -> int:
        return self.block

    @property
    def _blocks(self) -> int:
        return (self.size - self.context) // self.block

    def _block_index(self, t):
        """`floor((k - n) / block)`: negative for the context."""
        return per_frame(t, (np.arange(self.size) - self.context) // self.block)

    def cycle(self, t):
        return jnp.clip((self._block_index(t) + t[..., None]) / self._blocks, 0.0, 1.0)

    def warmup(self, t):
        index = self._block_index(t)
        tau = jnp.clip(index / self._blocks + t[..., None], 0.0, 1.0)
        return jnp.where(index < 0, 0.0, tau)

    def sample_times(self, key, batch):
        return sweep_times(self, key, batch, self.warmup_share)
