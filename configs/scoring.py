"""What clips are scored by: in experiments with pictures, and in `rolling evaluate --real DIR --fake DIR`."""

import dataclasses

from data.clips.anywhere import collection, is_compressed
from physics.verification import Crps, RankHistogram, Rmse, SpreadSkillRatio, StandardDeviation
from rolling.metrics import Metric
from video.distances import tell
from video.fvd import OfI3d
from video.i3d import FEWEST_FRAMES
from video.measures import DISTANCES, QUALITY

__all__ = ["CLIPS", "FORECAST", "ROLLOUT", "collection", "distances", "is_compressed"]

FORECAST: tuple[Metric, ...] = (*QUALITY, Rmse(), Crps(), SpreadSkillRatio())
"""Of fake clips that are forecasts of real ones."""

CLIPS: tuple[Metric, ...] = (*FORECAST, RankHistogram(), *DISTANCES)
"""Of an experiment's forecasts."""

ROLLOUT: tuple[Metric, ...] = (StandardDeviation(), *DISTANCES)
"""Of rollouts longer than anything can be predicted: whether they stay as real clips are."""


def distances(frames: int) -> tuple[Metric, ...]:
    """Of two sets of clips of so many frames; FVD and KVD only with their weights (`rolling weights`)."""
    kinds = DISTANCES
    if frames < FEWEST_FRAMES:
        kinds = tuple(kind for kind in kinds if not isinstance(kind, OfI3d))
        tell(f"fvd and kvd are left out: they compare clips of at least {FEWEST_FRAMES} frames")
    return tuple(dataclasses.replace(kind, frames=frames) for kind in kinds)
