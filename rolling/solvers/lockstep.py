"""Steps of several modalities at once: one network call answers the questions of all their solvers."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from rolling.array_types import Clocks, Frames, JointClocks, JointFrames
from rolling.common.errors import InputError
from rolling.solvers.protocol import Denoise

JointDenoise = Callable[[JointFrames, JointClocks], JointFrames]
"""`(z, logsnr) -> x` of several modalities."""
T = TypeVar("T")


class _Asked(Exception):
    """The first question that has no answer yet."""

    def __init__(self, z: Frames, logsnr: Clocks):
        self.z, self.logsnr = z, logsnr


def in_lockstep(
    steps: Mapping[str, Callable[[Denoise], T]], calls: int, denoise: JointDenoise
) -> dict[str, T]:
    """`steps[name](denoise_name)` of each modality, where call `i` of every one is part of one call of
    `denoise`.

    A solver asks for predictions in the middle of its step. So each step is run until it asks, all questions
    are answered together, and each is run once more from its beginning with the answers so far. While a
    program is traced, what is repeated is the same operation once more, which the compiler drops. No solver
    need know of it, as long as it asks outside of `jax.lax` loops and conditions.

    Raises `InputError` for a step that does not ask `calls` times.
    """
    answers: dict[str, list[Frames]] = {name: [] for name in steps}
    for _ in range(calls):
        asked = {name: _next_question(name, step, answers[name], calls) for name, step in steps.items()}
        x = denoise(
            {name: question.z for name, question in asked.items()},
            {name: question.logsnr for name, question in asked.items()},
        )
        for name, known in answers.items():
            known.append(x[name])
    return {name: _finished(name, step, answers[name]) for name, step in steps.items()}


def _replay(answers: list[Frames]) -> Denoise:
    """A denoiser that gives the answers one after another, and then raises what it is asked."""
    left = iter(answers)

    def denoise(z, logsnr):
        for answer in left:
            return answer
        raise _Asked(z, logsnr)

    return denoise


def _next_question(name: str, step: Callable[[Denoise], T], answers: list[Frames], calls: int) -> _Asked:
    try:
        step(_replay(answers))
    except _Asked as question:
        return question
    raise InputError(
        f"the solver of {name} calls the network {len(answers)} times in a step, and {calls} are due: its"
        " `calls` must be the number of its calls"
    )


def _finished(name: str, step: Callable[[Denoise], T], answers: list[Frames]) -> T:
    try:
        return step(_replay(answers))
    except _Asked:
        raise InputError(
            f"the solver of {name} calls the network more than {len(answers)} times in a step: its `calls`"
            " must be the number of its calls"
        ) from None
