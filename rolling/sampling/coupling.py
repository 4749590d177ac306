"""Guidance towards the other modalities: how much one of them listens to them, in one batched call."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from rolling.array_types import Clocks, Frames, JointClocks, JointFrames
from rolling.common.errors import InputError
from rolling.denoisers import Condition, JointDenoiser
from rolling.noise import expand

Alone = Callable[[str, JointFrames, JointClocks], tuple[JointFrames, JointClocks]]
"""`(name, z, logsnr)` to the same with all modalities but that one as pure noise."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coupling:
    """`D'_m + w (D_m - D'_m)` for the modality `m`, with `D'_m` its prediction where all others are pure
    noise at local time 1 (UniDiffuser, arXiv 2303.06555; LTX-2's scale of modalities, 2601.03233).

    `w = 1` changes nothing, `w = 0` makes the modality as if there were no other one, and above 1 it agrees
    with the others more than their law has it. The network must have been trained to do without the others:
    `Tasks.absent`, or `apart`. Raises `InputError` for a scale that is no number and an empty interval.
    """

    modality: str
    """The one that is guided."""
    scale: float = 1.5
    """The weight `w`."""
    low: float = -math.inf
    """Lowest logsnr of its frames at which it acts."""
    high: float = math.inf
    """Highest logsnr at which it acts."""

    def __post_init__(self):
        if not math.isfinite(self.scale):
            raise InputError(f"the coupling of {self.modality} needs a number as its scale, not {self.scale}")
        if not self.low < self.high:
            raise InputError(
                f"the coupling of {self.modality} acts for low <= logsnr <= high: {self.low} is not below"
                f" {self.high}"
            )

    def guided(self, x: Frames, without: Frames, logsnr: Clocks) -> Frames:
        acts = (logsnr >= self.low) & (logsnr <= self.high)
        weight = jnp.where(acts, jnp.asarray(self.scale, x.dtype), 1.0)
        return x + expand(weight - 1, x) * (x - without)


def coupled(denoise: JointDenoiser, couplings: Sequence[Coupling], alone: Alone) -> JointDenoiser:
    """The denoiser with couplings: one copy more of the batch for each."""

    def guided(z, logsnr, condition: Condition):
        copies = [(z, logsnr), *(alone(part.modality, z, logsnr) for part in couplings)]
        frames, clocks = jax.tree.map(lambda *parts: jnp.concatenate(parts), *map(_whole, copies))
        found = denoise(frames, clocks, condition.copies(len(copies)))
        x, *without = _cut(found, len(copies))
        for part, other in zip(couplings, without, strict=True):
            name = part.modality
            x |= {name: part.guided(x[name], other[name], logsnr[name])}
        return x

    return guided if couplings else denoise


def _whole(copy: tuple[JointFrames, JointClocks]) -> tuple[JointFrames, JointClocks]:
    """With clocks for each sequence."""
    z, logsnr = copy
    return z, {name: jnp.broadcast_to(logsnr[name], z[name].shape[:2]) for name in z}


def _cut(x, copies: int):
    """Each copy's own part of the batch."""
    parts = {name: jnp.split(frames, copies) for name, frames in x.items()}
    return [{name: part[i] for name, part in parts.items()} for i in range(copies)]
