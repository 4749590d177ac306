"""Solvers on trained networks, at equal network calls: the same runs, the same starts, the same noise.

    python benchmarks/solvers.py runs/compare-kolmogorov/rolling-* [--calls 1]

For each run (one per seed) and solver: CRPS, spread-skill ratio and spectral error of the run's own ensemble.
Prints means over the runs, and CRPS relative to DDIM's for each run.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from rolling.run import load
from rolling.run.evaluation.evaluate import evaluate
from rolling.run.forecasting.streaming import write_forecast
from rolling.solvers import Ancestral, Ddim, DpmSolverPlusPlus, UniPC

SOLVERS = {
    "Ddim": Ddim(),
    "Ancestral, 0.4": Ancestral(interpolation=0.4),
    "DpmSolverPlusPlus, order 2": DpmSolverPlusPlus(order=2),
    "UniPC, order 2": UniPC(order=2),
}
LEADS = (1, 3, 5, 8, 12)
METRICS = ("crps", "spread_skill_ratio", "spectrum_log_error")


def curves(run: Path, calls: int) -> dict[str, np.ndarray]:
    """`[metric, lead]` of the first variable for each solver."""
    forecaster = load(run)
    experiment = forecaster.experiment
    split, found = experiment.source.open(), {}
    for name, solver in SOLVERS.items():
        forecaster.sample_with(dataclasses.replace(experiment, solver=solver, calls_per_frame=calls))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "forecast.zarr"
            store = write_forecast(forecaster, split.test, experiment.forecast, path, name)
            stem = Path(folder) / "scores"
            scores = evaluate(store, split, forecaster.statistics, experiment.metrics, stem)
        variable = forecaster.layout.names[0]
        found[name] = np.array(
            [[scores.score(metric, variable).values[lead - 1] for lead in LEADS] for metric in METRICS]
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--calls", type=int, default=1)
    options = parser.parse_args()
    runs = [curves(run, options.calls) for run in options.runs]
    print(f"{len(runs)} runs, {options.calls} calls per frame, leads {LEADS}")
    for i, metric in enumerate(METRICS):
        print(metric)
        for name in SOLVERS:
            mean = np.mean([run[name][i] for run in runs], axis=0)
            print(f"  {name:30s}" + "".join(f"{value:9.3f}" for value in mean))
    print("CRPS relative to DDIM's, mean over the leads, for each run")
    for name in SOLVERS:
        ratios = [np.mean(run[name][0] / run["Ddim"][0]) for run in runs]
        print(f"  {name:30s}" + "".join(f"{ratio:9.3f}" for ratio in ratios))


if __name__ == "__main__":
    main()
