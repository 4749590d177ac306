"""Exponential integrators, the core of all multistep solvers: integrals of a polynomial in
`lambda = logsnr / 2`.

The reverse process is linear apart from the prediction `f` (x or eps), so only `f` is approximated. To the
step with constant `f` the multistep correction adds

`int_0^h rate e^{rate (tau - h)} (p(lambda_t + tau) - f_t) dtau`, times `alpha_s` for x, `sigma_s` for eps,

with `p` the polynomial through predictions at several clocks of the same frame; their weights are integrals
of Lagrange polynomials. Every frame has its own clocks and its own number of predictions so far: a missing
one is masked and needs no other formula.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from rolling.array_types import Clocks, Frames
from rolling.noise import expand

Nodes = Float[Array, "#batch time nodes"]

# Gauss-Legendre on [0, 1]: with 16 points the weights are exact to rounding for steps of `rate h` up to 10,
# and unlike the closed forms they lose nothing to cancellation where `h` is small.
_ROOTS, _QUADRATURE_WEIGHTS = (part / 2 for part in np.polynomial.legendre.leggauss(16))
_QUADRATURE_POINTS = _ROOTS + 0.5


class PastPredictions(NamedTuple):
    """Earlier predictions of each frame, the latest first, made at `logsnr`.

    An entry at minus infinity is not a node: either there is no prediction, or it was made from pure noise.
    """

    values: tuple[Frames, ...]
    logsnr: Float[Array, "batch time past"]

    def push(self, value: Frames, logsnr: Clocks) -> "PastPredictions":
        """With one more prediction; the oldest is dropped."""
        latest = jnp.broadcast_to(logsnr, self.logsnr.shape[:2])[..., None]
        made = jnp.concatenate([latest, self.logsnr], axis=-1)
        return PastPredictions((value, *self.values)[: len(self.values)], made[..., : len(self.values)])


def empty_history(z: Frames, length: int) -> PastPredictions:
    """The history of fresh frames, with room for `length` predictions."""
    values = tuple(jnp.zeros_like(z) for _ in range(length))
    return PastPredictions(values, jnp.full_like(z, -jnp.inf, shape=(*z.shape[:2], length)))


def _on_clocks(quadrature: np.ndarray, clocks: Array) -> np.ndarray:
    return quadrature.astype(clocks.dtype)[None, None]


def node_weights(offsets: Nodes, used: Bool[Array, "#batch time nodes"], h: Clocks, rate: float) -> Nodes:
    """`int_0^h rate e^{rate (tau - h)} L_j(tau) dtau`, `L_j` the Lagrange polynomials of the nodes in `used`.

    `offsets` are the nodes' `lambda - lambda_t`. Unused nodes have weight 0. Neither they nor an infinite
    `h`, for which no node should be used, cause a NaN.
    """
    h = jnp.where(jnp.isfinite(h), h, 0.0)[..., None]
    offsets = jnp.where(used, offsets, 0.0)
    tau, dtau = h * _on_clocks(_QUADRATURE_POINTS, h), h * _on_clocks(_QUADRATURE_WEIGHTS, h)
    itself = np.eye(used.shape[-1], dtype=bool)[None, None]
    others = used[..., :, None] & used[..., None, :] & ~itself
    gaps = jnp.where(others, offsets[..., :, None] - offsets[..., None, :], 1.0)
    ahead = tau[..., None, None, :] - offsets[..., None, :, None]
    lagrange = jnp.prod(jnp.where(others[..., None], ahead / gaps[..., None], 1.0), axis=-2)
    kernel = rate * jnp.exp(rate * (tau - h)) * dtau
    return jnp.where(used, jnp.sum(lagrange * kernel[..., None, :], axis=-1), 0.0)


def multistep_correction(
    value: Frames,
    others: tuple[Frames, ...],
    offsets: Nodes,
    used: Bool[Array, "#batch time nodes"],
    h: Clocks,
    rate: float,
) -> Frames:
    """`int_0^h rate e^{rate (tau - h)} (p(tau) - value) dtau`.

    `p` passes through `value` at 0 and through those of `others` at `offsets` that are in `used`. Computed
    from differences, so that it is exactly 0 for constant predictions.
    """
    here = jnp.zeros_like(offsets, shape=(*offsets.shape[:2], 1))
    nodes = jnp.concatenate([here, offsets], axis=-1)
    used = jnp.concatenate([jnp.ones_like(here, dtype=bool), used], axis=-1)
    weights = node_weights(nodes, used, h, rate)
    total = jnp.zeros_like(value)
    for i, other in enumerate(others):
        total = total + expand(weights[..., i + 1], value) * (other - value)
    return total


def distinct(logsnr: Nodes, latest: Clocks) -> Bool[Array, "#batch time nodes"]:
    """Which nodes, the latest first, are finite and noisier than `latest` and than all nodes before them."""
    latest = jnp.broadcast_to(latest, logsnr.shape[:2])[..., None]
    return jnp.isfinite(logsnr) & (logsnr < jnp.concatenate([latest, logsnr], axis=-1)[..., :-1])
