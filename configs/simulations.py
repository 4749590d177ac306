"""An archive of simulations (The Well, PDEBench, PDEArena, APEBench, ACDM): give --source.path FOLDER."""

from rolling.configs._metrics import FIELDS_LONG, SIMULATIONS
from rolling.data.simulations.source import Simulations
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import UniPC
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Rolling

experiment = Experiment(
    name="simulations",
    source=Simulations(path=""),
    network=VideoUViT(),
    window=Rolling(size=8, context=2),
    solver=UniPC(order=2),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=1300, batch=4, ema=0.995),
    forecast=Forecast(starts=32, members=4, frames=20, batch=8, chunk=20),
    metrics=SIMULATIONS,
    long_metrics=FIELDS_LONG,
)
