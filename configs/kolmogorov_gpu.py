"""Kolmogorov flow at 64 x 64 from a simulation at 128 x 128, with a 30 M-parameter network in bfloat16."""

from rolling.configs._metrics import FIELDS, FIELDS_LONG
from rolling.data.augment import ShiftReflect, Translate
from rolling.data.simulated import Simulated
from rolling.physics.simulators import Kolmogorov
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import Ancestral
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Rolling

experiment = Experiment(
    name="kolmogorov_gpu",
    source=Simulated(
        simulator=Kolmogorov(resolution=64, grid=128, viscosity=1e-3, dt=0.01, interval=0.2),
        train=256,
        frames=200,
        test=16,
        test_frames=400,
    ),
    network=VideoUViT(channels=(128, 256, 384), blocks=(2, 2, 6), heads=8, embedding=512, dtype="bfloat16"),
    window=Rolling(size=12, context=2),
    solver=Ancestral(interpolation=0.4),
    augment=(Translate(axes=("x",)), ShiftReflect(mode=4)),
    optimiser=Muon(peak=5e-3),
    training=Training(steps=50_000, batch=64, warmup=500, ema=0.9995, checkpoint_every=1000),
    forecast=Forecast(starts=64, members=8, frames=40, batch=64),
    long=Forecast(starts=16, members=1, frames=380, batch=16),
    metrics=FIELDS,
    long_metrics=FIELDS_LONG,
)
