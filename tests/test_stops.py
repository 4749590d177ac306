"""A command that is asked to stop says so in one sentence and leaves nothing half written; given again, it
ends with the bytes of one that was never stopped."""

import os
import shutil
import signal

import pytest

from rolling.common import files
from rolling.common.progress import Progress
from rolling.common.signals import EXIT_CODES
from rolling.run.cli import main
from tests.run_tools import tree

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
SMALL += ("--forecast.batch", "2", "--forecast.chunk", "1", "--long.frames", "0")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two finished runs, of two seeds."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in ("0", "1"):
        words = ["run", "debug", "--name", f"run-{seed}", "--training.seed", seed, "--folder", str(folder)]
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
