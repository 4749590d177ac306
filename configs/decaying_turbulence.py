"""Decaying two-dimensional turbulence (32 x 32), simulated: a transient without a steady state."""

import dataclasses

from rolling.configs.kuramoto_sivashinsky import experiment as kuramoto_sivashinsky
from rolling.data.simulated import Simulated
from rolling.physics.unforced_turbulence import DecayingTurbulence
from rolling.run.experiment import Forecast

experiment = dataclasses.replace(
    kuramoto_sivashinsky,
    name="decaying_turbulence",
    source=Simulated(simulator=DecayingTurbulence(), train=128, frames=50, test=16, test_frames=60),
    long=Forecast(starts=16, members=1, frames=40, batch=8, chunk=40),
)
