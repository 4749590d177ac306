"""Wakes of round obstacles at Reynolds numbers of 64 to 150 (32 x 64, two velocities), simulated: inflow,
outflow, and an obstacle that differs between trajectories, of which the network is told."""

from rolling.configs._metrics import FIELDS, FIELDS_LONG
from rolling.data.simulated import Simulated
from rolling.physics.flow_past_a_cylinder import Wake
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import UniPC
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Rolling

experiment = Experiment(
    name="wake",
    source=Simulated(
        simulator=Wake(), train=128, frames=50, test=16, test_frames=60, vary=("viscosity=0.008:0.0125",)
    ),
    network=VideoUViT(),
    window=Rolling(size=8, context=2),
    solver=UniPC(order=2),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=1300, batch=4, ema=0.995),
    forecast=Forecast(starts=32, members=4, frames=20, batch=8, chunk=20),
    long=Forecast(starts=16, members=1, frames=40, batch=8, chunk=40),
    metrics=FIELDS,
    long_metrics=FIELDS_LONG,
)
