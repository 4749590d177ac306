"""What an experiment costs: parameters, operations and memory, from shapes alone. Nothing is allocated.

Operations are those of matrix products and convolutions, two for each multiply-add; elementwise operations
are left out. Memory is that of the program as written: a compiler may fuse or reorder operations.
"""

import dataclasses
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from rolling.common.counting import counted
from rolling.data.conditions import vector_size
from rolling.denoisers import Past
from rolling.joint_layout import JointLayout
from rolling.layout import Layout
from rolling.run import model
from rolling.run.experiment import Experiment
from rolling.run.training.step import first_state, loss_inputs, make_gradient, transformation
from rolling.sampling.constraints import JointUnits, Units

TOKENS = 64  # assumed per sequence where there are any: a layout does not have their number
VIEWS = ("reshape", "broadcast_in_dim", "squeeze", "expand_dims", "optimization_barrier", "stop_gradient")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """Operations of a network call on one window and of a training step, and the step's memory in bytes."""

    parameters: int
    call: int
    call_frames: int
    step: int
    step_frames: int
    memory: dict[str, int]
    without: int | None
    """Bytes for the gradient with the network's `remat` flipped; None where it has no such option."""


def cost_of(experiment: Experiment, layout: Layout | JointLayout) -> Cost:
    """The cost of an experiment on frames of a layout, on one device and without a mask."""
    step, frames = _Step(experiment, layout), experiment.partition.frames(experiment.window)
    training, other = experiment.training, flipped(experiment)
    update = jax.make_jaxpr(transformation(experiment).update)
    updated = update(step.trained, step.state.optimiser, step.trained).jaxpr
    return Cost(
        parameters=model.count(step.shapes),
        call=operations(call_program(step.apply, step.shapes, batch_of(experiment, layout, 1, frames))),
        call_frames=frames,
        step=training.accumulate * operations(step.gradient) + operations(updated),
        step_frames=training.batch * experiment.clip_frames,
        memory=step.memory,
        without=None if other is None else _Step(other, layout).memory["gradient"],
    )


def memory_of(experiment: Experiment, layout: Layout | JointLayout) -> dict[str, int]:
    """The bytes of a training step alone, which take less than half as long to find."""
    return _Step(experiment, layout).memory


class _Step:
    """A training step as shapes and programs."""

    def __init__(self, experiment: Experiment, layout: Layout | JointLayout):
        self.experiment = experiment
        self.apply, self.shapes = model.abstract(experiment, layout, None)
        training = experiment.training
        self.trained = jax.eval_shape(experiment.objective.start, self.shapes, self.shapes)
        inputs = loss_inputs(experiment, self.apply, *standing_for(experiment, layout))
        kept = jax.eval_shape(lambda: experiment.objective.init(inputs))
        self.state = jax.eval_shape(partial(first_state, experiment), self.trained, kept)
        clips, past_frames = training.batch // training.accumulate, len(experiment.clip_past.memory)
        batch = batch_of(experiment, layout, clips, experiment.clip_frames, past_frames)
        gradient = jax.make_jaxpr(make_gradient(experiment, inputs))
        self.gradient = gradient(self.trained, self.shapes, batch, self.state.key, kept).jaxpr
        """The loss and its gradient on a part of a batch."""

    @property
    def memory(self) -> dict[str, int]:
        # The gradients of the other parts are kept until they are averaged.
        waiting = (self.experiment.training.accumulate - 1) * bytes_of(self.trained)
        return {
            "parameters": bytes_of(self.trained),
            "their average": bytes_of(self.state.ema),
            "optimiser": bytes_of(self.state.optimiser),
            **({"teacher": bytes_of(self.shapes)} if self.experiment.objective.teacher else {}),
            **({"state of the objective": kept} if (kept := bytes_of(self.state.objective)) else {}),
            "gradient": waiting + peak(self.gradient),
        }


