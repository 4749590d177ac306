"""UCF101, first fold, at 64 x 64: clips of 16 frames, 5 given, scored on 2,048; --source.path FOLDER."""

from rolling.configs._metrics import CLIPS, CLIPS_LONG
from rolling.data.augment import Mirror
from rolling.data.clips.collections import UCF101
from rolling.data.clips.protocol import Picture
from rolling.data.clips.source import Clips
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import UniPC
from rolling.video.outputs import PREVIEW
from rolling.video.uvit.model_sizes import BASE
from rolling.windows import Rolling

experiment = Experiment(
    name="ucf101",
    source=Clips(collection=UCF101(fold=1), picture=Picture(height=64, width=64), min_frames=16),
    network=BASE,
    window=Rolling(size=16, context=5),
    solver=UniPC(order=2),
    calls_per_frame=2,
    augment=(Mirror(),),
    optimiser=Muon(peak=5e-3),
    training=Training(
        steps=200_000, batch=64, warmup=2000, ema=0.9999, checkpoint_every=2000, drop_condition=0.1
    ),
    forecast=Forecast(starts=2048, members=1, frames=11, batch=64, chunk=11),
    long=Forecast(starts=16, members=1, frames=123, batch=16, from_clip_start=True),
    metrics=CLIPS,
    long_metrics=CLIPS_LONG,
    outputs=PREVIEW,
)
