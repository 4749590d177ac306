"""Turbulence in a periodic cube (32 x 32 x 32, three velocities), simulated: volumes on two cores."""

from rolling.configs._metrics import FIELDS, FIELDS_LONG
from rolling.data.augment import Translate
from rolling.data.simulated import Simulated
from rolling.denoisers import Residual
from rolling.physics.turbulent_cube import Kolmogorov3D
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import UniPC
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Rolling

experiment = Experiment(
    name="kolmogorov_3d",
    source=Simulated(simulator=Kolmogorov3D(), train=12, frames=60, test=4, test_frames=60),
    # Fine patches: a coarse one of three velocities is more numbers than channels can hold.
    network=VideoUViT(patch=2, channels=(32, 64, 128), blocks=(1, 1, 2)),
    prediction=Residual(),  # from one frame to the next the flow changes little
    window=Rolling(size=6, context=2),
    solver=UniPC(order=2),
    augment=(Translate(axes=("z", "x")),),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=560, batch=1, ema=0.99),
    forecast=Forecast(starts=8, members=4, frames=5, batch=4, chunk=5),
    long=Forecast(starts=2, members=1, frames=50, batch=2, chunk=10),
    metrics=FIELDS,
    long_metrics=FIELDS_LONG,
)
