"""The protocol of a metric of how well modalities agree with each other."""

from collections.abc import Mapping
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
