"""Moving MNIST, 10 frames given and 10 predicted; --source.path mnist_test_seq.npy."""

from rolling.configs._metrics import CLIPS
from rolling.data.clips.collections import ArrayFiles
from rolling.data.clips.protocol import Picture
from rolling.data.clips.source import Clips
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import UniPC
from rolling.video.outputs import PREVIEW
from rolling.video.uvit.model_sizes import SMALL
from rolling.windows import Rolling

experiment = Experiment(
    name="moving_mnist",
    source=Clips(
        collection=ArrayFiles(axes="t n h w"),
        picture=Picture(height=64, width=64, colour=False),
        min_frames=20,
        labelled=False,
    ),
    network=SMALL,
    window=Rolling(size=20, context=10),
    solver=UniPC(order=2),
    calls_per_frame=2,
    optimiser=Muon(peak=5e-3),
    training=Training(steps=50_000, batch=32, warmup=1000, ema=0.9995, checkpoint_every=1000),
    forecast=Forecast(starts=256, members=4, frames=10, batch=64, chunk=10, from_clip_start=True),
    metrics=CLIPS,
    outputs=PREVIEW,
)
