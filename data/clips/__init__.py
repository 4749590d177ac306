"""Clips of video: collections as they lie on disk, and the prepared store that training reads."""

from rolling.data.clips.source import Clips

__all__ = ["Clips"]
