"""Attention: over cells and frames with rotary positions, over the clocks of frames, and to tokens."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from rolling.video.uvit.layers import Linear, fan_in, rms_norm, zeros


def rotary_angles(
    positions: Int[Array, " position"], pairs: int, period: int | None = None, multiples: int | None = None
) -> Float[Array, "position pair"]:
    """Angles of a rotary embedding (arXiv 2104.09864) of integer positions.

    Geometric frequencies from 1 down to 1/100; on a periodic axis the first `multiples` of `2 pi / period`,
    by default half as many as there are positions, so that attention commutes with shifts along it.
    """
    if period is None:
        frequency = 100.0 ** (-jnp.arange(pairs) / max(pairs, 1))
    else:
        multiples = period // 2 if multiples is None else multiples
        frequency = 2 * math.pi / period * (1 + jnp.arange(pairs) % max(multiples, 1))
    return positions[:, None].astype(jnp.float32) * frequency[None].astype(jnp.float32)


def shares(dim: int, axes: int) -> tuple[int, int]:
    """Of the pairs of a head of size `dim`, those that turn in time, about half, and those that turn along
    each axis of space, equal shares of the rest."""
    pairs = dim // 2
    share = pairs // (2 * axes)
    return pairs - axes * share, share


def token_angles(
    ticks: Int[Array, " time"],
    space: Sequence[int],
    dim: int,
    periodic: Sequence[bool],
    multiples: Sequence[int | None] | None = None,
    in_time: int | None = None,
) -> Float[Array, "time *space pair"]:
    """Rotary angles of tokens in time and along each axis of space, as `shares` has it.

    `multiples` are those of `rotary_angles` for each axis. If fewer pairs turn `in_time`, the last ones do
    not turn.
    """
    most, share = shares(dim, len(space))
    in_time = most if in_time is None else in_time
    grid = (len(ticks), *space)
    parts = [rotary_angles(ticks, in_time)]
    for cells, wraps, count in zip(space, periodic, multiples or [None] * len(space), strict=True):
        parts.append(rotary_angles(jnp.arange(cells), share, cells if wraps else None, count))
    along = [
        part.reshape([len(part) if place == axis else 1 for place in range(len(grid))] + [-1])
        for axis, part in enumerate(parts)
    ]
    still = [jnp.zeros((*grid, most - in_time))] if most > in_time else []
    return jnp.concatenate([jnp.broadcast_to(part, (*grid, part.shape[-1])) for part in along] + still, -1)


def rotate(
    x: Float[Array, "batch token head dim"],
    angles: Float[Array, "token pair"],
    shown: Float[Array, "token pair"] | None = None,
) -> Array:
    """Rotates the pairs `(x_i, x_{i + dim/2})` by their angles, and multiplies them by `shown`, if given."""
    cos, sin = (f(angles) for f in (jnp.cos, jnp.sin))
    if shown is not None:
        cos, sin = cos * shown, sin * shown
    cos, sin = (part[None, :, None].astype(x.dtype) for part in (cos, sin))
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1)


def causal_mask(ticks: Int[Array, " token"]) -> Bool[Array, "token token"]:
    """A token sees the tokens of its own time and of earlier ones."""
    return ticks[:, None] >= ticks[None, :]


class Places(NamedTuple):
    """Where the tokens of an attention lie."""

    angles: Float[Array, "token pair"]
    """See `rotate`."""
    ticks: Int[Array, " token"] | None = None
    """Their times, where none sees a later one; None: all see one another."""
    shown: Float[Array, "token pair"] | None = None
    """See `rotate`."""


def places_of(angles: Float[Array, "time *space pair"], ticks: Int[Array, " time"], causal: bool) -> Places:
    """The places of the tokens of frames, each frame's after those of the one before it."""
    flat = angles.reshape(-1, angles.shape[-1])
    return Places(flat, jnp.repeat(ticks, len(flat) // len(ticks)) if causal else None)


class Attention(nnx.Module):
    """Attention over tokens with normalised queries and keys and rotary positions."""

    def __init__(self, channels: int, heads: int, rngs: nnx.Rngs, init=fan_in):
        self.heads = heads
        self.qkv = Linear(channels, 3 * channels, rngs)
        self.gain = nnx.Param(jnp.ones((2, heads, channels // heads)))
        self.out = Linear(channels, channels, rngs, init=init)

    def __call__(self, x: Float[Array, "batch token channel"], places: Places) -> Array:
        angles, ticks, shown = places
        mask = None if ticks is None else causal_mask(ticks)[None, None]
        q, k, v = jnp.split(self.qkv(x).reshape(*x.shape[:2], 3 * self.heads, -1), 3, axis=2)
        gain = self.gain[...].astype(x.dtype)
        q, k = (rotate(rms_norm(p) * gain[i][None, None], angles, shown) for i, p in enumerate((q, k)))
        y = jax.nn.dot_product_attention(q, k, v, mask=mask)
        return self.out(y.reshape(x.shape))


class TokenAttention(nnx.Module):
    """Cross-attention from all cells of a sequence to the tokens that describe it; its output starts at zero.

    `out(sum_n e_n v_n / (1 + sum_n e_n))`, `e_n = exp(q k_n / sqrt(dim))`: an extra token with zero key and
    value is always there, so that the result is defined without tokens. Tokens of zeros are ignored.
    """

    def __init__(self, channels: int, tokens: int, heads: int, rngs: nnx.Rngs):
        self.heads = heads
        self.q = Linear(channels, channels, rngs)
        self.kv = Linear(tokens, 2 * channels, rngs)
        self.gain = nnx.Param(jnp.ones((2, heads, channels // heads)))
        self.out = Linear(channels, channels, rngs, init=zeros)

    def __call__(
        self, x: Float[Array, "batch cell channel"], tokens: Float[Array, "batch token dim"]
    ) -> Array:
        there = jnp.pad(jnp.any(tokens != 0, axis=-1), ((0, 0), (0, 1)), constant_values=True)
        gain = self.gain[...].astype(x.dtype)
        q = self.q(x).reshape(*x.shape[:2], self.heads, -1)
        kv = self.kv(tokens.astype(x.dtype)).reshape(*tokens.shape[:2], 2 * self.heads, -1)
        k, v = jnp.split(jnp.pad(kv, ((0, 0), (0, 1), (0, 0), (0, 0))), 2, axis=2)
        q, k = (rms_norm(p) * gain[i][None, None] for i, p in enumerate((q, k)))
        y = jax.nn.dot_product_attention(q, k, v, mask=there[:, None, None])
        return self.out(y.reshape(x.shape))


class ClockAttention(nnx.Module):
    """Attention over the frames of a window, with weights that are functions of their clocks and distance.

    `y_t = g sum_s a_ts h_s + (1 - g) h_t` with one `T x T` matrix per head for all cells; queries and keys
    come from the frames' embeddings: which frame to attend to depends on how noisy and how far away it is,
    and the product costs next to nothing on a fine grid. The gate `g` of a head starts at 1; at 0 frames are
    not mixed. One of the `heads` groups of channels is never mixed.
    """

    DIM = 16

    def __init__(self, embedding: int, heads: int, causal: bool, rngs: nnx.Rngs):
        self.heads, self.causal = heads - 1, causal
        self.qk = Linear(embedding, 2 * self.heads * self.DIM, rngs)
        self.gate = nnx.Param(jnp.ones(self.heads))

    def weights(
        self, embedding: Float[Array, "batch time embedding"]
    ) -> Float[Array, "batch head time time"]:
        batch, time, _ = embedding.shape
        qk = self.qk(embedding.astype(jnp.float32)).reshape(batch, time, 2 * self.heads, self.DIM)
        q, k = jnp.split(rotate(rms_norm(qk), rotary_angles(jnp.arange(time), self.DIM // 2)), 2, axis=2)
        logits = jnp.einsum("bthd,bshd->bhts", q, k) / self.DIM**0.5
        if self.causal:
            logits = jnp.where(causal_mask(jnp.arange(time))[None, None], logits, -jnp.inf)
        gate, own = self.gate[...][None, :, None, None], jnp.eye(time)[None, None]
        return gate * nnx.softmax(logits) + (1 - gate) * own

    def __call__(self, h: Array, embedding: Float[Array, "batch time embedding"]) -> Array:
        own, *groups = jnp.split(h, self.heads + 1, axis=-1)
        weights = self.weights(embedding).astype(h.dtype)
        seen = [
            (weights[:, i] @ group.reshape(*h.shape[:2], -1)).reshape(group.shape)
            for i, group in enumerate(groups)
        ]
        return jax.lax.optimization_barrier(jnp.concatenate([own, *seen], -1))
