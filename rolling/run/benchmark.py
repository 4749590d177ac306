"""`rolling benchmark`: a run scored by published protocols."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rolling.common.errors import InputError
from rolling.data.source import Split
from rolling.protocols.protocol import PublishedProtocol
from rolling.run.evaluation.by_protocol import score_by
from rolling.run.forecasting.forecaster import Forecaster
from rolling.run.opened_run import open_run


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """Makes the forecasts that published protocols ask for, and scores them as they say."""

    protocols: tuple[PublishedProtocol, ...] = ()
    """By default those of the run."""


def benchmark(folder: Path, choose: Callable[[BenchmarkOptions], BenchmarkOptions]) -> str:
    """Scores a run by published protocols, and returns their tables; `choose` maps the run's own to those to
    use."""
    experiment, forecaster, split = open_run(folder)
    protocols = choose(BenchmarkOptions(protocols=experiment.protocols)).protocols
    if not protocols:
        raise InputError("no protocol is named: give --protocols NAME; `--help` lists those that are known")
    return "".join(benchmarked(protocols, forecaster, split, folder))


def benchmarked(
    protocols: Sequence[PublishedProtocol], forecaster: Forecaster, split: Split, folder: Path
) -> Iterator[str]:
    for protocol in protocols:
        yield f"\n{score_by(protocol, forecaster, split, folder).plain()}\n"
