"""The metrics from which the presets choose; each skips what a layout lacks.

`FIELDS` and `FIELDS_LONG` are for gridded fields, `CLIPS` and `CLIPS_LONG` for pictures: of forecasts whose
frames are compared with the truth's one by one, and of rollouts longer than anything can be predicted, which
should stay as the truth is.
"""

import dataclasses

from rolling.common.terminal import tell
from rolling.metrics import Metric
from rolling.metrics.anomalies import AnomalyCorrelation, PooledAnomalyCorrelation
from rolling.metrics.correlation import CorrelationTime, PearsonCorrelation
from rolling.metrics.distributions import HistogramDistance
from rolling.metrics.drift import Drift, Lasts, Survival
from rolling.metrics.ensemble import (
    Bias,
    Coverage,
    Crps,
    MemberRmse,
    RankHistogram,
    Rmse,
    Spread,
    SpreadSkillRatio,
    StandardDeviation,
)
from rolling.metrics.frame_statistics import STATISTICS
from rolling.metrics.scaled_errors import Nrmse, Vrmse
from rolling.metrics.spectral_bands import BANDS, SpectralBandError
from rolling.metrics.valid_time import ValidPredictionTime
from rolling.physics.lsim_network import LSIM_WEIGHTS
from rolling.physics.metrics import (
    Divergence,
    EnergyDrift,
    EnergySpectrum,
    SpectrumLogError,
    VorticityCorrelation,
    VorticityCorrelationTime,
)
from rolling.video.metrics.by_age import SpectralDistanceByAge
from rolling.video.metrics.distances import SetDistance
from rolling.video.metrics.fvd import Fvd, Kvd
from rolling.video.metrics.i3d_weights import I3D_WEIGHTS
from rolling.video.metrics.projection import ProjectionFrechetDistance
from rolling.video.metrics.quality import Psnr, Ssim
from rolling.video.metrics.spectral_power import SpectralFrechetDistance

FIELDS: tuple[Metric, ...] = (
    Rmse(),
    MemberRmse(),
    Bias(),
    AnomalyCorrelation(),
    PooledAnomalyCorrelation(),
    Crps(),
    SpreadSkillRatio(),
    Spread(),
    RankHistogram(),
    *(Coverage(share=share) for share in (0.5, 0.8, 0.9)),
    EnergySpectrum(),
    *(EnergySpectrum(leads=(lead, lead)) for lead in (1, 6, 18)),
    SpectrumLogError(),
    VorticityCorrelation(),
    VorticityCorrelationTime(),
    Divergence(),
    EnergyDrift(),
    StandardDeviation(),
)

LASTING: tuple[Metric, ...] = (
    Lasts(),
    Survival(),
    Survival(cumulative=True),
    *(Drift(of=statistic) for statistic in STATISTICS),
)
"""Of rollouts of any length: whether they stay in the range of real data, and how long."""

SIMULATIONS: tuple[Metric, ...] = (
    *FIELDS,
    Vrmse(),
    Vrmse(member="each"),
    Nrmse(),
    PearsonCorrelation(),
    CorrelationTime(),
    CorrelationTime(member="each"),
    ValidPredictionTime(),
    ValidPredictionTime(member="each"),
    HistogramDistance(),
    *(SpectralBandError(band=band) for band in BANDS),
)
"""With the scores that archives of simulations report."""

FIELDS_LONG: tuple[Metric, ...] = (
    StandardDeviation(),
    StandardDeviation(cumulative=True),
    EnergySpectrum(),
    SpectrumLogError(),
    SpectrumLogError(cumulative=True),
    Divergence(),
    EnergyDrift(),
    *LASTING,
)

DISTANCES: tuple[SetDistance, ...] = (Fvd(), Kvd(), SpectralFrechetDistance(), ProjectionFrechetDistance())
"""Of the set of all forecasts from that of all real clips; the first two only with their weights."""

PAIRED_CLIPS: tuple[Metric, ...] = (
    Psnr(),
    Psnr(best=True),
    Ssim(),
    Ssim(best=True),
    Rmse(),
    Crps(),
    SpreadSkillRatio(),
)
"""Of clips that are forecasts of real ones, whoever made them."""

CLIPS: tuple[Metric, ...] = (*PAIRED_CLIPS, RankHistogram(), *DISTANCES)

CLIPS_LONG: tuple[Metric, ...] = (StandardDeviation(), *DISTANCES, *LASTING, SpectralDistanceByAge())

WEIGHTS = (I3D_WEIGHTS, LSIM_WEIGHTS)
"""The files of weights that metrics need from outside: `rolling weights NAME`."""


def distances(frames: int) -> tuple[Metric, ...]:
    """Of two sets of clips of so many frames; FVD and KVD only with their weights (`rolling weights`)."""
    for metric in DISTANCES:
        if frames < metric.fewest:
            tell(f"{metric.name} is left out: it compares clips of at least {metric.fewest} frames")
    return tuple(dataclasses.replace(m, frames=frames) for m in DISTANCES if frames >= m.fewest)
