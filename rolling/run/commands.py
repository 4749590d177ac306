"""What the commands do with a run: the folder `runs/NAME`, which is self-contained.

experiment.json    everything that determines the result
held_out.json      the names of the clips that were not trained on, where they have names
others/            copies of the runs that it asks: a teacher, a weaker network, one that guesses, and of
                   the one that it began with
checkpoints/       parameters, optimiser, statistics, layout, position in the data
log.jsonl          losses and speeds, one JSON object per line; the same in tensorboard/
forecast.zarr      the ensemble, long.zarr the long rollouts
evaluation*.json   scores (also as .nc)
protocol-*.json    scores by published protocols, of forecasts in stores of such names
videos/            some of the forecasts in the formats of `outputs`, one folder per store
report.html
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.common.files import check_links, safe_name, write_file
from rolling.common.forecast_schema import STORE
from rolling.data.other import read_other
from rolling.data.pipeline import check_frames
from rolling.data.source import Described, Split
from rolling.data.told_parameters import numbers_named, told
from rolling.joint_layout import JointLayout
from rolling.layout import Layout
from rolling.outputs import Output
from rolling.run import other_runs
from rolling.run.benchmark import BenchmarkOptions, benchmarked
from rolling.run.evaluation.agreement_of_modalities import read_agreement
from rolling.run.evaluation.by_modality import evaluate_modalities, stores, told as told_of
from rolling.run.evaluation.evaluate import evaluate as score
from rolling.run.evaluation.lasting import how_long_they_last
from rolling.run.evaluation.side_by_side import side_by_side
from rolling.run.evaluation.summary import summary_table
from rolling.run.evaluation.where_drift_begins import DriftOptions, where_drift_begins
from rolling.run.experiment import (
    Experiment,
    Forecast,
    JointExperiment,
    check_one_modality,
    codec,
)
from rolling.run.forecasting import initial_frames
from rolling.run.forecasting.forecaster import Forecaster, load
from rolling.run.forecasting.known_frames import check_elsewhere, named_stores
from rolling.run.forecasting.streaming import write_forecast
from rolling.run.opened_run import data_of, open_run
from rolling.run.report.data_summary import long_enough
from rolling.run.report.video_files import check_outputs, write_outputs
from rolling.run.run_folder import alone_in, check_folder, nothing_left, prepare_folder
from rolling.run.training import held_out, memory
from rolling.run.training.cost import cost_of, cost_table
from rolling.run.training.trainer import Trainer, measured
from rolling.sampling import JointSampling, Sampling

STORES = {"forecast": "evaluation", "long": "evaluation-long"}
"""The stores of a run, and the file stem of the evaluation of each."""


def train(experiment: Experiment, folder: Path, *, resume: bool = False) -> Split:
    """Trains from the start or from the last checkpoint; returns the data."""
    check_folder(experiment, folder, resume=resume)
    with alone_in(folder):
        return _train(experiment, folder, resume)


def _train(experiment: Experiment, folder: Path, resume: bool) -> Split:
    other_runs.check(experiment, folder, fresh=not (folder / "experiment.json").exists())
    split = experiment.split()  # before the folder is made, so that bad data leave no trace
    check_outputs(experiment.outputs, split.test.layout)
    experiment.check_layout(split.train.layout)
    held_out.check(split, folder)
    if short := memory.shortage(experiment, split.train.layout, memory.memory_there()):
        print(short, file=sys.stderr, flush=True)
    check_frames(split.train, experiment.clip_frames)
    statistics = None if (folder / "checkpoints").exists() else measured(experiment, split.train)
    with nothing_left(folder):
        prepare_folder(experiment, folder, resume=resume)
        held_out.keep(split, folder)
        trainer = Trainer(experiment, folder, split, statistics)
    print(_facts(experiment, split, trainer.parameters), *trainer.notices, *split.notices, sep="\n")
    try:
        trainer.run()
    finally:
        trainer.close()
    for sentence in trainer.outcome():
        print(sentence)
    return split


def run(experiment: Experiment, folder: Path, *, resume: bool = False) -> None:
    """Everything: train, roll out, evaluate, report. A resumed run keeps the steps that it has finished."""
    check_folder(experiment, folder, resume=resume)
    with alone_in(folder):
        _run(experiment, folder, resume)


def _run(experiment: Experiment, folder: Path, resume: bool) -> None:
    split = _train(experiment, folder, resume)
    if not (experiment.forecast.frames or experiment.long.frames):
        print(f"trained; the experiment makes no forecast: `rolling rollout {folder} --frames 20` makes one")
        return
    forecaster = load(folder)
    for name, sampling, forecast in _asked(experiment):
        if forecast.frames:
            forecaster.sample_with(sampling)
            store = folder / f"{name}.zarr"
            write_forecast(forecaster, split.test, forecast, store, _label(name, forecast))
    forecaster.sample_with(experiment)
    print(_evaluate(forecaster, split, folder))
    print(*benchmarked(experiment.protocols, forecaster, split, folder), sep="\n", end="")
    _write_outputs(experiment.outputs, experiment, split, folder)
    print(f"\nreport: {_report(forecaster, split, folder)}")


def _asked(experiment: Experiment) -> Iterator[tuple[str, Sampling, Forecast]]:
    """What a run makes: the names of its stores, and how."""
    yield "forecast", experiment.recipe, experiment.forecast
    if isinstance(experiment, JointExperiment):
        for sampling in (law.of(experiment.recipe) for law in experiment.laws):
            yield f"forecast-{sampling.law_name}", sampling, experiment.forecast
    yield "long", experiment.recipe, experiment.long


def distill(experiment: Experiment, folder: Path, *, resume: bool = False) -> None:
    """Runs a distillation and prints its scores beside its teacher's."""
    run(experiment, folder, resume=resume)
    print(f"\n{side_by_side({'teacher': Path(experiment.objective.teacher), 'student': folder})}")


