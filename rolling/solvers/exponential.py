"""The mechanism of all multistep solvers: an exponential integral over a polynomial in `lambda = logsnr / 2`.

The reverse process is linear but for the prediction `f` (x or eps), so that only `f` is approximated:
a step adds to what a constant `f` gives

`int_0^h rate e^{rate (tau - h)} (p(lambda_t + tau) - f_t) dtau`, times `alpha_s` for x, `sigma_s` for eps,

with `p` the polynomial through predictions at several clocks of the same frame: the weights of these are
integrals of Lagrange's polynomials. Every frame has its own clocks, and its own number of predictions so far:
one that is missing is a mask, not another formula.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from rolling.arrays import Clocks, Frames
from rolling.noise import expand

Nodes = Float[Array, "#batch time nodes"]

# Gauss-Legendre on [0, 1]: the weights of 16 nodes are exact to rounding for steps of `rate h` up to 10, and
# unlike the closed forms they lose nothing to cancellation where `h` is small.
_ROOTS, _SHARES = (part / 2 for part in np.polynomial.legendre.leggauss(16))
_PLACES = _ROOTS + 0.5


class Past(NamedTuple):
    """Earlier predictions of each frame, the latest first.

    `logsnr` says where they were made. One at minus infinity is no node: there was none, or it was made of
    pure noise.
    """

    values: tuple[Frames, ...]
    logsnr: Float[Array, "batch time past"]

    def after(self, value: Frames, logsnr: Clocks) -> "Past":
        """With one more prediction; the oldest is forgotten."""
        latest = jnp.broadcast_to(logsnr, self.logsnr.shape[:2])[..., None]
        made = jnp.concatenate([latest, self.logsnr], axis=-1)
        return Past((value, *self.values)[: len(self.values)], made[..., : len(self.values)])


def no_past(z: Frames, length: int) -> Past:
    """The past of fresh frames, with room for `length` predictions."""
    values = tuple(jnp.zeros_like(z) for _ in range(length))
    return Past(values, jnp.full_like(z, -jnp.inf, shape=(*z.shape[:2], length)))


def _on_clocks(quadrature: np.ndarray, clocks: Array) -> np.ndarray:
    return quadrature.astype(clocks.dtype)[None, None]


def node_weights(offsets: Nodes, counted: Bool[Array, "#batch time nodes"], h: Clocks, rate: float) -> Nodes:
    """`int_0^h rate e^{rate (tau - h)} L_j(tau) dtau`, `L_j` Lagrange's polynomials of the counted nodes.

    `offsets` are the nodes' `lambda - lambda_t`. Uncounted nodes have weight 0, and neither they nor an
    infinite `h` (with which nothing should be counted) make a NaN.
    """
    h = jnp.where(jnp.isfinite(h), h, 0.0)[..., None]
    offsets = jnp.where(counted, offsets, 0.0)
    tau, shares = h * _on_clocks(_PLACES, h), h * _on_clocks(_SHARES, h)
    itself = np.eye(counted.shape[-1], dtype=bool)[None, None]
    others = counted[..., :, None] & counted[..., None, :] & ~itself
    gaps = jnp.where(others, offsets[..., :, None] - offsets[..., None, :], 1.0)
    ahead = tau[..., None, None, :] - offsets[..., None, :, None]
    lagrange = jnp.prod(jnp.where(others[..., None], ahead / gaps[..., None], 1.0), axis=-2)
    kernel = rate * jnp.exp(rate * (tau - h)) * shares
    return jnp.where(counted, jnp.sum(lagrange * kernel[..., None, :], axis=-1), 0.0)


def departure(
    value: Frames,
    others: tuple[Frames, ...],
    offsets: Nodes,
    counted: Bool[Array, "#batch time nodes"],
    h: Clocks,
    rate: float,
) -> Frames:
    """`int_0^h rate e^{rate (tau - h)} (p(tau) - value) dtau`.

    `p` goes through `value` at 0 and through `others` at `offsets`, as far as they are counted. In terms of
    differences, so that constant predictions are followed exactly.
    """
    here = jnp.zeros_like(offsets, shape=(*offsets.shape[:2], 1))
    nodes = jnp.concatenate([here, offsets], axis=-1)
    counted = jnp.concatenate([jnp.ones_like(here, dtype=bool), counted], axis=-1)
    weights = node_weights(nodes, counted, h, rate)
    total = jnp.zeros_like(value)
    for i, other in enumerate(others):
        total = total + expand(weights[..., i + 1], value) * (other - value)
    return total


def distinct(logsnr: Nodes, latest: Clocks) -> Bool[Array, "#batch time nodes"]:
    """Which of the nodes, the latest first, are finite, and lie before `latest` and before one another."""
    latest = jnp.broadcast_to(latest, logsnr.shape[:2])[..., None]
    return jnp.isfinite(logsnr) & (logsnr < jnp.concatenate([latest, logsnr], axis=-1)[..., :-1])
