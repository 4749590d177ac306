"""From a trained run to one of few calls per frame: the student's experiment, the teacher's parameters."""

import dataclasses
from pathlib import Path
from typing import Any

from rolling.common.errors import InputError
from rolling.data.statistics import Statistics
from rolling.layout import Layout
from rolling.run import model, other_runs
from rolling.run.checkpoint import check_shapes, load_trained
from rolling.run.experiment import Experiment, codec
from rolling.run.experiment.objectives import Objective
from rolling.run.experiment.options import named
from rolling.run.experiment.registry import alternatives
from rolling.run.training.initial_parameters import continued


def methods() -> dict[str, type]:
    """The objectives that learn from a teacher, by name."""
    found = alternatives(Objective)
    return {
        name: kind for name, kind in found.items() if "teacher" in {f.name for f in dataclasses.fields(kind)}
    }


def student_of(run: Path, method: str, steps_per_frame: int | float) -> Experiment:
    """The experiment that distils a run: fields that suit the method, fewer steps, a lower learning rate."""
    objective = named("--method", method, methods())(teacher=str(run))
    changes = {"objective": objective, "calls_per_frame": steps_per_frame} | objective.suited
    return continued(run, "distill", "distilled", **changes)


def load_teacher(experiment: Experiment, run: Path, layout: Layout, statistics: Statistics) -> Any | None:
    """The forecasting parameters of the objective's teacher, on the host; None without a teacher. They are
    those of the copy in the folder `run` of the student, if there is one.

    Raises `InputError` where the teacher is missing, has another network or was trained on other data.
    """
    name = experiment.objective.teacher
    if not name:
        return None
    teacher = load_trained(other_runs.place_in_training("teacher", name, run))
    mine, its = experiment, teacher.experiment
    changed = [
        line
        for part in ("network", "prediction", "reference", "memory")
        for line in codec.differences(
            codec.encode(getattr(its, part)), codec.encode(getattr(mine, part)), part
        )
    ]
    if changed:
        raise InputError(
            f"the teacher {name} has another network (there / here: {'; '.join(changed)}): give this run the"
            " teacher's --network, --prediction, --reference and --memory"
        )
    if not teacher.layout.same_frames(layout) or not teacher.statistics.same_scale(statistics, rtol=1e-5):
        raise InputError(
            f"the teacher {name} was trained on other data: give this run the same --source, and a cache or"
            " files that have not changed"
        )
    check_shapes(teacher.params, model.abstract(mine, layout, statistics.mask)[1], f"the teacher {name}")
    return teacher.params
