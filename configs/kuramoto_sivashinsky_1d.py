"""The Kuramoto-Sivashinsky equation on a line (64 cells), simulated: chaos in one dimension, in minutes."""

from rolling.configs._metrics import FIELDS, FIELDS_LONG
from rolling.data.augment import Translate
from rolling.data.simulated import Simulated
from rolling.physics.front_on_a_line import KuramotoSivashinsky1D
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import UniPC
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Rolling

experiment = Experiment(
    name="kuramoto_sivashinsky_1d",
    source=Simulated(simulator=KuramotoSivashinsky1D(), train=256, frames=120, test=16, test_frames=320),
    network=VideoUViT(),
    window=Rolling(size=8, context=2),
    solver=UniPC(order=2),
    augment=(Translate(axes=("x",)),),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=1500, batch=16, ema=0.995),
    forecast=Forecast(starts=32, members=4, frames=20, batch=32, chunk=20),
    long=Forecast(starts=16, members=1, frames=300, batch=16, chunk=50),
    metrics=FIELDS,
    long_metrics=FIELDS_LONG,
)
