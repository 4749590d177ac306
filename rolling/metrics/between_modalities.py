"""The protocol of a metric of how well modalities agree with each other."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rolling.joint_layout import JointLayout
from rolling.metrics.protocol import Score


@runtime_checkable
class JointMetric(Protocol):
    """A metric of several modalities of one rollout, without truth; `name` is its key in `agreement.json`.

    The same code scores what was made, real data, and pairs of modalities from different rollouts, which
    agree by chance alone. It may have an attribute `about`, as a `rolling.metrics.Metric`.
    """

    @property
    def name(self) -> str: ...

    def start(self, layout: JointLayout) -> Any:
        """Empty sums, or None where the metric makes no sense for these modalities."""
        ...

    def update(self, state: Any, frames: Mapping[str, np.ndarray]) -> Any:
        """The sums with one more rollout: `[time, *space, variable]` of each modality, in physical units,
        from the first lead on; all last as long."""
        ...

    def result(self, state: Any) -> tuple[Score, ...]:
        """The scores of all rollouts so far; two states of one layout have the same variables."""
        ...


class Sums(Protocol):
    """What is summed over one stretch of leads."""

    def with_(self, other: Any) -> Any:
        """The sums of both."""
        ...


def added(stretches: Iterable[Sums], found: Iterable[Sums], nothing: Sums) -> tuple[Any, ...]:
    """The sums of one stretch after the other with those of one more rollout, which may be shorter or
    longer."""
    pairs = itertools.zip_longest(stretches, found, fillvalue=nothing)
    return tuple(before.with_(others) for before, others in pairs)


def ends(count: int, stretch: int, longest: int) -> np.ndarray:
    """Where `count` stretches end, the last one with the longest rollout."""
    return np.minimum((np.arange(count) + 1) * stretch, longest)
