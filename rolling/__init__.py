"""Diffusion over sequences in which every frame has its own noise level: the names that a user needs.

`from rolling import Experiment, Rolling, UniPC, load`. Whatever is imported here is loaded when it is first
asked for, so that `import rolling` costs nothing and the floors below import one another as before.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rolling.common.errors import InputError as InputError
    from rolling.data.clips import Actions as Actions, Clips as Clips
    from rolling.data.clips.tracks import ClipsWithSound as ClipsWithSound, SoundTracks as SoundTracks
    from rolling.data.gridded import Gridded as Gridded, Stations as Stations
    from rolling.data.simulated import Simulated as Simulated
    from rolling.data.simulations import Simulations as Simulations
    from rolling.data.source import Split as Split
    from rolling.data.together import NamedSource as NamedSource, Together as Together
    from rolling.denoisers import (
        Eps as Eps,
        FlowVelocity as FlowVelocity,
        Residual as Residual,
        ScoreFunction as ScoreFunction,
        V as V,
        X as X,
    )
    from rolling.geometry import Axis as Axis
    from rolling.joint_oracle import JointOracle as JointOracle
    from rolling.layout import Layout as Layout, Variable as Variable
    from rolling.losses import (
        Elbo as Elbo,
        EpsLoss as EpsLoss,
        LogNormal as LogNormal,
        LossOf as LossOf,
        MinSnr as MinSnr,
        SigmoidWeighting as SigmoidWeighting,
        VLoss as VLoss,
        XLoss as XLoss,
        joint_loss as joint_loss,
    )
    from rolling.metrics import About as About, Metric as Metric, Score as Score
    from rolling.metrics.ensemble import Crps as Crps, Rmse as Rmse, SpreadSkillRatio as SpreadSkillRatio
    from rolling.metrics.scaled_errors import Mse as Mse, Nrmse as Nrmse, Vrmse as Vrmse
    from rolling.noise import (
        Cosine as Cosine,
        Edm as Edm,
        FlowMatching as FlowMatching,
        InterpolatedCosine as InterpolatedCosine,
        LinearBeta as LinearBeta,
        LinearLogsnr as LinearLogsnr,
        Logit as Logit,
        Sigmoid as Sigmoid,
    )
    from rolling.oracle import Oracle as Oracle
    from rolling.physics.divergence_free import DivergenceFree as DivergenceFree
    from rolling.physics.flow_with_probes import KolmogorovTracer as KolmogorovTracer
    from rolling.physics.two_scales_on_a_ring import Lorenz96 as Lorenz96
    from rolling.run.experiment.error_bank import ErrorBank as ErrorBank
    from rolling.run.experiment.experiment import (
        Experiment as Experiment,
        Forecast as Forecast,
        Reference as Reference,
        Training as Training,
        Validation as Validation,
    )
    from rolling.run.experiment.few_steps import (
        Consistency as Consistency,
        MomentMatching as MomentMatching,
    )
    from rolling.run.experiment.joint_denoising import (
        JointDenoising as JointDenoising,
        ModalityLoss as ModalityLoss,
    )
    from rolling.run.experiment.joint_experiment import JointExperiment as JointExperiment, Law as Law
    from rolling.run.experiment.objectives import Denoising as Denoising
    from rolling.run.experiment.optimisers import AdamW as AdamW, Muon as Muon
    from rolling.run.experiment.own_context import OwnContext as OwnContext
    from rolling.run.experiment.presets import find as find
    from rolling.run.forecasting.forecaster import Forecaster as Forecaster, load as load
    from rolling.sampling.constraints import (
        ConservedMean as ConservedMean,
        DynamicThreshold as DynamicThreshold,
        Limits as Limits,
        Masked as Masked,
    )
    from rolling.sampling.corrections import Anchor as Anchor
    from rolling.sampling.coupling import Coupling as Coupling
    from rolling.sampling.guidance import (
        Autoguidance as Autoguidance,
        ClassifierFree as ClassifierFree,
        HistoryGuidance as HistoryGuidance,
    )
    from rolling.sampling.modalities import Modality as Modality, joint as joint
    from rolling.sampling.old_frames import Memory as Memory
    from rolling.sampling.recipe import Sampling as Sampling
    from rolling.sampling.restart import Restart as Restart
    from rolling.sampling.rollout import Rollout as Rollout
    from rolling.sampling.starts import (
        FromClip as FromClip,
        FromForecast as FromForecast,
        FromGuess as FromGuess,
        FromNoise as FromNoise,
    )
    from rolling.solvers import (
        Ancestral as Ancestral,
        Ddim as Ddim,
        Deis as Deis,
        DpmSolverPlusPlus as DpmSolverPlusPlus,
        DpmSolverPlusPlus2S as DpmSolverPlusPlus2S,
        Heun as Heun,
        TimeShift as TimeShift,
        UniPC as UniPC,
    )
    from rolling.video.uvit import JointUViT as JointUViT, Tower as Tower, VideoUViT as VideoUViT
    from rolling.windows import (
        Ahead as Ahead,
        AlignedContext as AlignedContext,
        Autoregressive as Autoregressive,
        Every as Every,
        FullSequence as FullSequence,
        HistoryDropout as HistoryDropout,
        IndependentTimes as IndependentTimes,
        NoisyContext as NoisyContext,
        Pyramid as Pyramid,
        Rolling as Rolling,
        Tasks as Tasks,
        TrainedOn as TrainedOn,
        Trapezoid as Trapezoid,
        Warped as Warped,
    )

    __version__: str

_HOMES = {
    "rolling.common.errors": "InputError",
    "rolling.data.clips": "Actions Clips",
    "rolling.data.clips.tracks": "ClipsWithSound SoundTracks",
    "rolling.data.gridded": "Gridded Stations",
    "rolling.data.simulated": "Simulated",
    "rolling.data.simulations": "Simulations",
    "rolling.data.source": "Split",
    "rolling.data.together": "NamedSource Together",
    "rolling.denoisers": "Eps FlowVelocity Residual ScoreFunction V X",
    "rolling.geometry": "Axis",
    "rolling.layout": "Layout Variable",
    "rolling.losses": "Elbo EpsLoss LogNormal LossOf MinSnr SigmoidWeighting VLoss XLoss joint_loss",
    "rolling.metrics": "About Metric Score",
    "rolling.metrics.ensemble": "Crps Rmse SpreadSkillRatio",
    "rolling.metrics.scaled_errors": "Mse Nrmse Vrmse",
    "rolling.noise": "Cosine Edm FlowMatching InterpolatedCosine LinearBeta LinearLogsnr Logit Sigmoid",
    "rolling.joint_oracle": "JointOracle",
    "rolling.oracle": "Oracle",
    "rolling.run.experiment.few_steps": "Consistency MomentMatching",
    "rolling.run.experiment.error_bank": "ErrorBank",
    "rolling.run.experiment.experiment": "Experiment Forecast Reference Training Validation",
    "rolling.run.experiment.joint_denoising": "JointDenoising ModalityLoss",
    "rolling.run.experiment.joint_experiment": "JointExperiment Law",
    "rolling.run.experiment.objectives": "Denoising",
    "rolling.run.experiment.optimisers": "AdamW Muon",
    "rolling.run.experiment.own_context": "OwnContext",
    "rolling.run.experiment.presets": "find",
    "rolling.run.forecasting.forecaster": "Forecaster load",
    "rolling.physics.divergence_free": "DivergenceFree",
    "rolling.physics.flow_with_probes": "KolmogorovTracer",
    "rolling.physics.two_scales_on_a_ring": "Lorenz96",
    "rolling.sampling.constraints": "ConservedMean DynamicThreshold Limits Masked",
    "rolling.sampling.corrections": "Anchor",
    "rolling.sampling.coupling": "Coupling",
    "rolling.sampling.guidance": "Autoguidance ClassifierFree HistoryGuidance",
    "rolling.sampling.modalities": "Modality joint",
    "rolling.sampling.old_frames": "Memory",
    "rolling.sampling.restart": "Restart",
    "rolling.sampling.rollout": "Rollout",
    "rolling.sampling.recipe": "Sampling",
    "rolling.sampling.starts": "FromClip FromForecast FromGuess FromNoise",
    "rolling.solvers": "Ancestral Ddim Deis DpmSolverPlusPlus DpmSolverPlusPlus2S Heun TimeShift UniPC",
    "rolling.video.uvit": "JointUViT Tower VideoUViT",
    "rolling.windows": "Ahead AlignedContext Autoregressive Every FullSequence HistoryDropout"
    " IndependentTimes NoisyContext Pyramid Rolling Tasks TrainedOn Trapezoid Warped",
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
    return sorted({*globals(), *_HOME_OF, "__version__"})


def _version() -> str:
    """The installed version, which comes from the tags; a clone that was never installed has none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rolling-diffusion")
    except PackageNotFoundError:
        return "0+unknown"