def standing_for(experiment: Experiment, layout: Layout | JointLayout) -> tuple[Any, Any]:
    """Units and pasts of data that are not there."""
    context = experiment.window.context
    if isinstance(layout, JointLayout):
        past = {name: Past(context=context // every) for name, every in layout.every.items()}
        return JointUnits.standard(layout), past
    return Units.standard(layout), Past(context=context)


def batch_of(
    experiment: Experiment, layout: Layout | JointLayout, clips: int, frames: int, past: int | None = None
) -> dict[str, Any]:
    """The shapes of a batch of the input pipeline, with `past` old frames: by default those of one window."""
    if isinstance(layout, JointLayout):
        every = layout.every
        of = {
            name: batch_of(experiment, part, clips, frames // every[name]) for name, part in layout.of.items()
        }
        return {"x": {name: part.pop("x") for name, part in of.items()}, "of": of}
    shape = lambda *sizes, dtype=jnp.float32: jax.ShapeDtypeStruct((clips, *sizes), dtype)  # noqa: E731
    batch = {"x": shape(frames, *layout.shape)}
    channels = len(layout.variables)
    past = len(experiment.memory.ages) if past is None else past
    for name, count in (("reference", experiment.reference.frames), ("memory", past)):
        if count:
            batch[name] = shape(*layout.space, count * channels)
    if layout.labels:
        batch["label"] = shape(dtype=jnp.int32)
    if layout.tokens:
        batch["tokens"] = shape(TOKENS, layout.tokens)
    if vector_size(layout):
        batch["vectors"] = shape(frames, vector_size(layout))
    if layout.forcings:
        batch["fields"] = shape(frames, *layout.space, layout.forcings)
    if layout.constants:
        batch["constants"] = shape(*layout.space, len(layout.constants))
    return batch


def call_program(apply, shapes: Any, batch: dict[str, Any]):
    """The network on a batch of windows."""

    def call(params, batch):
        x = batch["x"]
        clocks = jax.tree.map(lambda part: jnp.zeros(part.shape[:2]), x)
        return apply(params, x, clocks, model.condition_of(batch, None))

    return jax.make_jaxpr(call)(shapes, batch).jaxpr


def flipped(experiment: Experiment) -> Experiment | None:
    """The experiment with the network's `remat` flipped: what the gradient needs is recomputed, or kept."""
    network, remat = experiment.network, getattr(experiment.network, "remat", None)
    if remat is None or not dataclasses.is_dataclass(network) or isinstance(network, type):
        return None
    return dataclasses.replace(experiment, network=dataclasses.replace(network, remat=not remat))


def bytes_of(tree: Any) -> int:
    return sum(_bytes(leaf) for leaf in jax.tree.leaves(tree))


def _bytes(array: Any) -> int:
    """Of an array of this shape; keys and the like count as zero."""
    return math.prod(array.shape) * array.dtype.itemsize if isinstance(array.dtype, np.dtype) else 0


def inner(equation) -> Iterator[Any]:
    """The programs that an operation runs."""
    for value in equation.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            item = getattr(item, "jaxpr", item)
            if hasattr(item, "eqns"):
                yield item


def operations(program) -> int:
    """Floating-point operations of a `jaxpr`: the most expensive branch of a `cond`, one iteration of a loop
    of unknown length."""
    return sum(_operations(equation) for equation in program.eqns)


def _operations(equation) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        left = equation.invars[0].aval.shape
        return 2 * equation.outvars[0].aval.size * math.prod(left[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval
        taps = kernel.size // kernel.shape[params["dimension_numbers"].rhs_spec[0]]
        unused = math.prod(params["lhs_dilation"]) * params["batch_group_count"]
        return 2 * equation.outvars[0].aval.size * taps // unused
    counts = [operations(program) for program in inner(equation)]
    if name == "cond":
        return max(counts)
    return params.get("length", 1) * sum(counts) if name == "scan" else sum(counts)


def peak(program) -> int:
    """The peak number of bytes of a `jaxpr`'s results, each alive from its operation to its last use.

    Views share the memory of their array. Arguments are not counted.
    """
    root = {}
    for equation in program.eqns:
        if equation.primitive.name in VIEWS:
            for into, of in zip(equation.outvars, equation.invars, strict=False):
                if not isinstance(of, Literal):
                    root[into] = root.get(of, of)
    last = {}
    for place, equation in enumerate(program.eqns):
        last |= {root.get(v, v): place for v in equation.invars if not isinstance(v, Literal)}
    last |= {root.get(v, v): len(program.eqns) for v in program.outvars if not isinstance(v, Literal)}
    ending: dict[int, int] = {}
    now = most = 0
    for place, equation in enumerate(program.eqns):
        own = [v for v in equation.outvars if v not in root]
        size = sum(_bytes(v.aval) for v in own)
        most = max(most, now + max([size, *map(peak, inner(equation))]))
        now += size
        for v in own:
            end = last.get(v, place)
            ending[end] = ending.get(end, 0) + _bytes(v.aval)
        now -= ending.pop(place, 0)
    return most


def cost_table(cost: Cost) -> str:
    """A cost as lines of text."""
    total = sum(cost.memory.values())
    parts = " + ".join(f"{name} {_size(size, total)}" for name, size in cost.memory.items())
    lines = [
        f"parameters: {cost.parameters / 1e6:.4g} M",
        f"network call: {_flop(cost.call)} on a window of {counted(cost.call_frames, 'frame')},"
        f" {_flop(cost.call / cost.call_frames)} per frame",
        f"training step: {_flop(cost.step)} on {counted(cost.step_frames, 'frame')},"
        f" {_flop(cost.step / cost.step_frames)} per frame",
        f"memory of a training step: {_size(total, total)} {_unit(total)[0]} = {parts}",
    ]
    if cost.without is not None:
        kept, again = sorted((cost.memory["gradient"], cost.without), reverse=True)
        lines.append(
            f"memory for the gradient: {_size(kept, kept)} {_unit(kept)[0]} with --network.no-remat,"
            f" {_size(again, kept)} with --network.remat"
        )
    return "\n".join(lines)


def _unit(size: int) -> tuple[str, int]:
    return ("GiB", 2**30) if size >= 2**30 else ("MiB", 2**20)


def _size(size: int, total: int) -> str:
    """Bytes in the unit that suits the total."""
    return f"{size / _unit(total)[1]:.3g}"


def _flop(count: float) -> str:
    for unit, size in (("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", 1e9)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count / 1e6:.4g} MFLOP"
