"""Two-scale Lorenz-96, simulated: slow and fast variables on a ring, each made from the other or together."""

from rolling.configs._metrics import FIELDS, FIELDS_LONG
from rolling.data.simulated import Simulated
from rolling.data.together import NamedSource, Together
from rolling.metrics.explained_variance import ExplainedVariance
from rolling.physics.two_scales_on_a_ring import Lorenz96
from rolling.run.experiment import Forecast, JointExperiment, Law, Training
from rolling.run.experiment.joint_denoising import JointDenoising
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import UniPC
from rolling.video.uvit.joint import JointUViT, Tower
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Ahead, Rolling, Tasks

SLOW, FAST = Lorenz96(part="slow", interval=0.2), Lorenz96(part="fast", interval=0.05)
# A transformer of its own, over whole trajectories of the slow part; the coarsest level is that of both.
SLOW_TOWER = VideoUViT(channels=(64, 64), blocks=(2, 2), patch=1, transformer_levels=2)

experiment = JointExperiment(
    name="lorenz96",
    source=Together(
        parts=(
            NamedSource(
                name="slow", source=Simulated(simulator=SLOW, train=512, frames=40, test=32, test_frames=90)
            ),
            NamedSource(
                name="fast", source=Simulated(simulator=FAST, train=512, frames=160, test=32, test_frames=360)
            ),
        )
    ),
    network=JointUViT(
        towers=(
            Tower(name="slow", network=SLOW_TOWER),
            Tower(name="fast", network=VideoUViT(channels=(32, 64, 64), blocks=(1, 1, 2), patch=2)),
        )
    ),
    window=Ahead(inner=Rolling(size=16, context=4, block=4), ahead=8),
    solver=UniPC(order=2),
    objective=JointDenoising(tasks=Tasks(joint=0.35, apart=0.1, given=0.3, absent=0.25)),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=2200, batch=16, ema=0.995),
    forecast=Forecast(starts=32, members=4, frames=24, batch=64, chunk=24),
    laws=(Law(given=("fast",)), Law(given=("slow",)), Law(absent=("fast",))),
    long=Forecast(starts=16, members=1, frames=320, batch=16, chunk=64),
    metrics=FIELDS,
    long_metrics=FIELDS_LONG,
    joint_metrics=(ExplainedVariance(),),
)
