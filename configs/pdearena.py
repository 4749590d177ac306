"""Smoke of PDEArena, scored over one and five steps from four frames: give --source.path FOLDER."""

import dataclasses

from rolling.configs.simulations import experiment as simulations
from rolling.protocols import PDEArenaMse
from rolling.run.experiment import Forecast
from rolling.windows import Rolling

experiment = dataclasses.replace(
    simulations,
    name="pdearena",
    window=Rolling(size=10, context=4),
    forecast=Forecast(starts=32, members=8, frames=10, batch=8, chunk=10, from_clip_start=True),
    protocols=(PDEArenaMse(),),
)
