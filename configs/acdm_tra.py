"""ACDM's transonic cylinder flow, scored as published: give --source.path .../128_tra."""

import dataclasses

from rolling.configs.simulations import experiment as simulations
from rolling.data.simulations.source import Simulations
from rolling.protocols import AcdmTransonic

experiment = dataclasses.replace(
    simulations, name="acdm_tra", source=Simulations(path="", every=2), protocols=(AcdmTransonic(),)
)
