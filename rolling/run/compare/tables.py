"""The tables that a comparison prints: titles, columns, and numbers to their significant digits."""

from collections.abc import Sequence

from rolling.common.counting import counted
from rolling.run.compare.estimates import Estimate, Ranks, rank
from rolling.run.compare.results import Result
from rolling.run.evaluation.tables import NO_VALUE, Cell, Table, with_interval
from rolling.run.report.words import Words, pretty_units, with_units

FRAMES = (1, 3, 5, 8, 12, 20)
"""The leads shown, as far as the forecasts reach."""


def at_calls(calls: float | None) -> str:
    return "" if calls is None else f"{counted(calls, 'call')} per frame"


def heading(result: Result, words: Words) -> str:
    """The score and, unless there is only one, the variable: `CRPS of 2 m temperature`."""
    alone = len(words.layout.names) == 1 and words.variable(result.variable)
    return result.title if alone else f"{result.title} of {words.title(result.variable)}"


def title(result: Result, words: Words) -> str:
    """`CRPS of 2 m temperature (K)`."""
    return with_units(heading(result, words), pretty_units(result.units))


def by_lead(result: Result, words: Words, names: Sequence[str], *, sure: bool) -> Table:
    """Groups against lead time, with baselines below them; intervals are shown only if `sure`."""
    chosen = [frame - 1 for frame in FRAMES if frame <= len(result.leads)]
    ranking = rank(result.estimates, result.about)
    rows = [
        (name, tuple(_cell(result.estimates[name], ranking, name, i, sure) for i in chosen))
        for name in names
        if name in result.estimates
    ]
    rows += [
        (name, tuple(_reference(estimate, i, sure) for i in chosen))
        for name, estimate in result.baselines.items()
    ]
    first = "lead (frames)" if words.lead_unit == "frames" else "lead time"
    return Table(
        caption=f"{title(result, words)}, {at_calls(result.calls)}",
        heads=(first, *(words.lead(result.leads[i]) for i in chosen)),
        rows=tuple(rows),
        variable=result.variable,
    )


def by_calls(results: Sequence[Result], words: Words, names: Sequence[str], *, sure: bool) -> Table:
    """The mean over leads of one metric and variable against calls per frame."""
    first = results[0]
    columns = []
    for result in results:
        means = {name: estimate.over_leads() for name, estimate in result.estimates.items()}
        columns.append((means, rank(means, first.about)))
    rows = [
        (name, tuple(_cell(means.get(name), ranking, name, 0, sure) for means, ranking in columns))
        for name in names
    ]
    rows += [
        (name, tuple(_reference(result.baselines[name].over_leads(), 0, sure) for result in results))
        for name in first.baselines
    ]
    return Table(
        caption=f"{title(first, words)}, mean over {counted(len(first.leads), 'lead')}",
        heads=("calls per frame", *(str(result.calls) for result in results)),
        rows=tuple(rows),
        variable=first.variable,
    )


def of_rollouts(results: Sequence[Result], words: Words, names: Sequence[str], *, sure: bool) -> Table:
    """One number for each metric and variable of the long rollouts."""
    rankings = [rank(result.estimates, result.about) for result in results]
    columns = list(zip(results, rankings, strict=True))
    rows = [
        (
            name,
            tuple(_cell(result.estimates.get(name), ranking, name, 0, sure) for result, ranking in columns),
        )
        for name in names
    ]
    return Table(
        caption="Long rollouts, each at its own calls per frame",
        heads=("", *(title(result, words) for result in results)),
        rows=tuple(rows),
    )


def _reference(estimate: Estimate, lead: int, sure: bool) -> Cell:
    return Cell(text=with_interval(estimate.value[lead], estimate.interval[:, lead] if sure else None))


def _cell(estimate: Estimate | None, ranking: Ranks, name: str, lead: int, sure: bool) -> Cell:
    if estimate is None:
        return Cell(text=NO_VALUE)
    bounds = estimate.interval[:, lead] if sure else None
    return Cell(
        text=with_interval(estimate.value[lead], bounds),
        best=ranking.best[lead] == name,
        tied=sure and bool(ranking.tied[name][lead]),
    )
