"""`rolling drift RUN`: whether drift is there on true frames already, or comes from continuing its own."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from rolling.common.checks import check_least
from rolling.common.errors import InputError
from rolling.common.progress import Progress
from rolling.data.source import Sequences
from rolling.data.statistics import joint_mask
from rolling.metrics.error_growth import ErrorGrowth
from rolling.metrics.frame_statistics import SLACK, STATISTICS, Frames
from rolling.metrics.intervals import blocks
from rolling.metrics.protocol import EvaluationSetup
from rolling.run import model
from rolling.run.evaluation.summary import HALF
from rolling.run.evaluation.tables import Cell, Table, with_interval
from rolling.run.forecasting.forecaster import Forecaster, sequence_keys
from rolling.run.forecasting.init_times import InitTime, choose_starts
from rolling.sampling import Conditions, Sampler, Sampling
from rolling.sampling.own_rollout import finished_on_own

FEWEST = 4
"""Frames of a rollout that can tell anything."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DriftOptions(Sampling):
    """Sampling as in the run, except for the parts named here."""

    starts: int = 64
    """Held-out frames to begin at, evenly spread."""
    frames: int = 32
    """Frames to roll from each; no more than the data hold."""
    batch: int = 16
    """Starts rolled at the same time."""
    seed: int = 0
    """Of the noise."""

    def __post_init__(self):
        super().__post_init__()
        check_least("drift", self, "starts", "batch", least=1)
        check_least("drift", self, "frames", least=FEWEST)


