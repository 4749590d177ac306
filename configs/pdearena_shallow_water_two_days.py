"""Shallow water on a globe, of PDEArena, two days ahead: give --source.path FOLDER."""

import dataclasses

from rolling.configs.pdearena_shallow_water_day import experiment as day
from rolling.data.simulations.source import Simulations
from rolling.protocols import PDEArenaShallowWaterTwoDays

experiment = dataclasses.replace(
    day,
    name="pdearena_shallow_water_two_days",
    source=Simulations(path="", skip=4, every=8, variables=("pres", "u", "v")),
    protocols=(PDEArenaShallowWaterTwoDays(),),
)
