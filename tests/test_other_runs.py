"""A run keeps a copy of every other run that it asks: it outlives them and reads nothing else."""

import dataclasses
import shutil

import pytest

from rolling.common.errors import InputError
from rolling.run import commands
from rolling.run.checkpoint import load_trained
from rolling.run.cli import main
from rolling.run.experiment import presets
from rolling.run.experiment.few_steps import Consistency
from rolling.run.forecasting.forecaster import Forecaster, load
from rolling.run.training.student import load_teacher
from rolling.sampling.guidance import Autoguidance
from rolling.sampling.starts import FromForecast
from rolling.windows import Rolling
from tests.run_tools import THIN, tree

pytestmark = pytest.mark.slow  # a real run is trained

SMALL = ("--training.steps", "1", "--training.batch", "2", *THIN)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    assert main(["train", "debug_autoregressive", "--name", "other", "--folder", str(folder), *SMALL]) == 0
    return folder / "other"


@pytest.fixture
def other(trained, tmp_path):
    """A run that nobody else uses, with code of its own."""
    place = shutil.copytree(trained, tmp_path / "elsewhere" / "other")
    (place / "code").mkdir()
    (place / "code" / "mine.py").write_text("mine = 1\n")
    return place


def asking(other, **more):
    """An experiment that asks another run in both ways."""
    ways = {
        "window": Rolling(size=4, context=0),
        "start": FromForecast(run=str(other), frames=2),
        "guidance": (Autoguidance(weak=str(other)),),
    }
    return dataclasses.replace(presets.find(str(other)), name="asking", **(ways | more))


def forecaster_of(experiment, run, trained):
    return Forecaster(*load_trained(trained)._replace(experiment=experiment), run=run)


def test_a_run_outlives_the_runs_that_it_asks(trained, other, tmp_path):
    experiment, run = asking(other), tmp_path / "runs" / "asking"
    commands.prepare_folder(experiment, run, resume=False)
    kept = tree(other)
    for role in ("start", "weak"):
        copy = tree(run / "others" / role)
        assert copy.items() <= kept.items() and "code/mine.py" in copy  # byte for byte
        assert {name.split("/")[2] for name in copy if name.count("/") > 2} == {
            *("ema", "experiment", "layout", "progress", "seal", "statistics"),
        }
    expected = forecaster_of(experiment, None, trained).fingerprint()
    shutil.rmtree(other)
    moved = (tmp_path / "runs").rename(tmp_path / "moved") / "asking"
    assert forecaster_of(experiment, moved, trained).fingerprint() == expected
    assert load(moved / "others" / "weak").step == 1
    commands.prepare_folder(experiment, moved, resume=True)  # needs none of them any more


def test_a_guess_that_cannot_be_made_is_told_before_anything_is_trained(tmp_path, capsys):
    where = ("--folder", str(tmp_path), *SMALL)
    assert main(["train", "debug", "--name", "other", "--window.context", "2", *where]) == 0
    words = ["train", "debug", "--name", "mine", "--window.context", "0", *where]
    assert main([*words, "--start", "from_forecast", "--start.run", str(tmp_path / "other")]) == 2
    assert "needs 2 given frames: say so with --start.frames 2" in capsys.readouterr().err
    assert not (tmp_path / "mine" / "experiment.json").exists()


def test_a_received_run_has_no_other_run_read(trained, other, tmp_path):
    """What its own experiment names is refused, there or not; what the user names is read."""
    experiment, run = asking(other), tmp_path / "received"
    for name in (str(other), "/nowhere"):
        named = asking(other, start=FromForecast(run=name, frames=2), guidance=())
        with pytest.raises(InputError, match=rf"without a copy .* {name}, and a run reads nothing"):
            forecaster_of(named, run, trained).fingerprint()
    user = forecaster_of(dataclasses.replace(experiment, guidance=()), run, trained)
    mine = shutil.copytree(trained, tmp_path / "mine")
    user.sample_with(dataclasses.replace(user.recipe, start=FromForecast(run=str(mine), frames=2)))
    assert user.others.guess is not None and user.others.weak is None
    # The remedy that the sentence names.
    shutil.copytree(other, run / "others" / "start")
    assert forecaster_of(named, run, trained).others.guess is not None


def test_a_first_guess_is_of_a_run_that_asks_no_other(trained, other, monkeypatch):
    guided = forecaster_of(asking(other), None, trained)
    monkeypatch.setattr("rolling.run.forecasting.forecaster.load", lambda folder: guided)
    with pytest.raises(InputError, match=r"first guess, .*other, asks others itself"):
        forecaster_of(asking(other, guidance=()), None, trained).fingerprint()


def test_a_student_reads_the_copy_of_its_teacher(trained, other, tmp_path):
    experiment = asking(other, objective=Consistency(teacher=str(other)), start=presets.find("debug").start)
    experiment = dataclasses.replace(experiment, window=load_trained(other).experiment.window, guidance=())
    run = tmp_path / "student"
    commands.prepare_folder(experiment, run, resume=False)
    shutil.rmtree(other)
    its = load_trained(trained)
    assert str(load_teacher(experiment, run, its.layout, its.statistics)) == str(its.params)
    with pytest.raises(InputError, match=r"the teacher .* is not there"):
        load_teacher(experiment, trained, its.layout, its.statistics)


@pytest.mark.parametrize("name", ["nowhere", "a\0b"])
def test_a_run_that_asks_one_that_is_not_trained_is_not_begun(name, tmp_path, capsys):
    words = ["train", "debug_erdm", "--folder", str(tmp_path / "runs"), "--start", "from_forecast"]
    assert main([*words, f"--start.run={name}"]) == 2
    assert "is not a trained run" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
