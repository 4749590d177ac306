"""The layers of the video backbones: frames `[batch, time, *space, channel]` on one to three axes of space, a
clock per frame.

Parameters are float32; a layer computes in the dtype of its input. Norms, softmax and the embedding of the
clocks are always float32. There is no state except the parameters: randomness comes in as a key.
"""

import functools
import itertools
import math
from typing import cast

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

Frames = Float[Array, "batch time *space channel"]
Tokens = Float[Array, "... channel"]
Boundary = tuple[str, ...]
BOUNDARIES = ("periodic", "edge", "zero", "pole")

zeros = nnx.initializers.zeros_init()


def fan_in(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    """Gaussian of variance `1 / inputs`; all axes but the last are inputs.

    Drawn in sizes that are powers of two: the generator is compiled for every size, which for a network of
    many shapes would take longer than its first steps.
    """
    size = math.prod(shape)
    draw = jax.random.normal(key, (1 << (size - 1).bit_length(),), dtype)
    return draw[:size].reshape(shape) / math.prod(shape[:-1]) ** 0.5


class Linear(nnx.Module):
    """`y = x W + b` on the last axis."""

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs, init=fan_in):
        self.kernel = nnx.Param(init(rngs.params(), (inputs, outputs), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: Tokens) -> Tokens:
        # A single matrix product: with more axes XLA transposes for the gradient.
        y = x.reshape(-1, x.shape[-1]) @ self.kernel[...].astype(x.dtype)
        return add_bias(y, self.bias[...].astype(x.dtype)).reshape(*x.shape[:-1], y.shape[-1])


class Convolution(nnx.Module):
    """A convolution of every frame over three cells along each axis, with a boundary condition for each."""

    def __init__(self, inputs: int, outputs: int, boundary: Boundary, rngs: nnx.Rngs, init=fan_in):
        self.kernel = nnx.Param(init(rngs.params(), (*[3] * len(boundary), inputs, outputs), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(outputs))
        self.boundary = boundary

    def __call__(self, x: Frames) -> Array:
        frames = x.reshape((-1, *x.shape[2:]))
        y = convolve(frames, self.kernel[...].astype(x.dtype), self.boundary)
        y = add_bias(y.reshape(-1, y.shape[-1]), self.bias[...].astype(x.dtype))
        return y.reshape((*x.shape[:-1], y.shape[-1]))


@jax.custom_jvp
def add_bias(y: Float[Array, "n channel"], bias: Float[Array, " channel"]) -> Array:
    """`y + bias` in every row.

    The gradient of the bias is a product with ones: for a sum over rows XLA would compute what precedes it
    once more, on one core of a CPU, which was a tenth of a training step.
    """
    return y + bias[None]


@add_bias.defjvp
def _(primals, tangents):
    (y, _), (dy, dbias) = primals, tangents
    return add_bias(*primals), dy + jnp.ones((len(y), 1), y.dtype) @ dbias[None]


def convolve(x: Float[Array, "n *space channel"], kernel: Array, boundary: Boundary) -> Array:
    """Cross-correlation of `x` with `kernel [3, ..., inputs, outputs]`, extended beyond its edges
    periodically, by edge values, by zeros, or over a pole."""
    return jax.lax.platform_dependent(
        x,
        kernel,
        cpu=functools.partial(convolve_by_strips, boundary=boundary),
        default=functools.partial(convolve_by_halo, boundary=boundary),
    )


def correlate(x: Array, kernel: Array, padding: str) -> Array:
    axes = "DHW"[-(x.ndim - 2) :]
    numbers = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    return jax.lax.conv_general_dilated(x, kernel, (1,) * len(axes), padding, dimension_numbers=numbers)


def correlate_planes(x: Float[Array, "n z y x channel"], kernel: Array) -> Array:
    """`correlate(x, kernel, "SAME")` of volumes, as a sum over the planes z - 1, z and z + 1.

    On a CPU, XLA takes three to four times as long for convolutions of volumes and their gradients as for
    those of planes.
    """
    count, depth = x.shape[:2]
    wide = jnp.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)))
    planes = (wide[:, tap : tap + depth].reshape(-1, *x.shape[2:]) for tap in range(3))
    y = functools.reduce(jnp.add, (correlate(each, kernel[tap], "SAME") for tap, each in enumerate(planes)))
    return y.reshape(count, depth, *y.shape[1:])


def convolve_by_halo(x: Array, kernel: Array, boundary: Boundary) -> Array:
    """`convolve` by a copy of `x` with its halo."""
    if set(boundary) == {"zero"}:
        return correlate(x, kernel, "SAME")
    for axis, kind in enumerate(boundary, start=1):
        x = extend(x, axis, kind)
    return correlate(x, kernel, "VALID")


def convolve_by_strips(x: Array, kernel: Array, boundary: Boundary) -> Array:
    """`convolve` by zero padding, plus the contribution of the halo to the outer cells along each axis.

    On a CPU, XLA is fast at zero-padded convolutions; a copy with a halo costs half as much again. The halo
    contributes a product of the taps of one side to the outer cells of that side.
    """
    y = correlate_planes(x, kernel) if kernel.ndim == 5 else correlate(x, kernel, "SAME")
    for axis, kind in enumerate(boundary, start=1):
        if kind == "zero":
            continue
        # The halo of an axis includes the corners with those after it, so it is extended there before its
        # taps are taken; the corners with axes before it have been counted with them.
        sides = jnp.stack(halo(x, axis, kind))
        others = ["zero"] * (axis - 1) + list(boundary[axis:])
        for place, other in enumerate(others, start=2):
            sides = extend(sides, place, other)
        before, after = taps(sides, jnp.moveaxis(kernel, axis - 1, 0)[::2])
        edges = (slice(None),) * axis
        y = y.at[*edges, 0].add(before).at[*edges, -1].add(after)
    return y


