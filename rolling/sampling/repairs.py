"""Repairs of the state of a rollout: what it would be if one part of it were right.

The state is the context and the noisy frames after it, with the solver's history of their predictions. A
rollout whose next frames become right as one of them is repaired, and stay wrong as the other is, says which
is guilty.
"""

import dataclasses
from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp

from rolling.array_types import ContextFrames
from rolling.layout import Layout
from rolling.sampling.carry import Carry
from rolling.sampling.constraints import Limits, Units
from rolling.sampling.corrections import Anchor


class Knowledge(NamedTuple):
    """What a repair may use: the carry of a window that is placed on the truth at the same frame, with noise
    of the same keys; the context with which the rollout began; and what the values stand for."""

    true: Carry
    given: ContextFrames
    units: Units


@runtime_checkable
class Repair(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def becomes(self) -> str:
        """What the part is after it, in words."""
        ...

    def suits(self, layout: Layout) -> bool:
        """Whether such data have what it repairs."""
        ...

    def __call__(self, carry: Carry, known: Knowledge) -> Carry: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class TheTruth:
    """Parts are replaced by those of a window placed on the truth: the context, and old frames that are shown
    beside it, by the true ones; noisy frames by true ones diffused to their clocks, without a history, which
    is of what they were before."""

    name: str
    becomes: str
    context: bool = False
    noisy: bool = False

    def suits(self, layout):
        return True

    def __call__(self, carry, known):
        n, noisy = known.given.shape[1], known.true if self.noisy else carry
        finished = known.true if self.context else carry
        z = jnp.concatenate([finished.z[:, :n], noisy.z[:, n:]], axis=1)
        return dataclasses.replace(carry, z=z, history=noisy.history, memory=finished.memory)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GivenMoments:
    """The mean and the standard deviation of each variable in the context are set to those of the given
    frames."""

    name: str = "moments"
    becomes: str = "mean and standard deviation of the context are those of the given frames"

    def suits(self, layout):
        return True

    def __call__(self, carry, known):
        return _with_context(
            carry, Anchor(weight=1.0).correct(_context(carry, known), known.given, known.units)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class InRange:
    """Grey levels of the context that are out of range are set to the nearest limit."""

    name: str = "range"
    becomes: str = "values of the context out of range are at its limits"

    def suits(self, layout):
        return layout.is_video

    def __call__(self, carry, known):
        return _with_context(carry, Limits().constrain(_context(carry, known), known.given, known.units))


def _context(carry: Carry, known: Knowledge) -> ContextFrames:
    return carry.z[:, : known.given.shape[1]]


def _with_context(carry: Carry, context: ContextFrames) -> Carry:
    return dataclasses.replace(carry, z=carry.z.at[:, : context.shape[1]].set(context))


LADDER: tuple[Repair, ...] = (
    TheTruth(name="nothing", becomes="the rollout as it is"),
    TheTruth(name="context", becomes="the true frames", context=True),
    TheTruth(name="noisy frames", becomes="true ones, diffused", noisy=True),
    TheTruth(name="both", becomes="a window placed on the truth", context=True, noisy=True),
    GivenMoments(),
    InRange(),
)
"""The first leaves the rollout as it is."""
