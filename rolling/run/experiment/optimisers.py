"""Optimisers: frozen dataclasses that turn a learning-rate schedule into an optax transformation."""

import dataclasses
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array, Float

from rolling.common.checks import check_finite, check_least


@runtime_checkable
class Optimiser(Protocol):
    """`peak` is the highest learning rate; the schedule that reaches it is `learning_rate` in
    `rolling/run/training/trainer.py`, its durations are fields of `Training`."""

    @property
    def peak(self) -> float: ...

    def transform(self, learning_rate: optax.Schedule) -> optax.GradientTransformation: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamW:
    """Adam with decoupled weight decay (arXiv 1711.05101)."""

    peak: float = 2e-3
    """Highest learning rate."""
    b1: float = 0.9
    """Decay of the mean of the gradient."""
    b2: float = 0.99
    """Decay of the mean of its square."""
    weight_decay: float = 1e-4
    """Decay of the parameters, times the learning rate, in a step."""

    def __post_init__(self):
        check_finite("optimiser", self, "peak", above=0)
        check_least("optimiser", self, "weight_decay")
        check_least("optimiser", self, "b1", "b2", most=1)

    def transform(self, learning_rate):
        return optax.adamw(learning_rate, b1=self.b1, b2=self.b2, weight_decay=self.weight_decay)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Muon:
    """Muon (momentum orthogonalised by Newton-Schulz) for matrices and convolution kernels, taken as
    matrices (all inputs, outputs); AdamW with its own learning rate for everything else."""

    peak: float = 1e-2
    """Highest learning rate, of the matrices."""
    beta: float = 0.95
    """Decay of the momentum."""
    weight_decay: float = 0.0
    """Decay of the parameters, times the learning rate, in a step."""
    adam_ratio: float = 0.3
    """The learning rate of AdamW as a fraction of Muon's."""

    def __post_init__(self):
        check_finite("optimiser", self, "peak", "adam_ratio", above=0)
        check_least("optimiser", self, "weight_decay")
        check_least("optimiser", self, "beta", most=1)

    def transform(self, learning_rate):
        matrices = optax.chain(
            _orthogonalised(self.beta),
            optax.stateless(lambda updates, params: jax.tree.map(_scaled_by_shape, updates)),
            optax.add_decayed_weights(self.weight_decay),
            optax.scale_by_learning_rate(learning_rate),
        )
        others = optax.adamw(
            lambda step: self.adam_ratio * learning_rate(step), b2=0.999, weight_decay=0.0, nesterov=True
        )
        return optax.partition(
            {"muon": matrices, "adam": others},
            lambda params: jax.tree.map(lambda leaf: "muon" if leaf.ndim > 1 else "adam", params),
        )


NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration of Muon (Jordan, 2024), which is run five times."""


def _orthogonalised(beta: float) -> optax.GradientTransformation:
    """`optax.contrib.scale_by_muon`, with the same state; matrices of one shape are orthogonalised together,
    which on a CPU takes two thirds of the time."""
    library = optax.contrib.scale_by_muon(NEWTON_SCHULZ, beta=beta)

    def update(updates, state, params=None):
        count = optax.safe_increment(state.count)
        mean = optax.tree.update_moment(updates, state.mu, beta, 1)
        ahead = jax.tree.map(
            lambda m, g: beta * m + (1 - beta) * g,
            optax.tree.bias_correction(mean, beta, optax.safe_increment(count)),
            optax.tree.bias_correction(updates, beta, count),
        )
        leaves, tree = jax.tree.flatten(ahead)
        return jax.tree.unflatten(tree, _orthogonal(leaves)), state._replace(count=count, mu=mean)

    return optax.GradientTransformation(library.init, update)


def _orthogonal(leaves: list[Array]) -> list[Array]:
    """The orthogonal factor of each leaf, taken as a matrix (all inputs, outputs)."""
    matrices = [leaf.reshape(-1, leaf.shape[-1]) for leaf in leaves]
    wide = [x if x.shape[0] <= x.shape[1] else x.T for x in matrices]
    for shape in sorted({x.shape for x in wide}):
        alike = [i for i, x in enumerate(wide) if x.shape == shape]
        factors = _newton_schulz(jnp.stack([wide[i] for i in alike]))
        for i, x in zip(alike, factors, strict=True):
            wide[i] = x
    turned = [x if x.shape == m.shape else x.T for x, m in zip(wide, matrices, strict=True)]
    return [x.reshape(leaf.shape) for x, leaf in zip(turned, leaves, strict=True)]


def _scaled_by_shape(x: Array) -> Array:
    """Times `sqrt(max(1, outputs / inputs))`."""
    outputs = x.shape[-1]
    return x * max(1.0, outputs**2 / x.size) ** 0.5


def _newton_schulz(x: Float[Array, "n rows columns"]) -> Array:
    """`x <- a x + (b x x' + c (x x')^2) x`, from a Frobenius norm of one."""
    a, b, c = NEWTON_SCHULZ
    x = x / (jnp.linalg.norm(x, axis=(1, 2), keepdims=True) + 1e-8)
    for _ in range(5):
        square = jnp.einsum("nij,nkj->nik", x, x)
        x = a * x + (b * square + c * square @ square) @ x
    return x
