"""A run's folder may come from anyone: what it holds makes nothing be written elsewhere, and one process at a
time works in it."""

import dataclasses
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rolling.common.errors import InputError
from rolling.common.files import check_name, new_folder, write_file, write_text
from rolling.common.lock import Busy, alone
from rolling.layout import video
from rolling.run import commands
from rolling.run.cli import main
from rolling.run.experiment import presets
from rolling.run.forecasting.zarr_writer import ForecastStore
from rolling.run.run_folder import alone_in
from tests.run_tools import environment, tree

BAD = ("..", ".", "a/b", "/tmp/a", "", "x" * 300, "ü" * 150, ".hidden", "a\nb", "a\x1b[2J", "../up")


@pytest.fixture
def run(tmp_path):
    """What makes a folder a run that can be resumed, and a file elsewhere."""
    folder = tmp_path / "runs" / "debug"
    folder.mkdir(parents=True)
    presets.save(presets.find("debug"), folder / "experiment.json")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("years")
    return folder


def told(capsys):
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("rolling: "))
    return line


# Names.


@pytest.mark.parametrize("name", BAD)
def test_a_name_is_that_of_one_folder(name, tmp_path, capsys):
    assert main(["train", "debug", f"--name={name}", "--folder", str(tmp_path / "runs")]) == 2
    line = told(capsys)
    assert "--name" in line and len(line) < 200 and line.isprintable()
    assert not list(tmp_path.iterdir())


def test_a_name_that_was_received_is_no_better(run, tmp_path, capsys):
    described = json.loads((run / "experiment.json").read_text()) | {"name": ".."}
    (tmp_path / "experiment.json").write_text(json.dumps(described))
    before = tree(tmp_path)
    assert main(["train", str(tmp_path / "experiment.json"), "--folder", str(run.parent)]) == 2
    assert "'..' cannot" in told(capsys) and tree(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["t2m", "2019 (again)", "Wetter über Köln", "a.b-c_d", "...".replace(".", "x")]
)
def test_other_names_are_fine(name):
    check_name(name, "it")
    assert dataclasses.replace(presets.find("debug"), name=name).name == name


# Links.


@pytest.mark.parametrize(
    "name",
    [
        "log.jsonl", "experiment.tmp", "experiment.json", "forecast.zarr.progress.npz.tmp", "tensorboard",
        "checkpoints", "forecast.zarr", "videos", "report.html", "code", ".lock", "checkpoints/6/ema",
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["train", "rollout", "evaluate", "report"])
def test_a_received_folder_writes_nothing_elsewhere(name, command, run, tmp_path, capsys):
    link, outside = run / name, tmp_path / "elsewhere"
    target = outside / "mine" if "." in name else outside
    link.parent.mkdir(parents=True, exist_ok=True)
    words = [command, str(run)]
    if name == "experiment.json":
        (outside / "mine").write_text(link.read_text())
        link.unlink()
    link.symlink_to(target)
    if command == "train":
        words += ["--folder", str(run.parent), "--resume"]
    before = tree(outside)
    assert main(words) == 2
    assert re.search(rf"{name} is a link that leads out of .*debug", told(capsys))
    assert tree(outside) == before


def test_a_link_within_a_run_and_a_run_behind_a_link_are_fine(run, tmp_path):
    (run / "log.jsonl").symlink_to("experiment.json")
    (tmp_path / "debug").symlink_to(run)
    with alone_in(tmp_path / "debug"):
        pass


def test_what_is_no_file_is_not_opened(run, capsys):
    os.mkfifo(run / "log.jsonl")
    assert main(["report", str(run)]) == 2
    assert "log.jsonl is neither a file nor a folder" in told(capsys)


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(run, tmp_path):
    mine = tmp_path / "elsewhere" / "mine"
    (run / "report.html").symlink_to(mine)
    write_text(run / "report.html", "a report")
    (run / "videos").symlink_to(mine.parent)
    with new_folder(run / "videos") as folder:
        (folder / "mine").write_text("a video")
    assert mine.read_text() == "years"
    assert (run / "report.html").read_text() == "a report" and not (run / "videos").is_symlink()


def test_temporary_names_cannot_be_foreseen(tmp_path):
    names = []
    for _ in range(20):
        write_file(tmp_path / "a", lambda path: names.append(path.name) or path.touch())
    assert len(set(names)) == 20 and [path.name for path in tmp_path.iterdir()] == ["a"]


# Locks.

HOLD = """
import sys, time
from pathlib import Path
from rolling.common.lock import alone
with alone(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def held(run):
    """The process that holds the lock of the run."""
    line = [sys.executable, "-c", HOLD, str(run / ".lock")]
    process = subprocess.Popen(line, env=environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_of_two_is_told_who_the_first_is(run, held, capsys):
    since = time.strftime("%Y-%m-%d")
    for command in ("train", "run"):
        assert main([command, str(run), "--folder", str(run.parent), "--resume"]) == 2
        assert re.search(rf"runs/debug is in use by process {held.pid} on \S+, since {since}", told(capsys))
    held.send_signal(signal.SIGKILL)
    held.wait()
    with alone_in(run):
        assert json.loads((run / ".lock").read_text())["process"] == os.getpid()
    assert not (run / ".lock").exists()


def test_a_store_is_written_by_one(tmp_path):
    one, other = (ForecastStore(tmp_path / "a.zarr", video(8, 8), {}) for _ in range(2))
    with one.alone(), pytest.raises(Busy, match=r"a.zarr is in use by process"), other.alone():
        pass
    assert not list(tmp_path.iterdir())


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "mine").write_text("years")
    (tmp_path / "lock").symlink_to("mine")
    with pytest.raises(OSError), alone(tmp_path / "lock", "it"):
        pass
    assert (tmp_path / "mine").read_text() == "years"


@pytest.mark.parametrize(
    "text", ["", "no json", '{"process": 3}', '{"process": "\\u001b[2J", "host": 1, "since": 2}']
)
def test_what_a_lock_says_is_shown_as_text(tmp_path, text):
    with alone(tmp_path / "lock", "it"):
        (tmp_path / "lock").write_text(text)
        with pytest.raises(Busy) as told, alone(tmp_path / "lock", "it"):
            pass
    assert str(told.value).isprintable()


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path):
    with pytest.raises(InputError), alone_in(tmp_path / "a" / "b"):
        raise InputError("no data")
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="give the same options"):
        (tmp_path / "debug").mkdir()
        presets.save(presets.find("debug"), tmp_path / "debug" / "experiment.json")
        other = dataclasses.replace(presets.find("debug"), calls_per_frame=3)
        commands.train(other, tmp_path / "debug", resume=True)


def test_a_folder_that_became_read_only_hides_no_other_error(tmp_path, monkeypatch):
    """The lock cannot be removed then, and is taken again."""

    def unlink(self, missing_ok=False):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    reason = pytest.raises(InputError, match="the actual reason")
    with monkeypatch.context() as patch, reason, alone(tmp_path / "lock", "it"):
        patch.setattr(Path, "unlink", unlink)
        raise InputError("the actual reason")
    with alone(tmp_path / "lock", "it"):
        pass
    assert not list(tmp_path.iterdir())
