"""Flows past obstacles of nn-benchmark, scored as DYffusion: give --source.path .../navier-stokes-multi."""

import dataclasses

from rolling.configs.simulations import experiment as simulations
from rolling.protocols import DyffusionFlows
from rolling.run.experiment import Forecast
from rolling.windows import Rolling

experiment = dataclasses.replace(
    simulations,
    name="dyffusion_ns",
    window=Rolling(size=6, context=1),
    forecast=Forecast(starts=5, members=8, frames=64, batch=5, chunk=16, from_clip_start=True),
    protocols=(DyffusionFlows(),),
)
