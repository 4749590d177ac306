"""Kolmogorov flow at viscosities from 0.005 to 0.02, of which the network is told: 32 x 32, simulated."""

from rolling.configs._metrics import FIELDS, FIELDS_LONG
from rolling.data.augment import ShiftReflect, Translate
from rolling.data.simulated import Simulated
from rolling.physics.simulators import Kolmogorov
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import UniPC
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Rolling

experiment = Experiment(
    name="kolmogorov_viscosity",
    source=Simulated(
        simulator=Kolmogorov(resolution=32, grid=64),
        train=96,
        frames=80,
        test=16,
        test_frames=160,
        vary=("viscosity=0.005:0.02",),
    ),
    network=VideoUViT(),
    window=Rolling(size=8, context=2),
    solver=UniPC(order=2),
    augment=(Translate(axes=("x",)), ShiftReflect(mode=4)),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=1300, batch=4, ema=0.995),
    forecast=Forecast(starts=32, members=4, frames=20, batch=8, chunk=20),
    long=Forecast(starts=8, members=1, frames=140, batch=8, chunk=20),
    metrics=FIELDS,
    long_metrics=FIELDS_LONG,
)
