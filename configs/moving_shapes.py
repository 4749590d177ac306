"""Generated video, shapes that turn and bounce (32 x 32, colour): the main job of the video side, minutes."""

from configs.scoring import CLIPS, ROLLOUT
from data.clips.moving_shapes import MovingShapes
from data.simulated import Simulated
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.optimisers import Muon
from rolling.solvers import UniPC
from rolling.windows import Rolling
from video.outputs import PREVIEW
from video.uvit import VideoUViT

experiment = Experiment(
    name="moving_shapes",
    source=Simulated(simulator=MovingShapes(), train=512, frames=40, test=16, test_frames=120),
    network=VideoUViT(),
    window=Rolling(size=8, context=2),
    solver=UniPC(order=2),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=1300, batch=4, ema=0.995),
    forecast=Forecast(starts=32, members=4, frames=20, batch=8, chunk=20),
    long=Forecast(starts=8, members=1, frames=100, batch=8, chunk=20),
    metrics=CLIPS,
    long_metrics=ROLLOUT,
    outputs=PREVIEW,
)
