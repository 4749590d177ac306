"""Two-dimensional turbulence with a tracer, simulated: the field from 16 probes, or both together."""

from rolling.configs._metrics import FIELDS, FIELDS_LONG
from rolling.data.simulated import Simulated
from rolling.data.together import NamedSource, Together
from rolling.metrics.explained_variance import ExplainedVariance
from rolling.physics.flow_with_probes import KolmogorovTracer
from rolling.run.experiment import Forecast, JointExperiment, Law, Training
from rolling.run.experiment.joint_denoising import JointDenoising
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import UniPC
from rolling.video.uvit.joint import JointUViT, Tower
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Ahead, Rolling, Tasks

FIELD = KolmogorovTracer(part="field", interval=0.4)
PROBES = KolmogorovTracer(part="probes", interval=0.1)
# A transformer of its own, over all probes of the window; the coarsest level is that of both.
PROBES_TOWER = VideoUViT(channels=(64, 128), blocks=(1, 2), patch=1, transformer_levels=2)

experiment = JointExperiment(
    name="kolmogorov_probes",
    source=Together(
        parts=(
            NamedSource(
                name="field", source=Simulated(simulator=FIELD, train=64, frames=110, test=8, test_frames=120)
            ),
            NamedSource(
                name="probes",
                source=Simulated(simulator=PROBES, train=64, frames=440, test=8, test_frames=480),
            ),
        )
    ),
    network=JointUViT(
        towers=(
            Tower(name="field", network=VideoUViT(channels=(32, 64, 128), blocks=(1, 1, 2))),
            Tower(name="probes", network=PROBES_TOWER),
        )
    ),
    window=Ahead(inner=Rolling(size=16, context=4, block=4), ahead=8),
    solver=UniPC(order=2),
    objective=JointDenoising(tasks=Tasks(joint=0.35, apart=0.1, given=0.3, absent=0.25)),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=1500, batch=4, ema=0.995),
    forecast=Forecast(starts=32, members=4, frames=24, batch=16, chunk=24),
    laws=(Law(given=("probes",)), Law(absent=("probes",))),
    long=Forecast(starts=8, members=1, frames=320, batch=8, chunk=80),
    metrics=FIELDS,
    long_metrics=FIELDS_LONG,
    joint_metrics=(ExplainedVariance(),),
)
