"""Kinetics-600 at 64 x 64, 5 frames given, 11 predicted, 1.2 G parameters; --source.path FOLDER."""

from rolling.configs._metrics import CLIPS, CLIPS_LONG
from rolling.data.augment import Mirror
from rolling.data.clips.collections import Kinetics
from rolling.data.clips.protocol import Picture
from rolling.data.clips.source import Clips
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import AdamW
from rolling.solvers import UniPC
from rolling.video.outputs import PREVIEW
from rolling.video.uvit.model_sizes import KINETICS
from rolling.windows import Rolling

experiment = Experiment(
    name="kinetics600",
    source=Clips(collection=Kinetics(), picture=Picture(height=64, width=64), min_frames=16, labelled=False),
    network=KINETICS,
    window=Rolling(size=16, context=5),
    solver=UniPC(order=2),
    calls_per_frame=4,
    augment=(Mirror(),),
    optimiser=AdamW(peak=1e-4),
    training=Training(
        steps=400_000, batch=256, warmup=5000, ema=0.9999, checkpoint_every=2000, log_every=100
    ),
    forecast=Forecast(starts=2048, members=1, frames=11, batch=64, chunk=11, from_clip_start=True),
    long=Forecast(starts=16, members=1, frames=59, batch=16, from_clip_start=True),
    metrics=CLIPS,
    long_metrics=CLIPS_LONG,
    outputs=PREVIEW,
)
