"""The protocols of PDEArena (Gupta and Brandstetter, 2022, arXiv 2209.15616) and of PDE-Refiner (Lippe et
al., 2023, arXiv 2308.05732), both as the code of PDEArena has them (pdearena/pdearena at 5ee62e6)."""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from rolling.data.simulations.archives import Labelled, PDEArena
from rolling.metrics.correlation import PearsonCorrelation
from rolling.metrics.ensemble import MemberRmse, Rmse
from rolling.metrics.scaled_errors import Mse
from rolling.protocols.archives import OnArchive
from rolling.protocols.protocol import MEAN, MEMBER, Asked, Column

SMOKE = ("u", "vx", "vy")
STEPS = 5
LEADS = (1, 2, 4, 8, 16)
THRESHOLDS = (0.8, 0.9, 0.95)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PDEArenaMse(OnArchive):
    """Mean square error of smoke from every frame of the test part that has four before it.

    One step: the sum over fields of the mean over cells. Five steps: the sum over steps of the mean over
    cells and fields, which is how that project computes it, although its one-step error is a sum. Both are
    means over forecasts, of fields that are not normalised.
    """

    title: ClassVar[str] = "PDEArena, smoke: mean square error of the test part, lower is better"
    given: ClassVar[int] = 4
    archive: ClassVar[type] = PDEArena

    def asked(self) -> tuple[Asked, ...]:
        one = tuple(
            Column(title="one step, sum over fields", metric=metric, of=of, power=2, last=1, variables="sum")
            for of, metric in ((MEAN, Rmse()), (MEMBER, MemberRmse()))
        )
        return Asked(name="one-step", frames=1, every_frame=True, columns=one), five_steps()

    def departures(self, source: Any, test: Any) -> Iterator[str]:
        yield from super().departures(source, test)
        if test.layout.names != SMOKE:
            yield f"the fields are {', '.join(test.layout.names)}, not {', '.join(SMOKE)}"
        elif any(parameter.name == "buo_y" for parameter in test.layout.parameters):
            yield "smoke of different buoyancies is that of another protocol, PDEArenaConditionedMse"


