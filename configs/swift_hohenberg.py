"""The Swift-Hohenberg equation (32 x 32), simulated: rolls that grow out of noise and straighten."""

import dataclasses

from rolling.configs.kuramoto_sivashinsky import experiment as kuramoto_sivashinsky
from rolling.data.simulated import Simulated
from rolling.physics.convection_rolls import SwiftHohenberg
from rolling.run.experiment import Forecast

experiment = dataclasses.replace(
    kuramoto_sivashinsky,
    name="swift_hohenberg",
    source=Simulated(simulator=SwiftHohenberg(), train=128, frames=40, test=16, test_frames=50),
    long=Forecast(starts=16, members=1, frames=36, batch=8, chunk=36),
)
