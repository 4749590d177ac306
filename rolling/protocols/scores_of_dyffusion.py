"""The protocol of DYffusion (Ruehling Cachay et al., 2023, arXiv 2306.01984) on flows past obstacles, as its
code has it (Rose-STL-Lab/dyffusion at 792c548)."""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

from rolling.data.simulations.archives import NnBenchmark
from rolling.metrics.ensemble import Crps, FrameSpreadSkillRatio, Rmse
from rolling.protocols.archives import OnArchive
from rolling.protocols.protocol import ALL, Asked, Column

FRAMES = 64
FLOW = ("velocity_x", "velocity_y", "pressure")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DyffusionFlows(OnArchive):
    """Scores of 64 frames from the first frame of every test trajectory, in physical units: unfair CRPS, mean
    square error of the mean of 50 members, and their spread over the error of each frame; plain means over
    trajectories, frames, fields and cells.

    While a method forecasts, that project sets the inflow to its known course and other fixed cells to 0.
    Forecasts are scored here as they are made, so that no published row is comparable.
    """

    members: int = 50
    """Of each forecast."""
    title: ClassVar[str] = "DYffusion, Navier-Stokes: CRPS and error, lower is better, spread over error"
    archive: ClassVar[type] = NnBenchmark

    def asked(self) -> tuple[Asked, ...]:
        columns = (
            Column(title="CRPS", metric=Crps(fair=False), of=ALL, last=FRAMES),
            Column(title="MSE of the mean", metric=Rmse(), of=ALL, last=FRAMES, power=2),
            Column(title="spread over error", metric=FrameSpreadSkillRatio(), of=ALL, last=FRAMES),
        )
        return (Asked(name="roll-outs", frames=FRAMES, columns=columns),)

    def departures(self, source: Any, test: Any) -> Iterator[str]:
        yield from super().departures(source, test)
        if test.layout.names != FLOW:
            yield f"the fields are {', '.join(test.layout.names)}, not {', '.join(FLOW)}"
        if getattr(getattr(source, "archive", None), "outdist", False):
            yield "the test trajectories are of another distribution than those of training"
