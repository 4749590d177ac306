"""A run that is killed at any moment goes on to the identical bits."""

import json
import shutil
import signal

import jax
import numpy as np
import pytest

from rolling.run.checkpoint import Checkpoints
from rolling.run.cli import main
from tests.run_tools import THIN, command, environment, kill_when, send_when, tree

END = 80
EVERY = ("--training.checkpoint-every", "10", "--training.log-every", "5")
STEPS = ("--training.steps", str(END), *EVERY, *THIN)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run that was never stopped, `runs/whole`, and the environment of its commands."""
    folder = tmp_path_factory.mktemp("resume")
    env = environment(XLA_FLAGS="")  # as users compile it: other code may round otherwise
    command("train", "debug", "--name", "whole", *STEPS, cwd=folder, env=env)
    return folder, env


def trees(run):
    checkpoints = Checkpoints(run / "checkpoints")
    found = checkpoints.restore(("params", "ema", "optimiser", "progress", "iterator"))
    checkpoints.close()
    return found


def same_bits(first, second):
    a, b = trees(first), trees(second)
    assert a["iterator"] == b["iterator"]
    assert int(a["progress"]["step"]) == END
    for name in ("params", "ema", "optimiser", "progress"):
        leaves = jax.tree.leaves(a[name]), jax.tree.leaves(b[name])
        assert len(leaves[0]) == len(leaves[1]) > 0
        for one, other in zip(*leaves, strict=True):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def newest(run):
    """The step of the last checkpoint; one that was being written has no name of a number."""
    return max(int(path.name) for path in (run / "checkpoints").iterdir() if path.name.isdigit())


def spoil(run, step):
    """As a disk would: what is read has no longer the checksums that were noted."""
    seals = run / "checkpoints" / str(step) / "seal" / "metadata"
    seals.write_text(json.dumps({name: value ^ 1 for name, value in json.loads(seals.read_text()).items()}))


def test_a_training_that_is_stopped_again_and_again_reaches_the_same_bits(place, monkeypatch, capsys):
    """Asked to stop, which leaves the checkpoint of that very step; killed; and with its last checkpoint
    damaged, which is refused, and deleted."""
    folder, env = place
    run = folder / "runs" / "stopped"
    words = ("train", "debug", "--name", "stopped", *STEPS)
    seen = (run / "checkpoints" / "10").exists
    code, said = send_when(signal.SIGINT, seen, *words, cwd=folder, env=env)
    last = newest(run)
    assert code == 130 and "Traceback" not in said
    assert f"rolling: stopped after step {last} of {END}" in said and 10 <= last < 40
    later = last // 10 * 10 + 20
    seen = (run / "checkpoints" / str(later)).exists
    assert kill_when(seen, *words, "--resume", cwd=folder, env=env)
    assert later <= newest(run) < END
    spoil(run, newest(run))
    monkeypatch.chdir(folder)
    assert main([*words, "--resume"]) == 2
    assert "delete that folder to use the one before it" in capsys.readouterr().err
    shutil.rmtree(run / "checkpoints" / str(newest(run)))
    assert newest(run) > last
    command(*words, "--resume", cwd=folder, env=env)
    same_bits(folder / "runs" / "whole", run)
    whole, stopped = (losses_of(folder / "runs" / name) for name in ("whole", "stopped"))
    # A line is the mean since the one before, and where it was asked to stop there is one more.
    assert set(whole) <= set(stopped)
    apart = [step for step in whole if stopped[step] != whole[step]]
    assert len(apart) <= 1 and all(last < step <= last + 5 for step in apart)


def losses_of(run):
    lines = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return {line["step"]: line["loss"] for line in lines}


def test_a_rollout_that_is_killed_leaves_the_same_store(place):
    folder, env = place
    run = folder / "runs" / "whole"
    words = ("rollout", run, "--frames", "40", "--starts", "2", "--members", "3", "--batch", "4")
    words = (*words, "--chunk", "10", "--output")
    command(*words, folder / "whole.zarr", cwd=folder, env=env)

    note = folder / "killed.zarr.progress.npz"

    def far():
        """In the second batch, after some chunks."""
        try:
            with np.load(note) as found:
                return int(found["batch"]) == 1 and int(found["lead"]) >= 20
        except (OSError, ValueError, KeyError):
            return False

    assert kill_when(far, *words, folder / "killed.zarr", cwd=folder, env=env)
    command(*words, folder / "killed.zarr", cwd=folder, env=env)
    assert not note.exists()
    assert tree(folder / "killed.zarr") == tree(folder / "whole.zarr")
    assert len(tree(folder / "whole.zarr")) > 30


def test_a_finished_command_changes_nothing_when_it_is_given_again(place, monkeypatch):
    monkeypatch.chdir(folder := place[0])
    before = tree(folder / "runs" / "whole" / "checkpoints")
    assert main(["train", "debug", "--name", "whole", *STEPS, "--resume"]) == 0
    assert tree(folder / "runs" / "whole" / "checkpoints") == before
