"""The command line: `rolling run kolmogorov`, or its steps one by one."""

import dataclasses
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import rolling
from rolling.common import signals, terminal
from rolling.common.errors import InputError
from rolling.run import failures
from rolling.run.arguments import experiment_and_options, find_weights, first, overridden, take, take_code
from rolling.run.compiled_programs import keep_compiled_programs
from rolling.run.training.allocator import keep_freed_memory

USAGE = """usage: rolling COMMAND ...

  run EXPERIMENT       train, roll out, evaluate, report: everything, into runs/NAME
  prepare EXPERIMENT   open the data, which simulates or decodes them once, and describe them
  train EXPERIMENT     train only
  rollout RUN          forecast with a trained run, streamed to a Zarr store
  distill RUN          turn a trained run into one of few calls per frame (--steps-per-frame, --method)
  finetune RUN         go on training from a run's parameters, with another objective or other data
  benchmark RUN        score it by published protocols; of several trainings, RUN RUN ..., mean and deviation
  drift RUN            tell where the drift of its rollouts comes from
  evaluate RUN         score its forecasts against the truth, persistence and climatology
  evaluate --real DIR --fake DIR   score clips of any model against real ones: videos, arrays, stores
  report RUN           write report.html
  compare RUN RUN ...  put finished runs side by side; EXPERIMENT --windows A,B first trains one per family
  list                 list the presets
  show EXPERIMENT      show all settings of an experiment and its cost: operations, memory
  show DATA            say what lies in a file or folder: simulations, fields on a grid or clips
  weights NAME         where to get the weights that a metric needs (i3d, lsim), and whether the file is valid
  oracle               exact error of a window and a solver on a linear-Gaussian sequence

--code FILE, any number of times: parts of a Python file of your own, for any command.
EXPERIMENT is a preset, a Python file that defines `experiment`, or a run. Every field is an option:
`rolling run kolmogorov --window.size 12 --solver ancestral`. With --help after the name of an
experiment or run, as in `rolling run kolmogorov --help`, a command lists its options.
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command, and returns the exit code; without arguments, as the program that was started.

    Bad input, files that cannot be used and signals end it with one sentence on standard error; whatever else
    is raised is a defect of the project and keeps its traceback.
    """
    if arguments is not None:
        return _ended(arguments)
    failures.open_closed_streams()
    keep_compiled_programs()
    code = _ended(sys.argv[1:])
    signals.leave_with(code)
    return code


def _ended(words: list[str]) -> int:
    with terminal.guarded(), signals.handled():
        try:
            code = _answer(list(words))
            sys.stdout.flush()
            return code
        except BaseException as error:
            end = failures.end_of(error)
            if end is None:
                raise
            if end.words:
                failures.say(end.words)
        try:
            sys.stdout.flush()
        except OSError:
            failures.detach(1)
        return end.code


