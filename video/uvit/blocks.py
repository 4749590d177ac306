"""The blocks of the video U-ViT: convolutions on fine grids, transformers on coarse ones."""

import itertools
import math
from typing import NamedTuple

import einops
import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from rolling.video.uvit.attention import (
    Attention,
    ClockAttention,
    Places,
    TokenAttention,
    places_of,
    token_angles,
)
from rolling.video.uvit.conditioning import Embedding
from rolling.video.uvit.layers import Convolution, Frames, Linear, ModulatedNorm, dropout, zeros
from rolling.video.uvit.settings import Settings


class Keys:
    """A fresh key at each call; None if there is no key to derive it from."""

    def __init__(self, key: Array | None):
        self.key = key
        self.count = itertools.count()

    def __call__(self) -> Array | None:
        return None if self.key is None else jax.random.fold_in(self.key, next(self.count))


class BlockInputs(NamedTuple):
    """What every block receives beside the frames."""

    embedding: Embedding
    tokens: Float[Array, "batch token dim"] | None
    """None in a network built without tokens."""
    keys: Keys
    modalities: "tuple[Modality, ...]" = ()
    """Given where the tokens of several modalities, one after the other, take the place of frames; then
    `embedding` is not used."""


class Modality(NamedTuple):
    """One of several modalities whose tokens attend to one another."""

    embedding: Embedding
    places: Places


class ConvolutionBlock(nnx.Module):
    """A residual block of two convolutions; frames are mixed before the second."""

    def __init__(self, config: Settings, channels: int, tokens: int, rngs: nnx.Rngs):
        self.norm = ModulatedNorm(channels, config.embedding, rngs, activation=True)
        self.first = Convolution(channels, channels, config.edges, rngs)
        self.second_norm = ModulatedNorm(channels, config.embedding, rngs, activation=True)
        self.mix = ClockAttention(config.embedding, config.heads, config.causal, rngs)
        self.second = Convolution(channels, channels, config.edges, rngs, init=zeros)

    def __call__(self, h: Frames, inputs: BlockInputs) -> Frames:
        y = self.first(self.norm(h, inputs.embedding))
        y = self.mix(self.second_norm(y, inputs.embedding), inputs.embedding)
        return h + self.second(y)


class TransformerBlock(nnx.Module):
    """Attention over space and time, jointly or in turn, then to the tokens, if any, then an MLP per cell.

    Joint attention takes the tokens of several modalities as well, `[batch, token, channel]`: all attend to
    all with the same parameters, and each is modulated by the embedding of its own frame.
    """

    def __init__(self, config: Settings, channels: int, tokens: int, rngs: nnx.Rngs):
        self.config = config
        self.heads = config.heads
        self.norm = ModulatedNorm(channels, config.embedding, rngs)
        joint = config.attention == "joint"
        self.attention = Attention(channels, config.heads, rngs, **({"init": zeros} if joint else {}))
        if not joint:
            self.time_norm = ModulatedNorm(channels, config.embedding, rngs)
            self.time_attention = Attention(channels, config.heads, rngs, init=zeros)
        self.token_attention = TokenAttention(channels, tokens, config.heads, rngs) if tokens else None
        if tokens:
            self.token_norm = ModulatedNorm(channels, config.embedding, rngs)
        self.mlp_norm = ModulatedNorm(channels, config.embedding, rngs)
        self.wide = Linear(channels, config.expansion * channels, rngs)
        self.narrow = Linear(config.expansion * channels, channels, rngs, init=zeros)

    def __call__(self, h: Frames, inputs: BlockInputs) -> Frames:
        h = self.joint(h, inputs) if self.config.attention == "joint" else self.factorised(h, inputs)
        if self.token_attention is not None:
            assert inputs.tokens is not None  # a network built for tokens always gets some, zeros if need be
            x = modulated(self.token_norm, h, inputs).reshape(h.shape[0], -1, h.shape[-1])
            h = h + self.dropout(self.token_attention(x, inputs.tokens), inputs).reshape(h.shape)
        y = nnx.gelu(self.wide(modulated(self.mlp_norm, h, inputs)))
        return h + self.narrow(self.dropout(y, inputs))

    def dropout(self, y: Array, inputs: BlockInputs) -> Array:
        return dropout(y, self.config.dropout, inputs.keys())

    def angles(self, h: Frames) -> Float[Array, "time *space pair"]:
        _, time, *space, channels = h.shape
        return token_angles(jnp.arange(time), space, channels // self.heads, self.config.periodic)

    def places(self, h: Frames) -> Places:
        return places_of(self.angles(h), jnp.arange(h.shape[1]), self.config.causal)

    def joint(self, h: Frames, inputs: BlockInputs) -> Frames:
        several = [modality.places for modality in inputs.modalities]
        places = jax.tree.map(lambda *parts: jnp.concatenate(parts), *several) if several else self.places(h)
        x = modulated(self.norm, h, inputs).reshape(h.shape[0], -1, h.shape[-1])
        return h + self.dropout(self.attention(x, places), inputs).reshape(h.shape)

    def factorised(self, h: Frames, inputs: BlockInputs) -> Frames:
        batch, time, *space, channels = h.shape
        cells, angles = math.prod(space), self.angles(h)
        x = self.norm(h, inputs.embedding).reshape(batch * time, cells, channels)
        y = self.attention(x, Places(angles[0].reshape(cells, -1)))
        h = h + self.dropout(y, inputs).reshape(h.shape)
        x = self.time_norm(h, inputs.embedding).reshape(batch, time, cells, channels)
        x = einops.rearrange(x, "b t cell c -> (b cell) t c")
        in_time = angles.reshape(time, cells, -1)[:, 0]
        y = self.time_attention(x, places_of(in_time, jnp.arange(time), self.config.causal))
        y = einops.rearrange(y, "(b cell) t c -> b t cell c", cell=cells).reshape(h.shape)
        return h + self.dropout(y, inputs)


def modulated(norm: ModulatedNorm, h: Array, inputs: BlockInputs) -> Array:
    """The norm of frames, or of the tokens of each modality, by their frames' embeddings."""
    if not inputs.modalities:
        return norm(h, inputs.embedding)
    ends = itertools.accumulate(len(modality.places.angles) for modality in inputs.modalities)
    parts = jnp.split(h, list(ends)[:-1], axis=1)
    normed = [norm(part, own.embedding) for part, own in zip(parts, inputs.modalities, strict=True)]
    return jnp.concatenate(normed, axis=1)
