"""Settings of the U-ViT and its blocks."""

import dataclasses

from rolling.common.errors import InputError
from rolling.video.uvit.layers import BOUNDARIES, Boundary

ATTENTION = ("joint", "factorised")
DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """See `rolling.video.uvit.network.VideoUViT`. Raises `InputError` if they do not fit together."""

    patch: int = 2
    """Cells along a side of a patch, the unit of space: on a plane operations fall with its square."""
    channels: tuple[int, ...] = (32, 64, 128)
    """Channels of each level, from fine to coarse."""
    blocks: tuple[int, ...] = (1, 1, 2)
    """Blocks of each level on the way down, and again on the way up; the coarsest has them once."""
    transformer_levels: int = 1
    """How many of the last levels are transformers."""
    heads: int = 4
    """Heads of the attention; in a convolutional block, one of as many groups of channels is not mixed over
    frames."""
    attention: str = "joint"
    """joint: over all tokens of the window; factorised: over space, then over time, cheaper above a few
    hundred tokens."""
    causal: bool = False
    """Hide later frames from earlier ones."""
    dropout: float = 0.0
    """Probability in the transformers: 0.1 for few clips."""
    expansion: int = 4
    """Width of a transformer's inner layer, in terms of its channels."""
    embedding: int = 64
    """Size of the embedding of the noise level and of what conditions the frames."""
    boundary: Boundary | None = None
    """periodic, edge, zero or pole along each axis of space; None follows the data."""
    end_distance: int = 0
    """Show each cell how far it is from either end of every axis that is not periodic, up to so many cells;
    0: it is left to the convolutions to find out."""
    skips: bool = False
    """Connect each block on the way up with its partner on the way down, in place of one connection per
    level."""
    remat: bool = False
    """Keep only the inputs of blocks for the gradient: a third more operations for a fraction of the memory
    of a GPU or TPU; XLA's programs for CPUs save nothing by it."""
    dtype: str = "float32"
    """Of the operations: float32 or bfloat16; parameters stay float32."""

    def __post_init__(self):
        for name, allowed in (("attention", ATTENTION), ("dtype", DTYPES)):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"the video U-ViT's {name} is {getattr(self, name)!r}: choose one of {', '.join(allowed)}"
                )
        if self.boundary is not None and not (
            1 <= len(self.boundary) <= 3 and set(self.boundary) <= set(BOUNDARIES)
        ):
            raise InputError(
                f"the video U-ViT's boundary is {self.boundary}: for each axis of space, choose one of"
                f" {', '.join(BOUNDARIES)}"
            )
        if self.boundary and self.boundary[-1] == "pole":
            raise InputError(
                "the video U-ViT's boundary is pole along the last axis, which no axis of longitudes follows"
            )
        if self.end_distance < 0:
            raise InputError(
                f"the video U-ViT's end_distance is {self.end_distance}: give the cells up to which distances"
                " are shown, or 0 for none"
            )
        if not self.channels or len(self.channels) != len(self.blocks):
            raise InputError(
                f"the video U-ViT has channels {self.channels} and blocks {self.blocks}: give one of each per"
                " level"
            )
        if not 0 <= self.transformer_levels <= len(self.channels):
            raise InputError(
                f"transformer_levels is {self.transformer_levels}: it must lie between 0 and the number of"
                f" levels, {len(self.channels)}"
            )
        if self.heads < 2:
            raise InputError(
                f"the video U-ViT has heads = {self.heads}: choose 2 or more, as one does not mix frames"
            )
        sizes = (self.patch, self.expansion, self.embedding, *self.channels, *self.blocks)
        if min(sizes) < 1 or not 0 <= self.dropout < 1:
            raise InputError(f"every size of the video U-ViT must be positive and 0 <= dropout < 1: {self}")
        for channels in self.channels:
            if channels % (2 * self.heads):
                raise InputError(
                    f"{channels} channels cannot be shared by {self.heads} heads of an even size: make them a"
                    f" multiple of {2 * self.heads}"
                )

    @property
    def edges(self) -> Boundary:
        """The boundary of settings that a network is built from, in which it is known."""
        assert self.boundary is not None, "`VideoUViT.build` takes it from the data"
        return self.boundary

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Of each axis of space."""
        return tuple(kind == "periodic" for kind in self.edges)

    @property
    def multiple(self) -> int:
        """Each axis of space is padded to a multiple of this."""
        return self.patch * 2 ** (len(self.channels) - 1)
