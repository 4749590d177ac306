"""Reaction and diffusion of Gray and Scott (32 x 32, two substances), simulated: spots that become mazes."""

import dataclasses

from rolling.configs.kuramoto_sivashinsky import experiment as kuramoto_sivashinsky
from rolling.data.simulated import Simulated
from rolling.physics.reacting_spots import GrayScott
from rolling.run.experiment import Forecast
from rolling.sampling.constraints import Limits

experiment = dataclasses.replace(
    kuramoto_sivashinsky,
    name="gray_scott",
    source=Simulated(simulator=GrayScott(), train=128, frames=50, test=16, test_frames=60),
    constraints=(Limits(variables=("concentration_u", "concentration_v"), low=0.0),),
    long=Forecast(starts=16, members=1, frames=40, batch=8, chunk=40),
)
