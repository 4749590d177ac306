"""Waves of PDE-Refiner on a line, scored by how long forecasts stay correlated: give --source.path FOLDER."""

import dataclasses

from rolling.configs.simulations import experiment as simulations
from rolling.data.simulations.source import Simulations
from rolling.protocols import PdeRefinerCorrelation
from rolling.windows import Rolling

experiment = dataclasses.replace(
    simulations,
    name="pde_refiner",
    source=Simulations(path="", every=4),
    window=Rolling(size=6, context=1),
    protocols=(PdeRefinerCorrelation(),),
)
