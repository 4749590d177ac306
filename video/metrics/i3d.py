"""I3D: the network whose features the Frechet video distance compares.

The inflated Inception of Carreira and Zisserman (2017), arXiv 1705.07750, RGB stream: for inference only,
with the weights trained on Kinetics-400 from scratch. Attributes have the names of the checkpoint's tensors,
its misprint included, so that a path through the modules is the name of a tensor.
"""

from collections.abc import Sequence
from typing import Any

import einops
import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from rolling.common.errors import InputError

SCOPE = "RGB/inception_i3d"
CLASSES = 400
SIDE = 224
FEWEST_FRAMES = 9
EPSILON = 1e-3  # of the batch norms; 1e-5 would change the logits by one per cent

# Channels of each block: of branch 0, of both layers of branches 1 and 2, of branch 3.
MIXED = {
    "Mixed_3b": (64, (96, 128), (16, 32), 32),
    "Mixed_3c": (128, (128, 192), (32, 96), 64),
    "Mixed_4b": (192, (96, 208), (16, 48), 64),
    "Mixed_4c": (160, (112, 224), (24, 64), 64),
    "Mixed_4d": (128, (128, 256), (24, 64), 64),
    "Mixed_4e": (112, (144, 288), (32, 64), 64),
    "Mixed_4f": (256, (160, 320), (32, 128), 128),
    "Mixed_5b": (256, (160, 320), (32, 128), 128),
    "Mixed_5c": (384, (192, 384), (48, 128), 128),
}
MISPRINTED = "Mixed_5b"

ClipBatch = Float[Array, "batch _ _ _ _"]  # time, height, width, channel


class Convolution3d(nnx.Module):
    """A convolution in time and space with padding 'SAME'."""

    def __init__(self, inputs: int, outputs: int, side: int, bias: bool = False):
        self.w = nnx.Param(jnp.zeros((side, side, side, inputs, outputs)))
        if bias:
            self.b = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: ClipBatch, stride: int = 1) -> ClipBatch:
        w, padding = self.w[...], "SAME"
        if stride == 2:
            x, w, padding = folded(x, w)
        y = jax.lax.conv_general_dilated(
            x,
            w,
            (1, 1, 1),
            padding,
            dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
            precision=jax.lax.Precision.HIGHEST,
        )
        return y + self.b[...].reshape(1, 1, 1, 1, -1) if hasattr(self, "b") else y


