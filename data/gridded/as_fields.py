"""Data that a network was not trained on, read as those that it was."""

import dataclasses

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.data.dates import calendar_of
from rolling.data.gridded.cadence import Cadence
from rolling.data.gridded.cubes import Cube
from rolling.data.gridded.formats import open_files, settled
from rolling.data.gridded.segments import FileFrames, FrameSegments, positions, series_of, unbroken
from rolling.data.gridded.selection import Files, Selection, common_frames
from rolling.layout import Layout

TRAINED = "the training data"


def read_like(
    selection: Selection,
    layout: Layout,
    mask: np.ndarray | None,
    files: Files,
    every: int = 1,
) -> FrameSegments:
    """The frames of open files, with the variables, units, grid and step of `layout`.

    Frames of a shorter step are thinned, counted back from the last one of each series; frames without times
    are taken to be a step apart, of which training used each `every`-th. Nothing is read yet, and no missing
    values are looked for. Raises `InputError` where the files have not what `layout` asks for.
    """
    cubes = [_channel(selection, files, layout, index) for index in range(len(layout.variables))]
    frames = common_frames(cubes)
    if not len(frames):
        raise InputError(f"the variables {', '.join(layout.names)} of {selection.where} share no time")
    if bool(calendar_of(frames["time"])) != layout.has_calendar:
        kinds = ("dates", "plain numbers") if layout.has_calendar else ("plain numbers", "dates")
        raise InputError(f"the times of {TRAINED} are {kinds[0]}, those of {selection.where} {kinds[1]}")
    if not any(part.dims.clock for cube in cubes for part in cube.parts):
        frames = _scaled(frames, layout.step / every)
        cubes = [
            dataclasses.replace(cube, frames=_scaled(cube.frames, layout.step / every)) for cube in cubes
        ]
    cadence = Cadence.of_layout(layout)
    frames = np.concatenate([series[cadence.ending(series["time"])] for series in series_of(frames)])
    kept = [cube.at(frames) for cube in cubes]
    return FrameSegments(
        layout=layout,
        mask=mask,
        all_times=frames["time"],
        frames=FileFrames(kept),
        ranges=tuple(unbroken(positions(frames, cadence), np.zeros(len(frames), bool))),
    )


@dataclasses.dataclass(frozen=True)
class AsFields:
    """Reads other data by the layout alone: see `rolling.data.source.ReadsOther`."""

    def read_like(self, layout: Layout, mask: np.ndarray | None, data: str | xr.Dataset) -> FrameSegments:
        return read_like(Selection(where=named(data)), layout, mask, opened(data))


def opened(data: str | xr.Dataset, engine: str | None = None) -> Files:
    """The datasets at a path, or the one that is given, and their names."""
    return [(named(data), settled(data))] if isinstance(data, xr.Dataset) else open_files(data, engine)


def named(data: str | xr.Dataset) -> str:
    """What an error calls the data."""
    return "the data" if isinstance(data, xr.Dataset) else data


def _channel(selection: Selection, files: Files, layout: Layout, index: int) -> Cube:
    """One variable at one level, as the layout has it."""
    variable = layout.variables[index]
    names = {str(name) for _, dataset in files for name in dataset.data_vars}
    name, levels = _name_and_level(variable.name, names)
    if name not in names:
        missing = [n for n in layout.names if _name_and_level(n, names)[0] not in names]
        raise InputError(
            f"{', '.join(missing)} of {TRAINED} is not in {selection.where}: it holds"
            f" {', '.join(sorted(names)) or 'no variables'}"
        )
    cube = dataclasses.replace(selection, levels=levels).cube(files, name)
    for part in cube.parts if levels else ():
        part.check_level(levels[0])
    if len(cube.level_values) > 1:
        raise InputError(
            f"{name} of {selection.where} has {len(cube.level_values)} levels, and {TRAINED} had one: choose"
            " it"
        )
    return cube.in_units(variable.units, of=TRAINED).on(layout.y, layout.x, of=TRAINED, crop=True)


def _scaled(frames: np.ndarray, step: float) -> np.ndarray:
    scaled = frames.copy()
    scaled["time"] *= step
    return scaled


def _name_and_level(channel: str, names: set[str]) -> tuple[str, tuple[float, ...]]:
    """`u_500` is `u` at 500, unless the data have a variable of that very name."""
    name, _, level = channel.rpartition("_")
    try:
        return (channel, ()) if channel in names or name not in names else (name, (float(level),))
    except ValueError:
        return channel, ()
