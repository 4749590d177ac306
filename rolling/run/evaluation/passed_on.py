"""Perturbations in `rolling drift RUN`: by which factor an error of a certain shape is passed on."""

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from rolling.common.counting import counted
from rolling.data.source import Sequences
from rolling.metrics.intervals import estimated
from rolling.run.evaluation.tables import Cell, Table, with_interval
from rolling.run.evaluation.true_windows import TrueWindows, check_context
from rolling.run.forecasting.forecaster import Forecaster
from rolling.sampling.own_rollout import passed_on
from rolling.sampling.perturbations import SHAPES, Shape
from rolling.windows import Window, rounded

AFTER = (1, 2, 5)
"""Frames."""


def what_is_passed_on(forecaster: Forecaster, test: Sequences, options: Any) -> str:
    """A table of the factors by which finished frames have an error of `options.perturb` in the given ones, a
    row for each shape; in the context, and in all frames of the window where the noisy ones show any of it.

    Raises `InputError` for a window without context.
    """
    window = forecaster.recipe.window
    check_context(window, "--perturb")
    cycles = -(-max(AFTER) // window.stride)
    windows = TrueWindows.of(forecaster, test, options, least=0)
    cases = [(shape, whole) for whole in (False, True)[: 1 + _shows_truth(window)] for shape in SHAPES]
    factors = _factors(windows, cases, cycles, options.perturb)
    names = [f"{shape.name}, in {'all' if whole else 'the context'}" for shape, whole in cases]
    frames = cycles * window.stride
    table = Table(
        caption=f"{windows.words(frames)}, errors of {options.perturb:g}",
        heads=("passed on of an error", *(f"after {counted(k, 'frame')}" for k in AFTER)),
        rows=tuple(
            (name, tuple(Cell(text=with_interval(number[0], number[1:])) for number in of_case))
            for name, of_case in zip(names, factors, strict=True)
        ),
    )
    growing = [name for name, of_case in zip(names, factors, strict=True) if (of_case[:, 1] > 1).any()]
    said = f"Grow: {'; '.join(growing)}." if growing else "No such error certainly grows."
    return "\n\n".join([table.plain(), said, LEGEND])


def _factors(windows: TrueWindows, cases: list[tuple[Shape, bool]], cycles: int, share: float) -> np.ndarray:
    """`[case, after, 3]`: estimates and the bounds of their intervals."""
    window = windows.forecaster.recipe.window
    roll = partial(passed_on, cycles=cycles, cases=cases, share=share)
    frames = cycles * window.stride
    through = windows.through(roll, "perturbations", clean=window.size, known=frames + window.size)
    products = np.concatenate([made for _, made in through]).astype(np.float64)
    at = products[..., [k - 1 for k in AFTER]]  # [start, two, case, after]

    def factor(weights):
        change, square = np.tensordot(weights, at, axes=1)
        return np.divide(change, square, out=np.full_like(change, np.nan), where=square > 0)

    return estimated(factor, windows.block(frames))


def _shows_truth(window: Window) -> bool:
    """Whether noisy frames of a window that is placed on the truth show any of it."""
    return bool((rounded(window.cycle(jnp.ones(1)))[..., window.context :] < 1).any())


LEGEND = """The share of the error that a frame has, so many frames after the given ones; above 1 it grows.
An error of 1 is white noise, or brightness, of the standard deviation of the data; twice the contrast; the
mean with the neighbours (blur); or a cell by which all that is bright swells.
in the context: noisy frames are true ones diffused; in all: they have the error, too."""
