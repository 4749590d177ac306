"""The learned similarity metric of simulations, LSiM, as ACDM uses it.

Kohl, Um and Thuerey (2020), arXiv 2002.07863; Kohl, Chen and Thuerey (2023), arXiv 2309.01745. The weights
are a file that is not part of this package (`rolling weights lsim`); without it this metric is left out.
"""

import dataclasses
import functools
from typing import Any, Literal

import jax
import numpy as np
from flax import nnx

from rolling.common.terminal import tell
from rolling.metrics.members import MeanOrEach
from rolling.metrics.obstacles import fluid_of, place_of
from rolling.metrics.protocol import About, EvaluationSetup, Sample
from rolling.metrics.sums import Averaged, Sums, over_leads
from rolling.physics.lsim_network import FEWEST, LARGEST, LSIM_WEIGHTS, LsimNetwork


@functools.cache
def network() -> tuple[nnx.GraphDef, nnx.State]:
    """LSiM with the weights of the file. Raises `InputError` if the file is missing or not the right one."""
    graph, state = nnx.split(LsimNetwork(LSIM_WEIGHTS.read()))
    return graph, jax.device_put(state)


@functools.partial(jax.jit, static_argnums=0)
def distances(graph, state, fields):
    """`[n]` from `fields [1 + n, x, y]`."""
    return nnx.merge(graph, state)(fields)


class WholeStarts(Sums):
    """Sums over starts that are only scored when all their leads are known."""

    def __init__(self, setup: EvaluationSetup, tools: Any, every: int = 1):
        super().__init__(setup, tools, every)
        self.held: list[Sample] = []
        """What is known of the start that is not complete yet."""

    def complete(self, sample: Sample) -> Sample | None:
        """One more block of leads; the whole start, once this is the last one."""
        if sample.first == 0:
            self.held.clear()
        self.held.append(sample)
        if sample.first + len(sample.truth) < self.setup.leads:
            return None
        return dataclasses.replace(
            sample,
            first=0,
            truth=np.concatenate([held.truth for held in self.held]),
            forecast=np.concatenate([held.forecast for held in self.held], axis=1),
        )


def scaled(fields: np.ndarray, fluid: np.ndarray | None, mask: np.ndarray | None) -> np.ndarray:
    """`fields [member, time, y, x, variable]` from 0 to 255, each quantity of each member for itself; `fluid
    [y, x, 1]` is 0 in obstacles, `mask [y, x, variable]` False where there are no data."""
    if mask is not None:
        fields = np.where(mask, fields, 0)
    if fluid is not None:
        fields = fields * fluid
    low, high = (extreme(fields, axis=(1, 2, 3), keepdims=True) for extreme in (np.min, np.max))
    apart = np.broadcast_to(high > low, fields.shape)
    return LARGEST * np.divide(fields - low, high - low, out=np.zeros_like(fields), where=apart)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lsim(MeanOrEach, Averaged):
    """`E d(x, y)`, the distance of LSiM between forecast and truth, each quantity and frame for itself.

    Before, each of both is scaled linearly to 0..255, from its least to its largest value in all cells and
    frames, the given ones and those of all leads: a value depends on the whole forecast, and only on how it
    fills its own range. Fields are compared as large as they are; cells without data and, with `obstacles`,
    those inside of obstacles are zeros before. A quantity of one value everywhere is a field of zeros.
    """

    member: Literal["mean", "each"] = "mean"
    """Whether the mean of the members is scored, or each of them."""
    obstacles: str = ""
    """A constant field by which both are multiplied, 0 in obstacles and 1 elsewhere; empty: none. Data
    without any constant field have no obstacles."""
    given: bool = False
    """Whether the given frames count, too, which are scaled with those after them: each lead has an equal
    share of the sum of their distances, so that the sum over leads is that over all frames."""

    @property
    def name(self) -> str:
        return self.named("lsim_with_given" if self.given else "lsim")

    @property
    def about(self) -> About:
        return About(
            title=self.titled("LSiM"),
            note="Distance of features of a network trained on simulations; lower is better.",
            section="skill",
            order=26,
        )

    def tools(self, setup: EvaluationSetup):
        layout = setup.layout
        if layout.is_video or len(layout.axes) != 2:
            return None
        if LSIM_WEIGHTS.path is None:
            tell(f"lsim is left out: the network that defines it is missing; {LSIM_WEIGHTS.how}")
            return None
        if min(layout.space) < FEWEST:
            tell(f"lsim is left out: it compares fields of {FEWEST} cells a side or more, not {layout.size}")
            return None
        return network(), place_of(self.obstacles, layout, "lsim"), setup.mask

    def sums(self, setup, tools):
        return WholeStarts(setup, tools)

    def update(self, state: Any, sample: Sample) -> Any:
        scored = dataclasses.replace(sample, forecast=self.scored(sample).astype(np.float32, copy=False))
        whole = state.complete(scored)
        if whole is not None:
            state.add(0, self.terms(state.tools, whole))
        return state

    def terms(self, tools, sample):
        """Of a whole start, of whose forecast only what is scored is left."""
        (graph, state), place, mask = tools
        given = np.broadcast_to(sample.given, (len(sample.forecast), *sample.given.shape))
        members = np.concatenate([given, sample.forecast], axis=1)
        truth = np.concatenate([sample.given, sample.truth])
        fluid = fluid_of(sample, place)
        fields = np.concatenate([scaled(each, fluid, mask) for each in (truth[None], members)])
        first = 0 if self.given else len(sample.given)
        frames = fields[:, first:].transpose(1, 4, 0, 3, 2)  # [frame, variable, 1 + member, x, y]
        found = [[distances(graph, state, field) for field in frame] for frame in frames]
        each = np.mean(jax.device_get(found), axis=-1)
        before, after = np.split(each, [len(each) - len(sample.truth)])
        return {"distance": after + before.sum(axis=0) / len(after)}

    def scores(self, sums):
        return over_leads(sums.setup, sums.setup.layout.variables, sums.mean("distance"), units="1")
