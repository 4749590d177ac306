"""The protocols of ACDM (Kohl et al., 2023, arXiv 2309.01745), as its code has them
(tum-pbs/autoreg-pde-diffusion at 16c8e43)."""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

from rolling.common.terminal import tell
from rolling.data.simulations import Simulations
from rolling.data.simulations.archives import ACDM
from rolling.metrics.protocol import Metric
from rolling.metrics.scaled_errors import Mse
from rolling.physics.lsim import Lsim, network
from rolling.physics.lsim_network import LSIM_WEIGHTS
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
the frames of a sequence, of which the first are given."""
OBSTACLES = "obstacle_mask"


class AcdmErrors(OnArchive):
    """Mean square error in physical units, a plain mean over sequences, frames, fields and cells.

    Simulations are cut into sequences, one after the other. Both given frames of each count in the mean,
    without an error, and so do cells in an obstacle, where all fields are 0. With the weights of its network
    also LSiM, the same mean of distances; those of the given frames are small.
    """

    given: ClassVar[int] = 2
    version: ClassVar[int] = 2
    archive: ClassVar[type] = ACDM
    every: ClassVar[int] = 2
    parts: ClassVar[dict[str, tuple[tuple[str, ...], int]]]

    def asked(self) -> tuple[Asked, ...]:
        return tuple(
            Asked(
                name=part.lower().replace(" ", "-"),
                frames=frames - self.given,
                named=named,
                parts=frames,
                columns=tuple(
                    Column(title=title, metric=metric, of=of, given=self.given)
                    for title, metric, of in (
                        (part, Mse(obstacles=OBSTACLES), MEAN),
                        (part, Mse(obstacles=OBSTACLES, member="each"), MEMBER),
                        *_learned(f"{part}, LSiM"),
                    )
                ),
            )
            for part, (named, frames) in self.parts.items()
        )

    def departures(self, source: Any, test: Any) -> Iterator[str]:
        yield from super().departures(source, test)
        if isinstance(source, Simulations) and not source.constants:
            yield "cells in an obstacle are compared, as constant fields are left out"


def _learned(title: str) -> tuple[tuple[str, Metric, str], ...]:
    """The columns of LSiM: their titles, metrics and rows; none without the weights of its network."""
    if LSIM_WEIGHTS.path is None:
        tell(f"LSiM is left out: the network that defines it is missing; {LSIM_WEIGHTS.how}")
        return ()
    network()  # a wrong file is reported before any forecast is made
    return (
        (title, Lsim(obstacles=OBSTACLES, given=True), MEAN),
        (title, Lsim(obstacles=OBSTACLES, given=True, member="each"), MEMBER),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AcdmTransonic(AcdmErrors):
    """Errors of forecasts of the transonic cylinder flow, `128_tra`: see `AcdmErrors`."""

    title: ClassVar[str] = "ACDM, transonic cylinder: mean square error, LSiM where said; lower is better"
    parts: ClassVar[dict[str, tuple[tuple[str, ...], int]]] = TRANSONIC


@dataclasses.dataclass(frozen=True, kw_only=True)
class AcdmIncompressible(AcdmErrors):
    """Errors of forecasts of the incompressible wake, `128_inc`: see `AcdmErrors`."""

    title: ClassVar[str] = "ACDM, incompressible wake: mean square error, LSiM where said; lower is better"
    parts: ClassVar[dict[str, tuple[tuple[str, ...], int]]] = INCOMPRESSIBLE