def _answer(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if words else 2
    if words[0] == "--version":
        print(f"rolling {rolling.__version__}")
        return 0
    keep_freed_memory()
    words = find_weights(take_code(words))
    if not words:
        raise InputError("--code needs a command before it: `rolling run mine.py`, `rolling report RUN`")
    if _asks_for_usage(words):
        print(_usage_of(words[0]))
        return 0
    command = COMMANDS.get(words[0])
    if command is None:
        raise InputError(f"there is no command {words[0]!r}: choose one of {', '.join(COMMANDS)}")
    command(words[1:])
    return 0


def _asks_for_usage(words: list[str]) -> bool:
    """Whether `--help` is asked of a command that has no options, or none before it knows its experiment."""
    command, rest = words[0], words[1:]
    named = bool(rest) and not rest[0].startswith("-")
    without = command in ("list", "weights") or (command == "evaluate" and named)
    later = not named and command not in ("oracle", "evaluate", "compare")
    return command in COMMANDS and bool({"-h", "--help"} & set(rest)) and (without or later)


def _usage_of(command: str) -> str:
    lines = [line for line in USAGE.splitlines() if line.split()[:1] == [command]]
    what = next((word for word in lines[0].split()[1:2] if word in ("EXPERIMENT", "RUN")), "")
    more = [f"All options: `rolling {command} {what} --help`.", ""] if what and command != "evaluate" else []
    return "\n".join(["usage: rolling COMMAND ...", "", *lines, "", *more, *USAGE.splitlines()[-4:]])


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainOptions:
    folder: str = "runs"
    """Parent folder of the run's folder."""
    resume: bool = False
    """Continue the run of this name."""


def _train(words: list[str]) -> None:
    from rolling.run import commands

    experiment, options = experiment_and_options(words, "train", TrainOptions)
    commands.train(experiment, Path(options.folder) / experiment.name, resume=options.resume)


def _prepare(words: list[str]) -> None:
    from rolling.run.report.data_summary import summary
    from rolling.run.report.thumbnails import write_thumbnails

    experiment, _ = experiment_and_options(words, "prepare", NoOptions)
    split = experiment.split()
    print(summary(split, experiment))
    picture = write_thumbnails(split)
    if picture is not None:
        print(f"thumbnails: {picture}")


def _run(words: list[str]) -> None:
    from rolling.run import commands

    experiment, options = experiment_and_options(words, "run", TrainOptions)
    commands.run(experiment, Path(options.folder) / experiment.name, resume=options.resume)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneOptions:
    folder: str = ""
    """Parent folder of the run's folder; by default that of the run it begins with."""
    resume: bool = False
    """Continue the run of this name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistillOptions(FinetuneOptions):
    steps_per_frame: int = 1
    """Network calls per frame of the distilled run."""
    method: str = "consistency"
    """consistency or moment_matching."""


def _calls(word: str) -> int | float:
    """Calls per frame: a whole number, or a fraction where a cycle finishes several frames."""
    try:
        calls = float(word)
    except ValueError:
        calls = math.nan
    if not 0 < calls < math.inf:
        raise InputError(f"--steps-per-frame must be a number above 0, such as 1, not {word!r}")
    return int(calls) if calls == int(calls) else calls


def _place(options: FinetuneOptions, run: Path, name: str) -> Path:
    """The folder of a run that begins with another."""
    return (Path(options.folder) if options.folder else run.parent) / name


def _finetune(words: list[str]) -> None:
    from rolling.run import commands
    from rolling.run.training.initial_parameters import finetuned

    name, rest = first(words, "finetune", "run")
    experiment, options = overridden(finetuned(Path(name)), rest, f"rolling finetune {name}", FinetuneOptions)
    place = _place(options, Path(name), experiment.name)
    commands.finetune(experiment, place, resume=options.resume)


def _distill(words: list[str]) -> None:
    from rolling.run import commands
    from rolling.run.training import student as students

    name, rest = first(words, "distill", "run")
    run = Path(name)
    # These two determine the defaults of everything else.
    steps, rest = take(rest, "--steps-per-frame", str(DistillOptions.steps_per_frame))
    method, rest = take(rest, "--method", DistillOptions.method)
    student = students.student_of(run, method, _calls(steps))
    experiment, options = overridden(student, rest, f"rolling distill {name}", DistillOptions)
    commands.distill(experiment, _place(options, run, experiment.name), resume=options.resume)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoOptions:
    pass


def _show(words: list[str]) -> None:
    from rolling.data.inspection import look
    from rolling.run import commands
    from rolling.run.experiment.presets import is_experiment

    if words and Path(words[0]).exists() and not is_experiment(words[0]):
        print(look(words[0]))
        return
    experiment, _ = experiment_and_options(words, "show", NoOptions)
    print(commands.show_experiment(experiment))


def _list(words: list[str]) -> None:
    from rolling.run.experiment.presets import about, families, first_line, presets

    if words:
        raise InputError("`rolling list` takes no arguments")
    width = max(map(len, (*presets(), *families()))) + 2
    for name in presets():
        print(f"{name:{width}}{first_line(name)}")
    print("\nEach of them also exists in other families of methods, as NAME_FAMILY (kolmogorov_erdm):")
    for name in families():
        print(f"{name:{width}}{about(name)}")


def _rollout(words: list[str]) -> None:
    from rolling.run import commands
    from rolling.run.experiment.options import parse

    run, rest = first(words, "rollout", "run")
    program, fixed = f"rolling rollout {run}", commands.fixed_by_run()
    commands.rollout(Path(run), lambda default: parse(default, rest, program, fixed))


def _drift(words: list[str]) -> None:
    from rolling.run import commands
    from rolling.run.experiment.options import parse

    run, rest = first(words, "drift", "run")
    program, fixed = f"rolling drift {run}", commands.fixed_by_run()
    print(commands.drift(Path(run), lambda own: parse(own, rest, program, fixed)))


def _benchmark(words: list[str]) -> None:
    from rolling.run.benchmark import benchmark, benchmark_trainings
    from rolling.run.commands import fixed_by_run
    from rolling.run.experiment.options import parse

    first(words, "benchmark", "run")
    named = _before_options(words)
    runs, rest = words[:named], words[named:]
    program, fixed = f"rolling benchmark {' '.join(runs)}", fixed_by_run()

    def choose(own):
        return parse(own, rest, program, fixed)

    if len(runs) == 1:
        print(benchmark(Path(runs[0]), choose))
    else:
        print(benchmark_trainings([Path(run) for run in runs], choose))


def _evaluate(words: list[str]) -> None:
    from rolling.run import commands

    if words and words[0].startswith("-"):
        return _evaluate_folders(words)
    run, rest = first(words, "evaluate", "run")
    if rest:
        raise InputError(
            "`rolling evaluate` takes a run and, of options, --code and --metrics.NAME-weights, not"
            f" {rest[0]!r}: metrics are chosen when a run is made"
        )
    print(commands.evaluate(Path(run)))


def _evaluate_folders(words: list[str]) -> None:
    from rolling.run.evaluation import clip_folders
    from rolling.run.experiment.options import parse

    options = parse(clip_folders.FolderOptions(), words, "rolling evaluate")
    print(clip_folders.score_folders(options))


def _report(words: list[str]) -> None:
    from rolling.run import commands
    from rolling.run.experiment.options import parse

    run, rest = first(words, "report", "run")
    program, fixed = f"rolling report {run}", commands.fixed_by_run()
    print(commands.report(Path(run), lambda own: parse(own, rest, program, fixed)))


def _before_options(words: list[str]) -> int:
    """How many words come before the first option."""
    return next((i for i, word in enumerate(words) if word.startswith("-")), len(words))


def _compare(words: list[str]) -> None:
    from rolling.run.compare import commands
    from rolling.run.experiment.options import parse

    if words and words[0] in ("-h", "--help"):
        print(commands.usage(), end="")
        return
    named = _before_options(words)
    if any(word.split("=")[0] == "--windows" for word in words):
        experiment, families = experiment_and_options(words, "compare", commands.FamilyOptions)
        print(commands.compare_families(experiment, families, words))
    else:
        options = parse(commands.RunOptions(), words[named:], "rolling compare")
        print(commands.compare_runs(words[:named], options, words))


def _weights(words: list[str]) -> None:
    from rolling.run.experiment.presets import weights

    known = weights()
    name, rest = first(words, "weights", "name")
    if name not in known or rest:
        raise InputError(f"`rolling weights` takes one name and nothing else: {', '.join(known)}")
    print(known[name].summary())


def _oracle(words: list[str]) -> None:
    from rolling.joint_oracle import JointOracle
    from rolling.oracle import Oracle
    from rolling.run.experiment import codec
    from rolling.run.experiment.options import parse

    several = any(word.split("=")[0] in ("--modalities", "--given", "--absent") for word in words)
    oracle = parse(JointOracle() if several else Oracle(), words, "rolling oracle")
    print(json.dumps({**codec.encode(oracle), **oracle.errors()}))


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "run": _run,
    "prepare": _prepare,
    "train": _train,
    "rollout": _rollout,
    "distill": _distill,
    "finetune": _finetune,
    "benchmark": _benchmark,
    "drift": _drift,
    "evaluate": _evaluate,
    "report": _report,
    "compare": _compare,
    "list": _list,
    "show": _show,
    "weights": _weights,
    "oracle": _oracle,
}


if __name__ == "__main__":
    sys.exit(main())
