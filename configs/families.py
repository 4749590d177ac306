"""Families of methods: each function takes any experiment and returns it in that family."""

import dataclasses

from rolling.run.experiment import Experiment
from rolling.windows import Autoregressive, FullSequence, Rolling


def rolling(experiment: Experiment) -> Experiment:
    """Rolling diffusion: the noise rises along the window, one frame leaves at a time."""
    window = Rolling(size=experiment.window.size, context=experiment.window.context)
    return dataclasses.replace(experiment, window=window)


def full_sequence(experiment: Experiment) -> Experiment:
    """Standard diffusion of whole chunks: one clock for all new frames."""
    window = FullSequence(size=experiment.window.size, context=experiment.window.context)
    return dataclasses.replace(experiment, window=window)


def autoregressive(experiment: Experiment) -> Experiment:
    """Next-frame diffusion: one frame at a time, given the context."""
    return dataclasses.replace(experiment, window=Autoregressive(context=experiment.window.context))
