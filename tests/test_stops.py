"""A command that is asked to stop says so in one sentence and leaves nothing half written; given again, it
ends with the bytes of one that was never stopped."""

import os
import re
import shutil
import signal

import pytest

from rolling.common import files
from rolling.common.progress import Progress
from rolling.common.signals import EXIT_CODES
from rolling.run.cli import main
from rolling.run.report import page
from tests.run_tools import THIN, tree

SMALL = (
    "--training.steps",
    "1",
    "--forecast.starts",
    "2",
    "--forecast.frames",
    "4",
    "--forecast.members",
    "2",
)
SMALL += ("--forecast.batch", "2", "--forecast.chunk", "1", "--long.frames", "0", *THIN)
SMALL += ("--metrics", "crps,rmse")  # a page of two plots is stopped as one of twenty is


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, and one of another seed to compare it with, which is only trained."""
    folder = tmp_path_factory.mktemp("runs")
    for command, seed in (("run", "0"), ("train", "1")):
        words = [command, "debug", "--name", f"run-{seed}", "--training.seed", seed, "--folder", str(folder)]
        assert main([*words, *SMALL]) == 0
    return folder


@pytest.fixture
def runs(finished, tmp_path, monkeypatch):
    """The working folder of a copy of them."""
    monkeypatch.chdir(shutil.copytree(finished, tmp_path / "runs"))
    return tmp_path / "runs"


def at_progress(patch, number, label):
    """Sends a signal after the second piece of work of a phase."""
    update, calls = Progress.update, []

    def updated(self, *arguments, **figures):
        calls.append(self.label.startswith(label))
        if sum(calls) == 2 and calls[-1]:
            signal.raise_signal(number)
        return update(self, *arguments, **figures)

    patch.setattr(Progress, "update", updated)
    return calls


def at_rename(patch, number, name):
    """Sends a signal when a file has been written and does not yet have its name."""
    calls = []

    def replace(source, target):
        calls.append(str(target).endswith(name))
        if calls[-1]:
            signal.raise_signal(number)
        os.replace(source, target)

    patch.setattr(files, "os", type("os", (), {**vars(os), "replace": staticmethod(replace)}))
    return calls


def remove_at_progress(patch, label, place):
    """Removes a folder after the first piece of work of a phase."""
    update = Progress.update

    def updated(self, *arguments, **figures):
        if self.label.startswith(label):
            shutil.rmtree(place, ignore_errors=True)
        return update(self, *arguments, **figures)

    patch.setattr(Progress, "update", updated)


REMOVED = {
    "run while it is trained": ("train", "run-0", "train debug --name run-0 --folder . --resume"),
    "run while it forecasts": ("rollout", "run-0", "rollout run-0 --output run-0/new.zarr"),
    "store while it is written": ("rollout", "new.zarr", "rollout run-0 --output new.zarr"),
    "run while it is evaluated": ("evaluate", "run-0", "evaluate run-0"),
    "store while it is evaluated": ("evaluate", "run-0/forecast.zarr", "evaluate run-0"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", REMOVED)
def test_what_is_removed_while_it_is_used_is_told(what, runs, monkeypatch, capfd):
    """In one sentence, and no part of it is made anew; a picture that is gone is not a black one."""
    label, place, words = REMOVED[what]
    if label == "train":
        shutil.rmtree(runs / "run-0")
        words += " --training.steps 3 --training.checkpoint-every 1"
    remove_at_progress(monkeypatch, label, runs / place)
    assert main(words.split()) == 2
    said = capfd.readouterr().err
    (line,) = (line for line in said.splitlines() if line.startswith("rolling: "))
    assert place in line and "was removed while it was" in line
    assert "Traceback" not in said and not (runs / place).exists()


@pytest.mark.slow
@pytest.mark.parametrize("step", ["open_forecast", "write_text"])
def test_a_run_that_is_removed_while_it_is_reported_is_not_made_anew(step, runs, monkeypatch, capfd):
    does = getattr(page, step)

    def removed(*arguments):
        shutil.rmtree(runs / "run-0", ignore_errors=True)
        return does(*arguments)

    monkeypatch.setattr(page, step, removed)
    assert main(["report", "run-0"]) == 2
    said = capfd.readouterr().err
    assert len(re.findall(r"^rolling: .*run-0/.*", said, re.M)) == 1
    assert "Traceback" not in said and not (runs / "run-0").exists()


STOPS = {
    "rollout": (signal.SIGTERM, at_progress, "rollout", ["rollout", "run-0", "--output", "new.zarr"]),
    "note of a rollout": (signal.SIGINT, at_rename, ".npz", ["rollout", "run-0", "--output", "new.zarr"]),
    "evaluate": (signal.SIGTERM, at_progress, "evaluate", ["evaluate", "run-0"]),
    "report": (signal.SIGINT, at_rename, "poster.png", ["report", "run-0", "--poster", "poster.png"]),
    "compare": (signal.SIGTERM, at_rename, ".html", ["compare", "run-0", "run-1"]),
    "simulate": (signal.SIGINT, at_progress, "simulate", ["prepare", "debug"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("stop", STOPS)
def test_a_command_that_is_stopped_ends_as_one_that_was_not(stop, runs, tmp_path, monkeypatch, capsys):
    number, hook, where, words = STOPS[stop]
    for place in ("stopped", "whole"):
        shutil.copytree(runs, tmp_path / place)
    before = tree(runs)
    monkeypatch.chdir(tmp_path / "stopped")
    monkeypatch.setenv("ROLLING_CACHE", str(tmp_path / "stopped" / "cache"))
    with monkeypatch.context() as patch:
        calls = hook(patch, number, where)
        capsys.readouterr()
        assert main(words) == EXIT_CODES[number]
    assert any(calls)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rolling: ")]
    assert len(said) == 1 and "stopped" in said[0] and "again" in said[0]
    left = tree(tmp_path / "stopped")
    assert before.keys() <= left.keys()
    assert not [name for name in left if name.endswith((".tmp", ".lock")) or ".half" in name]
    assert main(words) == 0
    monkeypatch.chdir(tmp_path / "whole")
    monkeypatch.setenv("ROLLING_CACHE", str(tmp_path / "whole" / "cache"))
    assert main(words) == 0
    stopped, whole = tree(tmp_path / "stopped"), tree(tmp_path / "whole")
    assert stopped.keys() == whole.keys()
    assert not [name for name in whole if stopped[name] != whole[name]]
    assert not [name for name in before if left[name] not in (before[name], whole[name])]