def finetune(experiment: Experiment, folder: Path, *, resume: bool = False) -> None:
    """Runs what begins with another run, `training.init`, and prints its scores beside that one's."""
    run(experiment, folder, resume=resume)
    if isinstance(experiment, JointExperiment):
        return
    print(f"\n{side_by_side({'before': Path(experiment.training.init), 'after': folder})}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RolloutOptions(Sampling, Forecast):
    """Sampling as in the run, except for the parts named here."""

    data: str = ""
    """Other data, read as those of training, to forecast from their end: a file, folder or pattern of fields,
    or one clip."""
    parameters: tuple[str, ...] = ()
    """Parameters of simulations to use in place of the data's own, like Re=500: then the store is called
    forecast-Re-500.zarr, and is compared with no truth."""
    output: str = ""
    """The store to write; by default forecast.zarr, or forecast-DATA.zarr, in the run's folder."""
    overwrite: bool = False
    """Replace a store that holds another forecast."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JointRolloutOptions(RolloutOptions, JointSampling):
    """Sampling as in the run, except for the parts named here: what is given, say, and what is left out."""

    known: tuple[str, ...] = ()
    """Frames of modalities that are known and stay, as NAME=STORE: a group of a forecast's store, or a file
    with the same coordinates; those that are NaN or not there are made."""

    def __post_init__(self):
        super().__post_init__()
        named_stores(self.known)
        for name in ("data", "parameters"):
            if getattr(self, name):
                raise InputError(f"several modalities cannot be rolled out with --{name} yet: leave it out")


def fixed_by_run() -> set[str]:
    """The fields of an experiment that a trained run keeps, whatever is done with it later."""
    own = {
        field.name
        for kind in (JointRolloutOptions, ReportOptions, BenchmarkOptions)
        for field in dataclasses.fields(kind)
    }
    return {field.name for field in dataclasses.fields(Experiment)} - own - set(STORES)


def rollout(folder: Path, choose: Callable[[RolloutOptions], RolloutOptions]) -> Path:
    """Writes a forecast of the held-out part, or from the end of other data; `choose` maps the run's own
    options to those to use."""
    check_links(folder)
    forecaster = load(folder)
    experiment = forecaster.experiment
    kind = JointRolloutOptions if isinstance(experiment, JointExperiment) else RolloutOptions
    options = choose(kind(**vars(experiment.recipe), **vars(experiment.forecast)))
    forecaster.sample_with(options)
    forecast = Forecast(**{name: getattr(options, name) for name in vars(experiment.forecast)})
    if not forecast.frames:
        raise InputError("a rollout needs at least one frame: give --frames")
    if options.data:
        test: Any = read_other(experiment.source, forecaster.layout, forecaster.statistics.mask, options.data)
        starts = initial_frames.after_last(test, forecaster.recipe.given_frames)
        forecast = dataclasses.replace(forecast, starts=len(starts))
        others = [Path(options.data).stem]
    else:
        test, starts, others = data_of(forecaster, folder).test, None, []
    known = {}
    if isinstance(options, JointRolloutOptions):
        known = named_stores(options.known)
        from_stores = " and ".join(f"{name} from {known[name]}" for name in known)
        law = options.law(cast(Any, forecaster.layout))
        print(f"{law}, with known frames of {from_stores}" if known else law)
        others += [options.law_name] if options.law_name else []
        others += ["-".join(("known", *known))] if known else []
    if options.parameters:
        test = told(test, numbers_named(options.parameters))
        others += options.parameters
    default = "-".join([Path(STORE).stem, *map(safe_name, others)]) + ".zarr"
    output = Path(options.output) if options.output else folder / default
    check_elsewhere(known, output)
    label = _label("rollout", forecast)
    if forecaster.chosen:
        print(forecaster.chosen)
    write_forecast(
        forecaster, test, forecast, output, label, overwrite=options.overwrite, starts=starts, known=known
    )
    print(output)
    write_outputs(experiment.outputs, output, test, experiment.recipe)
    return output


def evaluate(folder: Path) -> str:
    """Scores the stores of a run; returns whether its long rollouts last, and a table of the first one's
    scores."""
    _, forecaster, split = open_run(folder)
    return _evaluate(forecaster, split, folder)


def drift(folder: Path, choose: Callable[[DriftOptions], DriftOptions]) -> str:
    """Tells where the drift of a run's rollouts comes from; `choose` maps its own options to those to use."""
    experiment, forecaster, split = open_run(folder)
    check_one_modality(experiment, "drift")
    options = choose(DriftOptions(**vars(experiment.recipe)))
    return where_drift_begins(forecaster, split.test, options)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Writes report.html into the run's folder, and the files of its outputs again."""

    poster: str = ""
    """Also save a picture of the forecast beside the truth, as a .png, .svg or .pdf file."""
    outputs: tuple[Output, ...] = ()
    """Files in which some of the forecasts are shown beside the truth."""

    def __post_init__(self):
        if self.poster and Path(self.poster).suffix not in (".png", ".svg", ".pdf"):
            raise InputError(f"a poster is a .png, .svg or .pdf file, not {self.poster}: change its ending")


def report(folder: Path, choose: Callable[[ReportOptions], ReportOptions] = lambda own: own) -> Path:
    """Writes `report.html`, the run's outputs and, if requested, a picture of the first forecast.

    `choose` maps the run's own options to those to use.
    """
    experiment, forecaster, split = open_run(folder)
    options = choose(ReportOptions(outputs=experiment.outputs))
    check_outputs(options.outputs, split.test.layout)
    if options.poster and isinstance(experiment, JointExperiment):
        names = ", ".join(cast(JointLayout, forecaster.layout).of)
        raise InputError(f"a poster shows one modality, and this run has {names}: leave --poster out")
    _write_outputs(options.outputs, experiment, split, folder)
    written = _report(forecaster, split, folder)
    if options.poster:
        from rolling.run.report.stills import poster as draw_poster  # here, as matplotlib takes a second

        poster, figure = Path(options.poster), draw_poster(folder, split.test, metrics=experiment.metrics)
        write_file(poster, lambda path: figure.savefig(path, format=poster.suffix[1:], dpi=110))
    return written


def show_experiment(experiment: Experiment) -> str:
    """An experiment as lines of names and values, and its cost."""
    lines = [f"{name}: {value}" for name, value in _flat(codec.encode(experiment))]
    return "\n".join(
        [*lines, "", f"network calls per frame: {experiment.network_calls:g}", _cost(experiment)]
    )


def _cost(experiment: Experiment) -> str:
    """Simulates and prepares nothing, and reads nothing but headers."""
    if not isinstance(experiment.source, Described):
        kind = type(experiment.source).__name__
        return f"cost: not known, as {kind} does not report the size of its frames before it is opened"
    try:
        layout = experiment.source.layout()
        cost = cost_table(cost_of(experiment, layout))
    except InputError as error:
        return f"cost: not known ({error})"
    try:
        experiment.check_layout(layout)
    except InputError as error:
        return f"{cost}\n\nnot to be trained like this: {error}"
    return cost


def _evaluate(forecaster: Forecaster, split: Split, folder: Path) -> str:
    experiment, evaluations = forecaster.experiment, {}
    if isinstance(experiment, JointExperiment):
        scored = evaluate_modalities(experiment, cast(Any, forecaster.statistics), split, folder)
        return told_of(scored, read_agreement(folder))
    metrics = {"forecast": experiment.metrics, "long": experiment.long_metrics}
    for name, stem in STORES.items():
        store = folder / f"{name}.zarr"
        if store.exists():
            evaluations[name] = score(store, split, forecaster.statistics, metrics[name], folder / stem)
    if not evaluations:
        raise InputError(f"{folder} has no forecast yet: `rolling rollout {folder}` makes one")
    lasting = how_long_they_last(evaluations["long"]) if "long" in evaluations else ""
    told = f"{lasting}: see Drift in the report." if lasting else ""
    return "\n\n".join(filter(None, [told, summary_table(next(iter(evaluations.values())))]))


def _write_outputs(outputs: Sequence[Output], experiment: Experiment, split: Split, folder: Path) -> None:
    """Writes the outputs of every store of the run."""
    joint = isinstance(experiment, JointExperiment)
    known = stores(folder) if joint else [folder / f"{name}.zarr" for name in STORES]
    for store in filter(Path.exists, known):
        write_outputs(outputs, store, split.test, experiment.recipe)


def _report(forecaster: Forecaster, split: Split, folder: Path) -> Path:
    # Here, as matplotlib takes a second.
    from rolling.run.report.joint_page import write_joint_report
    from rolling.run.report.page import write_report

    experiment = forecaster.experiment
    write: Any = write_joint_report if isinstance(experiment, JointExperiment) else write_report
    return write(
        folder,
        experiment=experiment,
        test=split.test,
        context=forecaster.recipe.given_frames,
        notices=split.notices,
        skipped=split.skipped,
        commands=[f"rolling run {folder / 'experiment.json'} --name NEW", f"rolling rollout {folder}"],
    )


def _label(name: str, forecast: Forecast) -> str:
    sizes = {"start": forecast.starts, "member": forecast.members, "frame": forecast.frames}
    return f"{name}: {' x '.join(counted(size, what) for what, size in sizes.items())}"


def _facts(experiment: Experiment, split: Split, parameters: int) -> str:
    layout: Any = split.train.layout
    unit = "tick" if isinstance(layout, JointLayout) else "frame"
    parts = {"train": split.train} | ({"validate": split.validation} if split.validation else {})
    amounts = [
        f"{counted(frames, unit)} in {counted(count, 'sequence')} to {what} on;"
        for what, part in parts.items()
        for count, frames in [long_enough(part, experiment.clip_frames)]
    ]
    return (
        f"{experiment.name}: {_frames_of(layout)};"
        f" {' '.join(amounts)}"
        f" a network of {parameters / 1e6:.2f} M parameters"
    )


def _frames_of(layout: Layout | JointLayout) -> str:
    """What a frame holds, in words."""
    if isinstance(layout, JointLayout):
        return ", ".join(f"{name} with {_frames_of(part)}" for name, part in layout.of.items())
    return f"{', '.join(layout.names)} on {layout.size}"


def _flat(value, prefix=""):
    """Names and values of an encoded experiment, one per line."""
    for name, item in value.items():
        if name == "type":
            yield prefix.rstrip(".") or "experiment", item
        elif isinstance(item, dict):
            yield from _flat(item, f"{prefix}{name}.")
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            for i, part in enumerate(item):
                yield from _flat(part, f"{prefix}{name}.{i}.")
        else:
            yield prefix + name, item
