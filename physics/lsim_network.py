"""LSiM: the network whose features a learned distance of simulated fields compares.

Kohl, Um and Thuerey (2020), arXiv 2002.07863: five convolutions, trained on pairs of simulations that differ
more and more. Of two fields `a`, `b` with the features `f_i [*space, C_i]` of layer `i`,

    d(a, b)^2 = sum_i < sum_c w_ic ((f_ic(a) - f_ic(b)) / (s_i (sqrt(C_i) - 1)))^2 >,

with weights `w >= 0` of channels, deviations `s_i [*space]` of the features of the training data, and the
mean `<.>` over space. The divisor is the public code's, as are the sizes. The means of the training data
cancel, and are not needed.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from rolling.metrics.resizing import bilinear, ends
from rolling.metrics.weights import ConvertedWeights

EPSILON = 1e-10  # added to the deviations
LARGEST = 255.0  # fields are scaled from 0 to this
FEWEST = 44  # cells along a side, of which the second max-pooling leaves one


@dataclasses.dataclass(frozen=True, kw_only=True)
class Form:
    """Of a layer: max-pooling of sides 4 and strides 2 if `pooled`, then a convolution with zeros around the
    field, then ReLU. `name` is that of the convolution in the checkpoint; of fields of 224 x 224, on which
    the network was trained, the features have `places` along each side."""

    name: str
    inputs: int
    channels: int
    side: int
    stride: int = 1
    padding: int
    pooled: bool = False
    places: int


FORMS = (
    Form(name="slice1.0", inputs=3, channels=32, side=12, stride=4, padding=2, places=55),
    Form(name="slice2.1", inputs=32, channels=96, side=5, padding=2, pooled=True, places=26),
    Form(name="slice3.1", inputs=96, channels=192, side=3, padding=1, pooled=True, places=12),
    Form(name="slice4.0", inputs=192, channels=128, side=3, padding=1, places=12),
    Form(name="slice5.0", inputs=128, channels=128, side=3, padding=1, places=12),
)


def shapes() -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays that the network is made of, by their names in the converted file."""
    found: dict[str, tuple[int, ...]] = {"normCount": (len(FORMS),)}
    for i, form in enumerate(FORMS):
        found[f"basenet.{form.name}.weight"] = (form.channels, form.inputs, form.side, form.side)
        found[f"basenet.{form.name}.bias"] = (form.channels,)
        found[f"lin{i}.1.weight"] = (1, form.channels, 1, 1)
        found[f"normM2.{i}"] = (form.places, form.places)
    return found


LSIM_WEIGHTS = ConvertedWeights(
    name="lsim",
    use="the learned distance of simulated fields, `lsim`",
    source="https://github.com/tum-pbs/autoreg-pde-diffusion/raw/main/src/lsim/models/LSiM.pth",
    licence="MIT",
    shapes=shapes(),
    least={"normCount": 2, **{f"normM2.{i}": 0 for i in range(len(FORMS))}},
    program="""
import numpy, torch
saved = torch.load("LSiM.pth", map_location="cpu", weights_only=True)
arrays = {name: value.detach().numpy() for name, value in saved["stateDict"].items()}
arrays |= {f"normM2.{i}": value.detach().numpy() for i, value in enumerate(saved["normM2"])}
numpy.savez("lsim.npz", normCount=saved["normCount"], **arrays)
""",
)

Features = Float[Array, "field _ _ _"]  # x, y, channel


class LsimLayer(nnx.Module):
    """A layer, and the distance between two fields in its features."""

    def __init__(self, form: Form, place: int, arrays: Mapping[str, np.ndarray]):
        self.form = form
        self.weight = nnx.Param(jnp.asarray(arrays[f"basenet.{form.name}.weight"]))
        self.bias = nnx.Param(jnp.asarray(arrays[f"basenet.{form.name}.bias"]))
        # Training keeps them at or above 0, and so does whoever uses the checkpoint.
        self.importance = nnx.Param(jnp.maximum(arrays[f"lin{place}.1.weight"].reshape(-1), 0))
        self.squares = nnx.Param(jnp.asarray(arrays[f"normM2.{place}"]))
        self.degrees = nnx.Param(jnp.asarray(arrays["normCount"][place] - 1))

    def __call__(self, x: Features) -> Features:
        form = self.form
        if form.pooled:
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 4, 4, 1), (1, 2, 2, 1), "VALID")
        x = jax.lax.conv_general_dilated(
            x,
            self.weight[...],
            (form.stride, form.stride),
            [(form.padding, form.padding)] * 2,
            dimension_numbers=("NHWC", "OIHW", "NHWC"),
            precision=jax.lax.Precision.HIGHEST,
        )
        return nnx.relu(x + self.bias[...].reshape(1, 1, 1, -1))

    def squared_distance(self, x: Features) -> Float[Array, " other"]:
        """Of the features of the first field from those of each of the others."""
        difference = (x[1:] - x[:1]) / (self._deviation(*x.shape[1:3]) + EPSILON)
        difference = difference / (np.sqrt(self.form.channels) - 1)
        weighted = difference**2 * self.importance[...].reshape(1, 1, 1, -1)
        return weighted.sum(axis=-1).mean(axis=(1, 2))

    def _deviation(self, rows: int, columns: int) -> Float[Array, "1 x y 1"]:
        """Of the training data, resized to features of another size before the root."""
        resize = [bilinear(self.form.places, size, ends) for size in (rows, columns)]
        squares = jnp.einsum("xh,yw,hw->xy", *resize, self.squares[...], precision=jax.lax.Precision.HIGHEST)
        return jnp.sqrt(squares / self.degrees[...])[None, :, :, None]


class LsimNetwork(nnx.Module):
    """Fields `[1 + n, x, y]` from 0 to 255 to the distances `[n]` of the first from each of the others.

    The public code takes x for the first axis of space, and of one quantity three equal channels.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self.layers = nnx.List([LsimLayer(form, i, arrays) for i, form in enumerate(FORMS)])

    def __call__(self, fields: Float[Array, "field x y"]) -> Float[Array, " other"]:
        x = jnp.repeat(fields[..., None], FORMS[0].inputs, axis=-1)
        total = jnp.zeros(len(fields) - 1)
        for layer in self.layers:
            x = layer(x)
            total = total + layer.squared_distance(x)
        return jnp.sqrt(total)
