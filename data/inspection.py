"""What lies at a path: simulations, fields on a grid or clips, in a few lines."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.data.clips.collections.detect import collection_at
from rolling.data.clips.protocol import UNSPECIFIED
from rolling.data.gridded.source import Gridded
from rolling.data.simulations.known_archives import archive_at, is_archive
from rolling.data.simulations.source import Simulations
from rolling.layout import Layout

PARTS = {"train": "to train on", "validation": "to validate on", "test": "held out"}


def look(path: str) -> str:
    """What data are at a path, and the command that trains on them. Raises `InputError` where they are of no
    kind that can be read."""
    place = Path(path).expanduser()
    if not place.exists():
        raise InputError(f"there is no {path}: give a file or folder of data, or an experiment")
    if is_archive(place):
        return _simulations(path)
    reasons = []
    for kind, told in (("fields on a grid", _fields), ("clips", _clips)):
        try:
            return told(path)
        except InputError as error:
            reasons.append(f"as {kind}, {error}")
    raise InputError(f"{path} is no archive of simulations that is known; {'; '.join(reasons)}")


def _simulations(path: str) -> str:
    """Reads headers, and the constant fields of some trajectories."""
    source = Simulations(path=path)
    found = source.trajectories()
    every = [trajectory for part in found.values() for trajectory in part]
    lengths = sorted({source.thinning.length(trajectory) for trajectory in every})
    frames = counted(lengths[0], "frame") if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]} frames"
    layout, notices = source.described(found)
    kind = type(archive_at(Path(path).expanduser())).__name__
    parts = ", ".join(f"{len(some)} {PARTS[part]}" for part, some in found.items() if some)
    return "\n".join(
        [
            f"{path}: simulations, laid out as {kind}",
            f"trajectories: {len(every)}, of {frames} each; {parts}",
            *_grid(layout),
            *(f"constant field: {covariate.name}" for covariate in layout.constants),
            *notices,
            f"to train on it: rolling run simulations --source.path {path}",
        ]
    )


def _fields(path: str) -> str:
    layout = Gridded(path=path).layout()
    lines = [f"{path}: fields on a grid", *_grid(layout)]
    return "\n".join([*lines, f"to train on it: rolling run gridded --source.path {path}"])


def _clips(path: str) -> str:
    collection = collection_at(path)
    entries = collection.entries()
    splits = Counter(entry.split for entry in entries if entry.split != UNSPECIFIED)
    labels = {entry.label for entry in entries} - {""}
    lines = [
        f"{path}: clips, read as {type(collection).__name__}",
        f"clips: {len(entries)}" + "".join(f", {n} {PARTS.get(s, s)}" for s, n in sorted(splits.items())),
        *([f"classes: {len(labels)}"] if labels else []),
    ]
    return "\n".join([*lines, f"to train on it: rolling run clips --source.path {path}"])


def _grid(layout: Layout) -> list[str]:
    units: Callable[[str], str] = lambda text: "" if text in ("", "1") else f" {text}"  # noqa: E731
    axes = [f"{len(axis)} cells along {axis.name} ({axis.boundary})" for axis in layout.axes]
    names = [f"{variable.name}{units(variable.units)}" for variable in layout.variables]
    return [
        f"variables: {', '.join(names)}",
        f"grid: {', '.join(axes)}",
        f"time step: {layout.step:g}{units(layout.time_units)}",
    ]
