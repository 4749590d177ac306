"""BAIR robot pushing, 1 frame given, 15 predicted, 100 samples of 256 videos; --source.path FOLDER."""

from rolling.configs._metrics import CLIPS
from rolling.data.clips.collections import BairPushing
from rolling.data.clips.protocol import Picture
from rolling.data.clips.source import Clips
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import UniPC
from rolling.video.outputs import PREVIEW
from rolling.video.uvit.model_sizes import BASE
from rolling.windows import Rolling

source = Clips(
    collection=BairPushing(actions=()),
    picture=Picture(height=64, width=64),
    min_frames=16,
    labelled=False,
)

experiment = Experiment(
    name="bair",
    source=source,
    network=BASE,
    window=Rolling(size=16, context=1),
    solver=UniPC(order=2),
    calls_per_frame=2,
    optimiser=Muon(peak=5e-3),
    training=Training(steps=200_000, batch=64, warmup=2000, ema=0.9999, checkpoint_every=2000),
    forecast=Forecast(starts=256, members=100, frames=15, batch=100, chunk=15, from_clip_start=True),
    metrics=CLIPS,
    outputs=PREVIEW,
)
