"""`rolling drift RUN`: whether drift is there on true frames already, or comes from continuing its own."""

import dataclasses
from functools import partial

import numpy as np

from rolling.common.checks import check_least
from rolling.data.source import Sequences
from rolling.metrics.error_growth import ErrorGrowth
from rolling.metrics.frame_statistics import Frames
from rolling.metrics.statistic_series import NamedStatistics
from rolling.run.evaluation.passed_on import what_is_passed_on
from rolling.run.evaluation.repaired_state import which_part_is_guilty
from rolling.run.evaluation.summary import HALF
from rolling.run.evaluation.tables import Cell, Table, with_interval
from rolling.run.evaluation.true_windows import TrueWindows
from rolling.run.forecasting.forecaster import Forecaster
from rolling.sampling import Sampling
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
    repair_at: int = 0
    """Also repair parts of the state, one at a time, after so many frames, and go on by one cycle; 0: not."""
    perturb: float = 0.0
    """Also perturb the given frames by such a share of errors of several shapes, 0.01 say, and measure by
    which factor they are passed on; 0: not."""
    batch: int = 16
    """Starts rolled at the same time."""
    seed: int = 0
    """Of the noise."""

    def __post_init__(self):
        super().__post_init__()
        check_least("drift", self, "starts", "batch", least=1)
        check_least("drift", self, "frames", least=FEWEST)
        check_least("drift", self, "repair_at", least=0)
        check_least("drift", self, "perturb", least=0, most=1)


def where_drift_begins(forecaster: Forecaster, test: Sequences, options: DriftOptions) -> str:
    """A table of `ErrorGrowth`, a row for each statistic, and what follows from it; then those of the other
    questions that are asked.

    Raises `InputError` where no sequence of `test` is long enough, or the window does not suit a question.
    """
    forecaster.sample_with(options)
    asked = [  # before the rest, so that what cannot be answered is refused at once
        question(forecaster, test, options)
        for question, number in (
            (which_part_is_guilty, options.repair_at),
            (what_is_passed_on, options.perturb),
        )
        if number
    ]
    return "\n\n".join([_growth(forecaster, test, options), *asked])


def _growth(forecaster: Forecaster, test: Sequences, options: DriftOptions) -> str:
    window = forecaster.recipe.window
    fewest = -(-FEWEST // window.stride)
    windows = TrueWindows.of(forecaster, test, options, least=fewest * window.stride, most=options.frames)
    cycles = max(fewest, min(options.frames, windows.reach) // window.stride)
    frames = cycles * window.stride
    # The last frame before each start, and those from it on.
    true = windows.true(-1, 1 + frames)
    made = np.concatenate([true[:, :1], _rolled(windows, cycles)], axis=1)
    earlier = windows.true(-2, 1)[:, 0]
    statistics = NamedStatistics.of(windows.setup(frames))
    of_made, of_true = (statistics.series(Frames(values=values, previous=earlier)) for values in (made, true))
    least, block = statistics.least(of_true, forecaster.statistics.std), windows.block(frames)
    found = {
        name: ErrorGrowth.of(of_made[name], of_true[name], window.stride, block, least[name])
        for name in of_true
    }
    head = f"{windows.words(frames)}, {frames} frames each"
    said = _conclusions(found, frames) if block.max() else [ONE_PART]
    return "\n\n".join([_table(found, head).plain(), *windows.shortage(frames), *said, LEGEND])


def _rolled(windows: TrueWindows, cycles: int) -> np.ndarray:
    """`[start, frames, ...]` of rollouts whose window begins on the truth."""
    window = windows.forecaster.recipe.window
    roll = partial(finished_on_own, cycles=cycles)
    through = windows.through(roll, "drift", clean=window.size, known=cycles * window.stride + window.size)
    return np.concatenate([windows.forecaster.statistics.denormalise(made) for _, made in through])


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
