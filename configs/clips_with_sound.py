"""Your own videos with their sound, each made from the other or together: --source.path FOLDER."""

from rolling.configs._metrics import CLIPS, CLIPS_LONG
from rolling.data.clips.protocol import Picture
from rolling.data.clips.source import Clips
from rolling.data.clips.tracks.clips_with_sound import ClipsWithSound
from rolling.denoisers import Residual
from rolling.noise import Cosine
from rolling.run.experiment import Forecast, JointExperiment, Law, Training
from rolling.run.experiment.joint_denoising import JointDenoising
from rolling.run.experiment.optimisers import Muon
from rolling.sampling.modalities import Modality
from rolling.solvers import UniPC
from rolling.video.outputs import Mp4
from rolling.video.uvit.joint import JointUViT, Tower
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Ahead, Rolling, Tasks

experiment = JointExperiment(
    name="clips_with_sound",
    source=ClipsWithSound(
        clips=Clips(picture=Picture(height=64, width=64, rate=16.0), labelled=False),
        rate=8192,
        per_frame=4,  # of 128 samples, 16 ms: within what is seen as at once
    ),
    network=JointUViT(
        towers=(
            Tower(name="video", network=VideoUViT(channels=(32, 64, 128, 128), blocks=(1, 1, 1, 2))),
            Tower(name="sound", network=VideoUViT(channels=(64, 128, 128), blocks=(1, 1, 2), patch=4)),
        )
    ),
    # Pictures as in `clips`; no frame of sound is like the one before, and it takes more noise to hide it.
    prediction=Residual(),
    schedule=Cosine(resolution=8.0),
    modalities=(Modality(name="sound", schedule=Cosine()),),
    # Five pictures of ten are given, as of clips without sound; four frames of sound share a clock.
    window=Ahead(inner=Rolling(size=40, context=20, block=4), ahead=8),
    solver=UniPC(order=2),
    calls_per_frame=0.5,
    objective=JointDenoising(tasks=Tasks(joint=0.4, apart=0.1, given=0.4, absent=0.1)),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=1500, batch=4, ema=0.995),
    forecast=Forecast(starts=16, members=4, frames=44, batch=16, chunk=44),
    laws=(Law(given=("video",)), Law(given=("sound",))),
    metrics=CLIPS,
    long_metrics=CLIPS_LONG,
    outputs=(Mp4(),),
)
