"""Notices on data that were opened: how they were read, what was left out and what is odd."""

import functools
import sys
from pathlib import Path

import numpy as np
import xarray as xr

from rolling.common.counting import counted, in_unit
from rolling.common.errors import InputError
from rolling.data.dates import show
from rolling.data.gridded.cadence import Cadence
from rolling.data.gridded.cubes import Cube
from rolling.data.gridded.parts import FilePart
from rolling.data.gridded.selection import Files, Selection, field, is_field
from rolling.data.gridded.survey import MissingData
from rolling.layout import Layout

LINES = 5


def left_out(files: Files, cubes: list[Cube], selection: Selection) -> tuple[tuple[str, str], ...]:
    """Names and reasons of files, variables and frames that are not used though they were not excluded."""
    used = {cube.name for cube in cubes}
    found = [
        (Path(file).name, f"holds none of the variables {', '.join(sorted(used))}")
        for file, dataset in files
        if not used & {str(name) for name in dataset.data_vars}
    ]
    if not selection.names:
        others: dict[str, str] = {}
        for file, dataset in files:
            for name, array in dataset.data_vars.items():
                if name not in used and str(name) not in others and is_field(dataset, array):
                    others[str(name)] = _reason(file, field(dataset, str(name), selection.time), selection)
        found += sorted(others.items())
    times = [np.unique(np.concatenate([part.times for part in cube.parts])) for cube in cubes]
    shared = functools.reduce(np.intersect1d, times)
    found += [
        (cube.name, f"{len(own) - len(shared)} of its {len(own)} times are not those of all variables")
        for cube, own in zip(cubes, times, strict=True)
        if len(own) > len(shared)
    ]
    return tuple(found)


def conspicuous(cubes: list[Cube], ranges: list[range], times: np.ndarray, cadence: Cadence) -> list[str]:
    """Sentences on how the data had to be read."""
    words = []
    for cube in cubes:
        units, repeated = cube.parts[0].units, [part for part in cube.parts if part.repeats]
        if repeated:
            words.append(
                f"{cube.name} has its first meridian once more as its last in"
                f" {counted(len(repeated), 'file')}, such as {Path(repeated[0].file).name}: the last"
                " column is left out"
            )
        for name, parts in (
            ("converted", [part for part in cube.parts if part.convert]),
            ("without", [part for part in cube.parts if units and not part.units]),
        ):
            some = f"{counted(len(parts), 'file')}, such as {Path(parts[0].file).name}" if parts else ""
            if parts and name == "converted":
                words.append(f"{cube.name} is converted from {parts[0].units} to {units} in {some}")
            elif parts:
                words.append(f"{cube.name} is taken to be in {units} in {some}, which does not say")
    single = sum(len(run) == 1 for run in ranges)
    if len(ranges) > 1 and 2 * single > len(ranges):
        step = f"{cadence.step:g} {cadence.units.removesuffix('1')}".rstrip()
        words.append(
            f"{single} of {len(ranges)} sequences are a single frame, as times are not {step} apart, their"
            f" most frequent step, as between {show(times[ranges[0].start])} and"
            f" {show(times[ranges[1].start])}: interpolate them to equal steps, or choose a part of"
            " equal steps"
        )
    return words


def say(
    path: str,
    layout: Layout,
    found: MissingData,
    split: tuple[tuple[range, ...], tuple[range, ...]],
    skipped: tuple[tuple[str, str], ...],
) -> None:
    """Reports how the user's data were interpreted, one line a matter."""
    channels = len(layout.variables)
    names = ", ".join(layout.names[:8]) + (", ..." if channels > 8 else "")
    line = f"{path}: {counted(channels, 'channel')} ({names})"
    line += f" on {layout.size} cells"
    line += f", every {in_unit(f'{layout.step:g}', layout.time_units.removesuffix('1'))}".rstrip()
    for name, part in zip(("training", "test"), split, strict=True):
        line += f"; {name} {counted(sum(map(len, part)), 'frame')} in {counted(len(part), 'sequence')}"
    if found.missing.any():
        line += f"; {counted(int(found.missing.sum()), 'frame')} missing"
    if found.mask is not None:
        line += f"; {100 * (1 - found.mask.mean()):.1f} % of the cells masked"
    lines = [line]
    lines += [f"left out: {name}: {reason}" for name, reason in skipped[:LINES]]
    if len(skipped) > LINES:
        lines.append(f"left out: {len(skipped) - LINES} more; the report and `rolling prepare` list them")
    print("\n".join(lines), file=sys.stderr, flush=True)


def _reason(file: str, array: xr.DataArray, selection: Selection) -> str:
    try:
        FilePart.of(file, array, selection.time)
    except InputError as error:
        return str(error).removeprefix(f"variable {array.name} of {file} ")
    return "has one time only, and other variables have several"
