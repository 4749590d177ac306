"""The Kuramoto-Sivashinsky equation in two dimensions (32 x 32), simulated: chaos without a forcing."""

from data.augment import Translate
from data.simulated import Simulated
from physics.measures import FORECAST, ROLLOUT
from physics.simulators import KuramotoSivashinsky
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.optimisers import Muon
from rolling.solvers import Ancestral
from rolling.windows import Rolling
from video.uvit import VideoUViT

experiment = Experiment(
    name="kuramoto_sivashinsky",
    source=Simulated(simulator=KuramotoSivashinsky(), train=64, frames=150, test=8, test_frames=320),
    network=VideoUViT(),
    window=Rolling(size=8, context=2),
    solver=Ancestral(),
    augment=(Translate(axes=("y", "x")),),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=500, batch=8),
    forecast=Forecast(starts=32, members=4, frames=20, batch=8, chunk=20),
    long=Forecast(starts=8, members=1, frames=300, batch=8, chunk=20),
    metrics=FORECAST,
    long_metrics=ROLLOUT,
)
