"""The video U-ViT: convolutions on fine grids, transformers on coarse ones, a clock for every frame.

simple diffusion's U-ViT (arXiv 2301.11093) in its residual form (SiD2, arXiv 2410.19324): one connection
`h + up(inner(down(h)))` per level and no skips between blocks. Time is mixed in every block, by outputs that
start at zero: before training, the network treats each frame as an image.
"""

import dataclasses
import itertools

import einops
import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from rolling.denoisers import NOTHING, Condition, Inputs
from rolling.errors import InputError
from video.conditioning import Embedder, Embedding, Frames, check, stack
from video.grids import crop, from_patches, pad, to_patches
from video.layers import (
    BOUNDARIES,
    Attention,
    Boundary,
    Convolution,
    Linear,
    ModulatedNorm,
    causal_mask,
    dropout,
    rms_norm,
    rotary_angles,
    rotate,
    token_angles,
    zeros,
)

ATTENTION = ("joint", "factorised")
DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoUViT:
    """Settings of the video U-ViT.

    Frames are cut into patches of `patch x patch` cells; each further level halves the grid. `channels` and
    `blocks` name the levels from fine to coarse: a level has its blocks on the way down and again on the way
    up, the coarsest once. The last `transformer_levels` levels are transformers, whose attention runs over
    all tokens of the window (`"joint"`) or over space and then over time (`"factorised"`: cheaper above some
    hundred tokens); one of the `heads` groups of a convolutional block stays with its own frame, the others
    are mixed. `causal` keeps later frames from earlier ones. `boundary` of (height, width):
    `"periodic"`, `"edge"` or `"zero"`; None follows the data. `dropout` acts in the transformers.
    """

    patch: int = 2
    channels: tuple[int, ...] = (32, 64, 128)
    blocks: tuple[int, ...] = (1, 1, 2)
    transformer_levels: int = 1
    heads: int = 4
    attention: str = "joint"
    causal: bool = False
    dropout: float = 0.0
    expansion: int = 4
    embedding: int = 64
    boundary: Boundary | None = None
    dtype: str = "float32"

    def __post_init__(self):
        for name, allowed in (("attention", ATTENTION), ("dtype", DTYPES)):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"the video U-ViT's {name} is {getattr(self, name)!r}: choose one of {', '.join(allowed)}"
                )
        if self.boundary is not None and not (
            len(self.boundary) == 2 and set(self.boundary) <= set(BOUNDARIES)
        ):
            raise InputError(
                f"the video U-ViT's boundary is {self.boundary}: for height and width each, choose one of"
                f" {', '.join(BOUNDARIES)}"
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
            raise InputError(f"the video U-ViT's heads are {self.heads}: choose 2 or more, to mix frames by")
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
    def multiple(self) -> int:
        """What height and width are padded to a multiple of."""
        return self.patch * 2 ** (len(self.channels) - 1)

    def build(self, inputs: Inputs, rngs: nnx.Rngs) -> "VideoUViTModule":
        if min(inputs.height, inputs.width) < self.patch:
            raise InputError(
                f"the grid of {inputs.height} x {inputs.width} cells is smaller than one patch of"
                f" {self.patch} x {self.patch}: use a smaller patch or a finer grid"
            )
        boundary = self.boundary or tuple("periodic" if wraps else "edge" for wraps in inputs.periodic)
        return VideoUViTModule(dataclasses.replace(self, boundary=boundary), inputs, rngs)


class VideoUViTModule(nnx.Module):
    """The network: `(z, logsnr, condition) -> output`, of the shape of `z`, float32."""

    def __init__(self, config: VideoUViT, inputs: Inputs, rngs: nnx.Rngs):
        self.config = config
        self.inputs = inputs
        cells = config.patch**2
        channels = config.channels[0]
        self.embedder = Embedder(config.embedding, inputs, rngs)
        self.stem = Convolution(
            cells * (inputs.channels + inputs.fields + inputs.static), channels, config.boundary, rngs
        )
        self.level = Level(config, 0, rngs)
        self.norm = ModulatedNorm(channels, config.embedding, rngs, activation=True)
        self.out = Convolution(channels, cells * inputs.channels, config.boundary, rngs, init=zeros)

    def __call__(self, z: Frames, logsnr: Array, condition: Condition = NOTHING, dropout_key=None) -> Frames:
        check(self.inputs, z, condition)
        dtype = jnp.dtype(self.config.dtype)
        logsnr = jnp.broadcast_to(logsnr, z.shape[:2])
        embedding = self.embedder(logsnr, condition).astype(dtype)
        x = pad(stack(z, condition).astype(dtype), self.config.multiple, self.config.boundary)
        h = self.stem(to_patches(x, self.config.patch))
        h = self.level(h, embedding, Keys(dropout_key))
        y = self.out(self.norm(h, embedding)).astype(jnp.float32)
        return crop(from_patches(y, self.config.patch), *z.shape[2:4])


class Keys:
    """Hands a fresh key to each caller in turn; None where there is none to split."""

    def __init__(self, key: Array | None):
        self.key = key
        self.count = itertools.count()

    def __call__(self) -> Array | None:
        return None if self.key is None else jax.random.fold_in(self.key, next(self.count))


class Level(nnx.Module):
    """`before`, then `h + up(inner(down(h)))` where there is a coarser level, then `after`."""

    def __init__(self, config: VideoUViT, depth: int, rngs: nnx.Rngs):
        channels, count = config.channels[depth], config.blocks[depth]
        levels = len(config.channels)
        kind = TransformerBlock if depth >= levels - config.transformer_levels else ConvolutionBlock
        make = lambda: nnx.List([kind(config, channels, rngs) for _ in range(count)])  # noqa: E731
        self.before = make()
        self.inner = Level(config, depth + 1, rngs) if depth + 1 < levels else None
        if self.inner is not None:
            coarser = config.channels[depth + 1]
            self.down = Linear(4 * channels, coarser, rngs)
            self.up = Linear(coarser, 4 * channels, rngs)
            self.after = make()

    def __call__(self, h: Frames, embedding: Embedding, keys: Keys) -> Frames:
        for block in self.before:
            h = block(h, embedding, keys)
        if self.inner is None:
            return h
        inner = self.inner(self.down(to_patches(h, 2)), embedding, keys)
        h = h + from_patches(self.up(inner), 2)
        for block in self.after:
            h = block(h, embedding, keys)
        return h


class ConvolutionBlock(nnx.Module):
    """A residual block of two 3 x 3 convolutions; the second one sees the other frames too."""

    def __init__(self, config: VideoUViT, channels: int, rngs: nnx.Rngs):
        self.norm = ModulatedNorm(channels, config.embedding, rngs, activation=True)
        self.first = Convolution(channels, channels, config.boundary, rngs)
        self.second_norm = ModulatedNorm(channels, config.embedding, rngs, activation=True)
        self.mix = ClockAttention(config, rngs)
        self.second = Convolution(channels, channels, config.boundary, rngs, init=zeros)

    def __call__(self, h: Frames, embedding: Embedding, keys: Keys) -> Frames:
        y = self.first(self.norm(h, embedding))
        y = self.mix(self.second_norm(y, embedding), embedding)
        return h + self.second(y)


class ClockAttention(nnx.Module):
    """Attention over the frames of a window whose weights are functions of their clocks and distance.

    `y_t = sum_s a_ts h_s` with one `T x T` matrix per head for all cells, its queries and keys taken from
    the frames' embeddings: which frame to look at is a matter of how noisy and how far it is, and the
    product costs next to nothing on a fine grid. One more group of channels stays with its own frame.
    """

    DIM = 16

    def __init__(self, config: VideoUViT, rngs: nnx.Rngs):
        self.heads, self.causal = config.heads - 1, config.causal
        self.qk = Linear(config.embedding, 2 * self.heads * self.DIM, rngs)

    def weights(self, embedding: Embedding) -> Float[Array, "batch head time time"]:
        batch, time, _ = embedding.shape
        qk = self.qk(embedding.astype(jnp.float32)).reshape(batch, time, 2 * self.heads, self.DIM)
        q, k = jnp.split(rotate(rms_norm(qk), rotary_angles(jnp.arange(time), self.DIM // 2)), 2, axis=2)
        logits = jnp.einsum("bthd,bshd->bhts", q, k) / self.DIM**0.5
        if self.causal:
            logits = jnp.where(causal_mask(time)[None, None], logits, -jnp.inf)
        return nnx.softmax(logits)

    def __call__(self, h: Frames, embedding: Embedding) -> Frames:
        own, *groups = jnp.split(h, self.heads + 1, axis=-1)
        weights = self.weights(embedding).astype(h.dtype)
        seen = [
            (weights[:, i] @ group.reshape(*h.shape[:2], -1)).reshape(group.shape)
            for i, group in enumerate(groups)
        ]
        return jax.lax.optimization_barrier(jnp.concatenate([own, *seen], -1))


class TransformerBlock(nnx.Module):
    """Attention over space and time, jointly or one after the other, then a perceptron per token."""

    def __init__(self, config: VideoUViT, channels: int, rngs: nnx.Rngs):
        self.config = config
        self.heads = config.heads
        self.norm = ModulatedNorm(channels, config.embedding, rngs)
        joint = config.attention == "joint"
        self.attention = Attention(channels, config.heads, rngs, **({"init": zeros} if joint else {}))
        if not joint:
            self.time_norm = ModulatedNorm(channels, config.embedding, rngs)
            self.time_attention = Attention(channels, config.heads, rngs, init=zeros)
        self.mlp_norm = ModulatedNorm(channels, config.embedding, rngs)
        self.wide = Linear(channels, config.expansion * channels, rngs)
        self.narrow = Linear(config.expansion * channels, channels, rngs, init=zeros)

    def __call__(self, h: Frames, embedding: Embedding, keys: Keys) -> Frames:
        rate = self.config.dropout
        mix = self.joint if self.config.attention == "joint" else self.factorised
        h = mix(h, embedding, keys)
        y = nnx.gelu(self.wide(self.mlp_norm(h, embedding)))
        return h + self.narrow(dropout(y, rate, keys()))

    def angles(self, h: Frames) -> Float[Array, "time height width pair"]:
        periodic = [kind == "periodic" for kind in self.config.boundary]
        return token_angles(*h.shape[1:4], h.shape[-1] // self.heads, periodic)

    def joint(self, h: Frames, embedding: Embedding, keys: Keys) -> Frames:
        _, time, height, width, channels = h.shape
        angles = self.angles(h)
        x = self.norm(h, embedding).reshape(h.shape[0], -1, channels)
        mask = causal_mask(time, height * width) if self.config.causal else None
        y = self.attention(x, angles.reshape(-1, angles.shape[-1]), mask)
        return h + dropout(y, self.config.dropout, keys()).reshape(h.shape)

    def factorised(self, h: Frames, embedding: Embedding, keys: Keys) -> Frames:
        batch, time, height, width, channels = h.shape
        angles = self.angles(h)
        x = self.norm(h, embedding).reshape(batch * time, height * width, channels)
        y = self.attention(x, angles[0].reshape(height * width, -1), None)
        h = h + dropout(y, self.config.dropout, keys()).reshape(h.shape)
        x = einops.rearrange(self.time_norm(h, embedding), "b t h w c -> (b h w) t c")
        y = self.time_attention(x, angles[:, 0, 0], causal_mask(time) if self.config.causal else None)
        y = einops.rearrange(y, "(b h w) t c -> b t h w c", h=height, w=width)
        return h + dropout(y, self.config.dropout, keys())
