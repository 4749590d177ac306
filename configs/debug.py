"""Everything in seconds: a tiny network on a tiny simulation, to try the machinery (the tests do)."""

from rolling.configs._metrics import FIELDS, FIELDS_LONG
from rolling.data.simulated import Simulated
from rolling.physics.simulators import KuramotoSivashinsky
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import AdamW
from rolling.solvers import Ancestral
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Rolling

experiment = Experiment(
    name="debug",
    source=Simulated(
        simulator=KuramotoSivashinsky(resolution=16, grid=16, domain=10.0, spin_up=5.0),
        train=4,
        frames=24,
        test=2,
        test_frames=24,
    ),
    network=VideoUViT(channels=(16, 16), blocks=(1, 1), heads=2, embedding=16),
    window=Rolling(size=4, context=1),
    solver=Ancestral(),
    optimiser=AdamW(peak=2e-3),
    training=Training(steps=6, batch=4, log_every=2, checkpoint_every=3),
    forecast=Forecast(starts=4, members=2, frames=5, batch=4, chunk=4),
    long=Forecast(starts=2, members=1, frames=16, batch=2, chunk=4),
    metrics=FIELDS,
    long_metrics=FIELDS_LONG,
)
