"""Your own videos, 64 x 64, 5 frames given: --source.path FOLDER."""

from rolling.configs._metrics import CLIPS, CLIPS_LONG
from rolling.data.augment import Mirror
from rolling.data.clips.protocol import Picture
from rolling.data.clips.source import Clips
from rolling.denoisers import Residual
from rolling.noise import Cosine
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import UniPC
from rolling.video.outputs import PREVIEW
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Rolling

experiment = Experiment(
    name="clips",
    source=Clips(path="", picture=Picture(height=64, width=64, rate=15.0)),
    # Fine patches, as most of a frame is a copy of the one before.
    network=VideoUViT(channels=(32, 64, 128, 128), blocks=(1, 1, 1, 2), dropout=0.1),
    # And so the network says what changes, which much noise would hide (docs/drift.md).
    prediction=Residual(),
    schedule=Cosine(resolution=8.0),
    window=Rolling(size=10, context=5),
    solver=UniPC(order=2),
    calls_per_frame=2,
    augment=(Mirror(),),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=1500, batch=4, ema=0.995),
    forecast=Forecast(starts=16, members=4, frames=11, batch=16, chunk=11),
    metrics=CLIPS,
    long_metrics=CLIPS_LONG,
    outputs=PREVIEW,
)
