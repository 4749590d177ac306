"""Multistep solvers: high order at one call per step, from each frame's own earlier predictions.

A frame starts at order 1 and gains one order with each step, up to `order`. The step from `alpha = 0` and the
one that reaches `tau = 0` are of order 1. At one call per emitted frame nothing but this history raises the
order, so it must cross the shifts of the window with its frame.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp

from rolling.array_types import Clocks, Frames
from rolling.common.errors import InputError
from rolling.noise import alpha_sigma, eps_from_x, expand
from rolling.solvers.exponential import PastPredictions, distinct, empty_history, multistep_correction
from rolling.solvers.first_order import ddim
from rolling.solvers.protocol import Noise, Step

HIGHEST = 4


def _check_order(solver: str, order: int) -> None:
    if order not in range(1, HIGHEST + 1):
        raise InputError(f"{solver}'s order is a whole number from 1 to {HIGHEST}, not {order}")


def _multistep_term(value: Frames, past: PastPredictions, length: int, step: Step, rate: float) -> Frames:
    """What `length` earlier predictions add to a step with constant `value`, over `alpha_s` or `sigma_s`."""
    logsnr_t = jnp.broadcast_to(step.logsnr_t, past.logsnr.shape[:2])
    h = (step.logsnr_s - logsnr_t) / 2
    nodes = past.logsnr[..., :length]
    usable = jnp.isfinite(logsnr_t) & jnp.isfinite(h) & ~step.last
    used = distinct(nodes, logsnr_t) & usable[..., None]
    offsets = (nodes - logsnr_t[..., None]) / 2
    return multistep_correction(value, past.values[:length], offsets, used, h, rate)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DpmSolverPlusPlus:
    """DPM-Solver++ with exact weights: its `2M` and `3M` forms, and those of its SDE.

    `z_s = (sigma_s / sigma_t) e^{-eta h} z_t + alpha_s int_0^h (1 + eta) e^{(1 + eta)(tau - h)} x(tau) dtau
    + sigma_s sqrt(1 - e^{-2 eta h}) noise`, with `x` the polynomial in `lambda = logsnr / 2` through the last
    `order` predictions (Lu et al., arXiv 2211.01095, eqs. 9 and 19; their alg. 2 replaces the weights of
    second order by `(1 - e^{-h}) h / 2`).

    `eta` is the share of noise: 0 is the probability-flow ODE, where order 1 is DDIM, and 1 is the reverse
    SDE, where order 1 is the ancestral step. No noise is drawn in the step that reaches `tau = 0`. Order 2
    does best at one call per frame (docs/methods.md). Raises `InputError` for an order other than 1 to 4 and
    for an `eta` outside [0, 1].
    """

    calls = 1
    order: int = 2
    """Predictions that the polynomial goes through, 1 to 4."""
    eta: float = 0.0
    """Share of fresh noise: 0 is the ODE, 1 the reverse SDE."""

    def __post_init__(self):
        _check_order("DPM-Solver++", self.order)
        if not 0 <= self.eta <= 1:
            raise InputError(f"DPM-Solver++'s eta lies between 0 and 1, not at {self.eta}")

    @property
    def noise(self) -> Noise:
        return "per_frame" if self.eta > 0 else "none"

    def init(self, z):
        return empty_history(z, self.order - 1)

    def step(self, denoise, z, history, step, noise):
        x = denoise(z, step.logsnr_t)
        alpha_s = alpha_sigma(expand(step.logsnr_s, z))[0]
        first = self._first_order(z, x, step, noise)
        z_s = first + alpha_s * _multistep_term(x, history, self.order - 1, step, 1 + self.eta)
        return z_s, history.push(x, step.logsnr_t)

    def _first_order(self, z, x, step, noise):
        if self.eta == 0:
            return ddim(z, x, step.logsnr_t, step.logsnr_s)
        alpha_s, sigma_s = alpha_sigma(expand(step.logsnr_s, z))
        sigma_t = alpha_sigma(expand(step.logsnr_t, z))[1]
        h = expand((step.logsnr_s - step.logsnr_t) / 2, z)
        mean = sigma_s / sigma_t * jnp.exp(-self.eta * h) * z - alpha_s * jnp.expm1(-(1 + self.eta) * h) * x
        deviation = sigma_s * jnp.sqrt(-jnp.expm1(-2 * self.eta * h))
        return mean + jnp.where(expand(step.last, z), 0.0, deviation) * noise(0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Deis:
    """DEIS (Zhang and Chen, arXiv 2204.13902, eq. 15): a polynomial in `log rho = -lambda` through the last
    `order` predictions of eps.

    `z_s = (alpha_s / alpha_t) z_t - sigma_s int_0^h e^{h - tau} eps(tau) dtau`; order 1 is DDIM. Raises
    `InputError` for an order other than 1 to 4.
    """

    calls = 1
    order: int = 3
    """Predictions that the polynomial goes through, 1 to 4."""

    def __post_init__(self):
        _check_order("DEIS", self.order)

    @property
    def noise(self) -> Noise:
        return "none"

    def init(self, z):
        return empty_history(z, self.order - 1)

    def step(self, denoise, z, history, step, noise):
        x = denoise(z, step.logsnr_t)
        eps = eps_from_x(z, x, step.logsnr_t)
        sigma_s = alpha_sigma(expand(step.logsnr_s, z))[1]
        first = ddim(z, x, step.logsnr_t, step.logsnr_s)
        # For eps the integral is the same, with rate -1.
        z_s = first + sigma_s * _multistep_term(eps, history, self.order - 1, step, -1.0)
        return z_s, history.push(eps, step.logsnr_t)


class PredictorState(NamedTuple):
    """The last `order` predictions of a frame, and the `z` that the latest of them was made from."""

    past: PastPredictions
    z: Frames


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniPC:
    """UniPC (Zhao et al., arXiv 2302.04867, alg. 1 and 2) with data prediction and exact weights.

    The predictor is `DpmSolverPlusPlus(order=order)`. The corrector raises the order to `order + 1` at no
    extra call: once `x = D(z_t)` is known, the step that led to `z_t` is taken again with `x` as a node at
    its end, beside the one at its start and up to `order - 1` earlier ones, and the next step starts from
    there. There is no correction where the previous step began at `alpha = 0`. The presets use order 2
    (docs/methods.md compares 2 to 4). Raises `InputError` for an order other than 1 to 4.
    """

    calls = 1
    order: int = 2
    """Predictions that the predictor's polynomial goes through, 1 to 4."""
    corrector: bool = True
    """Correct each step once its end is predicted."""

    def __post_init__(self):
        _check_order("UniPC", self.order)

    @property
    def noise(self) -> Noise:
        return "none"

    def init(self, z):
        return PredictorState(empty_history(z, self.order), jnp.zeros_like(z))

    def step(self, denoise, z, history, step, noise):
        x = denoise(z, step.logsnr_t)
        if self.corrector:
            z = _corrected(z, x, history, step.logsnr_t)
        alpha_s = alpha_sigma(expand(step.logsnr_s, z))[0]
        first = ddim(z, x, step.logsnr_t, step.logsnr_s)
        z_s = first + alpha_s * _multistep_term(x, history.past, self.order - 1, step, 1.0)
        return z_s, PredictorState(history.past.push(x, step.logsnr_t), z)


def _corrected(z: Frames, x: Frames, state: PredictorState, logsnr: Clocks) -> Frames:
    """UniC: the step from `state.z` to `z` at `logsnr`, taken again with `x` as a node at its end."""
    x_start, nodes = state.past.values[0], state.past.logsnr
    start, logsnr = nodes[..., 0], jnp.broadcast_to(logsnr, nodes.shape[:2])
    correctable = jnp.isfinite(start) & jnp.isfinite(logsnr) & (start < logsnr)
    # Where there is no step to correct any finite clocks will do: the result is not used.
    start, end = jnp.where(correctable, start, -1.0), jnp.where(correctable, logsnr, 1.0)
    earlier = nodes[..., 1:]
    used = distinct(earlier, start)
    others = (x, *state.past.values[1:])
    offsets = (jnp.concatenate([end[..., None], earlier], axis=-1) - start[..., None]) / 2
    used = jnp.concatenate([jnp.ones_like(correctable)[..., None], used], axis=-1)
    correction = multistep_correction(x_start, others, offsets, used, (end - start) / 2, 1.0)
    corrected = ddim(state.z, x_start, start, end) + alpha_sigma(expand(end, z))[0] * correction
    return jnp.where(expand(correctable, z), corrected, z)
