"""The Kuramoto-Sivashinsky equation in two dimensions (32 x 32), simulated: chaos without a forcing."""

from rolling.configs._metrics import FIELDS, FIELDS_LONG
from rolling.data.augment import Translate
from rolling.data.simulated import Simulated
from rolling.physics.simulators import KuramotoSivashinsky
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import UniPC
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Rolling

experiment = Experiment(
    name="kuramoto_sivashinsky",
    source=Simulated(simulator=KuramotoSivashinsky(), train=64, frames=150, test=8, test_frames=320),
    network=VideoUViT(),
    window=Rolling(size=8, context=2),
    solver=UniPC(order=2),
    augment=(Translate(axes=("y", "x")),),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=1300, batch=4, ema=0.995),
    forecast=Forecast(starts=32, members=4, frames=20, batch=8, chunk=20),
    long=Forecast(starts=8, members=1, frames=300, batch=8, chunk=20),
    metrics=FIELDS,
    long_metrics=FIELDS_LONG,
)
