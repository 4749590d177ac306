"""Constraints on predicted flows; the others are in `rolling.sampling.constraints`."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from rolling.common.errors import InputError
from rolling.layout import Layout
from rolling.physics.flow import velocities


@dataclasses.dataclass(frozen=True, kw_only=True)
class DivergenceFree:
    """Velocities without divergence on a doubly periodic plane: `u^ -> u^ - k (k . u^) / |k|^2` for every
    mode of wavenumber `k` (Leray's projection), the nearest point of a linear space.

    The Nyquist mode of an even number of cells has no sign, and counts as constant along its axis.
    """

    def check(self, sampling, layout=None):
        if layout is None:
            return
        if not velocities(layout):
            raise InputError(
                f"a flow without divergence needs two velocities, and the data hold {', '.join(layout.names)}"
            )
        if not layout.is_torus:
            raise InputError(
                "a flow without divergence is found by Fourier modes, and these data are not periodic in both"
                " directions: leave the constraint out"
            )

    def constrain(self, x, context, units):
        ky, kx = wavenumbers(units.layout)
        square = jnp.asarray(np.where((ky**2 + kx**2) > 0, ky**2 + kx**2, 1.0)[None, None], x.dtype)
        ky, kx = (jnp.asarray(k[None, None], x.dtype) for k in (ky, kx))
        flow = units.physical(x)
        for pair in velocities(units.layout):
            u, v = (jnp.fft.rfft2(flow[..., channel]) for channel in (pair.u, pair.v))
            along = (kx * u + ky * v) / square
            for channel, k in ((pair.u, kx), (pair.v, ky)):
                found = jnp.fft.irfft2(k * along, s=units.layout.space)
                flow = flow.at[..., channel].add(-found)
        return units.normalised(flow)


def wavenumbers(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """`[height, width // 2 + 1]` each: `ky` and `kx` of the modes of a real transform, 0 at Nyquist."""
    ky, kx = (2 * np.pi * np.fft.fftfreq(len(axis), _step(axis)) for axis in (layout.y, layout.x))
    for axis, k in ((layout.y, ky), (layout.x, kx)):
        if len(axis) % 2 == 0:
            k[len(axis) // 2] = 0.0
    return np.meshgrid(ky, kx[: len(layout.x) // 2 + 1], indexing="ij")


def _step(axis) -> float:
    """The distance from one cell to the next, negative on an axis that descends."""
    return axis.values[1] - axis.values[0] if len(axis) > 1 else 1.0
