"""ACDM's incompressible wake, scored as published: give --source.path .../128_inc."""

import dataclasses

from rolling.configs.simulations import experiment as simulations
from rolling.data.simulations.source import Simulations
from rolling.protocols import AcdmIncompressible

experiment = dataclasses.replace(
    simulations, name="acdm_inc", source=Simulations(path="", every=2), protocols=(AcdmIncompressible(),)
)
