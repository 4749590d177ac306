"""Generated video, a bouncing ball (32 x 32, colour): the video main job, minutes on two cores."""

from rolling.configs._metrics import CLIPS, CLIPS_LONG
from rolling.data.moving_shapes import MovingShapes
from rolling.data.simulated import Simulated
from rolling.noise import Cosine
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import Muon
from rolling.sampling.constraints import ConservedMean, Limits
from rolling.solvers import UniPC
from rolling.video.outputs import ContactSheet, Gif
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Rolling

experiment = Experiment(
    name="moving_shapes",
    source=Simulated(
        simulator=MovingShapes(shapes=1, forms=("disc",), sizes=(0.18, 0.28), speed=0.035),
        train=512,
        frames=40,
        test=32,
        test_frames=120,
    ),
    network=VideoUViT(),
    # The shapes are bright and large: seen through much noise, so the window needs more of it.
    schedule=Cosine(resolution=96.0),
    window=Rolling(size=6, context=2),
    solver=UniPC(order=2),
    # A ball keeps its size and colour for ever, and so the mean of each colour: a law of these data, without
    # which nothing pulls one back that has grown (docs/drift.md).
    constraints=(Limits(), ConservedMean()),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=1300, batch=8, ema=0.995),
    forecast=Forecast(starts=32, members=4, frames=14, batch=16, chunk=14),
    long=Forecast(starts=8, members=1, frames=1000, batch=8, chunk=50),
    metrics=CLIPS,
    long_metrics=CLIPS_LONG,
    outputs=(Gif(), ContactSheet()),  # not mp4, which needs a library of the extra `video`
)
