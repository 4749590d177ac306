"""Files that show forecasts of pictures next to the truth."""

from rolling.video.outputs.animations import Gif, Mp4
from rolling.video.outputs.lossless import Lossless
from rolling.video.outputs.sheets import ContactSheet

PREVIEW = (Mp4(), Gif(), ContactSheet())
"""The default outputs of an experiment with pictures."""

__all__ = ["PREVIEW", "ContactSheet", "Gif", "Lossless", "Mp4"]
