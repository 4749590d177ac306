"""What a training step will want of the memory, said before anything long begins."""

import math

import jax

from rolling.common import machine
from rolling.joint_layout import JointLayout
from rolling.layout import Layout
from rolling.run.experiment import Experiment
from rolling.run.training.cost import batch_of, memory_of

SURELY_ENOUGH = 4000
"""Bytes of memory for each byte of a batch: with as many nothing is computed, as that takes seconds."""


def memory_there() -> int:
    """Bytes of the accelerator that trains, or of the machine."""
    limits = jax.local_devices()[0].memory_stats() or {}
    return limits.get("bytes_limit") or machine.memory()


def shortage(experiment: Experiment, layout: Layout | JointLayout, there: int) -> str:
    """A sentence where a step wants more than the `there` bytes that there are; else empty. It is a guess
    from the program as written, so training is not refused."""
    training = experiment.training
    shapes = jax.tree.leaves(batch_of(experiment, layout, training.batch, experiment.clip_frames)["x"])
    batch = 4 * sum(math.prod(leaf.shape) for leaf in shapes)
    if batch * SURELY_ENOUGH <= there:
        return ""
    wanted = sum(memory_of(experiment, layout).values())
    if wanted <= there:
        return ""
    parts = [f"--training.accumulate {2 * training.accumulate} computes a batch in smaller parts"]
    if getattr(experiment.network, "remat", None) is False:
        parts.append("--network.remat keeps less for the gradient")
    if patch := getattr(experiment.network, "patch", 0):
        parts.append(f"--network.patch {2 * patch} works on a coarser grid")
    return (
        f"a training step wants about {wanted / 2**30:.1f} GiB, and there are {there / 2**30:.1f} GiB:"
        f" {', '.join(parts)}; `rolling show` says what takes it"
    )
