"""PDEBench (Takamoto et al., 2022): HDF5 files of three layouts, one for each group of equations."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from rolling.common.errors import InputError
from rolling.data.simulations.archives import headers, pdebench_layouts as layouts
from rolling.data.simulations.stored_arrays import explained
from rolling.data.simulations.trajectories import Trajectory


@dataclasses.dataclass(frozen=True, kw_only=True)
class PDEBench:
    """A set of PDEBench: one of its HDF5 files, or a folder of files with different parameters.

    No parts are named, whatever files are called. Trajectories of several files take turns, so that the last
    ones, which are held out, are the last ones of each file. Parameters are attributes or else read from the
    name of the file, as are boundaries; the scalar equations are periodic. The force on the incompressible
    flow is a constant field. Darcy flow is refused, as it has no time.
    """

    def lies_in(self, place: Path) -> bool:
        return headers.first_is(place, lambda held: _layout_of(held) is not None)

    def trajectories(self, place: Path) -> list[Trajectory]:
        parts = []
        for name, held in headers.hdf5_files(place):
            with explained(held.filename):
                layout = _layout_of(held)
                if layout is None:
                    raise InputError(f"{held.filename} is laid out like no file of PDEBench: leave it out")
                parts.append(list(layout(name, held)))
        turns = [(at / len(part), trajectory) for part in parts for at, trajectory in enumerate(part)]
        return [trajectory for _, trajectory in sorted(turns, key=lambda turn: turn[0])]


def _layout_of(held: headers.Group) -> Callable[[str, headers.Group], Iterator[Trajectory]] | None:
    if all(name in held for name in ("velocity", "particles", "t")):
        return layouts.incompressible
    if "x-coordinate" in held and ("tensor" in held or all(n in held for n in ("density", "pressure", "Vx"))):
        return layouts.in_arrays
    first = next(filter(layouts.NUMBERED.fullmatch, held), None)
    if first is not None and f"{first}/data" in held and f"{first}/grid" in held:
        return layouts.in_groups
    return None
