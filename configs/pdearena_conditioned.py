"""Smoke of different buoyancies, of PDEArena, scored from one frame: give --source.path FOLDER."""

import dataclasses

from rolling.configs.pdearena import experiment as pdearena
from rolling.protocols import PDEArenaConditionedMse
from rolling.windows import Rolling

experiment = dataclasses.replace(
    pdearena,
    name="pdearena_conditioned",
    window=Rolling(size=6, context=1),
    protocols=(PDEArenaConditionedMse(),),
)
