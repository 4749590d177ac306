"""Cosine schedules, and their shift for a resolution."""

import dataclasses
import math

import jax.numpy as jnp

from rolling.common.errors import InputError
from rolling.noise.schedule import invert


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cosine:
    """`logsnr = -2 log tan(a) + 2 log(base / resolution)`, `a = t0 + tau (t1 - t0)`.

    `t0 = atan(exp(-maximum / 2))`, `t1 = atan(exp(-minimum / 2))`; unbounded limits give the plain cosine
    schedule `alpha = cos(pi tau / 2)`. The shift for a resolution is that of simple diffusion
    (arXiv 2301.11093, eq. 5, with `base` 32 or 64); it moves the clipping limits too.
    """

    minimum: float = -15.0
    """Lowest logsnr, before the shift."""
    maximum: float = 15.0
    """Highest logsnr, before the shift."""
    resolution: float = 32.0
    """Cells along a side of the frames: larger frames get more noise."""
    base: float = 32.0
    """The resolution that is not shifted."""

    def __post_init__(self):
        if not self.minimum < self.maximum:
            raise InputError(
                f"the cosine schedule's minimum logsnr, {self.minimum}, must lie below its maximum,"
                f" {self.maximum}"
            )
        if self.resolution <= 0 or self.base <= 0:
            raise InputError(f"the cosine schedule needs resolution > 0 and base > 0, not {self}")

    @property
    def shift(self) -> float:
        return 2.0 * math.log(self.base / self.resolution)

    @property
    def _ends(self) -> tuple[float, float]:
        # The distances of the first angle from 0 and of the last one from pi/2: both are exact where the
        # angle itself would round, so that an unclipped schedule ends at exactly +inf and -inf.
        return math.atan(math.exp(-self.maximum / 2)), math.atan(math.exp(self.minimum / 2))

    @property
    def span(self) -> float:
        """`t1 - t0`."""
        start, end = self._ends
        return math.pi / 2 - start - end

    def _angles(self, tau):
        start, end = self._ends
        return start + tau * self.span, end + (1 - tau) * self.span

    def logsnr(self, tau):
        angle, complement = self._angles(tau)
        return 2 * (jnp.log(jnp.sin(complement)) - jnp.log(jnp.sin(angle))) + self.shift

    def tau(self, logsnr):
        angle = jnp.arctan(jnp.exp(-(logsnr - self.shift) / 2))
        return (angle - self._ends[0]) / self.span

    def derivative(self, tau):
        angle, complement = self._angles(tau)
        return -2 * self.span / (jnp.sin(angle) * jnp.sin(complement))


@dataclasses.dataclass(frozen=True, kw_only=True)
class InterpolatedCosine:
    """`tau * low.logsnr + (1 - tau) * high.logsnr`: cosine schedules of two resolutions, the coarser one
    where there is much noise (simple diffusion, arXiv 2301.11093, eq. 6).

    The cosine falls at `4 (t1 - t0)`, at most 2 pi, in the middle, so the sum would rise there for
    resolutions too far apart. Raises `InputError` for these.
    """

    minimum: float = -15.0
    """Lowest logsnr, before the shifts."""
    maximum: float = 15.0
    """Highest logsnr, before the shifts."""
    low: float = 32.0
    """Resolution that shifts the noisy end."""
    high: float = 256.0
    """Resolution that shifts the clean end."""
    base: float = 32.0
    """The resolution that is not shifted."""

    def __post_init__(self):
        if not 0 < self.low <= self.high or self.base <= 0:
            raise InputError(
                f"the interpolated cosine schedule needs 0 < low <= high and base > 0, not {self}"
            )
        ratio = math.exp(2 * self._cosine().span)
        if self.high >= ratio * self.low:
            raise InputError(
                f"the interpolated cosine schedule does not fall everywhere from high = {self.high} to low ="
                f" {self.low}: choose resolutions less than {ratio:.3g} times apart"
            )

    def _cosine(self) -> Cosine:
        return Cosine(minimum=self.minimum, maximum=self.maximum)

    def _shift(self, tau):
        low, high = (2 * math.log(self.base / d) for d in (self.low, self.high))
        return high + tau * (low - high), low - high

    def logsnr(self, tau):
        return self._cosine().logsnr(tau) + self._shift(tau)[0]

    def tau(self, logsnr):
        return invert(self.logsnr, logsnr)

    def derivative(self, tau):
        return self._cosine().derivative(tau) + self._shift(tau)[1]
