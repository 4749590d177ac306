"""Where the arrays of a run of the benchmark of Otness et al. (2021) lie, and on which grid."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rolling.common.errors import InputError
from rolling.data.simulations.archives import headers
from rolling.data.simulations.npz_arrays import Npz, NpzArray, opened, unpacked
from rolling.data.simulations.stored_arrays import Piece
from rolling.data.simulations.trajectories import Trajectory
from rolling.geometry import Axis
from rolling.layout import Variable

META, ARRAYS = "system_meta.json", "trajectories.npz"
CHANNELS = {
    "navier-stokes": ("velocity_x", "velocity_y", "pressure"),
    "spring-mesh": ("momentum_x", "momentum_y", "position_x", "position_y"),
}
"""Those of the member `p`, then those of `q`."""
SAME_PLACE = 1e-5  # of the size of the domain
MASKS = ("fixed_mask", "obstacle_mask")
PARAMETERS = ("in_velocity", "viscosity")


class Run(NamedTuple):
    """A folder of trajectories; `name` is empty where it is the whole archive."""

    name: str
    folder: Path
    split: str
    meta: dict[str, Any]

    @property
    def trajectories(self) -> list[dict[str, Any]]:
        return self.meta["trajectories"]

    @property
    def step(self) -> float:
        return headers.positive(self.trajectories[0], "time_step_size", self.folder / META)


def trajectories_of(run: Run) -> Iterator[Trajectory]:
    """All trajectories of a run lie on the grid of the first one."""
    file, axes, variables = run.folder / ARRAYS, (), CHANNELS[run.meta["system"]]
    with opened(file) as held:
        for said in run.trajectories:
            keys = _keys(run, said)
            p, q = (NpzArray.of(file, keys[name], held) for name in "pq")
            frames, points = (*p.shape, 0, 0)[:2]
            axes = axes or _axes(run, held, keys, points)
            cells = tuple(len(axis) for axis in reversed(axes))
            pieces = tuple(_piece(run, array, "t x y", cells) for array in (p, q))
            found = [math.prod(piece.components) for piece in pieces]
            if found != [2, len(variables) - 2] or q.shape[0] != frames:
                raise InputError(
                    f"{p.name} and {q.name} of {file} have the shapes {p.shape} and {q.shape}, of which"
                    f" {', '.join(variables)} cannot be made: fetch it again"
                )
            origin, step = _times(run, held, said, keys, frames)
            yield Trajectory(
                name="/".join(part for part in (run.name, str(said.get("name", keys["p"]))) if part),
                split=run.split,
                length=frames,
                step=step,
                origin=origin,
                variables=tuple(Variable(name=name) for name in variables),
                axes=axes,
                pieces=pieces,
                parameters=tuple(
                    (n, v) for n in PARAMETERS if (v := headers.number(said.get(n))) is not None
                ),
                constants=_masks(run, held, keys, cells),
                scattered=True,
            )


def _keys(run: Run, said: dict[str, Any]) -> dict[str, str]:
    """Under which name each array of a trajectory lies in the npz file."""
    keys = said.get("field_keys")
    if not (isinstance(keys, dict) and all(isinstance(keys.get(name), str) for name in "pq")):
        raise InputError(
            f"{run.folder / META} does not tell where `p` and `q` of {said.get('name')!r} lie: fetch it again"
        )
    return {name: key for name, key in keys.items() if isinstance(key, str)}


def _piece(run: Run, array: NpzArray, axes: str, cells: tuple[int, ...]) -> Piece:
    """An array over the cells one after the other, unfolded to a grid."""
    place = axes.split().index("x")
    points, rest = array.shape[place : place + 1], array.shape[place + 1 :]
    if points != (math.prod(cells),) or len(rest) > 1:
        raise InputError(
            f"{array.name} of {run.folder / ARRAYS} has the shape {array.shape}, and the grid"
            f" {' x '.join(map(str, cells))} cells: fetch it again"
        )
    unfolded = dataclasses.replace(array, shape=(*array.shape[:place], *cells, *rest))
    return Piece(array=unfolded, axes=f"{axes} c" if rest else axes)


def _axes(run: Run, held: Npz, keys: dict[str, str], points: int) -> tuple[Axis, ...]:
    """By the places of the cells, or by the springs between masses: row after row within a column."""
    file = run.folder / ARRAYS
    if "vertices" in keys:
        return _axes_of(unpacked(file, keys["vertices"], held), points, f"{keys['vertices']} of {file}")
    rows = math.isqrt(points)
    if "edge_indices" in keys:
        edges = unpacked(file, keys["edge_indices"], held)
        first, second = edges if len(edges) == 2 else edges.T
        followed = set(first[second - first == 1].tolist())
        rows = next(row for row in range(1, points + 1) if row - 1 not in followed)
    if points % rows:
        raise InputError(f"the {points} masses of {file} lie on no grid with {rows} rows: leave it out")
    columns = points // rows
    return headers.even_axis("y", rows, float(rows)), headers.even_axis("x", columns, float(columns))


def _axes_of(places: np.ndarray, points: int, where: str) -> tuple[Axis, ...]:
    """Of cells by their `[cell, (x, y)]`; the first and the last row lie on walls."""
    same = float(np.ptp(places)) * SAME_PLACE
    rows = int((abs(places[:, 0] - places[0, 0]) <= same).sum()) if places.shape == (points, 2) else 0
    grid = places.reshape(-1, rows, 2) if rows and points % rows == 0 else None
    if grid is None or max(np.ptp(grid[..., 0], axis=1).max(), np.ptp(grid[..., 1], axis=0).max()) > same:
        raise InputError(
            f"{where} are not the places of {points} cells on a grid, column by column: leave it out"
        )
    x, y = grid[:, 0, 0], grid[0, :, 1]
    return headers.axis_of("y", y, where, "wall"), headers.axis_of("x", x, where)


def _times(
    run: Run, held: Npz, said: dict[str, Any], keys: dict[str, str], frames: int
) -> tuple[float, float]:
    """The first time and the step."""
    if "t" not in keys:
        return 0.0, headers.positive(said, "time_step_size", run.folder / META)
    times = unpacked(run.folder / ARRAYS, keys["t"], held)
    if times.shape != (frames,):
        raise InputError(
            f"{keys['t']} of {run.folder / ARRAYS} has the shape {times.shape}, and there are {frames}"
            " frames: fetch it again"
        )
    return headers.time_of(times, f"{keys['t']} of {run.folder / ARRAYS}")


def _masks(
    run: Run, held: Npz, keys: dict[str, str], cells: tuple[int, ...]
) -> tuple[tuple[str, Piece], ...]:
    """Which cells are fixed, and which of them lie in obstacles, where that is told."""
    key = keys.get("extra_fixed_mask", keys.get("fixed_mask"))
    if key is None:
        return ()
    piece = _piece(run, NpzArray.of(run.folder / ARRAYS, key, held), "x y", cells)
    count = math.prod(piece.components)
    names = MASKS[:count] if count <= len(MASKS) else [f"{MASKS[0]}_{i}" for i in range(count)]
    return tuple((name, dataclasses.replace(piece, component=i)) for i, name in enumerate(names))
