"""Scores of a stored forecast beside persistence and climatology: `evaluation.json` and `evaluation.nc`.

The store is read start by start and in blocks of leads, never as a whole. The model and the two baselines are
scored by the same metrics: persistence repeats the last given frame, climatology is the mean of the training
part at the phase of each frame; both are forecasts of one member. A score of a distribution takes that of the
climatology, training fields of the same phase.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from rolling.common.errors import InputError
from rolling.common.files import write_file
from rolling.common.forecast_schema import run_of
from rolling.common.progress import Progress
from rolling.data.source import Sequences, Split
from rolling.data.statistics import Statistics, finite, joint_mask
from rolling.layout import Layout
from rolling.metrics.intervals import MOST, blocks, interval, without_each
from rolling.metrics.protocol import (
    HORIZON,
    EvaluationSetup,
    Metric,
    Resampled,
    Sample,
    Score,
    Unpaired,
    about_of,
)
from rolling.run.evaluation.climatology import Climate
from rolling.run.evaluation.scores import ABOUT, CURVES, INDEPENDENT, Drawn, Evaluation, Scores, write
from rolling.run.forecasting.zarr_reader import StoredForecast, open_forecast

READ_BYTES = 2**26  # bytes of the forecast, all members in float32, read at a time
SCORE_BYTES = 2**20  # ... and scored at a time: blocks that fit into the cache take half as long


def evaluate(
    store: Path,
    split: Split,
    statistics: Statistics,
    metrics: Sequence[Metric],
    output_stem: Path,
    *,
    read_bytes: int = READ_BYTES,
) -> Evaluation:
    """Scores the forecast `store` of `split.test` and writes `output_stem` + `.json` and `.nc`; returns their
    content. For the arguments and errors see `tally`."""
    return tally(store, split, statistics, metrics, read_bytes=read_bytes).write(output_stem)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tally:
    """The scores of a stored forecast and of the baselines, by the name of the forecast."""

    scores: dict[str, Scores]
    metrics: Sequence[Metric]
    layout: Layout
    drawn: Drawn
    members: int
    leads: int

    def write(self, output_stem: Path) -> Evaluation:
        """Writes `output_stem` + `.json` and `.nc`."""
        evaluation = Evaluation.of(self.scores, self.metrics, self.drawn)
        dataset = to_dataset(evaluation, self.layout.time_units)
        dataset.attrs |= {"starts": self.drawn.starts, "independent_blocks": self.drawn.blocks}
        dataset.attrs |= {"members": self.members, "leads": self.leads}
        dataset.attrs["area_weights"] = self.layout.weighting
        write(evaluation, output_stem.with_name(output_stem.name + ".json"))
        write_file(
            output_stem.with_name(output_stem.name + ".nc"),
            lambda path: dataset.to_netcdf(path, engine="h5netcdf"),
        )
        return evaluation


def tally(
    store: Path,
    split: Split,
    statistics: Statistics,
    metrics: Sequence[Metric],
    *,
    read_bytes: int = READ_BYTES,
) -> Tally:
    """Scores the forecast `store` of `split.test`, persistence and climatology.

    Only leads with truth at every start count, but for metrics that are `Unpaired`: these see all.

    Raises `InputError` where the store is missing, incomplete, damaged or does not belong to `split.test`.
    """
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names):
        raise InputError(
            f"two metrics of one evaluation have the same name, among {', '.join(names)}: leave one out"
        )
    for name in {ABOUT, INDEPENDENT} & set(names):
        raise InputError(
            f"a metric cannot have the name {name!r}, which evaluation.json uses itself: choose another"
        )
    forecast = open_forecast(store, split.test.layout)
    with forecast.dataset:
        leads = forecast.truth_leads(split.test)
        video = split.test.layout.is_video
        labels = blocks(forecast.sequence, forecast.frame, leads, whole=video)
        scores = _score(forecast, split, statistics, metrics, leads, labels, read_bytes)
        drawn = Drawn(
            starts=forecast.starts,
            blocks=int(labels.max()) + 1,
            clips=len(np.unique(forecast.sequence)) if video else 0,
        )
    return Tally(
        scores=scores,
        metrics=metrics,
        layout=split.test.layout,
        drawn=drawn,
        members=forecast.members,
        leads=leads,
    )


def _score(forecast, split, statistics, metrics, leads, labels, read_bytes) -> dict[str, Scores]:
    """The scores by forecast: model, persistence, climatology."""
    test, climate = split.test, Climate(split.train)
    beyond = forecast.leads - leads if any(isinstance(metric, Unpaired) for metric in metrics) else 0
    setup = setup_of(forecast, test, statistics, leads, beyond)
    single = dataclasses.replace(setup, members=1)
    running = {
        "model": Running(metrics, setup, lambda sample: sample),
        "persistence": Running(metrics, single, persistence),
        "climatology": Running(metrics, single, climatology),
    }
    with Progress("evaluate", total=forecast.starts * setup.horizon, unit="frame") as progress:
        for start, block in enumerate(labels.tolist()):
            for sample in samples(forecast, start, test, statistics, climate, setup, block, read_bytes):
                for one in running.values():
                    one.update(sample)
                progress.update(sample.forecast.shape[1])
    return {name: one.result() for name, one in running.items()}


class Running:
    """The sums of all metrics for one forecast, which `of` makes from each sample: one state for each block
    of starts, or a single one for a metric that is not `Resampled`."""

    def __init__(self, metrics: Sequence[Metric], setup: EvaluationSetup, of: Callable[[Sample], Sample]):
        self.of, self.setup, self.starts = of, setup, 0
        self.previous: np.ndarray | None = None
        self.metrics = [metric for metric in metrics if metric.start(setup) is not None]
        self.states: list[dict[int, Any]] = [{} for _ in self.metrics]

    def update(self, sample: Sample) -> None:
        self.starts += sample.first == 0
        block = sample.block
        if block is None:
            block = (self.starts - 1) % MOST
        previous = self.previous if sample.first else None
        sample = dataclasses.replace(self.of(sample), block=block, previous=previous)
        self.previous = sample.forecast[:, -1]
        for metric, states in zip(self.metrics, self.states, strict=True):
            if not len(sample.truth) and not isinstance(metric, Unpaired):
                continue
            part = block if isinstance(metric, Resampled) else 0
            state = states[part] if part in states else metric.start(self.setup)
            states[part] = metric.update(state, sample)

    def result(self) -> Scores:
        found = zip(self.metrics, self.states, strict=True)
        return {metric.name: _scores(metric, list(states.values())) for metric, states in found if states}


def _scores(metric: Metric, states: Sequence[Any]) -> tuple[Score, ...]:
    """The scores of all blocks together, with their intervals where the metric's sums add up."""
    if not isinstance(metric, Resampled):
        return metric.result(states[0])
    rows = [metric.result(state) for state in metric.resample(states, without_each(len(states)))]
    limits = about_of(metric).limits or (-np.inf, np.inf)
    return tuple(_bounded(score, others, limits) for score, *others in zip(*rows, strict=True))


