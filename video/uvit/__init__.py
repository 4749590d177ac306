"""The video U-ViT, its sizes, and that of several modalities."""

from rolling.video.uvit.joint import JointUViT, Tower
from rolling.video.uvit.network import VideoUViT

__all__ = ["JointUViT", "Tower", "VideoUViT"]
