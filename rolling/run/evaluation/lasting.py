"""How long the rollouts of an evaluation last, in words (`rolling.metrics.drift`)."""

import numpy as np

from rolling.common.counting import counted
from rolling.metrics.drift import EACH, LASTS, MEDIAN
from rolling.run.evaluation.scores import Evaluation


def how_long_they_last(evaluation: Evaluation) -> str:
    """`6 of 8 long rollouts leave the range of the data, the first after 34 frames`, or that none does; empty
    where it was not measured."""
    each, median = (evaluation.score(LASTS, name) for name in (EACH, MEDIAN))
    if each is None or median is None:
        return ""
    count, horizon = len(each.values), int(median.coordinate[0])
    left = np.sort(each.values[each.values < horizon])
    if not len(left) and count == 1:
        return f"The long rollout stays in the range of the data for all of its {counted(horizon, 'frame')}"
    if not len(left):
        return f"All long rollouts, {count}, stay in the range of the data for all of their {horizon} frames"
    first = "at once" if left[0] == 0 else f"after {counted(round(left[0]), 'frame')}"
    verb = "leaves" if len(left) == 1 else "leave"
    the_first = "" if len(left) == 1 else "the first "
    return f"{len(left)} of {count} long rollouts {verb} the range of the data, {the_first}{first}"
