"""Conditioning of the network: one embedding per frame, and additional channels of its cells."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from rolling.array_types import SPACE
from rolling.common.errors import InputError
from rolling.denoisers import NO_LABEL, Condition, Inputs
from rolling.video.uvit.layers import Boundary, Frames, Linear, zeros

Embedding = Float[Array, "batch time embedding"]


def check_inputs(inputs: Inputs, z: Frames, condition: Condition) -> None:
    """Raises `InputError` if the arrays are not those that the network was built for.

    A missing label or missing tokens mean "unconditional" (guidance needs this); other parts are required.
    """
    if z.ndim != 3 + len(inputs.space) or z.shape[-1] != inputs.channels:
        space = ", ".join(SPACE[-len(inputs.space) :])
        raise InputError(
            f"the network was built for frames [batch, time, {space}, {inputs.channels}] and was given an"
            f" array of shape {z.shape}"
        )
    for name in ("tokens", "vectors", "fields", "static", "constants", "reference", "memory"):
        part, expected = getattr(condition, name), getattr(inputs, name)
        found = 0 if part is None else part.shape[-1]
        if found != expected and not (name == "tokens" and part is None):
            raise InputError(
                f"the network was built for {expected} {name} and was given {found}: the condition must be"
                " that of the training"
            )
    for name, part, grid in (
        ("fields", condition.fields, z.shape[:-1]),
        ("static", condition.static, z.shape[2:-1]),
        *(
            (name, getattr(condition, name), (z.shape[0], *z.shape[2:-1]))
            for name in ("constants", "reference", "memory")
        ),
    ):
        if part is not None and part.shape[:-1] != grid:
            raise InputError(
                f"the condition's {name} have the shape {part.shape} and the frames {z.shape}: give them on"
                f" the frames' grid, {grid}"
            )
    if condition.label is not None and not inputs.labels:
        raise InputError("the network was built without labels and was given some: leave the label out")


def distances(space: tuple[int, ...], boundary: Boundary, most: int) -> Float[Array, "*space end"]:
    """`min(d, most) / most` of the first and the last end of each axis that is not periodic, from 0 at an end
    to 1 far away; none with a `most` of 0.

    Cell `i` of `n` is `d = i + 1/2` cells away from the first end, `d = n - i - 1/2` from the last.
    """
    found = [jnp.zeros((*space, 0))]
    for axis, kind in enumerate(boundary if most else ()):
        if kind != "periodic":
            first = jnp.minimum(jnp.arange(space[axis]) + 0.5, most) / most
            along = jnp.stack([first, first[::-1]], -1)
            others = [other for other in range(len(space)) if other != axis]
            found.append(jnp.broadcast_to(jnp.expand_dims(along, others), (*space, 2)))
    return jnp.concatenate(found, -1)


def stacked_channels(inputs: Inputs, boundary: Boundary, most: int) -> int:
    """The channels that `stack` gives."""
    known = inputs.fields + inputs.static + inputs.constants + inputs.reference + inputs.memory
    ends = distances((1,) * len(boundary), boundary, most).shape[-1]
    return inputs.channels + known + ends


def stack(z: Frames, condition: Condition, boundary: Boundary, most: int) -> Frames:
    """The frames with the known fields of each cell, its distances among them, as additional channels."""
    parts = [z]
    if condition.fields is not None:
        parts.append(condition.fields)
    everywhere = lambda part: jnp.broadcast_to(part, (*z.shape[:-1], part.shape[-1]))  # noqa: E731
    if condition.static is not None:
        parts.append(everywhere(condition.static[None, None]))
    for part in (condition.constants, condition.reference, condition.memory):
        if part is not None:
            parts.append(everywhere(part[:, None]))
    ends = distances(z.shape[2:-1], boundary, most)
    if ends.shape[-1]:
        parts.append(everywhere(ends[None, None]))
    return jnp.concatenate(parts, -1) if len(parts) > 1 else z


def tokens_of(inputs: Inputs, z: Frames, condition: Condition) -> Float[Array, "batch token dim"] | None:
    """The tokens, one token of zeros if there are none, None if the network was built without tokens."""
    if not inputs.tokens:
        return None
    none = jnp.zeros((z.shape[0], 1, inputs.tokens))
    return none if condition.tokens is None else condition.tokens.astype(jnp.float32)


def clock_features(logsnr: Float[Array, "batch time"], size: int) -> Float[Array, "batch time feature"]:
    """`cos(pi k u)` for `k < size`, `u = (1 + tanh(logsnr / 10)) / 2` in [0, 1]: finite for all clocks."""
    u = (1 + jnp.tanh(logsnr.astype(jnp.float32) / 10)) / 2
    return jnp.cos(jnp.pi * u[..., None] * jnp.arange(size, dtype=jnp.float32)[None, None])


class Embedder(nnx.Module):
    """One embedding per frame, from its clock, its own vectors, and the sequence's label and tokens."""

    FEATURES = 32

    def __init__(self, size: int, inputs: Inputs, rngs: nnx.Rngs):
        self.clock = Linear(self.FEATURES, size, rngs)
        self.label = Linear(inputs.labels, size, rngs, init=zeros) if inputs.labels else None
        self.tokens = Linear(inputs.tokens, size, rngs, init=zeros) if inputs.tokens else None
        self.vectors = Linear(inputs.vectors, size, rngs, init=zeros) if inputs.vectors else None
        self.out = Linear(size, size, rngs)

    def __call__(self, logsnr: Float[Array, "batch time"], condition: Condition) -> Embedding:
        h = self.clock(clock_features(logsnr, self.FEATURES))
        if self.label is not None and condition.label is not None:
            classes = jax.nn.one_hot(condition.label, self.label.kernel.shape[0])
            known = condition.label != NO_LABEL
            h = h + jnp.where(known[:, None], self.label(classes), 0.0)[:, None]
        if self.tokens is not None and condition.tokens is not None:
            h = h + mean_of_tokens(self.tokens, condition.tokens.astype(jnp.float32))
        if self.vectors is not None:
            assert condition.vectors is not None  # see `check_inputs`
            h = h + self.vectors(condition.vectors.astype(jnp.float32))
        return nnx.silu(self.out(nnx.silu(h)))


def mean_of_tokens(linear: Linear, tokens: Float[Array, "batch token dim"]) -> Embedding:
    """The mean of `linear` over the tokens that are not zero; zero if there are none."""
    there = jnp.any(tokens != 0, axis=-1, keepdims=True).astype(jnp.float32)
    total = jnp.sum(linear(tokens) * there, axis=1, keepdims=True)
    return total / jnp.maximum(jnp.sum(there, axis=1, keepdims=True), 1.0)
