"""Shallow water on a globe, of PDEArena, two days ahead: give --source.path FOLDER."""

import dataclasses

from rolling.configs.pdearena_shallow_water_day import experiment as day
from rolling.protocols import PDEArenaShallowWaterTwoDays

experiment = dataclasses.replace(
    day,
    name="pdearena_shallow_water_two_days",
    source=dataclasses.replace(day.source, every=8),
    protocols=(PDEArenaShallowWaterTwoDays(),),
)
