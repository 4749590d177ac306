"""Kolmogorov flow at viscosities from 0.005 to 0.02, of which the network is told: 32 x 32, simulated."""

import dataclasses

from rolling.configs.kolmogorov import experiment as kolmogorov
from rolling.data.simulated import Simulated
from rolling.physics.simulators import Kolmogorov

experiment = dataclasses.replace(
    kolmogorov,
    name="kolmogorov_viscosity",
    source=Simulated(
        simulator=Kolmogorov(resolution=32, grid=64),
        train=96,
        frames=80,
        test=16,
        test_frames=160,
        vary=("viscosity=0.005:0.02",),
    ),
    long=dataclasses.replace(kolmogorov.long, frames=140),
)
