"""The protocols of ACDM (Kohl et al., 2023, arXiv 2309.01745)."""

import dataclasses
from typing import ClassVar

from rolling.data.simulations.archives import ACDM
from rolling.metrics.ensemble import MemberRmse, Rmse
from rolling.protocols.archives import OnArchive
from rolling.protocols.protocol import MEAN, MEMBER, Asked, Column

TRANSONIC = {
    "extrapolation": (("000000", "000001", "000002"), 60),
    "interpolation": (("000016", "000017", "000018"), 60),
    "long": (("000014", "000015"), 240),
}
INCOMPRESSIBLE = {
    "low Reynolds": (("000082", "000084", "000086", "000088", "000090"), 60),
    "high Reynolds": (("000000", "000002", "000004", "000006", "000008"), 60),
}
"""By what the simulations differ in from those of training, as that project names them: their numbers, and
the frames of a forecast."""


class AcdmMse(OnArchive):
    """Mean square error from the third frame of every test sequence, in physical units, a plain mean over
    sequences, frames, fields and cells, those in an obstacle included."""

    given: ClassVar[int] = 2
    archive: ClassVar[type] = ACDM
    every: ClassVar[int] = 2
    parts: ClassVar[dict[str, tuple[tuple[str, ...], int]]]

    def asked(self) -> tuple[Asked, ...]:
        rows = ((MEAN, Rmse()), (MEMBER, MemberRmse()))
        return tuple(
            Asked(
                name=part.lower().replace(" ", "-"),
                frames=frames,
                named=named,
                columns=tuple(Column(title=part, metric=metric, of=of, power=2) for of, metric in rows),
            )
            for part, (named, frames) in self.parts.items()
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AcdmTransonic(AcdmMse):
    """Mean square error of forecasts of the transonic cylinder flow, `128_tra`: see `AcdmMse`."""

    title: ClassVar[str] = "ACDM, transonic cylinder: mean square error, lower is better"
    parts: ClassVar[dict[str, tuple[tuple[str, ...], int]]] = TRANSONIC


@dataclasses.dataclass(frozen=True, kw_only=True)
class AcdmIncompressible(AcdmMse):
    """Mean square error of forecasts of the incompressible wake, `128_inc`: see `AcdmMse`."""

    title: ClassVar[str] = "ACDM, incompressible wake: mean square error, lower is better"
    parts: ClassVar[dict[str, tuple[tuple[str, ...], int]]] = INCOMPRESSIBLE
