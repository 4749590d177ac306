"""How much spread few calls lose where a frame says much about the next: `python benchmarks/spread.py`

AR(1) with the exact denoiser, forecast from two given frames with a window of eight: the standard deviation
of forecasts at leads 1 and 12, as a share of the right one, `sqrt(1 - r^2k)` at lead k for the correlation r
of neighbouring frames. What is missing, the steps of the solver have lost. The schedule is the cosine of the
preset `gridded` (resolution 32), that of `clips` (96), or the one whose noise suits what is left to say:
resolution `32 sqrt(1 - r^2)`. The claim: with that one and `UniPC`, one call a frame leaves at least 0.9.
"""

import numpy as np

from rolling.noise import Cosine
from rolling.oracle import Oracle
from rolling.solvers import Ancestral, UniPC
from rolling.windows import Rolling

WINDOW = Rolling(size=8, context=2)
SOLVERS = {"Ancestral": Ancestral(interpolation=0.5), "UniPC": UniPC(order=2)}
LEADS = (1, 12)
BOUND = 0.9


def shares(correlation: float, resolution: float, solver, calls: int) -> list[float]:
    """The standard deviation at each of `LEADS`, as a share of the right one."""
    way = Oracle(
        window=WINDOW,
        schedule=Cosine(resolution=resolution),
        solver=solver,
        calls_per_frame=calls,
        correlation=(correlation,),
        frames=max(LEADS),
    )
    given = way.given_frames
    drawn = way.coefficients()[given:, given:]  # what a forecast owes to noise, not to given frames
    return [float(np.linalg.norm(drawn[lead - 1]) / np.sqrt(1 - correlation ** (2 * lead))) for lead in LEADS]


def main() -> None:
    names = "".join(f"{name:>14s}" for name in SOLVERS)
    print(f"{'correlation':12s}{'resolution':>11s}{'calls':>6s}{names}")
    least = np.inf
    for correlation in (0.9, 0.98, 0.99, 0.998):
        suited = 32 * np.sqrt(1 - correlation**2)
        for resolution in (96, 32, suited):
            for calls in (1, 4):
                found = [shares(correlation, resolution, solver, calls) for solver in SOLVERS.values()]
                cells = "".join(f"{one:8.2f}{other:6.2f}" for one, other in found)
                print(f"{correlation:<12g}{resolution:11.1f}{calls:6d}{cells}")
            if resolution == suited:
                least = min(least, *shares(correlation, resolution, SOLVERS["UniPC"], 1))
    print(f"least share with the suited resolution, UniPC, one call: {least:.2f} (at least {BOUND})")


if __name__ == "__main__":
    main()