def _bounded(score: Score, without: Sequence[Score], limits: tuple[float, float]) -> Score:
    if not without:
        return score
    if any(each.censored(value) for each in (score, *without) for value in each.values):
        return dataclasses.replace(score, without=tuple(without))  # nothing tells how far it goes
    if score.axis == HORIZON:
        limits = 0.0, score.coordinate[0]
    low, high = np.clip(interval(score.values, np.stack([each.values for each in without])), *limits)
    return dataclasses.replace(score, low=low, high=high, without=tuple(without))


def persistence(sample: Sample) -> Sample:
    """The last given frame, repeated at every lead."""
    shape = 1, *sample.forecast.shape[1:]
    return dataclasses.replace(sample, forecast=np.broadcast_to(sample.initial, shape))


def climatology(sample: Sample) -> Sample:
    """The climatology as a forecast: its mean, and draws from it for scores of a distribution."""
    return dataclasses.replace(sample, forecast=sample.climatology[None], distribution=sample.climate)


def setup_of(
    forecast: StoredForecast, test: Sequences, statistics: Statistics, leads: int, beyond: int = 0
) -> EvaluationSetup:
    """The setup of the metrics of a stored forecast, over its first `leads` leads with truth and `beyond`
    more."""
    return EvaluationSetup(
        layout=test.layout,
        leads=leads,
        members=forecast.members,
        given=forecast.given,
        mask=joint_mask(test.mask, statistics.mask),
        beyond=beyond,
        real=test,
    )


