"""Any file of gridded fields that xarray can open (NetCDF, GRIB, Zarr): give --source.path FILE."""

from rolling.configs._metrics import FIELDS
from rolling.data.gridded.source import Gridded
from rolling.run.experiment import Experiment, Forecast, Training
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import Ancestral
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Rolling

experiment = Experiment(
    name="gridded",
    source=Gridded(path=""),
    network=VideoUViT(dropout=0.1),
    window=Rolling(size=8, context=2),
    solver=Ancestral(interpolation=0.5),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=600, batch=8),
    forecast=Forecast(starts=32, members=4, frames=18, batch=32),
    metrics=FIELDS,
)
