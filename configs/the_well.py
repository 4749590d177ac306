"""A data set of The Well, scored beside its published table: give --source.path .../datasets/NAME."""

import dataclasses

from rolling.configs.simulations import experiment as simulations
from rolling.protocols import TheWellVrmse
from rolling.run.experiment import Forecast
from rolling.windows import Rolling

experiment = dataclasses.replace(
    simulations,
    name="the_well",
    window=Rolling(size=10, context=4),
    forecast=Forecast(starts=32, members=8, frames=30, batch=8, chunk=30, from_clip_start=True),
    protocols=(TheWellVrmse(),),
)
