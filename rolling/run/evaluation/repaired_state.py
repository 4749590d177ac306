"""The repair ladder of `rolling drift RUN`: which part of a rollout's state makes its next frames wrong."""

from functools import partial
from typing import Any

import numpy as np

from rolling.common.counting import counted
from rolling.data.source import Sequences
from rolling.metrics.area import Domain
from rolling.metrics.frame_statistics import Frames
from rolling.metrics.repair_ladder import Repaired
from rolling.metrics.statistic_series import NamedStatistics
from rolling.run.evaluation.tables import Cell, Table, with_interval
from rolling.run.evaluation.true_windows import TrueWindows, check_context
from rolling.run.forecasting.forecaster import Forecaster
from rolling.sampling.own_rollout import finished_after_repair
from rolling.sampling.repairs import LADDER, Repair

RMSE = "Frames (RMSE)"


def which_part_is_guilty(forecaster: Forecaster, test: Sequences, options: Any) -> str:
    """A table of the errors of the frames that one cycle finishes, with one part of the state repaired after
    about `options.repair_at` frames; a row for each statistic, and what follows from it.

    Raises `InputError` for a window without context, and where no sequence of `test` is long enough.
    """
    window = forecaster.recipe.window
    check_context(window, "--repair-at")
    cycles = max(1, options.repair_at // window.stride)
    age = cycles * window.stride
    windows = TrueWindows.of(
        forecaster,
        test,
        options,
        least=age + window.size - window.context,
        otherwise="give a smaller --repair-at",
    )
    repairs = [repair for repair in LADDER if repair.suits(test.layout)]
    found = _errors(windows, repairs, cycles)
    caption = (
        f"{windows.words(age + window.stride)}, repaired after {counted(age, 'frame')} of the rollout's own"
    )
    table = Table(
        caption=caption,
        heads=("error with repaired", *(repair.name for repair in repairs)),
        rows=tuple(
            (name, tuple(Cell(text=with_interval(e[0], e[1:])) for e in errors.error))
            for name, errors in found.items()
        ),
    )
    legend = "\n".join([LEGEND, *(f"{repair.name}: {repair.becomes}." for repair in repairs[1:])])
    return "\n\n".join([table.plain(), _conclusions(found, repairs), legend])


def _errors(windows: TrueWindows, repairs: list[Repair], cycles: int) -> dict[str, Repaired]:
    """Of the frames and of each statistic. Only numbers of the frames are kept, whatever the starts."""
    window, std = windows.forecaster.recipe.window, windows.forecaster.statistics.std
    stride, first = window.stride, cycles * window.stride
    setup = windows.setup(stride)
    statistics, domain = NamedStatistics.of(setup), Domain.of(setup)
    clean, known = first + window.size, first + stride + window.size
    roll = partial(finished_after_repair, cycles=cycles, repairs=repairs)
    squares, of_made, of_true = [], [], []
    for which, made in windows.through(roll, "repairs", clean=clean, known=known):
        made = windows.forecaster.statistics.denormalise(made)
        true = windows.true(first - 1, 1 + stride, which)
        of_true.append(_series(statistics, true))
        rungs = [made[:, i] for i in range(len(repairs))]
        of_made.append([_series(statistics, rung) for rung in rungs])
        errors = [domain.mean(((rung - true)[:, 1:] / std) ** 2).mean(axis=(1, 2)) for rung in rungs]
        squares.append(np.stack(errors, axis=1))
    block = windows.block(first + stride)
    found = {RMSE: Repaired.root_mean_square(np.concatenate(squares), block)}
    true = {name: np.concatenate([part[name] for part in of_true]) for name in of_true[0]}
    least = statistics.least(true, std)
    for name in true:
        made = np.concatenate([np.stack([rung[name] for rung in part], axis=1) for part in of_made])
        found[name] = Repaired.bias(made, true[name], block, least[name])
    return found


def _series(statistics: NamedStatistics, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Of all frames but the first, which is that before."""
    return statistics.series(Frames(values=frames[:, 1:], previous=frames[:, 0]))


def _conclusions(found: dict[str, Repaired], repairs: list[Repair]) -> str:
    wrong = {name: errors for name, errors in found.items() if name != RMSE and errors.is_wrong}
    if not wrong:
        return "Nothing is wrong, as far as can be told: repair later (--repair-at), or give more starts."
    helped = {
        repair.name: [name for name, errors in wrong.items() if errors.helps(i)]
        for i, repair in enumerate(repairs)
    }
    left = [name for name in wrong if not any(name in names for names in helped.values())]
    said = [f"Less wrong with {name} repaired: {', '.join(helped[name])}." for name in helped if helped[name]]
    said += [f"Less wrong with no repair: {', '.join(left)}."] if left else []
    return "\n".join(said)


LEGEND = """Errors of the frames that the next cycle finishes: the root mean square of the frames, in standard
deviations of the data, and the bias of each statistic, in its own. Less wrong: certainly, and by a tenth or
more."""
