"""Sequences in memory: the frames that a forecast is given from Python, and what is known of later ones."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rolling.common.errors import InputError
from rolling.data.source import Sequences, SequencesBase
from rolling.data.told_parameters import scaled_parameters
from rolling.denoisers import NO_LABEL
from rolling.layout import Layout


class Always(NamedTuple):
    """The parameters `[p]` of a sequence and its constant fields `[*space, f]`, on the network's scale."""

    parameters: np.ndarray
    constants: np.ndarray

    @classmethod
    def of(
        cls, layout: Layout, parameters: Mapping[str, float] | None, constants: np.ndarray | None
    ) -> "Always":
        """Of values in the units of the data. Raises `InputError` where one that the network knows is
        missing, or has another shape."""
        shown = scaled_parameters(layout, dict(parameters or {}))
        missing = [p.name for i, p in enumerate(layout.parameters) if i not in shown]
        if missing:
            raise InputError(
                f"the network is conditioned on the parameter {missing[0]}: give parameters="
                f"{{{missing[0]!r}: ...}}, a number"
            )
        if constants is not None and not layout.constants:
            raise InputError("the network was trained without constant fields: leave constants= out")
        fields = np.zeros((*layout.space, 0)) if constants is None else np.asarray(constants)
        wanted = (*layout.space, len(layout.constants))
        if fields.shape != wanted:
            names = ", ".join(constant.name for constant in layout.constants)
            raise InputError(
                f"the network is conditioned on constant fields ({names}) of shape {wanted}: give them as"
                f" constants=, not {'none' if constants is None else f'an array of shape {fields.shape}'}"
            )
        scaled = [constant.scaled(fields[..., i]) for i, constant in enumerate(layout.constants)]
        return cls(
            np.array([shown[i] for i in range(len(layout.parameters))], np.float32),
            np.stack(scaled, axis=-1) if scaled else fields,
        )


@dataclasses.dataclass(frozen=True)
class InMemory(SequencesBase):
    """One sequence in memory: its first frames, and the conditioning of the given and later ones."""

    layout: Layout
    given: np.ndarray
    times_of: Callable[[np.ndarray], np.ndarray]
    always: "Always"
    label: str
    embeddings: np.ndarray | None
    actions: np.ndarray | None
    forcings: np.ndarray | None
    mask = None

    def __len__(self):
        return 1

    def read(self, index, start, stop):
        return self.given[start:stop]

    def length(self, index):
        """Frames for which all conditioning that the layout requires is known."""
        given = ((self.layout.actions, self.actions), (self.layout.forcings, self.forcings))
        return min((0 if part is None else len(part) for count, part in given if count), default=0)

    def times(self, index, start, stop):
        return self.times_of(np.arange(start, stop))

    def conditioning(self, index, start, stop):
        found, layout = {}, self.layout
        if layout.labels:
            if self.label and self.label not in layout.labels:
                raise InputError(f"no class {self.label!r}: choose one of {', '.join(layout.labels)}")
            found["label"] = np.int32(layout.labels.index(self.label) if self.label else NO_LABEL)
        if layout.tokens:
            none = np.zeros((1, layout.tokens), np.float32)
            found["tokens"] = none if self.embeddings is None else np.asarray(self.embeddings, np.float32)
        if layout.actions:
            found["actions"] = np.asarray(self.actions, np.float32)[start:stop]
        if layout.forcings:
            found["fields"] = np.asarray(self.forcings, np.float32)[start:stop]
        if layout.parameters:
            found["parameters"] = np.tile(self.always.parameters, (stop - start, 1))
        if layout.constants:
            found["constants"] = self.always.constants
        return found


@dataclasses.dataclass(frozen=True)
class Joined(SequencesBase):
    """Several sequences, each the only one of its part."""

    parts: Sequence[Sequences]
    mask = None

    @property
    def layout(self):
        return self.parts[0].layout

    def __len__(self):
        return len(self.parts)

    def length(self, index):
        return self.parts[index].length(0)

    def read(self, index, start, stop):
        return self.parts[index].read(0, start, stop)

    def times(self, index, start, stop):
        return self.parts[index].times(0, start, stop)

    def conditioning(self, index, start, stop):
        return self.parts[index].conditioning(0, start, stop)
