"""Solvers: one step of the reverse process for a vector of clocks.

From time `t` to a cleaner time `s`, per frame, `lambda = logsnr / 2`, `h = lambda_s - lambda_t` and
`r = -expm1(-2 h)`. The loop around a solver is `rolling.sampling`. It masks frames whose clock does not
move, so that a solver may divide by their zeros, and carries each frame's history across a shift of the
window, where the hand-over identity keeps it valid.

Euler's method for flow matching is `Ddim`.
"""

from rolling.solvers.first_order import Ancestral, Ddim
from rolling.solvers.lockstep import JointDenoise, in_lockstep
from rolling.solvers.multistep import Deis, DpmSolverPlusPlus, UniPC
from rolling.solvers.protocol import Denoise, Noise, Solver, Step, step_between
from rolling.solvers.singlestep import DpmSolverPlusPlus2S, Heun
from rolling.solvers.time_shift import TimeShift

__all__ = [
    "Ancestral",
    "Ddim",
    "Deis",
    "Denoise",
    "DpmSolverPlusPlus",
    "DpmSolverPlusPlus2S",
    "Heun",
    "JointDenoise",
    "Noise",
    "Solver",
    "Step",
    "TimeShift",
    "UniPC",
    "in_lockstep",
    "step_between",
]
