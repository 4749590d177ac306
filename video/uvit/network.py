"""The video U-ViT: convolutions on fine grids, transformers on coarse ones, a clock for every frame.

The U-ViT of simple diffusion (arXiv 2301.11093), by default in its residual form (SiD2, arXiv 2410.19324):
one connection `h + up(inner(down(h)))` per level and no skips between blocks. Frames are mixed in every
block, by outputs initialised to zero: before training, the network treats each frame as an image.

A window of one frame is an image, whatever the settings. A longer window treats its frames as images exactly
if the temporal layers are zero: the gates of `ClockAttention` and, with `"factorised"` attention, the outputs
of the attention over time. Joint attention has no purely temporal layer: only parameters that switch it off
altogether keep its frames separate.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from rolling.common.errors import InputError
from rolling.denoisers import NOTHING, Condition, Inputs
from rolling.video.uvit.blocks import BlockInputs, ConvolutionBlock, Keys, TransformerBlock
from rolling.video.uvit.conditioning import (
    Embedder,
    check_inputs,
    stack,
    stacked_channels,
    tokens_of,
)
from rolling.video.uvit.layers import Boundary, Convolution, Frames, Linear, ModulatedNorm, zeros
from rolling.video.uvit.patches import crop, from_patches, pad, to_patches
from rolling.video.uvit.settings import Settings

BEYOND = {"periodic": "periodic", "wall": "zero"}
"""Of the boundaries of axes, what a convolution sees beyond the ends; else the values at the edge."""

Kept = list[list[Frames]]
"""What `Level.descend` keeps for `Level.ascend`, from fine to coarse."""


def beyond(kinds: Boundary) -> Boundary:
    """What a convolution sees beyond the ends of axes with these boundaries. A pole is crossed if the axis
    after it is periodic: longitudes that go all the way round."""
    crossed = (kinds[i : i + 2] == ("pole", "periodic") for i in range(len(kinds)))
    return tuple(
        "pole" if over else BEYOND.get(kind, "edge") for kind, over in zip(kinds, crossed, strict=True)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoUViT(Settings):
    """Settings of the video U-ViT.

    Frames of one to three axes of space are cut into patches of `patch` cells along each; each further level
    halves the grid. The last levels are transformers, the others convolutional. What lies beyond the ends of
    an axis that is not periodic are the values at its edge; zeros, in standard deviations from the mean,
    beyond a wall; and the values on the other side of a pole, where components of vectors keep their signs.
    With `end_distance` the network is also shown how far from such ends a cell is.
    `video/uvit/model_sizes.py` has good values from 1.3 M to 1.2 G parameters.
    """

    def build(self, inputs: Inputs, rngs: nnx.Rngs) -> "VideoUViTModule":
        return VideoUViTModule(self.suited(inputs), inputs, rngs)

    def suited(self, inputs: Inputs) -> "VideoUViT":
        """The settings for these inputs, in which the boundary is known. Raises `InputError` where the two do
        not suit each other."""
        axes = len(inputs.space)
        if min(inputs.space) < self.patch:
            grid, patch = (" x ".join(map(str, sides)) for sides in (inputs.space, (self.patch,) * axes))
            raise InputError(
                f"the grid of {grid} cells is smaller than one patch of {patch}: use a smaller patch or a"
                " finer grid"
            )
        kinds = inputs.boundaries or ("open",) * axes
        boundary = self.boundary or beyond(kinds)
        if len(boundary) != axes:
            raise InputError(
                f"the video U-ViT's boundary is {self.boundary}, for {len(boundary)} axes, and the frames"
                f" have {axes}: give one for each, or leave it out"
            )
        return dataclasses.replace(self, boundary=boundary)


class VideoUViTModule(nnx.Module):
    """The network: `(z, logsnr, condition) -> output`, of the shape of `z`, float32.

    One that is not `whole` has no blocks in its coarsest level, see `Level`: it is not called itself, but its
    `enter` and `leave` are.
    """

    def __init__(self, config: VideoUViT, inputs: Inputs, rngs: nnx.Rngs, whole: bool = True):
        self.config = config
        self.inputs = inputs
        cells = config.patch ** len(inputs.space)
        channels = config.channels[0]
        self.embedder = Embedder(config.embedding, inputs, rngs)
        known = stacked_channels(inputs, config.edges, config.end_distance)
        self.stem = Convolution(cells * known, channels, config.edges, rngs)
        self.level = Level(config, 0, inputs.tokens, rngs, whole)
        self.norm = ModulatedNorm(channels, config.embedding, rngs, activation=True)
        self.out = Convolution(channels, cells * inputs.channels, config.edges, rngs, init=zeros)

    def __call__(self, z: Frames, logsnr: Array, condition: Condition = NOTHING, dropout_key=None) -> Frames:
        h, inputs = self.enter(z, logsnr, condition, Keys(dropout_key))
        return self.leave(self.level(h, inputs), inputs, z.shape[2:-1])

    def enter(self, z: Frames, logsnr: Array, condition: Condition, keys: Keys) -> tuple[Frames, BlockInputs]:
        """What the levels receive."""
        check_inputs(self.inputs, z, condition)
        dtype = jnp.dtype(self.config.dtype)
        logsnr = jnp.broadcast_to(logsnr, z.shape[:2])
        embedding = self.embedder(logsnr, condition).astype(dtype)
        x = stack(z, condition, self.config.edges, self.config.end_distance).astype(dtype)
        x = pad(x, self.config.multiple, self.config.edges)
        h = self.stem(to_patches(x, self.config.patch))
        return h, BlockInputs(embedding, tokens_of(self.inputs, z, condition), keys)

    def leave(self, h: Frames, inputs: BlockInputs, space: tuple[int, ...]) -> Frames:
        """The output, from what the levels give."""
        y = self.out(self.norm(h, inputs.embedding)).astype(jnp.float32)
        return crop(from_patches(y, self.config.patch), space)


class Level(nnx.Module):
    """`before`; where there is a coarser level, `h + up(inner(down(h)))` and `after`.

    With skips, the coarser level's output replaces `h`, and each block of `after` receives a linear function
    of its input and of the output of its partner in `before`: the first block's partner is the last.

    The coarsest level lies between `descend` and `ascend`. Where that of another network takes its place, the
    levels are not `whole`: the coarsest has no blocks.
    """

    def __init__(self, config: VideoUViT, depth: int, tokens: int, rngs: nnx.Rngs, whole: bool = True):
        channels, levels = config.channels[depth], len(config.channels)
        count = config.blocks[depth] if whole or depth + 1 < levels else 0
        kind = TransformerBlock if depth >= levels - config.transformer_levels else ConvolutionBlock
        make = lambda: nnx.List([kind(config, channels, tokens, rngs) for _ in range(count)])  # noqa: E731
        self.remat = config.remat
        self.before = make()
        self.inner = Level(config, depth + 1, tokens, rngs, whole) if depth + 1 < levels else None
        self.skips = config.skips
        if self.inner is not None:
            coarser = config.channels[depth + 1]
            cells = 2 ** len(config.edges)
            self.down = Linear(cells * channels, coarser, rngs)
            self.up = Linear(coarser, cells * channels, rngs)
            self.after = make()
        if self.inner is not None and self.skips:
            self.joins = nnx.List([Linear(2 * channels, channels, rngs) for _ in range(count)])

    @property
    def coarsest(self) -> "Level":
        return self if self.inner is None else self.inner.coarsest

    def __call__(self, h: Frames, inputs: BlockInputs) -> Frames:
        coarse, kept = self.descend(h, inputs)
        coarsest = self.coarsest
        for block in coarsest.before:
            coarse = coarsest.run(block, coarse, inputs)
        return self.ascend(coarse, kept, inputs)

    def descend(self, h: Frames, inputs: BlockInputs) -> tuple[Frames, Kept]:
        """The input of the coarsest level, and the outputs of the blocks of each finer one."""
        if self.inner is None:
            return h, []
        outputs = []
        for block in self.before:
            h = self.run(block, h, inputs)
            outputs.append(h)
        coarse, kept = self.inner.descend(self.down(to_patches(h, 2)), inputs)
        return coarse, [outputs, *kept]

    def ascend(self, coarse: Frames, kept: Kept, inputs: BlockInputs) -> Frames:
        """The output of this level, from that of the coarsest and from what `descend` kept."""
        if self.inner is None:
            return coarse
        outputs = list(kept[0])
        coarse = from_patches(self.up(self.inner.ascend(coarse, kept[1:], inputs)), 2)
        h = coarse if self.skips else outputs[-1] + coarse
        for i, block in enumerate(self.after):
            if self.skips:
                h = self.joins[i](jnp.concatenate([h, outputs.pop()], -1))
            h = self.run(block, h, inputs)
        return h

    def run(self, block: nnx.Module, h: Frames, inputs: BlockInputs) -> Frames:
        graph, parameters = nnx.split(block)
        return run_block(graph, self.remat, parameters, h, inputs._replace(keys=None), inputs.keys())


@functools.partial(jax.jit, static_argnums=(0, 1), inline=True)
def run_block(graph, remat: bool, parameters, h: Frames, inputs: BlockInputs, key) -> Frames:
    """Runs a block, with a `key` in place of the inputs' keys; with `remat`, only its input is kept for the
    gradient.

    Jitted, so that identical blocks are traced and differentiated once: five times faster for the deepest
    networks. And inlined: in a called program, such as the body of a loop, the gradient of a convolution
    loses its fast path on a CPU.
    """

    def call(parameters, h, inputs):
        return nnx.merge(graph, parameters)(h, inputs._replace(keys=Keys(key)))

    return (jax.checkpoint(call) if remat else call)(parameters, h, inputs)
