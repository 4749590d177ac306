"""A wrapper that shows the network the actual noise level of a frame."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rolling.array_types import Clocks, Frames
from rolling.common.errors import InputError
from rolling.solvers.first_order import Ddim
from rolling.solvers.protocol import Noise, Solver


def pixel_variance(frames: Frames) -> Float[Array, "batch time"]:
    """Mean square over the cells and channels of a frame: 1 for noise of unit variance."""
    return jnp.mean(frames**2, axis=(2, 3, 4))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeShift:
    """The time-shift sampler (Li et al., arXiv 2305.15583) around any solver, each frame on its own.

    Errors of the steps leave a frame at a noise level other than that of its clock. As
    `v_z = alpha^2 v_x + 1 - alpha^2` for the mean squares `v` of a frame's values, the actual level is that
    of `alpha^2 = (1 - v_z) / (1 - v_x)`. `variance` is `v_x`, the mean square of a frame of the data as the
    network sees them (a prediction has less, by the variance of what is still unknown). The network is shown
    this level, at most `reach` in logsnr from the clock (0 turns the shift off); the solver keeps the clocks.
    A clock is left unchanged where an error of `v_z` would move it by more than `1 / low` times as much,
    `alpha^2 sigma^2 |1 - v_x| < low`: in nearly clean frames and in nearly pure noise. Frames need many
    cells: `v_z` has a relative error of about `sqrt(2 / cells)`.

    Data that are standardised to unit variance, as all sources here do it, have `v_z = 1` at every level, so
    that nothing can be told: for frames that are much quieter or livelier than the rest, such as one class of
    clips, `variance` is theirs.

    Raises `InputError` for a `reach` that is negative or infinite, for a `low` that is not positive, and for
    a `variance` that is negative, or so near 1 that no clock would ever be shifted.
    """

    solver: Solver = Ddim()
    """The solver whose steps are taken."""
    variance: float = 1.0
    """Mean square of a frame of the data, as the network sees them."""
    reach: float = 0.5
    """Largest shift, in logsnr; 0 turns it off."""
    low: float = 0.02
    """Smallest `alpha^2 sigma^2 |1 - v_x|` at which a clock is moved."""

    def __post_init__(self):
        if not 0 <= self.reach < math.inf:
            raise InputError(f"the time shift's reach in logsnr is finite and not negative, not {self.reach}")
        if not self.low > 0:
            raise InputError(f"the time shift's low, the least slope, is positive, not {self.low}")
        if not 0 <= self.variance < math.inf or abs(1 - self.variance) / 4 < self.low:
            raise InputError(
                f"the time shift cannot tell the noise level of frames of mean square {self.variance}: those"
                " of unit variance have the same at every level; give solver.variance, the mean square of the"
                " frames as the network sees them, or leave the time shift out"
            )

    at_own_clocks = False

    @property
    def calls(self) -> int:
        return self.solver.calls

    @property
    def noise(self) -> Noise:
        return self.solver.noise

    def init(self, z):
        return self.solver.init(z)

    def step(self, denoise, z, history, step, noise):
        def shifted(z, logsnr):
            return denoise(z, jnp.where(step.moving, self.level(z, logsnr), logsnr))

        return self.solver.step(shifted, z, history, step, noise)

    def level(self, z: Frames, logsnr: Clocks) -> Clocks:
        """The actual logsnr of a frame."""
        nominal, contrast = jax.nn.sigmoid(logsnr), 1 - self.variance
        trusted = nominal * jax.nn.sigmoid(-logsnr) * abs(contrast) >= self.low
        signal = (1 - pixel_variance(z)) / contrast
        # Clipped as `alpha^2` first, so that no 0 or 1 gives an infinite logsnr.
        clock = jnp.where(trusted, logsnr, 0.0)
        low, high = jax.nn.sigmoid(clock - self.reach), jax.nn.sigmoid(clock + self.reach)
        signal = jnp.clip(signal, low, high)
        found = jnp.log(signal) - jnp.log1p(-signal)
        return jnp.where(trusted & (self.reach > 0), found, logsnr)
