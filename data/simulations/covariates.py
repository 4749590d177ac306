"""What is known of trajectories beside their frames, and the scale on which a network is shown it."""

from collections.abc import Sequence

import numpy as np

from rolling.common.errors import InputError
from rolling.common.indices import spaced
from rolling.data.simulations.trajectories import Trajectory
from rolling.layout import Covariate

FIELDS = 32  # trajectories whose constant fields are read for their scale
FRAMES = 64  # frames of a trajectory whose numbers are
STEP = "time_step"
ALL, NONE = ("all",), ("none",)  # of the parameters
SAME_STEP = 1e-3  # relative: times are often stored in single precision


def numbers_of(trajectory: Trajectory) -> tuple[str, ...]:
    """The names of the numbers that are known of each frame."""
    return tuple(name for name, _ in (*trajectory.parameters, *trajectory.varying))


def values_of(trajectory: Trajectory, name: str, start: int, stop: int) -> np.ndarray:
    """`[stop - start]`: one of these numbers for some frames. Raises `InputError` unless it is finite."""
    varying = dict(trajectory.varying)
    if name in varying:
        values = varying[name].numbers(start, stop)
    else:
        values = np.full(stop - start, dict(trajectory.parameters)[name])
    if not np.isfinite(values).all():
        raise InputError(
            f"the parameter {name} of {trajectory.name} is not finite: leave that trajectory out"
        )
    return values


def constants_of(trajectory: Trajectory, name: str) -> np.ndarray:
    """`[*space]`: one of the fields that do not change. Raises `InputError` for one that is not finite."""
    piece = dict(trajectory.constants)[name]
    field = piece.read(0, 1, tuple(len(axis) for axis in trajectory.axes))[0, ..., 0]
    if not np.isfinite(field).all():
        raise InputError(
            f"the constant field {name} of {trajectory.name} has cells that are not finite: give"
            " --source.no-constants to leave such fields out"
        )
    return field


def check_alike(trajectories: Sequence[Trajectory]) -> None:
    """Raises `InputError` unless all have the same channels, cells, parameters and constant fields."""
    first = trajectories[0]
    for other in trajectories[1:]:
        for what, mine, theirs in (
            ("channels", [v.name for v in first.variables], [v.name for v in other.variables]),
            ("axes", _cells(first), _cells(other)),
            ("parameters", sorted(numbers_of(first)), sorted(numbers_of(other))),
            ("constant fields", [n for n, _ in first.constants], [n for n, _ in other.constants]),
        ):
            if mine != theirs:
                raise InputError(
                    f"the {what} of {first.name} are {_words(mine)}, and those of {other.name} are"
                    f" {_words(theirs)}: give the folder of those that belong together"
                )


def steps_differ(trajectories: Sequence[Trajectory]) -> bool:
    steps = np.array([trajectory.step for trajectory in trajectories])
    return bool(np.ptp(steps) > SAME_STEP * steps.mean())


def parameters(
    train: Sequence[Trajectory], wanted: tuple[str, ...]
) -> tuple[tuple[Covariate, ...], tuple[str, ...]]:
    """The parameters of a network, those wanted or all, and a sentence on each; one that has the same value
    in all of the training part is left out, as a network would learn nothing from it."""
    known = numbers_of(train[0])
    chosen = known if wanted == ALL else () if wanted == NONE else wanted
    for name in chosen:
        if name not in known:
            raise InputError(f"there is no parameter {name!r}: there are {', '.join(known) or 'none'}")
    found, notices = [], []
    for name in chosen:
        values = np.concatenate([_some_numbers(trajectory, name) for trajectory in train])
        covariate = Covariate.of(name, values)
        if covariate is None:
            notices.append(
                f"The parameter {name} is {values[0]:g} in all of the training part and is left out."
            )
        else:
            span = f"from {values.min():g} to {values.max():g}"
            notices.append(f"The network is told the parameter {name}, {span} in the training part.")
            found.append(covariate)
    return tuple(found), tuple(notices)


def constants(train: Sequence[Trajectory]) -> tuple[tuple[Covariate, ...], tuple[str, ...]]:
    """The constant fields of a network, and a sentence on each that is left out as it is the same
    everywhere."""
    some = [train[i] for i in spaced(len(train), FIELDS)]
    found, notices = [], []
    for name, _ in train[0].constants:
        fields = np.stack([constants_of(each, name) for each in some])
        covariate = Covariate.of(name, fields, logarithm=False)
        if covariate is None:
            notices.append(f"The constant field {name} has one value everywhere and is left out.")
        else:
            found.append(covariate)
    return tuple(found), tuple(notices)


def _some_numbers(trajectory: Trajectory, name: str) -> np.ndarray:
    if name in dict(trajectory.parameters):
        return values_of(trajectory, name, 0, 1)
    return values_of(trajectory, name, 0, trajectory.length)[spaced(trajectory.length, FRAMES)]


def _cells(trajectory: Trajectory) -> list[str]:
    """Each axis in words: two whose cells differ are told apart, but not by the last digits of single
    precision."""
    ends = [(axis, f"{axis.values[0]:.4g} to {axis.values[-1]:.4g}") for axis in trajectory.axes]
    return [f"{axis.name} of {len(axis)} cells from {span}, {axis.boundary}" for axis, span in ends]


def _words(found: list) -> str:
    return ", ".join(map(str, found)) or "none"