def halo(x: Array, axis: int, boundary: str) -> tuple[Array, Array]:
    """The slices beyond the first and the last slice of `x` along an axis."""
    first, last = jax.lax.index_in_dim(x, 0, axis, False), jax.lax.index_in_dim(x, -1, axis, False)
    if boundary == "periodic":
        return last, first
    if boundary == "edge":
        return first, last
    if boundary == "pole":  # in a slice, longitudes are where latitudes were
        return half_round(first, axis), half_round(last, axis)
    return jnp.zeros_like(first), jnp.zeros_like(last)


def half_round(x: Array, axis: int) -> Array:
    """`x` as seen from beyond a pole: half a turn further along the longitudes of `axis`, or as near to it as
    cells allow."""
    return jnp.roll(x, x.shape[axis] // 2, axis)


def extend(x: Array, axis: int, boundary: str) -> Array:
    """`x` with its halo on both sides of an axis."""
    before, after = (jnp.expand_dims(part, axis) for part in halo(x, axis, boundary))
    return jnp.concatenate([before, x, after], axis)


def taps(sides: Float[Array, "2 n *space inputs"], kernels: Float[Array, "2 *taps inputs outputs"]) -> Array:
    """The 'VALID' convolution of each side with its kernel, over all its axes but the first two, as a single
    matrix product."""
    _, n, *space, channels = sides.shape
    size, width = tuple(cells - 2 for cells in space), 3 ** len(space) * channels
    parts = []
    for first in itertools.product(range(3), repeat=len(space)):
        stop = (i + cells for i, cells in zip(first, size, strict=True))
        cut = tuple(slice(i, end) for i, end in zip(first, stop, strict=True))
        parts.append(sides[:, :, *cut])
    columns = jnp.concatenate(parts, -1).reshape(2, -1, width)
    return (columns @ kernels.reshape(2, width, -1)).reshape(2, n, *size, -1)


def rms_norm(x: Tokens) -> Tokens:
    """`x / sqrt(mean x^2)` over the last axis, in float32."""
    x32 = x.astype(jnp.float32)
    return (x32 * inverse_rms(x32)).astype(x.dtype)


def inverse_rms(x: Tokens) -> Float[Array, "... 1"]:
    return jax.lax.rsqrt(jnp.mean(jnp.square(x), -1, keepdims=True) + 1e-6)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def modulate(x: Tokens, scale: Array, shift: Array, activation: bool) -> Tokens:
    """`f(rms_norm(x) (1 + scale) + shift)`, `f` = SiLU or the identity; `x [frame, cell, channel]`, `scale`
    and `shift [frame, 1, channel]`.

    Only the inputs are kept for the gradient, which recomputes the rest. The barriers keep XLA from doing
    that element by element inside the transposes that convolutions and products need, and from storing scales
    and shifts broadcast to every cell. Together they halve the time of a training step on a CPU.
    """
    x32 = x.astype(jnp.float32)
    r = jax.lax.optimization_barrier(inverse_rms(x32))
    u = x32 * r * (1 + scale) + shift
    # Written as a quotient: XLA stores its result rather than computing it twice.
    y = u / (1 + jnp.exp(-u)) if activation else u
    return y.astype(x.dtype)


def modulate_forward(x, scale, shift, activation):
    return modulate(x, scale, shift, activation), (x, scale, shift)


def modulate_backward(activation, residuals, gradient):
    """With `n = x r`, `u = n (1 + scale) + shift`: `dx = r (dn - n mean(dn n))`, `dn = (1 + scale) du`."""
    barrier = jax.lax.optimization_barrier
    x, scale, shift = residuals
    x32, du = barrier((x.astype(jnp.float32), gradient.astype(jnp.float32)))
    r = barrier(inverse_rms(x32))
    if activation:
        u = x32 * r * (1 + scale) + shift
        s = nnx.sigmoid(u)
        du = du * s * (1 + u * (1 - s))
    # Three products are stored, so that the reductions over them are plain sums.
    du, dscale, dn = barrier((du, du * (x32 * r), du * (1 + scale)))
    mean = barrier(jnp.mean(dn * x32, -1, keepdims=True))
    dx = barrier((r * dn - x32 * (r * r * r * mean)).astype(x.dtype))
    return dx, jnp.sum(dscale, 1, keepdims=True), jnp.sum(du, 1, keepdims=True)


modulate.defvjp(modulate_forward, modulate_backward)


class ModulatedNorm(nnx.Module):
    """`rms_norm(h) (1 + scale) + shift`, scale and shift linear in the frame's embedding, initially zero;
    with `activation`, its SiLU.

    FiLM (arXiv 1709.07871) with a separate embedding for each frame.
    """

    def __init__(self, channels: int, embedding: int, rngs: nnx.Rngs, activation: bool = False):
        self.film = Linear(embedding, 2 * channels, rngs, init=zeros)
        self.activation = activation

    def __call__(self, h: Array, embedding: Float[Array, "batch time embedding"]) -> Array:
        channels = h.shape[-1]
        film = self.film(embedding).astype(jnp.float32).reshape(-1, 1, 2 * channels)
        scale, shift = jnp.split(film, 2, axis=-1)
        frames = h.reshape(film.shape[0], -1, channels)
        # The partial decorator loses the type.
        return cast(Array, modulate(frames, scale, shift, self.activation)).reshape(h.shape)


def dropout(x: Array, rate: float, key: Array | None) -> Array:
    """Without a key there is no dropout."""
    if key is None or rate == 0:
        return x
    keep = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(keep, x / (1 - rate), jnp.zeros_like(x))
