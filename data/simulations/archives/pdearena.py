"""PDEArena (Gupta and Brandstetter, 2022) and PDE-Refiner (Lippe et al., 2023): HDF5 files with a group
`train`, `valid` or `test`, in which each variable is one array."""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from rolling.array_types import SPACE
from rolling.common.errors import InputError
from rolling.data.simulations.archives import headers
from rolling.data.simulations.stored_arrays import explained
from rolling.data.simulations.trajectories import SPLITS, Trajectory
from rolling.layout import Variable

PARAMETERS = ("buo_y", "v")
"""The buoyancy of smoke and the viscosity on a line, where they are given."""
SAME_WIDTH = 1e-3  # relative: widths are often stored in single precision
_even_axis = functools.lru_cache(maxsize=64)(headers.even_axis)  # many simulations share theirs


class Kind(NamedTuple):
    """What a group holds."""

    arrays: tuple[str, ...]
    axes: str
    """Of each array, as `Piece` has them."""
    channels: tuple[str, ...]
    boundary: str
    measured: bool = True
    """Whether the group says how far frames and cells lie apart."""
    with_ends: bool = False
    """Whether `dx` is the side divided by one less than the cells, as if the first and the last lay on the
    walls: they fill the side."""


SMOKE = Kind(("u", "vx", "vy"), "b t x y", ("u", "vx", "vy"), "wall", with_ends=True)
MAXWELL = Kind(  # cut out of the middle of a periodic box
    arrays=("d_field", "h_field"),
    axes="b t x y z c",
    channels=tuple(f"{field}_{letter}" for field in ("d_field", "h_field") for letter in "xyz"),
    boundary="open",
    measured=False,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PDEArena:
    """A set of PDEArena: smoke that rises in a closed box, the Kuramoto-Sivashinsky equation, or Maxwell's.

    Times are counted from the first frame in steps of `dt`. Where simulations have cells of different widths,
    the widths are parameters, and the axes count cells. Files of Maxwell's equations say neither times nor
    widths: frames and cells are counted.
    """

    def lies_in(self, place: Path) -> bool:
        return headers.first_is(place, lambda held: bool(_groups(held)))

    def trajectories(self, place: Path) -> list[Trajectory]:
        found = []
        for name, held in headers.hdf5_files(place):
            with explained(held.filename):
                groups = _groups(held)
                if not groups:
                    raise InputError(
                        f"{held.filename} has no group train, valid or test with arrays of PDEArena: leave it"
                        " out"
                    )
                for part, kind in groups.items():
                    found += _trajectories(f"{name}/{part}", held[part], part, kind)
        return _of_one_width(found)


def _groups(held: headers.Group) -> dict[str, Kind]:
    """The groups of parts, and what each holds."""
    kinds = ((part, _kind(held[part])) for part in SPLITS if isinstance(held.get(part), h5py.Group))
    return {part: kind for part, kind in kinds if kind is not None}


def _kind(group: headers.Group) -> Kind | None:
    on_a_line = sorted(name for name in group if name.startswith("pde_"))
    if on_a_line:
        return Kind((on_a_line[0],), "b t x", ("u",), "periodic")
    return next((kind for kind in (SMOKE, MAXWELL) if all(name in group for name in kind.arrays)), None)


def _trajectories(name: str, group: headers.Group, part: str, kind: Kind) -> Iterator[Trajectory]:
    arrays = [headers.array_in(group, each) for each in kind.arrays]
    sizes = dict(zip(kind.axes.split(), arrays[0].shape, strict=False)) | {"c": 3}
    pieces = [headers.piece_of(array, kind.axes, sizes) for array in arrays]
    count = sizes["b"]
    steps = _widths(group, "dt", count) if kind.measured else np.ones(count)
    told = {each: _numbers(group, each, count) for each in PARAMETERS if each in group}
    sides = _sides(group, kind, sizes)
    for at in range(count):
        yield Trajectory(
            name=f"{name}[{at}]",
            split=SPLITS[part],
            length=sizes["t"],
            step=float(steps[at]),
            variables=tuple(Variable(name=channel) for channel in kind.channels),
            axes=tuple(
                _even_axis(letter, sizes[letter], float(side[at]), kind.boundary)
                for letter, side in sides.items()
            ),
            pieces=tuple(dataclasses.replace(piece, at=at) for piece in pieces),
            parameters=tuple((each, float(values[at])) for each, values in told.items()),
        )


def _sides(group: headers.Group, kind: Kind, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """How long the axes of each simulation are, in our order of axes."""
    found = {}
    for letter in (letter for letter in SPACE if letter in sizes):
        width = _widths(group, f"d{letter}", sizes["b"]) if kind.measured else np.ones(sizes["b"])
        found[letter] = width * (sizes[letter] - 1 if kind.with_ends else sizes[letter])
    return found


def _numbers(group: headers.Group, name: str, count: int) -> np.ndarray:
    """One number for each simulation."""
    headers.piece_of(headers.array_in(group, name), "b", {"b": count})
    return headers.values_in(group, name)


def _widths(group: headers.Group, name: str, count: int) -> np.ndarray:
    widths = _numbers(group, name, count)
    if not (np.isfinite(widths) & (widths > 0)).all():
        raise InputError(
            f"{name} of {group.file.filename} is not above 0 throughout: repair the file, or leave it out"
        )
    return widths


def _of_one_width(found: list[Trajectory]) -> list[Trajectory]:
    """The same simulations; the widths of cells are parameters and axes count cells where widths differ."""
    if len({len(trajectory.axes) for trajectory in found}) != 1:
        return found  # of different sets, which is told where they are compared
    widths = np.array([[axis.spacing for axis in trajectory.axes] for trajectory in found])
    if (np.ptp(widths, axis=0) <= SAME_WIDTH * widths.mean(axis=0)).all():
        return found
    return [
        dataclasses.replace(
            trajectory,
            axes=tuple(_even_axis(a.name, len(a), len(a), a.boundary) for a in trajectory.axes),
            parameters=(*trajectory.parameters, *((f"d{a.name}", a.spacing) for a in trajectory.axes)),
        )
        for trajectory in found
    ]