def folded(x: ClipBatch, w: Array) -> tuple[ClipBatch, Array, str]:
    """A convolution of stride 2 as one of stride 1: pixels of 2 x 2 x 2 blocks become channels.

    Three channels alone use a processor poorly: with 24, the first layer takes a third of the time.
    """
    side = w.shape[0] + w.shape[0] % 2
    pads = [(0, 0)]
    for size in x.shape[1:4]:
        out = -(-size // 2)
        before = max(2 * (out - 1) + w.shape[0] - size, 0) // 2
        pads.append((before, 2 * (out - 1) + side - size - before))
    x = jnp.pad(x, [*pads, (0, 0)])
    w = jnp.pad(w, [(0, side - w.shape[0])] * 3 + [(0, 0)] * 2)
    x = einops.rearrange(x, "b (t i) (h j) (w k) c -> b t h w (i j k c)", i=2, j=2, k=2)
    w = einops.rearrange(w, "(t i) (h j) (w k) c o -> t h w (i j k c) o", i=2, j=2, k=2)
    return x, w, "VALID"


class Norm(nnx.Module):
    """Batch norm with the moments of training, without a scale."""

    def __init__(self, channels: int):
        shape = (1, 1, 1, 1, channels)
        self.beta = nnx.Param(jnp.zeros(shape))
        self.moving_mean = nnx.Param(jnp.zeros(shape))
        self.moving_variance = nnx.Param(jnp.zeros(shape))

    def __call__(self, x: ClipBatch) -> ClipBatch:
        scale = jax.lax.rsqrt(self.moving_variance[...] + EPSILON)
        return x * scale + (self.beta[...] - self.moving_mean[...] * scale)


class Unit(nnx.Module):
    """Convolution, norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, side: int):
        self.conv_3d = Convolution3d(inputs, outputs, side)
        self.batch_norm = Norm(outputs)

    def __call__(self, x: ClipBatch, stride: int = 1) -> ClipBatch:
        return nnx.relu(self.batch_norm(self.conv_3d(x, stride)))


class InceptionBranch(nnx.Module):
    """Named units in sequence."""

    def __init__(self, units: dict[str, Unit]):
        self.names = tuple(units)
        for name, unit in units.items():
            setattr(self, name, unit)

    def __call__(self, x: ClipBatch) -> ClipBatch:
        for name in self.names:
            x = getattr(self, name)(x)
        return x


class Mixed(nnx.Module):
    """Four parallel branches: 1 x 1 x 1; twice 1 x 1 x 1, then 3 x 3 x 3; max-pooling, then 1 x 1 x 1."""

    def __init__(self, inputs: int, outputs: Sequence, misprinted: bool):
        first, (one, three), (few, more), last = outputs
        last_of_second = "Conv3d_0a_3x3" if misprinted else "Conv3d_0b_3x3"
        self.Branch_0 = InceptionBranch({"Conv3d_0a_1x1": Unit(inputs, first, 1)})
        self.Branch_1 = InceptionBranch(
            {"Conv3d_0a_1x1": Unit(inputs, one, 1), "Conv3d_0b_3x3": Unit(one, three, 3)}
        )
        self.Branch_2 = InceptionBranch(
            {"Conv3d_0a_1x1": Unit(inputs, few, 1), last_of_second: Unit(few, more, 3)}
        )
        self.Branch_3 = InceptionBranch({"Conv3d_0b_1x1": Unit(inputs, last, 1)})
        self.outputs = first + three + more + last

    def __call__(self, x: ClipBatch) -> ClipBatch:
        branches = self.Branch_0(x), self.Branch_1(x), self.Branch_2(x), self.Branch_3(maximum(x, (3, 3, 3)))
        return jnp.concatenate(branches, axis=-1)


class Logits(nnx.Module):
    """Means over 2 frames and all of space, then a linear map to the classes."""

    def __init__(self, inputs: int):
        self.Conv3d_0c_1x1 = Head(inputs)

    def __call__(self, x: ClipBatch) -> Float[Array, "batch time class"]:
        window = (1, 2, *x.shape[2:4], 1)
        total = jax.lax.reduce_window(x, 0.0, jax.lax.add, window, (1,) * 5, "VALID")
        return self.Conv3d_0c_1x1.conv_3d(total / (2 * x.shape[2] * x.shape[3]))[:, :, 0, 0]


class Head(nnx.Module):
    """A convolution with a bias, without norm or activation."""

    def __init__(self, inputs: int):
        self.conv_3d = Convolution3d(inputs, CLASSES, 1, bias=True)


class I3d(nnx.Module):
    """Clips `[batch, time, 224, 224, 3]` in [-1, 1] to logits averaged over time `[batch, 400]`.

    Raises `InputError` for fewer than 9 frames, which would leave nothing to average.
    """

    def __init__(self):
        self.Conv3d_1a_7x7 = Unit(3, 64, 7)
        self.Conv3d_2b_1x1 = Unit(64, 64, 1)
        self.Conv3d_2c_3x3 = Unit(64, 192, 3)
        channels = 192
        for name, outputs in MIXED.items():
            block = Mixed(channels, outputs, misprinted=name == MISPRINTED)
            setattr(self, name, block)
            channels = block.outputs
        self.Logits = Logits(channels)

    def __call__(self, clips: ClipBatch) -> Float[Array, "batch class"]:
        if clips.shape[1] < FEWEST_FRAMES:
            raise InputError(
                f"I3D needs clips of at least {FEWEST_FRAMES} frames, not {clips.shape[1]}: fewer give no"
                " features"
            )
        x = self.Conv3d_1a_7x7(clips, stride=2)
        x = maximum(x, (1, 3, 3), (1, 2, 2))
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x))
        x = maximum(x, (1, 3, 3), (1, 2, 2))
        for name in ("Mixed_3b", "Mixed_3c"):
            x = getattr(self, name)(x)
        x = maximum(x, (3, 3, 3), (2, 2, 2))
        for name in ("Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e", "Mixed_4f"):
            x = getattr(self, name)(x)
        x = maximum(x, (2, 2, 2), (2, 2, 2))
        for name in ("Mixed_5b", "Mixed_5c"):
            x = getattr(self, name)(x)
        return self.Logits(x).mean(axis=1)


def maximum(
    x: ClipBatch, sides: tuple[int, int, int], strides: tuple[int, int, int] = (1, 1, 1)
) -> ClipBatch:
    """Max-pooling in time and space with padding 'SAME'; axis by axis, which is several times faster."""
    for axis in (1, 2, 3):
        window, steps = [1] * 5, [1] * 5
        window[axis], steps[axis] = sides[axis - 1], strides[axis - 1]
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, steps, "SAME")
    return x


def structure() -> tuple[Any, Any]:
    """The network without weights: its graph, and the shapes of its tensors."""
    return nnx.split(nnx.eval_shape(I3d))
