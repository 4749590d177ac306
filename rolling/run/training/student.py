"""From a trained run to one of few calls per frame: the student's experiment, the teacher's parameters."""

import dataclasses
from pathlib import Path
from typing import Any, cast

from rolling.common.errors import InputError
from rolling.data.statistics import Statistics
from rolling.layout import Layout
from rolling.run import model, other_runs
from rolling.run.checkpoint import check_shapes, load_trained
from rolling.run.evaluation.scores import read
from rolling.run.evaluation.tables import columns
from rolling.run.experiment import Experiment, codec, presets as experiments
from rolling.run.experiment.objectives import Objective
from rolling.run.experiment.options import named
from rolling.run.experiment.registry import alternatives

SHARE_OF_STEPS = 0.25  # of the teacher's training: the student starts from the teacher
SHARE_OF_PEAK = 0.1
SHOWN = ("crps", "spectrum_log_error")  # metrics of a student beside its teacher's


def methods() -> dict[str, type]:
    """The objectives that learn from a teacher, by name."""
    found = alternatives(Objective)
    return {
        name: kind for name, kind in found.items() if "teacher" in {f.name for f in dataclasses.fields(kind)}
    }


def student_of(run: Path, method: str, steps_per_frame: int | float) -> Experiment:
    """The experiment that distils a run: fields that suit the method, fewer steps, a lower learning rate."""
    if not (run / "experiment.json").exists():
        raise InputError(f"{run} is not a run: give `rolling distill` the folder of a trained one")
    kind = named("--method", method, methods())
    own = experiments.from_json(run / "experiment.json")
    objective = kind(teacher=str(run))
    training, optimiser = own.training, own.optimiser
    return dataclasses.replace(
        own,
        name=f"{run.name}-distilled",
        objective=objective,
        calls_per_frame=steps_per_frame,
        training=dataclasses.replace(training, steps=max(1, round(SHARE_OF_STEPS * training.steps))),
        optimiser=dataclasses.replace(cast(Any, optimiser), peak=SHARE_OF_PEAK * optimiser.peak),
        **objective.suited,
    )


def load_teacher(experiment: Experiment, run: Path, layout: Layout, statistics: Statistics) -> Any | None:
    """The forecasting parameters of the objective's teacher, on the host; None without a teacher. They are
    those of the copy in the folder `run` of the student, if there is one.

    Raises `InputError` where the teacher is missing, has another network or was trained on other data.
    """
    name = experiment.objective.teacher
    if not name:
        return None
    copy = other_runs.copy_of(run, "teacher")
    place = copy if copy.is_dir() else Path(name)
    if not (place / "checkpoints").is_dir():
        raise InputError(
            f"the teacher {name} of this distillation is not there: restore its folder, or name another"
            " with --objective.teacher (a finished student forecasts without it)"
        )
    teacher = load_trained(place)
    mine, its = experiment, teacher.experiment
    changed = [
        line
        for part in ("network", "prediction", "reference")
        for line in codec.differences(
            codec.encode(getattr(its, part)), codec.encode(getattr(mine, part)), part
        )
    ]
    if changed:
        raise InputError(
            f"the teacher {name} has another network (there / here: {'; '.join(changed)}): give this run the"
            " teacher's --network and --prediction"
        )
    if not teacher.layout.same_frames(layout) or not teacher.statistics.same_scale(statistics, rtol=1e-5):
        raise InputError(
            f"the teacher {name} was trained on other data: give this run the same --source, and a cache or"
            " files that have not changed"
        )
    check_shapes(teacher.params, model.abstract(mine, layout, statistics.mask)[1], f"the teacher {name}")
    return teacher.params


def beside(teacher: Path, student: Path) -> str:
    """CRPS and spectral error of both runs at a few leads, as lines of text."""
    paths = [folder / "evaluation.json" for folder in (teacher, student)]
    for path in paths:
        if not path.exists():
            return f"no {path} to compare with: `rolling rollout` and `rolling evaluate` make one"
    its, own = map(read, paths)
    tables = [
        columns(
            {"lead": score.coordinate, "teacher": other.values, "student": score.values},
            f"{metric} of {score.variable}",
        )
        for metric, score in own.all()
        if metric in SHOWN and (other := its.score(metric, score.variable)) is not None
    ]
    return "\n\n".join(table.plain() for table in tables)
