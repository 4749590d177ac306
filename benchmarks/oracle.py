"""Exact errors of solvers and of partitions of the queue on the linear-Gaussian sequence.

    python benchmarks/oracle.py

The first table: the largest error of the covariance over 40 frames with a window of 24 frames and one network
call per frame (AR(1), 0.9, context 1); the bound is 0.005. The second: a queue of 64 frames, one call per
frame, which the network sees in blocks (FIFO), with and without lookahead.
"""

from rolling.noise import FlowMatching, Logit
from rolling.oracle import UNCLIPPED, Oracle
from rolling.sampling.partitions import Blocks
from rolling.solvers import Ancestral, Ddim, Deis, DpmSolverPlusPlus, UniPC
from rolling.windows import Rolling

BOUND = 0.005
SCHEDULES = {
    "cosine": UNCLIPPED,
    "flow matching": FlowMatching(epsilon=0.0),
    "2.2 logit": Logit(scale=2.2, epsilon=0.0),
}
SOLVERS = {
    "Ancestral": Ancestral(),
    "Ddim": Ddim(),
    "DpmSolverPlusPlus, order 2": DpmSolverPlusPlus(order=2),
    "DpmSolverPlusPlus, order 3": DpmSolverPlusPlus(order=3),
    "Deis, order 3": Deis(order=3),
    "UniPC, order 2": UniPC(order=2),
    "UniPC, order 3": UniPC(order=3),
    "UniPC, order 4": UniPC(order=4),
}


def one_call() -> float:
    window = Rolling(size=24, context=1)
    print(f"{'one call per frame, 24 frames':32s}" + "".join(f"{name:>15s}" for name in SCHEDULES))
    best = float("inf")
    for name, solver in SOLVERS.items():
        errors = [
            Oracle(window=window, schedule=schedule, solver=solver, calls_per_frame=1).max_covariance_error()
            for schedule in SCHEDULES.values()
        ]
        best = min(best, *errors)
        print(f"{name:32s}" + "".join(f"{error:15.4f}" for error in errors), flush=True)
    return best


def partitions() -> None:
    print(f"\n{'a queue of 64, in blocks of':32s}{'alone':>15s}{'lookahead':>15s}")
    for size in (4, 8, 16, 32, 64):
        errors = []
        for ahead in (0, size // 2):
            window = Rolling(size=64 + ahead, context=ahead)
            partition = Blocks(size=size, lookahead=ahead > 0)
            oracle = Oracle(
                window=window, partition=partition, solver=UniPC(order=2), calls_per_frame=1, frames=80
            )
            errors.append(oracle.max_covariance_error())
        print(f"{size:<32d}" + "".join(f"{error:15.4f}" for error in errors), flush=True)


if __name__ == "__main__":
    best = one_call()
    print(f"best {best:.4f}: {best / BOUND:.2f} of the bound of {BOUND}")
    partitions()
