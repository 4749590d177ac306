"""What `rolling evaluate --real DIR --fake DIR` measures by default, and what reads its clips."""

from data.clips.anywhere import collection, is_compressed
from physics.verification import Crps, Rmse, SpreadSkillRatio
from rolling.metrics import Metric
from video.distances import tell
from video.fvd import Fvd, Kvd
from video.i3d import FEWEST_FRAMES
from video.projection import ProjectionFrechetDistance
from video.quality import Psnr, Ssim
from video.spectral import SpectralFrechetDistance

__all__ = ["FORECAST", "collection", "distances", "is_compressed"]

FORECAST: tuple[Metric, ...] = (
    Psnr(),
    Psnr(best=True),
    Ssim(),
    Ssim(best=True),
    Rmse(),
    Crps(),
    SpreadSkillRatio(),
)
"""Of fake clips that are forecasts of real ones."""


def distances(frames: int) -> tuple[Metric, ...]:
    """Of two sets of clips of so many frames; FVD and KVD only with their weights (`rolling weights`)."""
    kinds = (SpectralFrechetDistance, ProjectionFrechetDistance)
    if frames >= FEWEST_FRAMES:
        kinds = (Fvd, Kvd, *kinds)
    else:
        tell(f"fvd and kvd are left out: they compare clips of at least {FEWEST_FRAMES} frames")
    return tuple(kind(frames=frames) for kind in kinds)
