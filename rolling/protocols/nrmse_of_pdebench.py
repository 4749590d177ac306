"""The protocol of PDEBench (Takamoto et al., 2022, arXiv 2210.07182)."""

import dataclasses
from typing import ClassVar

from rolling.data.simulations.archives import PDEBench
from rolling.metrics.scaled_errors import Nrmse
from rolling.protocols.archives import OnArchive
from rolling.protocols.protocol import MEAN, MEMBER, Asked, Column


@dataclasses.dataclass(frozen=True, kw_only=True)
class PDEBenchNrmse(OnArchive):
    """nRMSE from the eleventh frame of every held-out trajectory to its end, frame by frame, a plain mean
    over trajectories, frames and fields.

    Given frames do not count, as in that project since its issue 41. What of the published tables counts them
    is not said there, so that no published row is comparable by what is known here.
    """

    title: ClassVar[str] = "PDEBench: nRMSE to the end of the held-out trajectories, lower is better"
    given: ClassVar[int] = 10
    archive: ClassVar[type] = PDEBench
    own_test_part: ClassVar[bool] = False

    def asked(self) -> tuple[Asked, ...]:
        rows = ((MEAN, Nrmse()), (MEMBER, Nrmse(member="each")))
        columns = tuple(Column(title="nRMSE", metric=metric, of=of) for of, metric in rows)
        return (Asked(name="to-the-end", columns=columns),)
