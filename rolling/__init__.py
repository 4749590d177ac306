"""Diffusion over sequences in which every frame has its own noise level: the names that a user needs.

`from rolling import Experiment, Rolling, UniPC, load`. Whatever is imported here is loaded when it is first
asked for, so that `import rolling` costs nothing and the floors below import one another as before.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rolling.common.errors import InputError
    from rolling.data.clips import Clips
    from rolling.data.gridded import Gridded
    from rolling.data.simulated import Simulated
    from rolling.denoisers import Eps, FlowVelocity, ScoreFunction, V, X
    from rolling.losses import Elbo, EpsLoss, LogNormal, MinSnr, SigmoidWeighting, VLoss, XLoss
    from rolling.metrics import Metric
    from rolling.metrics.ensemble import Crps, Rmse, SpreadSkillRatio
    from rolling.noise import (
        Cosine,
        Edm,
        FlowMatching,
        InterpolatedCosine,
        LinearBeta,
        LinearLogsnr,
        Logit,
        Sigmoid,
    )
    from rolling.oracle import Oracle
    from rolling.run.experiment.experiment import Experiment, Forecast, Training
    from rolling.run.experiment.optimisers import AdamW, Muon
    from rolling.run.experiment.presets import find
    from rolling.run.forecasting.forecaster import Forecaster, load
    from rolling.sampling.guidance import Autoguidance, ClassifierFree, HistoryGuidance
    from rolling.sampling.rollout import Rollout
    from rolling.sampling.sampler import Sampling
    from rolling.sampling.starts import FromClip, FromGuess, FromNoise
    from rolling.solvers import (
        Ancestral,
        Ddim,
        Deis,
        DpmSolverPlusPlus,
        DpmSolverPlusPlus2S,
        Heun,
        TimeShift,
        UniPC,
    )
    from rolling.video.uvit import VideoUViT
    from rolling.windows import (
        AlignedContext,
        Autoregressive,
        FullSequence,
        HistoryDropout,
        IndependentTimes,
        NoisyContext,
        Pyramid,
        Rolling,
        TrainedOn,
        Trapezoid,
    )

    __version__: str

__all__ = [
    "AdamW",
    "AlignedContext",
    "Ancestral",
    "Autoguidance",
    "Autoregressive",
    "ClassifierFree",
    "Clips",
    "Cosine",
    "Crps",
    "Ddim",
    "Deis",
    "DpmSolverPlusPlus",
    "DpmSolverPlusPlus2S",
    "Edm",
    "Elbo",
    "Eps",
    "EpsLoss",
    "Experiment",
    "FlowMatching",
    "FlowVelocity",
    "Forecast",
    "Forecaster",
    "FromClip",
    "FromGuess",
    "FromNoise",
    "FullSequence",
    "Gridded",
    "Heun",
    "HistoryDropout",
    "HistoryGuidance",
    "IndependentTimes",
    "InputError",
    "InterpolatedCosine",
    "LinearBeta",
    "LinearLogsnr",
    "LogNormal",
    "Logit",
    "Metric",
    "MinSnr",
    "Muon",
    "NoisyContext",
    "Oracle",
    "Pyramid",
    "Rmse",
    "Rolling",
    "Rollout",
    "Sampling",
    "ScoreFunction",
    "Sigmoid",
    "SigmoidWeighting",
    "Simulated",
    "SpreadSkillRatio",
    "TimeShift",
    "TrainedOn",
    "Training",
    "Trapezoid",
    "UniPC",
    "V",
    "VLoss",
    "VideoUViT",
    "X",
    "XLoss",
    "find",
    "load",
]

_HOMES = {
    "rolling.common.errors": "InputError",
    "rolling.data.clips": "Clips",
    "rolling.data.gridded": "Gridded",
    "rolling.data.simulated": "Simulated",
    "rolling.denoisers": "Eps FlowVelocity ScoreFunction V X",
    "rolling.losses": "Elbo EpsLoss LogNormal MinSnr SigmoidWeighting VLoss XLoss",
    "rolling.metrics": "Metric",
    "rolling.metrics.ensemble": "Crps Rmse SpreadSkillRatio",
    "rolling.noise": "Cosine Edm FlowMatching InterpolatedCosine LinearBeta LinearLogsnr Logit Sigmoid",
    "rolling.oracle": "Oracle",
    "rolling.run.experiment.experiment": "Experiment Forecast Training",
    "rolling.run.experiment.optimisers": "AdamW Muon",
    "rolling.run.experiment.presets": "find",
    "rolling.run.forecasting.forecaster": "Forecaster load",
    "rolling.sampling.guidance": "Autoguidance ClassifierFree HistoryGuidance",
    "rolling.sampling.rollout": "Rollout",
    "rolling.sampling.sampler": "Sampling",
    "rolling.sampling.starts": "FromClip FromGuess FromNoise",
    "rolling.solvers": "Ancestral Ddim Deis DpmSolverPlusPlus DpmSolverPlusPlus2S Heun TimeShift UniPC",
    "rolling.video.uvit": "VideoUViT",
    "rolling.windows": "AlignedContext Autoregressive FullSequence HistoryDropout IndependentTimes"
    " NoisyContext Pyramid Rolling TrainedOn Trapezoid",
}
"""Module to the names that it gives."""

_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}


if not TYPE_CHECKING:  # a checker would take every name for one that there is

    def __getattr__(name: str):
        if name == "__version__":
            value = _version()
        elif name in _HOME_OF:
            value = getattr(importlib.import_module(_HOME_OF[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def _version() -> str:
    """The installed version, which comes from the tags; a clone that was never installed has none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rolling-diffusion")
    except PackageNotFoundError:
        return "0+unknown"
