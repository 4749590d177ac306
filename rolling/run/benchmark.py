"""`rolling benchmark`: a run, or several trainings of one experiment, scored by published protocols."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rolling.common.errors import InputError
from rolling.common.files import check_links
from rolling.data.source import Split
from rolling.protocols.protocol import PublishedProtocol
from rolling.run.evaluation.by_protocol import score_by
from rolling.run.evaluation.protocol_tables import table_of, table_of_runs
from rolling.run.experiment import Experiment, check_one_modality, codec, user_code
from rolling.run.experiment.presets import from_json
from rolling.run.forecasting.forecaster import Forecaster
from rolling.run.opened_run import open_run

APART = ("name", "forecast", "long", "metrics", "long_metrics", "protocols", "outputs")
"""What trainings of one experiment may have of their own, beside their seeds: protocols make other forecasts,
and score them by their own metrics."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """Makes the forecasts that published protocols ask for, and scores them as they say."""

    protocols: tuple[PublishedProtocol, ...] = ()
    """By default those of the run."""


def benchmark(folder: Path, choose: Callable[[BenchmarkOptions], BenchmarkOptions]) -> str:
    """Scores a run by published protocols, and returns their tables; `choose` maps the run's own to those to
    use."""
    experiment, forecaster, split = open_run(folder)
    check_one_modality(experiment, "benchmark")
    protocols = _chosen(experiment, choose)
    return "".join(benchmarked(protocols, forecaster, split, folder))


def benchmarked(
    protocols: Sequence[PublishedProtocol], forecaster: Forecaster, split: Split, folder: Path
) -> Iterator[str]:
    for protocol in protocols:
        yield f"\n{table_of(score_by(protocol, forecaster, split, folder)).plain()}\n"


def benchmark_trainings(
    folders: Sequence[Path], choose: Callable[[BenchmarkOptions], BenchmarkOptions]
) -> str:
    """The same of several trainings of one experiment, one after the other: tables with all of them, their
    means and standard deviations. Raises `InputError` for other runs."""
    experiments = [_experiment(folder) for folder in folders]
    _check_trainings(folders, experiments)
    protocols, *others = [_chosen(experiment, choose) for experiment in experiments]
    for folder, other in zip(folders[1:], others, strict=True):
        if other != protocols:
            raise InputError(
                f"{folders[0]} and {folder} have different protocols: name those to score them by,"
                " --protocols NAME"
            )
    found: list[dict[str, dict[str, Any]]] = [{} for _ in protocols]
    for folder in folders:
        _, forecaster, split = open_run(folder)
        for protocol, contents in zip(protocols, found, strict=True):
            contents[str(folder)] = score_by(protocol, forecaster, split, folder)
    return "".join(f"\n{table_of_runs(contents).plain()}\n" for contents in found)


def _chosen(
    experiment: Experiment, choose: Callable[[BenchmarkOptions], BenchmarkOptions]
) -> tuple[PublishedProtocol, ...]:
    protocols = choose(BenchmarkOptions(protocols=experiment.protocols)).protocols
    if not protocols:
        raise InputError("no protocol is named: give --protocols NAME; `--help` lists those that are known")
    return protocols


def _experiment(folder: Path) -> Experiment:
    check_links(folder)
    return from_json(folder / "experiment.json")


def _check_trainings(folders: Sequence[Path], experiments: Sequence[Experiment]) -> None:
    """Raises `InputError` where runs are not trainings of one experiment with different seeds."""
    apart = {name: getattr(experiments[0], name) for name in APART}
    methods = [
        dataclasses.replace(each, training=dataclasses.replace(each.training, seed=0), **apart)
        for each in experiments
    ]
    seeds: dict[int, Path] = {}
    for folder, experiment, method in zip(folders, experiments, methods, strict=True):
        changed = codec.differences(codec.encode(methods[0]), codec.encode(method))
        if user_code.kept_digests(folder) != user_code.kept_digests(folders[0]):
            changed.append("the user's own code")
        if changed:
            raise InputError(
                f"{folders[0]} and {folder} differ in more than their seeds ({'; '.join(changed)}), and a"
                " mean is that of trainings of one experiment: score them one by one"
            )
        seed = experiment.training.seed
        if seed in seeds:
            raise InputError(
                f"{seeds[seed]} and {folder} are the same experiment with the same seed, so one adds nothing:"
                " leave it out"
            )
        seeds[seed] = folder
