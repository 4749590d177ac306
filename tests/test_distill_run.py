"""Runs that learn from a run: `rolling distill`, from the command line and as experiments."""

import dataclasses
import json
import shutil
from functools import partial

import jax
import numpy as np
import pytest
import xarray as xr

from rolling.common.errors import InputError
from rolling.denoisers import NO_PAST, Residual
from rolling.losses import XLoss
from rolling.noise.prior import Correlated
from rolling.run import commands, model
from rolling.run.checkpoint import Checkpoints
from rolling.run.cli import main
from rolling.run.experiment.few_steps import Consistency, MomentMatching
from rolling.run.experiment.objectives import Denoising
from rolling.run.experiment.presets import find
from rolling.run.forecasting.forecaster import load
from rolling.run.training.step import first_state, make_step
from rolling.run.training.student import methods, student_of
from rolling.run.training.trainer import Trainer
from rolling.sampling.constraints import Units
from rolling.sampling.sweeps import Power
from rolling.solvers import Ancestral, Ddim
from rolling.windows import AlignedContext, Rolling, TrainedOn
from tests.run_tools import debug

SHORT = dataclasses.replace(debug.training, steps=4, batch=2, checkpoint_every=2, log_every=2)


def short(experiment, **changes):
    none = dataclasses.replace(debug.forecast, frames=0)
    few = {"training": SHORT, "forecast": none, "long": none}
    return dataclasses.replace(experiment, **{**few, **changes})


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A trained run without forecasts."""
    folder = tmp_path_factory.mktemp("teachers") / "teacher"
    commands.train(short(debug, prediction=Residual()), folder)
    return folder


def trees(run, *names):
    checkpoints = Checkpoints(run / "checkpoints")
    found = checkpoints.restore(names or ("params", "ema", "optimiser", "progress"))
    checkpoints.close()
    return jax.tree.map(np.asarray, found)


def assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "own"), [("consistency", {}), ("moment_matching", {"own_share": 0.5, "cycles": 2})]
)
def test_a_distillation_resumes_to_the_same_bits_and_forecasts_alone(method, own, teacher, tmp_path):
    experiment = short(student_of(teacher, method, 2))
    split = experiment.source.open()
    whole, stopped, gone = tmp_path / "whole", tmp_path / "stopped", tmp_path / "teacher"
    shutil.copytree(teacher, gone)
    experiment = dataclasses.replace(
        experiment, objective=dataclasses.replace(experiment.objective, teacher=str(gone), **own)
    )
    commands.train(experiment, whole)
    # A run that was stopped after its second step.
    shutil.copytree(whole, stopped)
    shutil.rmtree(stopped / "checkpoints" / "4")
    if method == "consistency":  # where the teacher is, no method sees
        commands.train(experiment, stopped, resume=True)
        assert_equal(trees(stopped), trees(whole))
        shutil.rmtree(stopped / "checkpoints" / "4")
    # The teacher is the beginning, and what was trained is something else; it stays as it was.
    start = experiment.objective.start(None, trees(gone, "ema")["ema"])
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), start, trees(whole, "params")["params"])
    assert any(jax.tree.leaves(changed))

    shutil.rmtree(gone)
    forecaster = load(whole)
    assert_equal(forecaster.params, experiment.objective.forecasts(trees(whole, "ema")["ema"]))
    assert forecaster.recipe.calls_per_frame == 2
    Trainer(experiment, whole, split).close()  # nothing is left to be taught
    commands.train(experiment, stopped, resume=True)  # by the copy of the teacher
    assert_equal(trees(stopped), trees(whole))


@pytest.mark.slow
def test_the_student_has_the_solver_of_its_method(teacher):
    one, other = (student_of(teacher, method, 3) for method in ("consistency", "moment_matching"))
    assert one.solver == Ddim() and other.solver == Ancestral()
    assert one.weighting == debug.weighting and other.weighting == XLoss()
    assert one.objective == Consistency(teacher=str(teacher))
    assert other.objective == MomentMatching(teacher=str(teacher))
    assert one.calls_per_frame == 3 and one.name == "teacher-distilled"
    assert set(methods()) == {"consistency", "moment_matching"}
    assert debug.objective == Denoising() and debug.objective.teacher == ""


@pytest.mark.slow
def test_consistency_training_needs_no_teacher_and_accumulates():
    experiment = short(debug, objective=Consistency(training=True))
    layout = experiment.source.open().train.layout
    apply, fresh = model.build(experiment, layout, None)
    trained = experiment.objective.start(fresh, None)
    losses = []
    for parts in (1, 2):
        changed = dataclasses.replace(SHORT, accumulate=parts)
        experiment = dataclasses.replace(experiment, training=changed)
        batch = {"x": jax.ShapeDtypeStruct((2, experiment.window.size, *layout.shape), "float32")}
        state = jax.eval_shape(partial(first_state, experiment), trained)
        step = make_step(experiment, apply, Units.standard(layout), NO_PAST)
        losses.append(jax.eval_shape(step, state, batch)[1])
    assert [sorted(figures) for figures in losses] == [["gradient_norm", "loss"]] * 2


def scores(*values):
    return {"height": {"unit": "1", "leads": [0.5, 1.0, 1.5], "model": list(values)}}


@pytest.mark.slow
def test_distilling_from_the_command_line(teacher, tmp_path, capsys):
    copy = tmp_path / "teacher"
    shutil.copytree(teacher, copy)
    (copy / "evaluation.json").write_text(json.dumps({"crps": scores(0.125, 0.25, None)}))
    words = ["distill", str(copy), "--steps-per-frame", "2", "--method=consistency", "--name", "quick"]
    words += ["--forecast.starts", "1", "--forecast.frames", "3"]
    words += [
        "--constraints",
        "limits",
        "--constraints.0.variables",
        "height",
        "--constraints.0.low",
        "-0.125",
    ]
    assert main(words) == 0
    said = capsys.readouterr().out.splitlines()
    table = said[said.index("crps of height") + 1 :]
    assert table[0].split() == ["lead", "teacher", "student"]
    lines = [line.split() for line in table[1:4]]
    assert [line[:2] for line in lines] == [["0.5", "0.125"], ["1", "0.25"], ["1.5", "-"]]
    evaluation = json.loads((tmp_path / "quick" / "evaluation.json").read_text())
    crps = evaluation["crps"]["height"]["model"]
    assert [float(line[2]) for line in lines] == pytest.approx(crps, rel=1e-3)
    assert xr.open_zarr(tmp_path / "quick" / "forecast.zarr").height.min() == pytest.approx(-0.125)
    student = find(str(tmp_path / "quick"))
    assert student.calls_per_frame == 2 and student.objective == Consistency(teacher=str(copy))
    (copy / "evaluation.json").unlink()
    assert main([*words, "--resume"]) == 0
    assert f"no {copy / 'evaluation.json'} to compare with" in capsys.readouterr().out


def spoiled(teacher, folder, **changes):
    """A student of the teacher whose experiment does not suit it."""
    return Trainer(short(student_of(teacher, "consistency", 1), **changes), folder, debug.source.open())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda t, f: Consistency(small_steps=0), "small_steps must be a whole number of at least 1"),
        (lambda t, f: Consistency(variance=2.0), "variance is a fraction between 0 and 1"),
        (lambda t, f: MomentMatching(warmup_share=-1.0), "warmup_share is a probability"),
        (lambda t, f: student_of(f, "consistency", 1), "is not a run: give `rolling distill`"),
        (lambda t, f: student_of(t, "magic", 1), "--method knows no 'magic': there are consistency, moment"),
        (lambda t, f: student_of(t, "consistency", 0), "choose a whole multiple of 1"),
        (lambda t, f: spoiled(t, f, objective=Consistency()), "a distillation needs a teacher"),
        (lambda t, f: spoiled(t, f, objective=MomentMatching()), "a distillation needs a teacher"),
        (lambda t, f: spoiled(t, f, noise=Correlated()), "needs independent noise and even steps"),
        (
            lambda t, f: spoiled(t, f, window=TrainedOn(inner=Rolling(size=5, context=1))),
            "clips of its own size",
        ),
        (lambda t, f: spoiled(t, f, window=AlignedContext()), "whose context has constant clocks"),
        (lambda t, f: spoiled(t, f, spacing=Power()), "needs independent noise and even steps"),
        (
            lambda t, f: spoiled(t, f, network=dataclasses.replace(debug.network, embedding=24)),
            r"has another network \(there / here: network.embedding: 16 / 24\)",
        ),
        (
            lambda t, f: Trainer(
                short(student_of(t, "consistency", 1)),
                f,
                dataclasses.replace(debug.source, train=3).open(),
            ),
            "was trained on other data",
        ),
    ],
)
def test_what_does_not_suit_is_told_in_one_sentence(build, words, teacher, tmp_path):
    with pytest.raises(InputError, match=words):
        build(teacher, tmp_path / "run")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["distill"], "`rolling distill` needs a run"),
        (["distill", "nowhere"], "nowhere is not a run"),
        (["distill", "nowhere", "--steps-per-frame", "some"], "--steps-per-frame must be a number above 0"),
        (["distill", "nowhere", "--method"], "--method needs a value"),
    ],
)
def test_bad_words(words, told, capsys):
    assert main(words) == 2
    assert told in capsys.readouterr().err
