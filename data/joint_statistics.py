"""The statistics of several modalities."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from rolling.data.statistics import Statistics


@dataclasses.dataclass(frozen=True, eq=False)
class JointStatistics:
    """As `Statistics`, of each modality its own; frames are dicts."""

    of: dict[str, Statistics]

    @property
    def mask(self) -> dict[str, np.ndarray | None]:
        return {name: part.mask for name, part in self.of.items()}

    def normalise(self, x: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.of[name].normalise(frames) for name, frames in x.items()}

    def denormalise(self, x: Mapping[str, Any]) -> dict[str, Any]:
        """Of some of the modalities."""
        return {name: self.of[name].denormalise(frames) for name, frames in x.items()}

    def to_arrays(self) -> dict[str, Any]:
        return {name: part.to_arrays() for name, part in self.of.items()}


def from_arrays(arrays: Mapping[str, Any]) -> Statistics | JointStatistics:
    """The inverse of `to_arrays`, of one modality or of several."""
    if all(isinstance(part, Mapping) for part in arrays.values()):
        return JointStatistics({name: Statistics.from_arrays(dict(part)) for name, part in arrays.items()})
    return Statistics.from_arrays(dict(arrays))
