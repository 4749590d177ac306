"""A scenario of APEBench, forecast from one frame over 200: give --source.path FOLDER/NAME_train.npy."""

import dataclasses

from rolling.configs.simulations import experiment as simulations
from rolling.protocols import APEBenchNrmse
from rolling.windows import Rolling

experiment = dataclasses.replace(
    simulations,
    name="apebench",
    window=Rolling(size=6, context=1),
    protocols=(APEBenchNrmse(),),
)
