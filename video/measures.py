"""The measures of video that an experiment takes unless it names its own."""

from rolling.metrics import Metric
from video.fvd import Fvd, Kvd
from video.projection import ProjectionFrechetDistance
from video.quality import Psnr, Ssim
from video.spectral import SpectralFrechetDistance

DISTANCES: tuple[Metric, ...] = (Fvd(), Kvd(), SpectralFrechetDistance(), ProjectionFrechetDistance())
"""Of the set of all forecasts from that of all real clips; the first two only with their weights."""

QUALITY: tuple[Metric, ...] = (Psnr(), Psnr(best=True), Ssim(), Ssim(best=True))
"""Frame by frame, how near a forecast is to the truth."""
