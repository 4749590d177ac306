"""An experiment's network for the frames of a layout: the one place where the two meet."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import einops
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rolling.array_types import Frames
from rolling.data.conditions import conditioning, vector_size
from rolling.data.source import Sequences
from rolling.data.statistics import Statistics
from rolling.denoisers import (
    OF_FRAMES,
    OF_SEQUENCES,
    Apply,
    Condition,
    Denoiser,
    Inputs,
    Past,
    denoiser,
    functional,
)
from rolling.layout import Layout
from rolling.run.experiment import Experiment
from rolling.sampling import Conditions, Sampling
from rolling.sampling.constraints import Units


def network_inputs(experiment: Experiment, layout: Layout, mask: np.ndarray | None) -> Inputs:
    """The input shapes of a network for this layout; a mask becomes a static field per variable."""
    channels = len(layout.variables)
    return Inputs(
        space=layout.space,
        channels=channels,
        labels=len(layout.labels),
        tokens=layout.tokens,
        vectors=vector_size(layout),
        fields=layout.forcings,
        static=0 if mask is None else channels,
        constants=len(layout.constants),
        reference=experiment.reference.frames * channels,
        memory=len(experiment.memory.ages) * channels,
        boundaries=tuple(axis.boundary for axis in layout.axes),
    )


def build(experiment: Experiment, layout: Layout, mask: np.ndarray | None) -> tuple[Apply, dict[str, Any]]:
    """`apply(params, z, logsnr, condition, dropout_key)` and fresh parameters from the training's seed."""
    rngs = nnx.Rngs(experiment.training.seed)
    return functional(experiment.network.build(network_inputs(experiment, layout, mask), rngs))


def abstract(experiment: Experiment, layout: Layout, mask: np.ndarray | None) -> tuple[Apply, dict[str, Any]]:
    """As `build`, with shapes in place of parameters: nothing is computed or allocated."""
    inputs = network_inputs(experiment, layout, mask)
    return functional(nnx.eval_shape(lambda: experiment.network.build(inputs, nnx.Rngs(0))))


def static_fields(mask: np.ndarray | None) -> jax.Array | None:
    return None if mask is None else jnp.asarray(mask, jnp.float32)


def condition_of(batch: dict[str, Any], mask: np.ndarray | None) -> Condition:
    """What a network is conditioned on for a batch of the input pipeline."""
    parts = {name: batch[name] for name in OF_SEQUENCES + OF_FRAMES if name in batch}
    return Condition(**parts, static=static_fields(mask))


@dataclasses.dataclass(frozen=True)
class Known:
    """`(first, count)` to the condition of the frames `first .. first + count - 1` of a batch of forecasts.

    `places` give, for each forecast, its sequence and the frame of it that is the forecast's frame 0.
    """

    sequences: Sequences
    places: Sequence[tuple[int, int]]
    mask: np.ndarray | None

    def __call__(self, first: int, count: int) -> Condition:
        parts = [
            conditioning(self.sequences, index, frame + first, frame + first + count)
            for index, frame in self.places
        ]
        batch = {name: jnp.asarray(np.stack([part[name] for part in parts])) for name in parts[0]}
        return condition_of(batch, self.mask)


def with_reference(conditions: Conditions, frames: Frames) -> Conditions:
    """What is known of any frames, and with it these frames of the beginning, normalised."""
    reference = einops.rearrange(frames, "b t ... c -> b ... (t c)")
    return lambda first, count: dataclasses.replace(conditions(first, count), reference=reference)


def units_of(layout: Layout, statistics: Statistics) -> Units:
    """What the values that the network sees stand for."""
    return Units(layout, statistics.mean, statistics.std, statistics.mask)


def past_of(sampling: Sampling, statistics: Statistics) -> Past:
    """What a frame of the window has in common with the context, in the training data."""
    return Past(context=sampling.window.context, lag_correlation=statistics.lag_correlation)


def binder(experiment: Experiment, apply: Apply, past: Past) -> Callable[[Any], Denoiser]:
    """`params` to the denoiser."""

    def bind(params):
        def network(z, logsnr, condition):
            return apply(params, z, logsnr, shown(condition, experiment, z.shape[-1]))

        return denoiser(network, experiment.prediction, past)

    return bind


def shown(condition: Condition, experiment: Experiment, channels: int) -> Condition:
    """With as many frames of the past as the experiment's network was trained with: another network may be
    shown more of them, or some."""
    reference = condition.reference
    if reference is not None:
        count = experiment.reference.frames * channels
        reference = reference[..., :count] if count else None
    memory = condition.memory if experiment.memory.ages else None
    return dataclasses.replace(condition, reference=reference, memory=memory)


def count(params: Any) -> int:
    """The number of scalar parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
