"""BAIR robot pushing, video and the arm's commands, together or one from the other; --source.paths FOLDER."""

import dataclasses

from rolling.configs.bair import experiment as bair, source
from rolling.data.clips.actions import Actions
from rolling.data.clips.collections import BairPushing
from rolling.data.together import NamedSource, Together
from rolling.run.experiment import JointExperiment, Law
from rolling.run.experiment.joint_denoising import JointDenoising
from rolling.video.uvit.joint import JointUViT, Tower
from rolling.video.uvit.model_sizes import BASE
from rolling.windows import Tasks

# Both are of one prepared store.
clips = dataclasses.replace(source, collection=BairPushing(actions=("action",)), actions=False)
# Within the coarsest level all tokens of both see each other; the commands have no other one.
VIDEO = dataclasses.replace(BASE, attention="joint")
COMMANDS = dataclasses.replace(VIDEO, patch=1, channels=BASE.channels[-1:], blocks=BASE.blocks[-1:])

experiment = JointExperiment(
    name="bair_joint",
    source=Together(
        parts=(
            NamedSource(name="video", source=clips),
            NamedSource(name="actions", source=Actions(clips=clips)),
        )
    ),
    network=JointUViT(towers=(Tower(name="video", network=VIDEO), Tower(name="actions", network=COMMANDS))),
    window=bair.window,
    solver=bair.solver,
    calls_per_frame=bair.calls_per_frame,
    objective=JointDenoising(tasks=Tasks(joint=0.4, apart=0.1, given=0.3, absent=0.2)),
    optimiser=bair.optimiser,
    training=bair.training,
    forecast=dataclasses.replace(bair.forecast, members=10, batch=64),
    laws=(Law(given=("actions",)), Law(absent=("actions",))),
    metrics=bair.metrics,
)
