"""Sequences with other parameters than their own: what would happen at another Reynolds number?"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from rolling.common.errors import InputError
from rolling.data.set_apart import Place, Ranges
from rolling.data.source import Sequences
from rolling.layout import Layout


def scaled_parameters(layout: Layout, told: dict[str, float]) -> dict[int, np.ndarray]:
    """Of the parameters that are told, by their places in the layout, what the network is shown.

    Raises `InputError` for one that it was not trained with.
    """
    names = [parameter.name for parameter in layout.parameters]
    unknown = [name for name in told if name not in names]
    if unknown:
        known = f"there are {', '.join(names)}" if names else "it was trained without any"
        raise InputError(f"the network knows no parameter {unknown[0]!r}: {known}")
    return {
        names.index(name): layout.parameters[names.index(name)].scaled(value) for name, value in told.items()
    }


def numbers_named(words: Sequence[str]) -> dict[str, float]:
    """`["Re=500"]` as names and numbers. Raises `InputError` for anything else."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            equals = ""
        if not (name and equals and np.isfinite(found[name])):
            raise InputError(f"a parameter is given as NAME=NUMBER, like Re=500, not as {word!r}")
    return found


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ToldParameters(Ranges):
    """See `told`."""

    shown: dict[int, np.ndarray]

    def conditioning(self, index: int, start: int, stop: int) -> dict[str, np.ndarray]:
        found = super().conditioning(index, start, stop)
        parameters = found["parameters"].copy()
        for place, value in self.shown.items():
            parameters[:, place] = value
        return found | {"parameters": parameters}


def told(sequences: Sequences, values: dict[str, float]) -> Sequences:
    """The same sequences, with these values of parameters in place of their own."""
    places = tuple(Place(i, 0, sequences.length(i)) for i in range(len(sequences)))
    return ToldParameters(whole=sequences, places=places, shown=scaled_parameters(sequences.layout, values))
