"""The measures that an experiment takes unless it names its own; each leaves out what a layout has not."""

from physics.flow_verification import (
    Divergence,
    EnergyDrift,
    EnergySpectrum,
    SpectrumLogError,
    VorticityCorrelation,
    VorticityCorrelationTime,
)
from physics.verification import (
    AnomalyCorrelation,
    Bias,
    Crps,
    MemberRmse,
    RankHistogram,
    Rmse,
    Spread,
    SpreadSkillRatio,
    StandardDeviation,
)
from rolling.metrics import Metric

FORECAST: tuple[Metric, ...] = (
    Rmse(),
    MemberRmse(),
    Bias(),
    AnomalyCorrelation(),
    Crps(),
    SpreadSkillRatio(),
    Spread(),
    RankHistogram(),
    EnergySpectrum(),
    *(EnergySpectrum(leads=(lead, lead)) for lead in (1, 6, 18)),
    SpectrumLogError(),
    VorticityCorrelation(),
    VorticityCorrelationTime(),
    Divergence(),
    EnergyDrift(),
    StandardDeviation(),
)
"""Of a forecast whose frames are compared with the truth's one by one."""

ROLLOUT: tuple[Metric, ...] = (
    StandardDeviation(),
    StandardDeviation(cumulative=True),
    EnergySpectrum(),
    SpectrumLogError(),
    SpectrumLogError(cumulative=True),
    Divergence(),
    EnergyDrift(),
)
"""Of a rollout longer than anything can be predicted: whether it stays as the truth is."""
