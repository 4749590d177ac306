"""Shallow water on a globe, of PDEArena, a day ahead: give --source.path FOLDER."""

import dataclasses

from rolling.configs.pdearena import experiment as pdearena
from rolling.data.simulations.source import Simulations
from rolling.protocols import PDEArenaShallowWaterDay
from rolling.windows import Rolling

experiment = dataclasses.replace(
    pdearena,
    name="pdearena_shallow_water_day",
    source=Simulations(path="", skip=4, every=4, variables=("pres", "u", "v")),
    window=Rolling(size=6, context=2),
    protocols=(PDEArenaShallowWaterDay(),),
)
