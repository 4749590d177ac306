"""BAIR robot pushing, 2 frames given and 14 predicted: they show which way the arm moves."""

import dataclasses

from rolling.configs.bair import experiment as bair
from rolling.windows import Rolling

experiment = dataclasses.replace(
    bair,
    name="bair_two_given",
    window=Rolling(size=16, context=2),
    forecast=dataclasses.replace(bair.forecast, frames=14, chunk=14),
)
