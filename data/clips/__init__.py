"""Video clips: collections as found on disk, and the prepared store that training reads."""

from rolling.data.clips.actions import Actions
from rolling.data.clips.source import Clips

__all__ = ["Actions", "Clips"]
