"""The protocol of APEBench (Koehler et al., 2024, arXiv 2411.00180)."""

import dataclasses
from typing import ClassVar

from rolling.data.simulations.archives import APEBench
from rolling.metrics.scaled_errors import Nrmse
from rolling.protocols.archives import OnArchive
from rolling.protocols.protocol import MEAN, MEMBER, Asked, Column

STEPS = (1, 10, 50, 100, 200)
AGGREGATED = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class APEBenchNrmse(OnArchive):
    """nRMSE of forecasts of 200 frames from the first frame of every test trajectory: the mean over
    trajectories of the sum over channels, at some steps, and its geometric mean over the first 100."""

    title: ClassVar[str] = "APEBench: nRMSE, summed over channels, lower is better"
    archive: ClassVar[type] = APEBench

    def asked(self) -> tuple[Asked, ...]:
        rows = ((MEAN, Nrmse()), (MEMBER, Nrmse(member="each")))
        columns = [
            Column(title=f"step {step}", metric=metric, of=of, first=step, last=step, variables="sum")
            for step in STEPS
            for of, metric in rows
        ]
        columns += [
            Column(
                title=f"geometric mean of {AGGREGATED}",
                metric=metric,
                of=of,
                last=AGGREGATED,
                leads="geometric mean",
                variables="sum",
            )
            for of, metric in rows
        ]
        return (Asked(name="roll-outs", frames=200, columns=tuple(columns)),)
