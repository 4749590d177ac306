"""Families of methods: each function takes an experiment and returns it in that family.

They differ in how the clocks of the frames run and in what follows from that; data, network and length of
training stay. What a preset adds against drift does not: not every window allows it, and methods are compared
as they are. `rolling list` names them, and each is there for every preset: `kolmogorov_erdm`.
"""

import dataclasses

from rolling.denoisers import V
from rolling.losses import LogNormal
from rolling.noise import Edm
from rolling.noise.prior import Correlated
from rolling.run.experiment import Experiment, Reference
from rolling.run.experiment.objectives import Denoising
from rolling.run.experiment.presets import family
from rolling.sampling.old_frames import Memory
from rolling.sampling.partitions import Blocks
from rolling.sampling.starts import FromGuess
from rolling.solvers import Heun
from rolling.windows import (
    AlignedContext,
    Autoregressive,
    FullSequence,
    IndependentTimes,
    NoisyContext,
    Pyramid,
    Rolling,
    TrainedOn,
)


def _with(experiment: Experiment, family: str, **changes) -> Experiment:
    plain = {"objective": Denoising(), "reference": Reference(), "memory": Memory(), "constraints": ()}
    return dataclasses.replace(experiment, name=f"{experiment.name}_{family}", **plain | changes)


def _frame(experiment: Experiment) -> dict[str, int]:
    return {"size": experiment.window.size, "context": experiment.window.context}


@family
def rolling(experiment: Experiment) -> Experiment:
    """Rolling diffusion: noise rises along the window, frames leave one by one."""
    return _with(experiment, "rolling", window=Rolling(**_frame(experiment)))


@family
def blocks(experiment: Experiment) -> Experiment:
    """Rolling in blocks of two frames that share a clock."""
    frame = _frame(experiment)
    frame["size"] += (frame["size"] - frame["context"]) % 2
    return _with(experiment, "blocks", window=Rolling(**frame, block=2))


@family
def full_sequence(experiment: Experiment) -> Experiment:
    """Standard diffusion: all new frames of a chunk share one clock."""
    return _with(experiment, "full_sequence", window=FullSequence(**_frame(experiment)))


@family
def autoregressive(experiment: Experiment) -> Experiment:
    """Next-frame diffusion: one frame at a time, given the context."""
    return _with(experiment, "autoregressive", window=Autoregressive(context=experiment.window.context))


@family
def acdm(experiment: Experiment) -> Experiment:
    """Next-frame diffusion whose context is as noisy as the frame (ACDM)."""
    window = AlignedContext(inner=Autoregressive(context=experiment.window.context))
    return _with(experiment, "acdm", window=window)


@family
def noisy_context(experiment: Experiment) -> Experiment:
    """Rolling diffusion with a slightly noised context, against drift."""
    window = NoisyContext(inner=Rolling(**_frame(experiment)), level=0.05)
    return _with(experiment, "noisy_context", window=window)


@family
def pyramid(experiment: Experiment) -> Experiment:
    """A pyramid: frames of a chunk start, and finish, one after another."""
    return _with(experiment, "pyramid", window=Pyramid(**_frame(experiment), stagger=0.25))


@family
def diffusion_forcing(experiment: Experiment) -> Experiment:
    """Diffusion forcing: independent times in training, a pyramid in sampling."""
    inner = Pyramid(**_frame(experiment), stagger=0.25)
    window = IndependentTimes(inner=inner, random_history=True)
    return _with(experiment, "diffusion_forcing", window=window)


@family
def erdm(experiment: Experiment) -> Experiment:
    """ERDM: rolling in EDM's sigma, Heun, correlated noise, from persistence."""
    return _with(
        experiment,
        "erdm",
        window=Rolling(size=experiment.window.size, context=0, warmup_share=0.0),
        schedule=Edm(rho=-10.0),
        prediction=V(),  # with data of unit variance this is EDM's preconditioning
        weighting=LogNormal(mean=0.5, std=1.2),
        noise=Correlated(strength=1.0),
        solver=Heun(),
        calls_per_frame=max(2, experiment.calls_per_frame),
        start=FromGuess(),
    )


@family
def fifo(experiment: Experiment) -> Experiment:
    """FIFO: a queue longer than the network's window, in overlapping blocks."""
    size = experiment.window.size + experiment.window.size % 2
    half = size // 2
    trained = IndependentTimes(inner=Rolling(size=size, context=half), monotone=True)
    window = TrainedOn(inner=Rolling(size=half + 2 * size, context=half), trained=trained)
    return _with(experiment, "fifo", window=window, partition=Blocks(size=size))
