"""Files in which forecasts of pictures are looked at beside their truth."""

from video.outputs.films import Gif, Mp4
from video.outputs.lossless import Lossless
from video.outputs.sheets import ContactSheet

__all__ = ["ContactSheet", "Gif", "Lossless", "Mp4"]
