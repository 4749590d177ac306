"""A file of fields and one of series at stations, joined by time: --source.paths FIELD STATIONS."""

from rolling.configs._metrics import FIELDS
from rolling.data.gridded.source import Gridded
from rolling.data.gridded.stations import Stations
from rolling.data.together import NamedSource, Together
from rolling.run.experiment import Forecast, JointExperiment, Law, Training
from rolling.run.experiment.joint_denoising import JointDenoising
from rolling.run.experiment.optimisers import Muon
from rolling.solvers import UniPC
from rolling.video.uvit.joint import JointUViT, Tower
from rolling.video.uvit.network import VideoUViT
from rolling.windows import Ahead, Rolling, Tasks

# Their last levels are one. Stations, which need not be near each other, have no other level.
FIELD = VideoUViT(channels=(32, 64), blocks=(1, 2), dropout=0.1)
STATIONS = VideoUViT(channels=(64,), blocks=(2,), patch=1, dropout=0.1)

experiment = JointExperiment(
    name="fields_and_stations",
    source=Together(
        parts=(
            NamedSource(name="field", source=Gridded(path="")),
            NamedSource(name="stations", source=Stations(path="")),
        )
    ),
    network=JointUViT(towers=(Tower(name="field", network=FIELD), Tower(name="stations", network=STATIONS))),
    # Ticks: of hourly stations and a 6-hourly field, a slot of 6; as good for fields every 1, 2 or 3 of them.
    window=Ahead(inner=Rolling(size=24, context=6, block=6), ahead=12),
    solver=UniPC(order=2),
    objective=JointDenoising(tasks=Tasks(joint=0.35, apart=0.1, given=0.35, absent=0.2)),
    optimiser=Muon(peak=1e-2),
    training=Training(steps=600, batch=8),
    forecast=Forecast(starts=32, members=4, frames=72, batch=32),
    laws=(Law(given=("stations",)), Law(given=("field",)), Law(absent=("stations",))),
    metrics=FIELDS,
)
