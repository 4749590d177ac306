"""Sizes of the video U-ViT for colour video of 64 x 64 pixels in windows of about 16 frames.

From one that a laptop can train to the 1.2 billion parameters with which rolling diffusion (arXiv 2402.09470)
modelled Kinetics-600. `rolling show` says what an experiment with one of them costs, and
`dataclasses.replace(BASE, causal=True)` changes one. Attention is factorised: each is an image network plus
temporal layers. From `BASE` on they compute in bfloat16; the two largest use `remat`.
"""

from rolling.video.uvit.network import VideoUViT

TINY = VideoUViT(
    patch=4,
    channels=(32, 64, 128),
    blocks=(1, 1, 3),
    heads=4,
    attention="factorised",
    embedding=64,
)
"""1.3 M parameters: minutes on two CPU cores."""

SMALL = VideoUViT(
    patch=2,
    channels=(48, 96, 256),
    blocks=(1, 2, 6),
    heads=4,
    attention="factorised",
    embedding=256,
)
"""10 M parameters."""

BASE = VideoUViT(
    patch=2,
    channels=(128, 256, 512),
    blocks=(2, 2, 8),
    heads=8,
    attention="factorised",
    embedding=512,
    dtype="bfloat16",
)
"""58 M parameters."""

LARGE = VideoUViT(
    patch=2,
    channels=(192, 384, 1024),
    blocks=(2, 2, 13),
    heads=16,
    attention="factorised",
    embedding=768,
    dtype="bfloat16",
    remat=True,
)
"""0.3 G parameters."""

KINETICS = VideoUViT(
    patch=2,
    channels=(256, 512, 1536),
    blocks=(3, 3, 24),
    heads=16,
    attention="factorised",
    embedding=1024,
    dtype="bfloat16",
    remat=True,
)
"""1.2 G parameters."""
