"""Optimisers: frozen dataclasses that turn a learning-rate schedule into an optax transformation."""

import dataclasses
from typing import Protocol, runtime_checkable

import jax
import optax
import optax.contrib

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
        def dimensions(params):
            def of(leaf):
                if leaf.ndim < 2:
                    return None
                return optax.contrib.MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), (leaf.ndim - 1,))

            return jax.tree.map(of, params)

        return optax.contrib.muon(
            learning_rate,
            beta=self.beta,
            weight_decay=self.weight_decay,
            adam_learning_rate=lambda step: self.adam_ratio * learning_rate(step),
            muon_weight_dimension_numbers=dimensions,
        )
