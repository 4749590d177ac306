"""The video U-ViT, and its sizes."""

from rolling.video.uvit.network import VideoUViT

__all__ = ["VideoUViT"]
