"""Files in which forecasts of pictures are looked at beside their truth."""

from rolling.video.outputs.animations import Gif, Mp4
from rolling.video.outputs.lossless import Lossless
from rolling.video.outputs.sheets import ContactSheet

PREVIEW = (Mp4(), Gif(), ContactSheet())
"""What an experiment with pictures takes unless it names its own."""

__all__ = ["PREVIEW", "ContactSheet", "Gif", "Lossless", "Mp4"]
