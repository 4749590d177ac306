"""The Frechet video distance and its unbiased companion, by protocols that have names.

Unterthiner et al. (2018), arXiv 1812.01717: the features are the 400 logits of I3D trained on Kinetics-400,
averaged over time. The weights are a file that is not part of this package (`rolling weights i3d`); without
it these metrics are left out. With any other network they would not be FVD and KVD.
"""

import dataclasses
import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rolling.common.errors import InputError
from rolling.common.terminal import tell
from rolling.layout import Layout
from rolling.metrics.protocol import About
from rolling.metrics.resizing import Positions, bilinear, centres, corners
from rolling.video.metrics.distances import (
    FrechetDistance,
    KernelDistance,
    SetDistance,
    about_distance,
)
from rolling.video.metrics.i3d import FEWEST_FRAMES, SIDE
from rolling.video.metrics.i3d_weights import I3D_WEIGHTS, filled, tensors


@dataclasses.dataclass(frozen=True, kw_only=True)
class FvdProtocol:
    """Where pixels lie when pictures are resized, and the divisor of covariances, `n - ddof`."""

    positions: Positions
    ddof: int


PROTOCOLS = {
    "google": FvdProtocol(positions=corners, ddof=1),  # the authors' own code
    "styleganv": FvdProtocol(positions=centres, ddof=0),  # arXiv 2112.14683: 2,048 clips of 16 frames
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class I3dLogits:
    """Clips of grey levels to logits of I3D: resized to 224 x 224 at any aspect, scaled to [-1, 1]."""

    protocol: str

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        graph, state = network()
        if clips.shape[-1] == 1:
            clips = np.repeat(clips, 3, axis=-1)
        positions = PROTOCOLS[self.protocol].positions
        resize = [bilinear(side, SIDE, positions) for side in clips.shape[2:4]]
        # One clip at a time: a batch is no faster, and this way only one shape is compiled.
        logits = [_logits(graph, state, clip[None], *resize) for clip in clips]
        return np.concatenate(jax.device_get(logits))


@functools.cache
def network() -> tuple[nnx.GraphDef, nnx.State]:
    """I3D with the weights of the file. Raises `InputError` if the file is missing or not the right one."""
    graph, state = filled(tensors(I3D_WEIGHTS.read()))
    return graph, jax.device_put(state)


@functools.partial(jax.jit, static_argnums=0)
def _logits(graph, state, clips, rows, columns):
    clips = jnp.einsum("yh,xw,bthwc->btyxc", rows, columns, clips, precision=jax.lax.Precision.HIGHEST)
    return nnx.merge(graph, state)(clips / 127.5 - 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _OfI3d(SetDistance):
    """Base of metrics of I3D's features."""

    fewest: ClassVar[int] = FEWEST_FRAMES
    protocol: str = "styleganv"
    """How pictures are resized and covariances divided: `google` (the authors' code) or `styleganv`."""

    def __post_init__(self):
        super().__post_init__()
        if self.protocol not in PROTOCOLS:
            raise InputError(f"the protocols of FVD are {' and '.join(PROTOCOLS)}, not {self.protocol!r}")
        if self.frames < FEWEST_FRAMES:
            raise InputError(
                f"FVD compares clips of at least {FEWEST_FRAMES} frames, not {self.frames}: I3D makes no"
                " features of fewer"
            )

    def space(self, layout: Layout) -> I3dLogits | None:
        if I3D_WEIGHTS.path is None:
            tell(f"fvd and kvd are left out: the network that defines them is missing; {I3D_WEIGHTS.how}")
            return None
        network()  # a wrong file is reported before anything is computed
        return I3dLogits(protocol=self.protocol)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fvd(_OfI3d, FrechetDistance):
    """Frechet distance of I3D's logits; biased by the number of clips, hence the floor next to it."""

    name = "fvd"
    about: ClassVar[About] = about_distance(
        "Fréchet video distance", "Between features of a network trained on real videos; lower is better.", 40
    )

    @property
    def ddof(self) -> int:
        return PROTOCOLS[self.protocol].ddof


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kvd(_OfI3d, KernelDistance):
    """Kernel distance of I3D's logits, unbiased: the number to look at with fewer than 1,000 clips."""

    name = "kvd"
    about: ClassVar[About] = about_distance(
        "Kernel video distance", "As the Fréchet distance, but 0 in the mean for real clips, however few.", 41
    )
