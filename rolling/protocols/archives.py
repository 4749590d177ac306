"""What protocols on archives of simulations have in common."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from rolling.common.checks import check_least
from rolling.data.simulations.known_archives import Found, archive_at, trajectories_at
from rolling.data.simulations.source import Simulations
from rolling.data.simulations.trajectories import TEST, Archive
from rolling.protocols.protocol import Asked, Published


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnArchive:
    """A protocol on the data of one project, as they lie on disk: nothing coarsened or left out."""

    members: int = 8
    """Of each forecast."""
    starts: int = 0
    """At most so many forecasts of each kind, where all would take too long; 0: all."""
    version: ClassVar[int] = 1
    given: ClassVar[int] = 1
    title: ClassVar[str] = ""
    archive: ClassVar[type[Archive]]
    every: ClassVar[int] = 1
    """Of the frames on disk, every so many are used."""
    skip: ClassVar[int] = 0
    """Of the frames of each trajectory, so many first ones are left out."""
    variables: ClassVar[tuple[str, ...]] = ()
    """Of the fields on disk, those that are used; empty: all."""
    own_test_part: ClassVar[bool] = True
    """Whether the archive says what is held out."""

    def __post_init__(self):
        check_least("protocol", self, "members", least=1)
        check_least("protocol", self, "starts")

    def asked(self) -> tuple[Asked, ...]:
        raise NotImplementedError

    def published(self, source: Any) -> tuple[Published, ...]:
        return ()

    def departures(self, source: Any, test: Any) -> Iterator[str]:
        if not isinstance(source, Simulations):
            yield f"the data are not read as an archive of simulations, but by {type(source).__name__}"
            return
        place = Path(source.path).expanduser()
        archive = archive_at(place) if isinstance(source.archive, Found) else source.archive
        if not isinstance(archive, self.archive):
            yield f"the data are laid out as those of {type(archive).__name__}"
        elif self.own_test_part and not any(t.split == TEST for t in trajectories_at(archive, place)):
            yield "the archive has no test part, and other trajectories are held out in its place"
        if source.coarsen != 1:
            yield f"fields are means over blocks of {source.coarsen} cells"
        if source.every != self.every:
            yield f"every {_th(source.every)} frame is used, not every {_th(self.every)}"
        if source.skip != self.skip:
            instead = f", not {self.skip}" if self.skip else ""
            yield f"the first {source.skip} frames of each trajectory are left out{instead}"
        if source.variables and set(source.variables) != set(self.variables):
            yield f"of the fields only {', '.join(source.variables)} are used"


def _th(number: int) -> str:
    return {1: "single", 2: "second", 3: "third"}.get(number, f"{number}th")
