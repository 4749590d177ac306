"""The statistics of frames under the names by which tables show them."""

import dataclasses
from collections.abc import Mapping
from typing import Self

import numpy as np

from rolling.metrics.frame_statistics import SLACK, STATISTICS, Frames, Measure
from rolling.metrics.protocol import EvaluationSetup


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamedStatistics:
    """Those that make sense in one setup, each of every variable that it has."""

    measures: Mapping[str, Measure]

    @classmethod
    def of(cls, setup: EvaluationSetup) -> Self:
        found = {statistic.shown.title: statistic.measure(setup) for statistic in STATISTICS}
        return cls(measures={title: measure for title, measure in found.items() if measure is not None})

    def series(self, frames: Frames) -> dict[str, np.ndarray]:
        """`[sequence, T]` of each."""
        values = {title: measure.of(frames) for title, measure in self.measures.items()}
        return {name: values[title][..., i] for name, (title, i) in self._names().items()}

    def least(self, true: Mapping[str, np.ndarray], std: np.ndarray) -> dict[str, float]:
        """The smallest standard deviation that counts, from the series of true frames and the standard
        deviations `[variable]` of the data, as some data conserve a number to rounding."""
        return {
            name: SLACK * abs(true[name].mean())
            if self.measures[title].positive
            else float(self.measures[title].slack(std)[i])
            for name, (title, i) in self._names().items()
        }

    def _names(self) -> dict[str, tuple[str, int]]:
        return {
            title + (f" ({variable.name})" if len(measure.variables) > 1 else ""): (title, i)
            for title, measure in self.measures.items()
            for i, variable in enumerate(measure.variables)
        }