def where_drift_begins(forecaster: Forecaster, test: Sequences, options: DriftOptions) -> str:
    """A table of `ErrorGrowth`, a row for each statistic, and what follows from it.

    Raises `InputError` where no sequence of `test` is long enough.
    """
    forecaster.sample_with(options)
    place = _Place.of(forecaster, test, options)
    starts = choose_starts(test, place.before, place.reach, options.starts)
    # The last frame before each start, and those from it on.
    true = np.stack([test.read(s.sequence, s.frame - 1, s.frame + place.frames) for s in starts])
    made = np.concatenate([true[:, :1], _rolled(forecaster, test, starts, place, options)], axis=1)
    earlier = np.stack([test.read(s.sequence, s.frame - 2, s.frame - 1)[0] for s in starts])
    mask = joint_mask(test.mask, forecaster.statistics.mask)
    setup = EvaluationSetup(layout=test.layout, leads=place.frames, members=1, mask=mask, real=test)
    sequence, frame = np.array([(start.sequence, start.frame) for start in starts]).T
    std = np.asarray(forecaster.statistics.std)
    label = blocks(sequence, frame, place.frames, whole=test.layout.is_video)
    found: dict[str, ErrorGrowth] = {}
    for statistic in STATISTICS:
        measure = statistic.measure(setup)
        if measure is None:
            continue
        series = [measure.of(Frames(values=values, previous=earlier)) for values in (made, true)]
        for i, variable in enumerate(measure.variables):
            name = statistic.shown.title + (f" ({variable.name})" if len(measure.variables) > 1 else "")
            made_i, true_i = (values[..., i] for values in series)
            least = SLACK * abs(true_i.mean()) if measure.positive else measure.slack(std)[i]
            found[name] = ErrorGrowth.of(made_i, true_i, place.stride, label, least)
    head = f"{len(starts)} starts in {label.max() + 1} independent parts, {place.frames} frames each"
    said = _conclusions(found, place.frames) if label.max() else [ONE_PART]
    return "\n\n".join([_table(found, head).plain(), *said, LEGEND])


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Place:
    """How many true frames come before a start, and how many are rolled after it."""

    before: int
    cycles: int
    stride: int
    reach: int
    """True frames after a start: those of the window that is placed there, and those to compare with."""

    @property
    def frames(self) -> int:
        return self.cycles * self.stride

    @classmethod
    def of(cls, forecaster: Forecaster, test: Sequences, options: DriftOptions) -> "_Place":
        window = forecaster.recipe.window
        before = max(window.context, forecaster.experiment.reference.frames, 2)  # two: one has motion
        longest = max((test.length(index) for index in range(len(test))), default=0)
        fewest = -(-FEWEST // window.stride)
        least = max(window.size - window.context, fewest * window.stride)
        if longest - before < least:
            raise InputError(
                f"the window is placed on {before} true frames and rolled over {least} or more, and no"
                f" held-out sequence has more than {longest}: hold out longer ones, or use a smaller window"
            )
        cycles = max(fewest, min(options.frames, longest - before) // window.stride)
        return cls(
            before=before, cycles=cycles, stride=window.stride, reach=max(least, cycles * window.stride)
        )


def _rolled(
    forecaster: Forecaster, test: Sequences, starts: list[InitTime], place: _Place, options: DriftOptions
) -> np.ndarray:
    """`[start, frames, ...]` of rollouts whose window begins on the truth."""
    sampler = Sampler(dataclasses.replace(forecaster.recipe, truncate_tail=False))
    keys = sequence_keys(options.seed, [(index, 0) for index in range(len(starts))])
    roll = jax.jit(
        lambda params, x, key, known: finished_on_own(
            sampler, forecaster.denoisers(params), x, key, known, place.cycles
        )
    )
    made = []
    with Progress("drift", total=len(starts), unit="start", compiles=True) as progress:
        for first in range(0, len(starts), options.batch):
            # Of one shape, so that all run through the same program.
            chosen = [min(first + i, len(starts) - 1) for i in range(options.batch)]
            x, known = _given(forecaster, test, [starts[i] for i in chosen], place)
            frames = np.asarray(roll(forecaster.networks(), x, keys[np.array(chosen)], known))
            count = min(options.batch, len(starts) - first)
            made.append(forecaster.statistics.denormalise(frames[:count]))
            progress.update(count)
    return np.concatenate(made)


def _given(forecaster: Forecaster, test: Sequences, starts: list[InitTime], place: _Place):
    """The true window of each start, normalised, and what is known of all frames from its first on."""
    window, reference = forecaster.recipe.window, forecaster.experiment.reference.frames
    clean = lambda first, count: jnp.asarray(  # noqa: E731
        forecaster.statistics.normalise(
            np.stack([test.read(s.sequence, s.frame - first, s.frame - first + count) for s in starts])
        ),
        jnp.float32,
    )
    places = [(s.sequence, s.frame - window.context) for s in starts]
    known: Conditions = model.Known(test, places, forecaster.statistics.mask)
    if reference:
        known = model.with_reference(known, clean(place.before, reference))
    return clean(window.context, window.size), known(0, place.frames + window.size)


ONE_PART = """All starts lie in one part of the data, so that nothing says how sure these numbers are: hold
out more sequences or a longer one, or roll fewer --frames."""

LEGEND = f"""In standard deviations of the statistic of true frames, at least a twentieth of the number (of a
mean: of the standard deviation of the data). {HALF}.
at once: error of the frames that the first cycle finishes, with the window on the truth.
a frame later on: what each later frame adds to the error, on frames of the rollout's own.
passed on: share of a deviation that a frame passes on to the next one; above 1 it grows."""


def _table(found: dict[str, ErrorGrowth], caption: str) -> Table:
    shown = lambda number: Cell(text=with_interval(number[0], number[1:]))  # noqa: E731
    return Table(
        caption=caption,
        heads=("statistic", "at once", "a frame later on", "passed on", "by true frames"),
        rows=tuple(
            (name, tuple(map(shown, (g.at_once, g.later, g.gain, g.true_gain)))) for name, g in found.items()
        ),
    )


def _conclusions(found: dict[str, ErrorGrowth], frames: int) -> list[str]:
    drifting = {name: growth for name, growth in found.items() if growth.drifts}
    if not drifting:
        return [f"Nothing drifts over {frames} frames, as far as can be told: give more frames or starts."]
    learnt = [name for name, growth in drifting.items() if growth.is_biased]
    own = [name for name in drifting if name not in learnt]
    words = {
        "Drift, and are wrong on true frames already, as was learnt (to try: longer training, more"
        " calls, own windows in training, frames of reference)": learnt,
        "Drift, and are wrong on frames of its own only (to try: noise on the context, own windows in"
        " training)": own,
    }
    return [f"{what}: {', '.join(names)}." for what, names in words.items() if names]
