"""Generated video with its sound, shapes that click when they bounce: together, or one from the other."""

from rolling.configs._metrics import CLIPS, CLIPS_LONG
from rolling.data.bounces_and_clicks import BouncesAndClicks
from rolling.data.simulated import Simulated
from rolling.data.sounding_shapes import SoundingShapes
from rolling.data.together import NamedSource, Together
from rolling.noise import Cosine
from rolling.run.experiment import Forecast, JointExperiment, Law, Training
from rolling.run.experiment.joint_denoising import JointDenoising, ModalityLoss
from rolling.run.experiment.optimisers import Muon
from rolling.sampling.constraints import ConservedMean, Limits
from rolling.sampling.modalities import Modality
from rolling.solvers import UniPC
from rolling.video.uvit.joint import JointUViT, Tower
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Ahead, Rolling, Tasks

PICTURE, SOUND = (SoundingShapes(part=part, shapes=1, speed=0.1) for part in ("picture", "sound"))

experiment = JointExperiment(
    name="sounding_shapes",
    source=Together(
        parts=(
            NamedSource(
                name="video",
                source=Simulated(simulator=PICTURE, train=512, frames=40, test=32, test_frames=120),
            ),
            NamedSource(
                name="sound",
                source=Simulated(simulator=SOUND, train=512, frames=160, test=32, test_frames=480),
            ),
        )
    ),
    network=JointUViT(
        towers=(
            Tower(name="video", network=VideoUViT(channels=(64, 96), blocks=(1, 4), patch=4)),
            Tower(name="sound", network=VideoUViT(channels=(64, 96), blocks=(1, 4), patch=4)),
        )
    ),
    # Bright shapes are seen through much noise, and clicks in silence are heard through more.
    schedule=Cosine(resolution=96.0),
    # A shape keeps its size and colour, as in moving_shapes.
    modalities=(
        Modality(name="video", constraints=(Limits(), ConservedMean())),
        Modality(name="sound", schedule=Cosine(resolution=512.0)),
    ),
    window=Ahead(inner=Rolling(size=24, context=8, block=4), ahead=8),
    solver=UniPC(order=2),
    objective=JointDenoising(
        modalities=(ModalityLoss(name="sound", weight=4.0),),
        tasks=Tasks(joint=0.3, apart=0.0, given=0.6, absent=0.1),
    ),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=1600, batch=8, ema=0.995),
    forecast=Forecast(starts=16, members=2, frames=128, batch=32, chunk=64),
    laws=(Law(given=("video",)), Law(given=("sound",))),
    long=Forecast(starts=8, members=1, frames=1200, batch=8, chunk=80),
    metrics=CLIPS,
    long_metrics=CLIPS_LONG,
    joint_metrics=(BouncesAndClicks(),),
)
