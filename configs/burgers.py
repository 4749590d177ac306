"""Burgers' equation in a plane (32 x 32, two velocities), simulated: waves that steepen and fade."""

import dataclasses

from rolling.configs.kuramoto_sivashinsky import experiment as kuramoto_sivashinsky
from rolling.data.simulated import Simulated
from rolling.physics.burgers_waves import Burgers
from rolling.run.experiment import Forecast

experiment = dataclasses.replace(
    kuramoto_sivashinsky,
    name="burgers",
    source=Simulated(simulator=Burgers(), train=192, frames=32, test=16, test_frames=40),
    long=Forecast(starts=16, members=1, frames=30, batch=8, chunk=30),
)
