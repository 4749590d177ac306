"""How often intervals of nominal 95 % hold the true score, for starts that overlap and for few seeds.

    python benchmarks/intervals.py [--trials 2000]

Simulated forecasts with a known score, many times. The truth of each of 24 cells is an AR(1) in time, of unit
variance and a decorrelation time in hours; the forecast is the best one, and its score the mean square error
over cells and leads: forecasts that overlap share the innovations of their common hours. "Naive" takes starts
for independent and draws percentiles of a bootstrap, as was done here before.
"""

import argparse

import numpy as np

from rolling.metrics.intervals import blocks, interval, without_each

CELLS, CHUNK = 24, 250
CASES = (  # starts, hours of data, hours of a forecast, decorrelation time in hours
    (16, 168, 18, 6),
    (16, 168, 18, 12),
    (16, 168, 18, 24),
    (48, 720, 18, 12),
    (64, 720, 48, 24),
    (12, 720, 18, 24),
)
SEEDS = (
    (3, 8, 0.0),
    (3, 8, 0.3),
    (3, 8, 1.0),
    (3, 8, 3.0),
    (3, 32, 0.3),
    (2, 8, 1.0),
    (5, 8, 1.0),
    (1, 2, 0.0),
)
"""Seeds, independent starts, and the seeds' share: their standard deviation over that of the starts."""


def errors(rng, frames: np.ndarray, span: int, leads: int, tau: float, trials: int) -> np.ndarray:
    """`[trial, start]`: the mean square error of each forecast."""
    rho = np.exp(-1 / tau)
    state = rng.normal(size=(trials, CELLS))
    truth = [state]
    for _ in range(span):
        state = rho * state + np.sqrt(1 - rho**2) * rng.normal(size=state.shape)
        truth.append(state)
    series = np.stack(truth, axis=1)
    decay = rho ** np.arange(1, leads + 1)[:, None]
    found = [(series[:, f + 1 : f + leads + 1] - decay * series[:, f : f + 1]) ** 2 for f in frames.tolist()]
    return np.stack([square.mean(axis=(1, 2)) for square in found], axis=1)


def blocked(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`[2, trial]`: the bounds for scores `[trial, start]` in blocks `labels [start]`."""
    weights = without_each(labels.max() + 1)[:, labels]
    rows = weights @ scores.T / weights.sum(axis=1, keepdims=True)
    return interval(rows[0], rows[1:])


def naive(rng, scores: np.ndarray) -> np.ndarray:
    """`[2, trial]`: percentiles of means over starts drawn with replacement."""
    count = scores.shape[1]
    weights = rng.multinomial(count, np.full(count, 1 / count), size=500) / count
    return np.quantile(weights @ scores.T, [0.025, 0.975], axis=0)


def holds(bounds: np.ndarray, value: float) -> float:
    """The share of intervals, in percent."""
    return 100 * float(np.mean((bounds[0] <= value) & (value <= bounds[1])))


def of_starts(case, trials: int) -> tuple[int, float, float]:
    """The number of blocks, and the coverage by blocks and by starts taken for independent."""
    rng, (starts, hours, leads, tau) = np.random.default_rng(0), case
    frames = np.unique(np.linspace(0, hours - leads, starts).round().astype(int))
    labels = blocks(np.zeros(len(frames), int), frames, leads, whole=False)
    true = float(np.mean(1 - np.exp(-2 * np.arange(1, leads + 1) / tau)))
    found = []
    for _ in range(0, trials, CHUNK):
        scores = errors(rng, frames, hours, leads, tau, CHUNK)
        found.append((holds(blocked(scores, labels), true), holds(naive(rng, scores), true)))
    ours, theirs = np.mean(found, axis=0).tolist()
    return labels.max() + 1, ours, theirs


def of_seeds(case, trials: int) -> float:
    """The coverage for a mean over seeds and starts, with effects of both and of their pairing."""
    rng, (seeds, starts, share) = np.random.default_rng(0), case
    scores = (
        share * rng.normal(size=(trials, seeds, 1))
        + rng.normal(size=(trials, 1, starts))
        + 0.3 * rng.normal(size=(trials, seeds, starts))
    )
    kinds = []
    for rows in (scores.mean(axis=2), scores.mean(axis=1)):
        weights = without_each(rows.shape[1])[1:]
        kinds.append(weights @ rows.T / max(rows.shape[1] - 1, 1))
    return holds(interval(scores.mean(axis=(1, 2)), *kinds), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=2000)
    trials = parser.parse_args().trials
    print("starts  hours  forecast  decorrelation  blocks  holds  naive")
    for case in CASES:
        count, ours, theirs = of_starts(case, trials)
        starts, hours, leads, tau = case
        print(f"{starts:6d}{hours:7d}{leads:8d} h{tau:13d} h{count:8d}{ours:6.1f}%{theirs:6.1f}%")
    print("\nseeds  starts  deviation of seeds over that of starts  holds")
    for case in SEEDS:
        seeds, starts, share = case
        print(f"{seeds:5d}{starts:8d}{share:40.1f}{of_seeds(case, 10 * trials):6.1f}%")


if __name__ == "__main__":
    main()
