"""Protocols that others have published: which forecasts are scored by what, beside their numbers."""

from rolling.protocols.errors_of_acdm import AcdmIncompressible, AcdmTransonic
from rolling.protocols.errors_of_pdearena import (
    PDEArenaConditionedMse,
    PDEArenaMse,
    PDEArenaShallowWaterDay,
    PDEArenaShallowWaterTwoDays,
    PdeRefinerCorrelation,
)
from rolling.protocols.nrmse_of_apebench import APEBenchNrmse
from rolling.protocols.nrmse_of_pdebench import PDEBenchNrmse
from rolling.protocols.protocol import PublishedProtocol
from rolling.protocols.scores_of_dyffusion import DyffusionFlows
from rolling.protocols.vrmse_of_the_well import TheWellVrmse

__all__ = [
    "APEBenchNrmse",
    "AcdmIncompressible",
    "AcdmTransonic",
    "DyffusionFlows",
    "PDEArenaConditionedMse",
    "PDEArenaMse",
    "PDEArenaShallowWaterDay",
    "PDEArenaShallowWaterTwoDays",
    "PDEBenchNrmse",
    "PdeRefinerCorrelation",
    "PublishedProtocol",
    "TheWellVrmse",
]