def five_steps() -> Asked:
    """From every frame: the sum over steps of the mean over cells and fields."""
    title = f"sum of {STEPS} steps, mean over fields"
    columns = tuple(
        Column(title=title, metric=metric, of=of, power=2, last=STEPS, leads="sum")
        for of, metric in ((MEAN, Rmse()), (MEMBER, MemberRmse()))
    )
    return Asked(name="five-steps", frames=STEPS, every_frame=True, columns=columns)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairsMse(Mse):
    """`sum_s w_s <(x - y)^2> / sum_s w_s`, where the last given frame `s` of its trajectory, counted from 0,
    weighs `w_s = 1 + floor(s / n)` at lead `n`.

    So often a pair of frames occurs in PDEArena, which takes every `n`-th frame of a trajectory from each of
    its frames on, and scores all neighbours.
    """

    stem: ClassVar[str] = "pairs_mse"

    def terms(self, tools, sample):
        leads = sample.first + np.arange(1, len(sample.truth) + 1)
        weight = 1.0 + ((sample.frame or 1) - 1) // leads
        return {"error": super().terms(tools, sample)["error"] * weight[:, None], "weight": weight}

    def values(self, sums):
        return sums.mean("error") / sums.mean("weight")[:, None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PDEArenaConditionedMse(OnArchive):
    """Mean square error of smoke of different buoyancies, from one frame, of fields that are not normalised.

    At leads of 1, 2, 4, 8 and 16 frames: the sum over fields of the mean over cells, in which later frames
    weigh more (`PairsMse`). Networks of that project are told the lead, and reach it in one step. Five steps
    of one frame, from every frame: as `PDEArenaMse` has them.
    """

    title: ClassVar[str] = "PDEArena, smoke of different buoyancies: mean square error, lower is better"
    archive: ClassVar[type] = PDEArena

    def asked(self) -> tuple[Asked, ...]:
        rows = ((MEAN, PairsMse()), (MEMBER, PairsMse(member="each")))
        return (
            *(
                Asked(
                    name=f"lead-{lead}",
                    frames=lead,
                    every_frame=True,
                    columns=tuple(
                        Column(
                            title=f"lead {lead}, sum over fields",
                            metric=metric,
                            of=of,
                            first=lead,
                            last=lead,
                            variables="sum",
                        )
                        for of, metric in rows
                    ),
                )
                for lead in LEADS
            ),
            five_steps(),
        )

    def departures(self, source: Any, test: Any) -> Iterator[str]:
        yield from super().departures(source, test)
        if test.layout.names != SMOKE:
            yield f"the fields are {', '.join(test.layout.names)}, not {', '.join(SMOKE)}"
        elif not any(parameter.name == "buo_y" for parameter in test.layout.parameters):
            yield "the network is not told different buoyancies"


class ShallowWater(OnArchive):
    """Mean square error of the velocities one step ahead, the sum over both of the mean over cells, of fields
    that are not normalised, from every frame that has two before it.

    That project also adds the error of the pressure, over its variance at each cell in the whole training
    part, in this and in the sum of five steps: numbers that are not made here.
    """

    given: ClassVar[int] = 2
    archive: ClassVar[type] = Labelled
    skip: ClassVar[int] = 4
    variables: ClassVar[tuple[str, ...]] = ("pres", "u", "v")

    def asked(self) -> tuple[Asked, ...]:
        columns = tuple(
            Column(
                title="one step, sum over u and v",
                metric=metric,
                of=of,
                last=1,
                variables="sum",
                fields=("u", "v"),
            )
            for of, metric in ((MEAN, Mse()), (MEMBER, Mse(member="each")))
        )
        return (Asked(name="one-step", frames=1, every_frame=True, columns=columns),)

    def departures(self, source: Any, test: Any) -> Iterator[str]:
        yield from super().departures(source, test)
        if set(test.layout.names) != set(self.variables):
            yield f"the fields are {', '.join(test.layout.names)}, not {', '.join(self.variables)}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PDEArenaShallowWaterDay(ShallowWater):
    """Shallow water on a globe, of which every fourth frame is used, a day apart: see `ShallowWater`."""

    title: ClassVar[str] = "PDEArena, shallow water by the day: mean square error, lower is better"
    every: ClassVar[int] = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class PDEArenaShallowWaterTwoDays(ShallowWater):
    """The same of every eighth frame, two days apart."""

    title: ClassVar[str] = "PDEArena, shallow water by two days: mean square error, lower is better"
    every: ClassVar[int] = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class PdeRefinerCorrelation(OnArchive):
    """For how many steps forecasts of the Kuramoto-Sivashinsky equation stay correlated with the truth.

    From the first frame of every test trajectory to its end, in steps of every fourth frame: at how many of
    them the correlation with the truth over cells, a mean over trajectories, is above a threshold.
    """

    title: ClassVar[str] = "PDE-Refiner: steps at which the correlation is so high, higher is better"
    archive: ClassVar[type] = PDEArena
    every: ClassVar[int] = 4

    def asked(self) -> tuple[Asked, ...]:
        rows = ((MEAN, PearsonCorrelation()), (MEMBER, PearsonCorrelation(member="each")))
        columns = tuple(
            Column(title=f"above {threshold:g}", metric=metric, of=of, above=threshold)
            for threshold in THRESHOLDS
            for of, metric in rows
        )
        return (Asked(name="to-the-end", columns=columns),)

    def departures(self, source: Any, test: Any) -> Iterator[str]:
        yield from super().departures(source, test)
        if len(test.layout.axes) != 1 or len(test.layout.names) != 1:
            yield "the data are not those of one field on a line"
