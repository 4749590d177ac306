"""What a network sees of the window at a time: all of it, or blocks of it, side by side in one call."""

import dataclasses
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np

from rolling.common.errors import InputError
from rolling.denoisers import Denoiser
from rolling.windows import Window


@runtime_checkable
class Partition(Protocol):
    """A function from a denoiser of a partition's frames to one of the whole window."""

    def frames(self, window: Window) -> int:
        """How many frames the network is shown. Raises `InputError` for a window that does not suit."""
        ...

    def __call__(self, denoiser: Denoiser) -> Denoiser: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whole:
    """All of the window."""

    def frames(self, window):
        return window.size

    def __call__(self, denoiser):
        return denoiser


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blocks:
    """FIFO's partitions of a queue that is longer than what the network takes (arXiv 2405.11473).

    The window is cut into blocks of `size` frames, which are one batched call. With `lookahead`
    neighbouring blocks overlap by half and only the noisier half of each output counts: twice the cost, and
    no frame is denoised without `size / 2` cleaner ones before it. The first block then looks at `size / 2`
    frames that are finished: the window's context. All blocks see the same state (a Jacobi update).
    """

    size: int = 8
    """Frames in a block: what the network takes."""
    lookahead: bool = True
    """Overlap the blocks by half and keep the noisier half of each output, at twice the cost."""

    def __post_init__(self):
        if self.size < 1 or (self.lookahead and self.size % 2):
            raise InputError(
                f"blocks need a size from 1 on, and an even one with lookahead, not {self.size}: the noisier"
                " half of a block is what counts"
            )

    @property
    def kept(self) -> int:
        """Frames of a block whose output counts."""
        return self.size // 2 if self.lookahead else self.size

    def frames(self, window):
        ahead = self.size - self.kept
        if self.lookahead and window.context != ahead:
            raise InputError(
                f"blocks of {self.size} frames look ahead at {ahead} finished ones: choose a window with a"
                f" context of {ahead} instead of {window.context}, or no lookahead"
            )
        if window.size < self.size or (window.size - ahead) % self.kept:
            raise InputError(
                f"a window of {window.size} frames cannot be cut into blocks of {self.size}"
                f"{', overlapping by half' if self.lookahead else ''}: choose a size of {ahead} plus a"
                f" multiple of {self.kept}"
            )
        return self.size

    def __call__(self, denoiser):
        def denoise(z, logsnr, condition):
            batch, time = z.shape[:2]
            ahead = self.size - self.kept
            starts = np.arange(0, time - ahead, self.kept)
            slots = (starts[:, None] + np.arange(self.size)).ravel()
            logsnr = jnp.broadcast_to(logsnr, z.shape[:2])

            def cut(part):
                return part[:, slots].reshape(batch * len(starts), self.size, *part.shape[2:])

            spread = condition.map(frames=cut, sequences=lambda part: jnp.repeat(part, len(starts), axis=0))
            x = denoiser(cut(z), cut(logsnr), spread)
            x = x[:, ahead:].reshape(batch, time - ahead, *z.shape[2:])
            return jnp.concatenate([z[:, :ahead], x], axis=1)

        return denoise
