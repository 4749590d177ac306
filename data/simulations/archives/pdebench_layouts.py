"""The three layouts of the files of PDEBench, each as a function of the name of a file and the open file that
gives its trajectories, or raises `InputError`."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from rolling.common.errors import InputError
from rolling.data.simulations.archives import headers
from rolling.data.simulations.trajectories import Trajectory
from rolling.geometry import Axis
from rolling.layout import Variable

LETTERS = ("x", "y", "z")
PARAMETERS = {"beta": "beta", "Nu": "Nu", "Rho": "rho", "Eta": "eta", "Zeta": "zeta", "M": "M"}
"""Attributes, by how file names write them."""
NUMBER = r"\d+(?:\.\d*(?:e-?\d+)?|e-?\d+)"  # 0.1, 1e-08, 1.e-8, but not the 01 of KH_M01, which is 0.1
NUMBERED = re.compile(r"\d{4,}")
SETS = {
    "diff-react": (("activator", "inhibitor"), "wall"),
    "diff-sorp": (("concentration",), "open"),
    "rdb": (("depth",), "open"),
}
"""Channels and boundaries of the sets of numbered groups, which no header says, by a part of their names."""


def in_arrays(name: str, held: headers.Group) -> Iterator[Trajectory]:
    """Scalar equations, and compressible flow of one to three axes."""
    if "tensor" in held and "nu" in held:
        raise InputError(
            f"{held.filename} holds solutions of Darcy flow, which have no time, and only sets with frames in"
            " time can be used: leave it out"
        )
    first = headers.array_in(held, "tensor" if "tensor" in held else "density")
    letters = LETTERS[: max(1, first.ndim - 2)]
    flow = ("density", "pressure", *(f"V{letter}" for letter in letters))
    names = ("tensor",) if "tensor" in held else flow
    boundary = _boundary(name, held)
    axes = _axes(held, [f"{letter}-coordinate" for letter in letters], boundary)
    form = " ".join(("b", "t", *letters))
    sizes = dict(zip(form.split(), first.shape, strict=False)) | {axis.name: len(axis) for axis in axes}
    pieces = [headers.piece_of(headers.array_in(held, each), form, sizes) for each in names]
    origin, step = _clock(headers.values_in(held, "t-coordinate"), sizes["t"], held.filename)
    parameters = tuple(_parameters(name, held))
    for at in range(sizes["b"]):
        yield Trajectory(
            name=f"{name}[{at}]",
            length=sizes["t"],
            origin=origin,
            step=step,
            variables=tuple(Variable(name=each) for each in names),
            axes=axes,
            pieces=tuple(dataclasses.replace(piece, at=at) for piece in pieces),
            parameters=parameters,
        )


def in_groups(name: str, held: headers.Group) -> Iterator[Trajectory]:
    """Reaction with diffusion or sorption, and shallow water: all groups are on the grid of the first."""
    numbers = sorted(filter(NUMBERED.fullmatch, held), key=int)
    letters = LETTERS[: 2 if f"{numbers[0]}/grid/y" in held else 1]
    known, boundary = next((said for part, said in SETS.items() if part in name), ((), "open"))
    axes = _axes(held, [f"{numbers[0]}/grid/{letter}" for letter in letters], boundary)
    for number in numbers:
        data = headers.array_in(held, f"{number}/data")
        # Documented as x before y, but the reaction is written with y first, as unequal sizes would show.
        fitting = [order for order in (axes[::-1], axes) if tuple(map(len, order)) == data.shape[1:-1]]
        form = " ".join(("t", *(axis.name for axis in (fitting or [axes[::-1]])[0]), "c"))
        piece = headers.piece_of(data, form, {axis.name: len(axis) for axis in axes})
        (channels,) = piece.components
        names = known if len(known) == channels else [f"data_{channel}" for channel in range(channels)]
        times = headers.values_in(held, f"{number}/grid/t")
        origin, step = _clock(times, len(data), f"{number} of {held.filename}")
        yield Trajectory(
            name=f"{name}[{number}]",
            length=len(data),
            origin=origin,
            step=step,
            variables=tuple(Variable(name=each) for each in names),
            axes=axes,
            pieces=(piece,),
        )


def incompressible(name: str, held: headers.Group) -> Iterator[Trajectory]:
    """Flow in a closed square of side 1, with the particles that it carries."""
    velocity, particles, force = (headers.array_in(held, each) for each in ("velocity", "particles", "force"))
    form = "b t x y c"
    sizes = dict(zip(form.split(), velocity.shape, strict=False)) | {"c": 2}
    pieces = (
        headers.piece_of(velocity, form, sizes),
        headers.piece_of(particles, form, sizes | {"c": 1}),
    )
    constant = headers.piece_of(force, "b x y c", sizes)
    headers.piece_of(headers.array_in(held, "t"), "b t", sizes)
    times = headers.values_in(held, "t")
    width = 1 / max(sizes["x"], sizes["y"])
    axes = tuple(headers.even_axis(letter, sizes[letter], sizes[letter] * width, "wall") for letter in "yx")
    for at in range(sizes["b"]):
        origin, step = _clock(times[at], sizes["t"], f"simulation {at} of {held.filename}")
        yield Trajectory(
            name=f"{name}[{at}]",
            length=sizes["t"],
            origin=origin,
            step=step,
            variables=tuple(Variable(name=each) for each in ("velocity_x", "velocity_y", "particles")),
            axes=axes,
            pieces=tuple(dataclasses.replace(piece, at=at) for piece in pieces),
            constants=tuple(
                (f"force_{letter}", dataclasses.replace(constant, at=at, component=place))
                for place, letter in enumerate("xy")
            ),
        )


def _axes(held: headers.Group, names: Sequence[str], boundary: str) -> tuple[Axis, ...]:
    """Those of coordinates of x, y and z, in our order."""
    found = (
        headers.axis_of(letter, headers.values_in(held, name), held.filename, boundary)
        for letter, name in zip(LETTERS, names, strict=False)
    )
    return tuple(found)[::-1]


def _clock(times: np.ndarray, frames: int, where: str) -> tuple[float, float]:
    """The first time and the step; some files have the time of one frame more than there are."""
    if times.shape not in ((frames,), (frames + 1,)):
        raise InputError(
            f"{where} has {frames} frames, and times of shape {times.shape}: repair the file, or leave it out"
        )
    return headers.time_of(times[:frames], where)


def _boundary(name: str, held: headers.Group) -> str:
    words = PurePosixPath(name).stem.split("_")
    return "periodic" if "periodic" in words or ("tensor" in held and "trans" not in words) else "open"


def _parameters(name: str, held: headers.Group) -> Iterator[tuple[str, float]]:
    for word, parameter in PARAMETERS.items():
        value = headers.number(held.attrs.get(parameter))
        found = re.search(rf"(?:^|_){word}({NUMBER})(?=_|$)", PurePosixPath(name).stem)
        if value is None and found is not None:
            value = float(found[1])
        if value is not None:
            yield parameter, value
