"""Whether a network told a parameter is as good as one made for its value:

    python benchmarks/one_value.py RUN_TOLD RUN_AT_ONE_VALUE

The first was trained where a setting of the simulator differs between trajectories, the second where it has
one value. Both forecast the held-out sequences of the second from their beginning, the first with that value
told. Printed is the fair CRPS, a mean over sequences and cells, and the ratio of both, which should be below
1.1. The commands that train them are in docs/simulations.md.
"""

import sys

import numpy as np

from rolling import load

FRAMES, MEMBERS = 20, 8
LEADS = (1, 3, 10, 20)


def crps(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """`[lead]`, of `[clip, member, lead, ...]` and `[clip, lead, ...]`."""
    count = members.shape[1]
    apart = np.abs(members[:, :, None] - members[:, None]).sum(axis=(1, 2)) / (2 * count * (count - 1))
    each = np.abs(members - truth[:, None]).mean(axis=1) - apart
    return each.mean(axis=tuple(axis for axis in range(each.ndim) if axis != 1))


def main() -> None:
    told, made = map(load, sys.argv[1:3])
    simulator = made.experiment.source.simulator
    if told.experiment.source.simulator != simulator:
        raise SystemExit("the simulators of both runs differ in more than what is varied")
    parameters = {c.name: getattr(simulator, c.name) for c in told.layout.parameters}
    test = made.experiment.source.open().test
    given = made.recipe.given_frames
    clips = np.stack([test.read(i, 0, given + FRAMES) for i in range(len(test))])
    truth = clips[:, given:]
    found = {
        "told": told.predict(clips[:, :given], FRAMES, MEMBERS, parameters=parameters),
        "made for it": made.predict(clips[:, :given], FRAMES, MEMBERS),
    }
    scores = {name: crps(forecast, truth) for name, forecast in found.items()}
    print(f"CRPS at {parameters}, {len(clips)} sequences, {MEMBERS} members")
    print("lead   " + "  ".join(f"{name:>12}" for name in scores) + "         ratio")
    for lead in LEADS:
        told_score, made_score = (score[lead - 1] for score in scores.values())
        print(f"{lead:4d}   {told_score:12.4f}  {made_score:12.4f}  {told_score / made_score:12.3f}")
    told_score, made_score = (score.mean() for score in scores.values())
    print(f"all    {told_score:12.4f}  {made_score:12.4f}  {told_score / made_score:12.3f}")


if __name__ == "__main__":
    main()
