"""BAIR robot pushing, 2 frames given and 14 predicted from the arm's commands."""

import dataclasses

from rolling.configs.bair import source
from rolling.configs.bair_two_given import experiment as two_given
from rolling.data.clips.collections import BairPushing

experiment = dataclasses.replace(
    two_given,
    name="bair_actions",
    source=dataclasses.replace(source, collection=BairPushing(actions=("action",))),
    forecast=dataclasses.replace(two_given.forecast, members=10, batch=64),
)
