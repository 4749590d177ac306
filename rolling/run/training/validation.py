"""The loss on what is set apart: the same clips, clocks and noise each time, so that losses differ by the
parameters alone."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Sharding

from rolling.common import compiler
from rolling.data.pipeline import fixed_clips
from rolling.data.source import Sequences
from rolling.data.statistics import Statistics
from rolling.run.experiment import Experiment
from rolling.run.experiment.objectives import LossInputs

DRAWS = 4
"""Times that each clip is diffused, by as many clocks."""
KEY = 2**32 - 1
"""Folded into a key that is the same for all runs, so that their losses can be compared: as no step is."""


def without_dropout(inputs: LossInputs) -> LossInputs:
    """As when forecasting: the whole network, and all that it is conditioned on."""
    return inputs._replace(
        denoiser=lambda params, key: inputs.denoiser(params, None),
        condition=lambda batch, key: inputs.condition(batch, None),
    )


def make_loss(experiment: Experiment, inputs: LossInputs) -> Callable:
    """The jitted `(params, frozen, batch, key) -> loss`: that of the objective, without what it keeps from
    step to step, which changes while the network is trained."""
    inputs = without_dropout(inputs)

    def loss(params, frozen, batch, key):
        return experiment.objective.loss(inputs, params, frozen, batch, key)

    return jax.jit(loss, compiler_options=compiler.options())


class Validator:
    """The validation of an experiment on the sequences that are set apart.

    Raises `InputError` where no sequence is as long as a clip.
    """

    def __init__(
        self,
        experiment: Experiment,
        inputs: LossInputs,
        sequences: Sequences,
        statistics: Statistics,
        sharding: Sharding,
    ):
        self.sharding = sharding
        self.batches = fixed_clips(
            sequences,
            statistics,
            frames=experiment.clip_frames,
            batch=experiment.training.batch // experiment.training.accumulate,
            least=experiment.validation.clips,
            past=experiment.clip_past,
        )
        self._loss = make_loss(experiment, inputs)
        self._key = jax.random.fold_in(jax.random.key(0), KEY)

    def loss(self, params: Any, frozen: Any) -> float:
        """The mean over all clips and draws; `frozen` are the parameters of a teacher."""
        losses = []
        for place in range(len(self.batches)):  # read anew, as large frames would fill the memory
            batch = jax.device_put(self.batches[place], self.sharding)
            keys = jax.random.split(jax.random.fold_in(self._key, place), DRAWS)
            losses += [self._loss(params, frozen, batch, key) for key in keys]
        return float(np.mean(np.asarray(jax.device_get(losses), np.float64)))
