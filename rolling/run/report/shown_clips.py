"""Clips of a forecast store beside the truth, small enough to show.

A store may hold fields of a million cells and hundreds of leads. A clip fits into a page: selected leads of
one start and one variable (or of all the colours of a picture), averaged over blocks of cells and oriented
with north up. Leads are read in blocks, so that memory is bounded by one block and not by the store.
"""

import dataclasses
import operator
from collections.abc import Callable

import numpy as np

from rolling.common.errors import InputError
from rolling.common.indices import spaced
from rolling.common.terminal import printable
from rolling.data.conditions import label
from rolling.data.source import Sequences
from rolling.layout import Layout, Variable
from rolling.run.forecasting.zarr_reader import StoredForecast
from rolling.run.report.drawings import drawing

BLOCK_VALUES = 2**25  # values of one block of leads: 128 MiB of float32
SPREAD = "spread"
PICTURE = Variable(name="picture", long_name="picture")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
    """Some frames of one start and one variable, drawn as planes (`drawings.py`): `y` and `x` are coarsened,
    and the first row is on top.

    `name` is that of the sequence and `label` that of its class, where they have one.

    `lead [frame]` counts frames after the last given one, which has lead 0; frames of lead 0 and below are
    the given ones, the same in the truth and in the forecast. `fields` maps the names of pictures, `"Truth"`
    first, to `[frame, y, x]` in the variable's units, or to `[frame, y, x, colour]` where the variable is
    `PICTURE`. `spread [frame, y, x]` is the standard deviation over all members (divisor M - 1), averaged
    over the colours of a picture; None where it was not requested or there is only one member. Values are NaN
    where masked, and in the truth after its last frame.
    """

    start: int
    name: str
    label: str
    variable: Variable
    lead: np.ndarray
    times: np.ndarray
    fields: dict[str, np.ndarray]
    spread: np.ndarray | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """How much is shown: starts, variables, members, frames of one clip, cells along the longer side.

    `summary` adds the ensemble mean (not for pictures, which it would blur) and the ensemble spread to the
    members. `pixels` bounds the total: a pixel takes about a byte of the page.
    """

    starts: int = 4
    variables: int = 6
    members: int = 2
    frames: int = 48
    cells: int = 96
    summary: bool = True
    pixels: int = 2_500_000

    def fitted(self, forecast: StoredForecast, context: int) -> "Budget":
        """The budget, reduced in one field after another until the pixels suffice."""
        budget = self
        for name, least in (("cells", 64), ("starts", 2), ("frames", 24), ("variables", 2), ("cells", 48)):
            if budget._pixels(forecast, context) <= self.pixels:
                break
            budget = dataclasses.replace(budget, **{name: min(least, getattr(budget, name))})
        return budget

    def _pixels(self, forecast: StoredForecast, context: int) -> int:
        layout = forecast.layout
        drawn, colours, variables = drawing(layout), layout.is_video, len(layout.variables)
        rows, columns = drawn.size
        factor = max(1, -(-max(rows, columns) // self.cells))
        summary = (1 if colours else 2) * (self.summary and forecast.members > 1)
        pictures = 1 + min(self.members, forecast.members) + summary
        clips = min(self.starts, forecast.starts) * (1 if colours else min(self.variables, variables))
        frames = min(self.frames, context + forecast.leads)
        return clips * pictures * frames * -(-rows // factor) * -(-columns // factor)


def read_clips(forecast: StoredForecast, test: Sequences, *, context: int, budget: Budget) -> list[Clip]:
    """Clips of evenly spaced starts, grouped by start, with `context` given frames before each forecast.

    As many and as large as the budget allows.
    """
    budget = budget.fitted(forecast, context)
    return [
        clip
        for start in spaced(forecast.starts, budget.starts)
        for clip in read_start(forecast, test, start, context=context, budget=budget)
    ]


def read_start(
    forecast: StoredForecast, test: Sequences, start: int, *, context: int, budget: Budget
) -> list[Clip]:
    """One clip per variable of a start. Raises `InputError` where there is no such start."""
    if not 0 <= start < forecast.starts:
        raise InputError(f"the forecast {forecast.path} has starts 0 to {forecast.starts - 1}, not {start}")
    sequence, first = int(forecast.sequence[start]), int(forecast.frame[start])
    every = -(-forecast.leads // max(1, budget.frames - context))
    # Counted back from the last lead, which is always shown.
    shown = np.arange(forecast.leads - 1, -1, -every)[::-1]
    given = np.arange(max(0, first - context), first)
    lead = np.concatenate([given - first, shown]) + 1
    drawn = drawing(test.layout)
    factor = max(1, -(-max(drawn.size) // budget.cells))
    truth = _truth(test, sequence, first - 1 + lead, factor)
    pictures = _pictures(forecast, start, shown, factor, budget)
    times = np.concatenate([test.times(sequence, first - 1 + i, first + i) for i in lead])
    fields = {name: np.concatenate([truth[:, : len(given)], made], axis=1) for name, made in pictures.items()}
    spread = fields.pop(SPREAD, None)
    if spread is not None:
        spread[:, : len(given)] *= 0  # NaN stays where it is masked
    fields = {name: drawn.film(field) for name, field in ({"Truth": truth} | fields).items()}
    spread = None if spread is None else drawn.film(spread)
    return [
        Clip(
            start=start,
            name=printable(test.name(sequence)),
            label=label(test, sequence),
            variable=variable,
            lead=lead,
            times=times,
            fields={name: of(field) for name, field in fields.items()},
            spread=None if spread is None else of_spread(spread),
        )
        for variable, of, of_spread in _shown_variables(test.layout, budget)
    ]


def _shown_variables(layout: Layout, budget: Budget) -> list[tuple[Variable, Callable, Callable]]:
    """What is shown as one clip, each variable or all colours together, and the functions that take it and
    its spread from `[variable, frame, y, x]`."""
    if layout.is_video:
        return [(PICTURE, lambda fields: np.moveaxis(fields, 0, -1), lambda spread: spread.mean(axis=0))]
    chosen = enumerate(layout.variables[: budget.variables])
    return [(variable, operator.itemgetter(i), operator.itemgetter(i)) for i, variable in chosen]


def _truth(test: Sequences, sequence: int, frames: np.ndarray, factor: int) -> np.ndarray:
    """Frames of the truth `[variable, frame, y, x]`, NaN after the end of the sequence."""
    end, missing = test.length(sequence), np.full(test.layout.shape, np.nan, np.float32)
    found = [
        test.read(sequence, frame, frame + 1)[0] if frame < end else missing for frame in map(int, frames)
    ]
    return np.stack([_drawable(frame, test.layout, factor) for frame in found], axis=1)


def _pictures(forecast: StoredForecast, start: int, shown: np.ndarray, factor: int, budget: Budget):
    """Pictures of a forecast by name, each `[variable, lead, y, x]`."""
    names = [f"Member {i + 1}" for i in range(min(forecast.members, budget.members))]
    if forecast.members == 1:
        names = ["Forecast"]
    frame_values = forecast.members * int(np.prod(forecast.layout.shape))
    block = max(1, min(forecast.lead_chunk, BLOCK_VALUES // frame_values))
    parts: dict[str, list[np.ndarray]] = {}
    for first in range(0, forecast.leads, block):
        chosen = shown[(shown >= first) & (shown < first + block)] - first
        if not chosen.size:
            continue
        values = forecast.read(start, first, min(first + block, forecast.leads))[:, chosen]
        fields = dict(zip(names, values, strict=False))
        if budget.summary and forecast.members > 1:
            mean = {} if forecast.layout.is_video else {"Ensemble mean": values.mean(0)}
            fields = mean | fields | {SPREAD: values.std(0, ddof=1)}
        for name, field in fields.items():
            parts.setdefault(name, []).append(_drawable(field, forecast.layout, factor))
    return {name: np.concatenate(blocks, axis=1) for name, blocks in parts.items()}


def _drawable(frames: np.ndarray, layout: Layout, factor: int) -> np.ndarray:
    """`[..., *space, variable]` as pictures `[variable, ..., rows, columns]`, coarsened."""
    return coarsen(drawing(layout).picture(np.moveaxis(frames, -1, 0)), factor)


def coarsen(field: np.ndarray, factor: int) -> np.ndarray:
    """Means over blocks of `factor` x `factor` cells, smaller at the end; NaN only where all are NaN."""
    if factor == 1:
        return field
    valid = np.isfinite(field)
    total, count = np.where(valid, field, 0.0), valid.astype(np.float64)
    for axis in (-2, -1):
        edges = np.arange(0, field.shape[axis], factor)
        total, count = (np.add.reduceat(array, edges, axis=axis) for array in (total, count))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(field.dtype)