def samples(
    forecast: StoredForecast,
    start: int,
    test: Sequences,
    statistics: Statistics,
    climate: Climate,
    setup: EvaluationSetup,
    block: int,
    read_bytes: int = READ_BYTES,
) -> Iterator[Sample]:
    """One start of a stored forecast beside its truth, in blocks of leads; beyond the end of truth alone."""
    layout, chunk = test.layout, forecast.lead_chunk
    lead_bytes = 4 * forecast.members * math.prod(layout.shape)
    read, score = (max(1, size // lead_bytes) for size in (read_bytes, min(read_bytes, SCORE_BYTES)))
    if read > chunk:
        read -= read % chunk  # no chunk is decompressed twice
    sequence, frame = int(forecast.sequence[start]), int(forecast.frame[start])
    given = test.read(sequence, max(0, frame - setup.given), frame)
    constants = _constants(test, sequence, frame)
    nothing = np.empty((0, *layout.shape), np.float32)
    for first, stop in (*_spans(0, setup.leads, read), *_spans(setup.leads, setup.horizon, read)):
        fields = forecast.read(start, first, stop)
        _check_finite(forecast, fields, start, first, setup.mask)
        for a, b in _spans(first, stop, score):
            times = test.times(sequence, frame + a, frame + b)
            yield Sample(
                first=a,
                forecast=fields[:, a - first : b - first],
                truth=test.read(sequence, frame + a, frame + b) if a < setup.leads else nothing,
                climatology=np.asarray(statistics.climatology_at(layout, times)),
                given=given,
                block=block,
                frame=frame,
                constants=constants,
                climate=functools.partial(climate.fields, times),
            )


def _constants(test: Sequences, sequence: int, frame: int) -> np.ndarray | None:
    """The constant fields of a sequence, forecast from `frame` on, in the units of the data."""
    known = test.layout.constants
    if not known:
        return None
    shown = test.conditioning(sequence, frame - 1, frame)["constants"]
    return np.stack([field.unscaled(shown[..., i]) for i, field in enumerate(known)], axis=-1)


def _spans(first: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """`first .. stop` in parts of `size`."""
    return ((a, min(a + size, stop)) for a in range(first, stop, size))


def _check_finite(forecast: StoredForecast, fields, start: int, first: int, mask: np.ndarray | None) -> None:
    there = finite(fields, mask)
    if not there.all():
        member, lead, *_, channel = np.argwhere(~there)[0].tolist()
        raise InputError(
            f"the forecast {forecast.path} has no finite {forecast.layout.names[channel]!r} at start {start},"
            f" member {member}, lead {first + lead + 1}: if the rollout was interrupted, finish it with"
            f" `rolling rollout {run_of(forecast.path)}`; else the forecast blew up, so train for longer"
        )


def to_dataset(evaluation: Evaluation, time_units: str) -> xr.Dataset:
    """The content of `evaluation.nc`: `{metric}_{variable}` over (forecast, axis), NaN where missing."""
    dataset = xr.Dataset(coords={"forecast": list(CURVES)}, attrs={"title": "Verification of a forecast"})
    for name, score in evaluation.all():
        axis = _axis(dataset, name, score, time_units)
        missing = np.full(len(score.coordinate), np.nan)
        dataset[f"{name}_{score.variable}".replace("/", "_")] = xr.Variable(
            ("forecast", axis),
            np.stack([score.curves.get(curve, missing) for curve in CURVES]),
            {"units": score.units, "long_name": f"{name.replace('_', ' ')} of {score.variable}"},
        )
    return dataset


def _axis(dataset: xr.Dataset, name: str, score: Score, time_units: str) -> str:
    """The dimension of a score, created if missing; equal names with different values are kept apart."""
    axis, coordinate = score.axis, np.asarray(score.coordinate)
    if axis in dataset.coords and not np.array_equal(dataset[axis].values, coordinate):
        axis = f"{axis}_of_{name}_{score.variable}"
    if axis not in dataset.coords:
        lead = score.axis == "lead"
        words = {"units": time_units if lead else "1", "long_name": "lead time" if lead else score.axis}
        dataset.coords[axis] = xr.Variable((axis,), coordinate, words)
    return axis
