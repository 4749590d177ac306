"""The two forms of `rolling compare`: finished runs, and families that are trained first."""

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

from rolling.common.errors import InputError
from rolling.run.compare import page, runs
from rolling.run.compare.comparison import Comparison
from rolling.run.compare.results import tabulate
from rolling.run.compare.run_scores import score_run
from rolling.run.compare.runs import Group
from rolling.run.experiment import Experiment, presets as experiments
from rolling.run.report.words import Words

MARKS = "* the best of its column; ~ tied with it: the interval of their paired difference contains zero"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Compares finished runs of the same data, at equal calls per frame."""

    calls: str = ""
    """Numbers of calls per frame, 1,2,4; by default the runs' own."""
    output: str = "compare"
    """The folder for comparison.html, .md, .png and .json."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FamilyOptions:
    windows: str = ""
    """Families to train, rolling,full_sequence."""
    seeds: int = 1
    """Runs per family, with different seeds."""
    calls: str = ""
    """Numbers of calls per frame, 1,2,4; by default the experiment's own."""
    folder: str = ""
    """The folder for the runs and the comparison; by default runs/compare-NAME."""


def usage() -> str:
    """The text of `rolling compare --help`."""
    families = "\n".join(f"  {name:18s}{experiments.about(name)}" for name in experiments.families())
    return f"""usage: rolling compare RUN RUN ... [--calls 1,2,4] [--output compare]
       rolling compare EXPERIMENT --windows FAMILY,FAMILY,... [--seeds 3] [--calls 1,2,4]
                       [--folder runs/compare-EXPERIMENT] [any field of the experiment]

The first form compares finished runs of the same data. The second first trains a run for each family and
seed, with the same network, data and training steps; given again, it continues where it stopped.

families:
{families}
"""


def compare_runs(folders: Sequence[str], options: RunOptions, command: Sequence[str]) -> str:
    """Compares finished runs; returns the main table. Raises `InputError` where they cannot be compared."""
    groups = runs.finished([Path(folder) for folder in folders])
    output = Path(options.output)
    _check_output(output)
    title = " · ".join(group.name for group in groups)
    return _compare(groups, _calls(options.calls, groups), output, title, command)


def compare_families(experiment: Experiment, options: FamilyOptions, command: Sequence[str]) -> str:
    """Trains the unfinished runs of each family and seed, and compares them by family."""
    families = list(dict.fromkeys(filter(None, options.windows.split(","))))
    folder = Path(options.folder or f"runs/compare-{experiment.name}")
    _check_output(folder)
    groups = runs.planned(experiment, families, options.seeds, folder)
    calls = _calls(options.calls, groups)
    fresh = not folder.exists()
    try:
        runs.train_unfinished(groups)
    except InputError:
        if fresh and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise
    return _compare(groups, calls, folder, experiment.name, command)


def _compare(
    groups: Sequence[Group], calls: Sequence[float], output: Path, title: str, command: Sequence[str]
) -> str:
    # The forecasts start at the same places, whatever the windows.
    given = max(group.experiment.given_frames for group in groups)
    scored = {group.name: [score_run(run, calls, given) for run in group.runs] for group in groups}
    found = list(tabulate(groups, scored, calls))
    if not found:
        notes = [note for scores in scored.values() for run in scores for note in run.notes]
        raise InputError(
            f"nothing can be compared at --calls {','.join(map(str, calls))}, choose others:"
            f" {(notes or ['none of their metrics has a score'])[0]}"
        )
    comparison = Comparison(
        title=title,
        command=shlex.join(["rolling", "compare", *command]),
        groups=groups,
        scored=scored,
        results=found,
        words=Words(scored[groups[0].name][0].layout),
    )
    page.write_comparison(comparison, output)
    tables = comparison.main_tables() or comparison.tables()
    legend = [MARKS] if any(table.marked for table in tables) else []
    parts = [*(table.plain() for table in tables), *legend, comparison.method(), comparison.verdict()]
    return "\n\n".join(filter(None, [*parts, *comparison.notes, f"comparison: {output / 'comparison.html'}"]))


def _calls(words: str, groups: Sequence[Group]) -> tuple[float, ...]:
    """Numbers of calls, sorted; by default those of all groups."""
    if not words:
        return tuple(sorted({group.experiment.calls_per_frame for group in groups}))
    try:
        calls = {int(word) for word in words.split(",")}
    except ValueError:
        calls = set()
    if not calls or min(calls) < 1:
        raise InputError(f"--calls takes whole numbers of at least 1, such as 1,2,4, not {words!r}")
    return tuple(sorted(calls))


def _check_output(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and a comparison needs a folder: choose another")
