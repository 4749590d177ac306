"""An experiment's network for the frames of a layout: the one place where the two meet."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import einops
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rolling.array_types import Frames
from rolling.data.conditions import conditioning, vector_size
from rolling.data.joint_sequences import JointSequences
from rolling.data.joint_statistics import JointStatistics
from rolling.data.source import Sequences
from rolling.data.statistics import Statistics
from rolling.denoisers import (
    NOTHING,
    OF_FRAMES,
    OF_SEQUENCES,
    Apply,
    Condition,
    Denoiser,
    Inputs,
    JointDenoiser,
    Known as FramesKnown,
    Past,
    denoiser,
    functional,
    joint_denoiser,
)
from rolling.joint_layout import JointLayout
from rolling.layout import Layout
from rolling.run.experiment import Experiment
from rolling.sampling import Conditions, JointSampling, Sampling
from rolling.sampling.constraints import JointUnits, Units

Pasts = Past | dict[str, Past]
Mask = np.ndarray | None | dict[str, np.ndarray | None]
"""Of one modality, or of each of several."""


def network_inputs(experiment: Experiment, layout: Layout | JointLayout, mask: Mask) -> Any:
    """The input shapes of a network for this layout, `Inputs` or a dict of them; a mask becomes a static
    field per variable."""
    if not isinstance(layout, JointLayout):
        return _inputs(experiment, layout, cast(np.ndarray | None, mask))
    return {
        name: dataclasses.replace(_inputs(experiment, part, part_of(mask, name)), every=layout.every[name])
        for name, part in layout.of.items()
    }


def part_of(mask: Mask, name: str) -> np.ndarray | None:
    """The mask of one of several modalities."""
    return mask[name] if isinstance(mask, dict) else None


def _inputs(experiment: Experiment, layout: Layout, mask: np.ndarray | None) -> Inputs:
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


def build(experiment: Experiment, layout: Layout | JointLayout, mask: Mask) -> tuple[Apply, dict[str, Any]]:
    """`apply(params, z, logsnr, condition, dropout_key)` and fresh parameters from the training's seed."""
    rngs = nnx.Rngs(experiment.training.seed)
    return functional(experiment.network.build(network_inputs(experiment, layout, mask), rngs))


def abstract(
    experiment: Experiment, layout: Layout | JointLayout, mask: Mask
) -> tuple[Apply, dict[str, Any]]:
    """As `build`, with shapes in place of parameters: nothing is computed or allocated."""
    inputs = network_inputs(experiment, layout, mask)
    return functional(nnx.eval_shape(lambda: experiment.network.build(inputs, nnx.Rngs(0))))


def static_fields(mask: np.ndarray | None) -> jax.Array | None:
    return None if mask is None else jnp.asarray(mask, jnp.float32)


def condition_of(batch: dict[str, Any], mask: Mask) -> Condition:
    """What a network is conditioned on for a batch of the input pipeline."""
    if "of" in batch:
        of = {name: condition_of(part, part_of(mask, name)) for name, part in batch["of"].items()}
        return Condition(of=of)
    parts = {name: batch[name] for name in OF_SEQUENCES + OF_FRAMES if name in batch}
    return Condition(**parts, static=static_fields(cast(np.ndarray | None, mask)))


@dataclasses.dataclass(frozen=True)
class Known:
    """`(first, count)` to the condition of the frames `first .. first + count - 1` of a batch of forecasts.

    `places` give, for each forecast, its sequence and the frame of it that is the forecast's frame 0.
    """

    sequences: Sequences | JointSequences
    places: Sequence[tuple[int, int]]
    mask: Mask
    shown: "Shown | None" = None
    """The modalities whose frames are known, too."""

    def __call__(self, first: int, count: int) -> Condition:
        parts = [
            conditioning(self.sequences, index, frame + first, frame + first + count)
            for index, frame in self.places
        ]
        batch = jax.tree.map(lambda *each: jnp.asarray(np.stack(each)), *parts)
        known = condition_of(batch, self.mask)
        return self.shown.added(known, self, first, count) if self.shown else known


