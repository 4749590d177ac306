"""Window x solver x context x calls on the linear-Gaussian sequence: the exact law where it must be reached.

The process is Markov of first order, so that one frame of context is enough, and without context a bias
remains that no number of steps removes.
"""

import functools

import pytest

from rolling.noise import FlowMatching, Logit
from rolling.oracle import Oracle
from rolling.solvers import Ancestral, Ddim, Deis, DpmSolverPlusPlus, DpmSolverPlusPlus2S, Heun, UniPC
from rolling.windows import Autoregressive, FullSequence, Pyramid, Rolling, Trapezoid

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compilation")]

WINDOWS = {
    "rolling": lambda n: Rolling(size=n + 4, context=n),
    "blocks": lambda n: Rolling(size=n + 4, context=n, block=2),
    "full sequence": lambda n: FullSequence(size=n + 3, context=n),
    "autoregressive": lambda n: Autoregressive(context=n),
    "pyramid": lambda n: Pyramid(size=n + 3, context=n, stagger=0.5),
    "trapezoid": lambda n: Trapezoid(size=n + 3, context=n, stagger=0.5),
}
FIRST = {"ddim": Ddim(), "ancestral": Ancestral()}
HIGHER = {
    "2m": DpmSolverPlusPlus(order=2),
    "3m": DpmSolverPlusPlus(order=3),
    "unipc": UniPC(order=2),
    "deis": Deis(order=2),
    "heun": Heun(),
    "2s": DpmSolverPlusPlus2S(),
}
SOLVERS = FIRST | HIGHER


@functools.cache
def error(window: str, solver: str, context: int, calls: int) -> float:
    return Oracle(
        window=WINDOWS[window](context),
        solver=SOLVERS[solver],
        schedule=FlowMatching(epsilon=0.0),
        calls_per_frame=calls,
        frames=6,
    ).max_covariance_error()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("window", WINDOWS)
def test_more_calls_lead_to_the_exact_law(window, solver):
    coarse, fine = (error(window, solver, 1, calls) for calls in (8, 64))
    assert fine < coarse / 3 and fine < 0.08
    if solver in HIGHER:
        assert fine < error(window, "ddim", 1, 64) / 2


@pytest.mark.parametrize("window", ["rolling", "full sequence"])
def test_two_frames_of_context_are_as_good(window):
    coarse, fine = (error(window, "ddim", 2, calls) for calls in (8, 64))
    assert fine < coarse / 3


@pytest.mark.parametrize("window", WINDOWS)
def test_without_context_a_bias_remains(window):
    """In a rolling window it is small, as the frames in the making remember; chunks know of nothing."""
    coarse, fine = (error(window, "ddim", 0, calls) for calls in (16, 64))
    assert fine > (0.03 if window in ("rolling", "blocks") else 0.85)
    assert abs(coarse - fine) < 0.6 * coarse


@pytest.mark.parametrize(
    ("schedule", "bound"),
    [(Logit(scale=2.2, epsilon=0.0), 0.005), (FlowMatching(epsilon=0.0), 0.0065)],
    ids=["logit", "flow matching"],
)
def test_one_call_per_frame(schedule, bound):
    """24 frames in the window, one call for each that leaves: UniPC with its history along."""
    window = Rolling(size=24, context=1)
    found = Oracle(window=window, schedule=schedule, solver=UniPC(order=2), calls_per_frame=1)
    assert found.max_covariance_error() < bound
