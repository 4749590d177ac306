"""APEBench (Koehler et al., 2024): the trajectories of a scenario in `NAME_train.npy` and `NAME_test.npy`,
with all of its settings in `NAME.json`, as its scraper writes them."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rolling.common.errors import InputError
from rolling.data.simulations.archives import headers
from rolling.data.simulations.stored_arrays import NpyArray, Piece
from rolling.data.simulations.trajectories import TEST, TRAIN, Trajectory
from rolling.layout import Variable

PARTS = {"_train.npy": TRAIN, "_test.npy": TEST}
LETTERS = "xyz"  # the order of the axes of space in the files


@dataclasses.dataclass(frozen=True, kw_only=True)
class APEBench:
    """A scenario of APEBench, a folder that holds the files of one, or one of these files.

    Arrays are `[trajectory, time, channel, x, y, z]`, with as many axes of space as the scenario has, and
    periodic along all of them. Channels have no names: `u`, or `u_0` and so on. Scenarios in units of the
    cell and the step have axes of length 1 and steps of 1.
    """

    def lies_in(self, place: Path) -> bool:
        try:
            return any(_is_scenario(file) for file in _descriptions(place))
        except OSError:
            return False

    def trajectories(self, place: Path) -> list[Trajectory]:
        found = _descriptions(place)
        if not found:
            raise InputError(f"there is no NAME.json beside a NAME_train.npy in {place}: give their folder")
        if len(found) > 1:
            names = ", ".join(file.stem for file in found[:3]) + (", ..." if len(found) > 3 else "")
            raise InputError(
                f"{place} holds {len(found)} scenarios ({names}): give the file NAME_train.npy of one of them"
            )
        return list(_trajectories(found[0]))


def _descriptions(place: Path) -> list[Path]:
    """The JSON files that describe arrays beside them, or the one that describes the file at `place`."""
    if place.is_dir():
        candidates = sorted(place.glob("*.json"))
    else:
        stem = next((place.name.removesuffix(s) for s in (*PARTS, ".json") if place.name.endswith(s)), None)
        candidates = [place.with_name(f"{stem}.json")] if stem else []
    return [file for file in candidates if file.is_file() and any(_arrays(file))]


def _arrays(file: Path) -> Iterator[tuple[Path, str]]:
    """The arrays that a JSON file describes, and their parts."""
    for suffix, split in PARTS.items():
        array = file.with_name(file.name.removesuffix(".json") + suffix)
        if array.is_file():
            yield array, split


def _is_scenario(file: Path) -> bool:
    try:
        return "num_spatial_dims" in _info(file)
    except InputError:
        return False


def _info(file: Path) -> dict[str, Any]:
    said = headers.json_object(file).get("info")
    if not isinstance(said, dict) or said.get("num_spatial_dims") not in (1, 2, 3):
        raise InputError(f"{file} does not say that `num_spatial_dims` is 1, 2 or 3: fetch it again")
    return said


def _trajectories(file: Path) -> Iterator[Trajectory]:
    info = _info(file)
    letters = LETTERS[: info["num_spatial_dims"]]
    length, step = (headers.positive(info, name, file) for name in ("domain_extent", "dt"))
    for path, split in _arrays(file):
        array = NpyArray.of(path)
        if len(array.shape) != 3 + len(letters):
            raise InputError(
                f"{path} holds an array of {len(array.shape)} axes, and {file.name} tells {3 + len(letters)}:"
                " fetch both again"
            )
        count, frames, channels, *cells = array.shape
        sizes = dict(zip(letters, cells, strict=True))
        names = ["u"] if channels == 1 else [f"u_{i}" for i in range(channels)]
        for at in range(count):
            yield Trajectory(
                name=f"{path.name}[{at}]",
                split=split,
                length=frames,
                step=step,
                variables=tuple(Variable(name=name) for name in names),
                axes=tuple(headers.even_axis(x, sizes[x], length, "periodic") for x in reversed(letters)),
                pieces=(Piece(array=array, axes=" ".join(("b", "t", "c", *letters)), at=at),),
            )
