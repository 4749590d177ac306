"""Schedules whose `logsnr` is a multiple of the logit of time."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from rolling.common.errors import InputError


class _LogitOfTime:
    """`logsnr = scale log((1 - t) / t) + offset`, with `t` from `epsilon` to `1 - epsilon`."""

    epsilon: float
    _line: tuple[float, float]  # scale, offset

    def _times(self, tau):
        """`t` and `1 - t`, each exact where it is small, and `dt / dtau`."""
        span = 1 - 2 * self.epsilon
        return self.epsilon + tau * span, self.epsilon + (1 - tau) * span, span

    def logsnr(self, tau):
        (scale, offset), (noise, clean, _) = self._line, self._times(tau)
        return scale * (jnp.log(clean) - jnp.log(noise)) + offset

    def tau(self, logsnr):
        scale, offset = self._line
        t = jax.nn.sigmoid(-(logsnr - offset) / scale)
        return (t - self.epsilon) / (1 - 2 * self.epsilon)

    def derivative(self, tau):
        noise, clean, span = self._times(tau)
        return -self._line[0] * span * (1 / clean + 1 / noise)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Logit(_LogitOfTime):
    """`logsnr = scale log((1 - t) / t) + offset`, with `t` from `epsilon` to `1 - epsilon`.

    `scale = 2` is the standard path of flow matching; a larger scale spends less time at medium noise. At one
    call per frame of a rolling window 2 to 2.4 suits 8 to 24 frames, more suits longer windows
    (docs/methods.md). `epsilon = 0` leaves the schedule unclipped.
    """

    scale: float = 2.4
    """Slope: a larger one spends less time at medium noise."""
    offset: float = 0.0
    """The logsnr in the middle."""
    epsilon: float = 1e-3
    """Distance of the clipped times from 0 and 1; 0 leaves them unclipped."""

    def __post_init__(self):
        if not (self.scale > 0 and math.isfinite(self.offset) and 0 <= self.epsilon < 0.5):
            raise InputError(
                f"the logit schedule needs scale > 0, a finite offset and 0 <= epsilon < 1/2, not {self}"
            )

    @property
    def _line(self):
        return self.scale, self.offset


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlowMatching(_LogitOfTime):
    """`logsnr = 2 log((1 - t) / t) - 2 log shift`, with `t` from `epsilon` to `1 - epsilon`.

    The straight path `(1 - t) x + t eps`, rescaled to unit variance. `shift` maps the time to
    `t' = shift t / (1 + (shift - 1) t)` (arXiv 2403.03206, sec. 5.3.2); 1 leaves it as it is. `epsilon = 0`
    leaves the schedule unclipped.
    """

    shift: float = 1.0
    """More than 1 spends more time at high noise."""
    epsilon: float = 1e-4
    """Distance of the clipped times from 0 and 1; 0 leaves them unclipped."""

    def __post_init__(self):
        if not (self.shift > 0 and 0 <= self.epsilon < 0.5):
            raise InputError(f"flow matching needs shift > 0 and 0 <= epsilon < 1/2, not {self}")

    @property
    def _line(self):
        return 2.0, -2 * math.log(self.shift)
