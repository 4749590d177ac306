"""Sums and means over starts: the one mechanism of every metric of single frames.

A metric names a few *terms*, numbers whose mean over starts it needs at each lead time, and makes its score
from those means at the end. So every metric streams, in any order of starts and blocks of leads, and what it
stores does not grow with the number of starts.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from rolling.layout import Variable
from rolling.metrics.protocol import About, EvaluationSetup, Sample, Score

Terms = dict[str, np.ndarray]


class Sums:
    """Sums over starts of named terms, for each lead or each `every` leads together, in float64.

    `tools` is whatever the metric prepared for this layout: weights, wavenumbers, ... With `every` above 1
    the sums are over windows of so many leads, of the whole horizon, and an incomplete last one is left out.
    """

    def __init__(self, setup: EvaluationSetup, tools: Any, every: int = 1):
        self.setup = setup
        self.tools = tools
        self.every = every
        self.places = setup.leads if every == 1 else setup.horizon // every
        self._count = np.zeros(self.places)
        self._total: Terms = {}

    def add(self, first: int, terms: Terms) -> None:
        """Adds a start for leads `first, first + 1, ...`; every term is `[lead, ...]`."""
        leads = len(next(iter(terms.values())))
        place = np.arange(first, first + leads) // self.every
        place = place[place < self.places]
        for name, values in terms.items():
            total = self._total.setdefault(name, np.zeros((self.places, *values.shape[1:])))
            np.add.at(total, place, values[: len(place)])
        np.add.at(self._count, place, 1)

    def mean(self, name: str, cumulative: bool = False) -> np.ndarray:
        """`[leads, ...]`, or `[windows, ...]`: the mean over starts; if `cumulative`, also over all leads up
        to each one.

        NaN at a lead without a start.
        """
        total, count = self._total[name], self._count
        if cumulative:
            total, count = np.cumsum(total, axis=0), np.cumsum(count)
        with np.errstate(invalid="ignore"):
            return total / count.reshape(-1, *[1] * (total.ndim - 1))

    def overall(self, name: str, leads: slice = slice(None)) -> np.ndarray:
        """`[...]`: the mean over starts and leads."""
        return self._total[name][leads].sum(axis=0) / self._count[leads].sum()

    @classmethod
    def weighted(cls, parts: Sequence["Sums"], weights: np.ndarray) -> Iterator["Sums"]:
        """For each row of `weights [row, part]` the weighted sum of `parts`, all of one setup."""
        counts = np.stack([part._count for part in parts])
        totals = {name: np.stack([part._total[name] for part in parts]) for name in parts[0]._total}
        for row in weights:
            sums = cls(parts[0].setup, parts[0].tools, parts[0].every)
            sums._count = row @ counts
            sums._total = {name: np.tensordot(row, total, axes=1) for name, total in totals.items()}
            yield sums


class Averaged:
    """Base of a `rolling.metrics.Resampled` made from means: a subclass gives the terms and the scores.

    Metrics with the same `tools` and `terms` give them the same name in `shared`: they are then computed
    once.
    """

    name: str
    about: ClassVar[About | None] = None
    shared: ClassVar[str] = ""

    def start(self, setup: EvaluationSetup) -> Sums | None:
        tools = setup.share(repr(self), functools.partial(self.tools, setup))
        return None if tools is None else self.sums(setup, tools)

    def sums(self, setup: EvaluationSetup, tools: Any) -> Sums:
        """Empty ones."""
        return Sums(setup, tools)

    def update(self, state: Sums, sample: Sample) -> Sums:
        state.add(sample.first, self.computed(state, sample))
        return state

    def computed(self, state: Sums, sample: Sample) -> Terms:
        """The terms of a block, computed once for all metrics that share them."""
        compute = functools.partial(self.terms, state.tools, sample)
        return sample.share((self.shared, state.setup), compute) if self.shared else compute()

    def result(self, state: Sums) -> tuple[Score, ...]:
        # A ratio of two zeros, such as the correlation of a constant field, is NaN: "no value".
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.scores(state)

    def resample(self, states: Sequence[Sums], weights: np.ndarray) -> Iterator[Sums]:
        return Sums.weighted(states, weights)

    def tools(self, setup: EvaluationSetup) -> Any:
        """What `terms` needs for this layout; None where the metric makes no sense."""
        raise NotImplementedError

    def terms(self, tools: Any, sample: Sample) -> Terms:
        """The numbers `[lead, ...]` of one start that are averaged over starts."""
        raise NotImplementedError

    def scores(self, sums: Sums) -> tuple[Score, ...]:
        """The scores that the means give."""
        raise NotImplementedError


def over_leads(
    setup: EvaluationSetup,
    variables: Sequence[Variable],
    values: np.ndarray,
    *,
    reference: np.ndarray | None = None,
    units: str | None = None,
) -> tuple[Score, ...]:
    """A score for each variable from `values [leads, variable]`; `units` replace the variables' own."""
    leads = np.arange(1, setup.leads + 1) * setup.layout.step
    return tuple(
        Score(
            variable=variable.name,
            units=variable.units if units is None else units,
            axis="lead",
            coordinate=leads,
            values=values[:, i],
            reference=None if reference is None else reference[:, i],
        )
        for i, variable in enumerate(variables)
    )