class Shown(NamedTuple):
    """Modalities of which all frames are known that there are."""

    names: tuple[str, ...]
    statistics: JointStatistics

    def added(self, known: Condition, of: Known, first: int, count: int) -> Condition:
        """What is known of `count` ticks from `first` on, and with it the frames of these modalities."""
        parts, sequences = dict(known.of or {}), cast(JointSequences, of.sequences)
        for name in self.names:
            every = sequences.layout.every[name]
            spans = [(index, (at + first) // every) for index, at in of.places]
            frames, there = self._frames(sequences.parts[name], spans, count // every)
            clean = jnp.asarray(self.statistics.of[name].normalise(frames), jnp.float32)
            told = FramesKnown(clean, jnp.asarray(there))
            parts[name] = dataclasses.replace(parts.get(name, NOTHING), known=told)
        return dataclasses.replace(known, of=parts)

    def _frames(self, part: Sequences, spans: Sequence[tuple[int, int]], count: int):
        """`[place, count, *space, channel]`, zeros behind the end of a sequence, and which are there."""
        frames = np.zeros((len(spans), count, *part.layout.shape), np.float32)
        there = np.zeros(frames.shape[:2], bool)
        for place, (index, start) in enumerate(spans):
            stop = min(start + count, part.length(index))
            if stop > start:
                frames[place, : stop - start] = part.read(index, start, stop)
                there[place, : stop - start] = True
        return frames, there


def shown_modalities(recipe: Sampling, statistics: Statistics | JointStatistics) -> Shown | None:
    """The modalities that a way of sampling is given."""
    if isinstance(recipe, JointSampling) and isinstance(statistics, JointStatistics) and recipe.given:
        return Shown(recipe.given, statistics)
    return None


def with_reference(conditions: Conditions, frames: Frames) -> Conditions:
    """What is known of any frames, and with it these frames of the beginning, normalised."""
    reference = einops.rearrange(frames, "b t ... c -> b ... (t c)")
    return lambda first, count: dataclasses.replace(conditions(first, count), reference=reference)


def units_of(layout: Layout | JointLayout, statistics: Statistics | JointStatistics) -> Any:
    """What the values that the network sees stand for."""
    if isinstance(layout, JointLayout):
        of = cast(JointStatistics, statistics).of
        return JointUnits(layout, {name: _units(part, of[name]) for name, part in layout.of.items()})
    return _units(layout, cast(Statistics, statistics))


def _units(layout: Layout, statistics: Statistics) -> Units:
    return Units(layout, statistics.mean, statistics.std, statistics.mask)


def past_of(
    sampling: Sampling, layout: Layout | JointLayout, statistics: Statistics | JointStatistics
) -> Pasts:
    """What a frame of the window has in common with the context, in the training data."""
    context = sampling.window.context
    if isinstance(layout, JointLayout):
        of, every = cast(JointStatistics, statistics).of, layout.every
        return {name: _past(context // every[name], part) for name, part in of.items()}
    return _past(context, cast(Statistics, statistics))


def _past(context: int, statistics: Statistics) -> Past:
    return Past(context=context, lag_correlation=statistics.lag_correlation)


def denoiser_of(network: Callable, experiment: Experiment, past: Pasts) -> Denoiser | JointDenoiser:
    """That of one modality or, where there are pasts of several, of these."""
    if isinstance(past, dict):
        return joint_denoiser(network, experiment.prediction, past)
    return denoiser(network, experiment.prediction, past)


def binder(experiment: Experiment, apply: Apply, past: Pasts) -> Callable[[Any], Any]:
    """`params` to the denoiser."""

    def bind(params):
        def network(z, logsnr, condition):
            if not isinstance(z, dict):
                condition = shown(condition, experiment, z.shape[-1])
            return apply(params, z, logsnr, condition)

        return denoiser_of(network, experiment, past)

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
