"""A run that is killed at any moment goes on to the identical bits."""

import json
import shutil
import signal

import jax
import numpy as np
import pytest

from rolling.run.checkpoint import Checkpoints
from tests.run_tools import command, environment, kill_when, send_when, tree

STEPS = ("--training.steps", "60", "--training.checkpoint-every", "10", "--training.log-every", "5")


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
    assert int(a["progress"]["step"]) == 60
    for name in ("params", "ema", "optimiser", "progress"):
        leaves = jax.tree.leaves(a[name]), jax.tree.leaves(b[name])
        assert len(leaves[0]) == len(leaves[1]) > 0
        for one, other in zip(*leaves, strict=True):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_a_training_that_is_asked_to_stop_leaves_the_checkpoint_of_that_step(place):
    folder, env = place
    run = folder / "runs" / "asked"
    words = ("train", "debug", "--name", "asked", *STEPS)
    at = (10, 30)
    for number, code, step in ((signal.SIGINT, 130, at[0]), (signal.SIGTERM, 75, at[1])):
        more = ("--resume",) if run.exists() else ()
        seen = (run / "checkpoints" / str(step)).exists
        found, said = send_when(number, seen, *words, *more, cwd=folder, env=env)
        last = max(int(path.name) for path in (run / "checkpoints").iterdir())
        assert found == code and "Traceback" not in said
        assert f"rolling: stopped after step {last} of 60" in said and step <= last < 60
    command(*words, "--resume", cwd=folder, env=env)
    same_bits(folder / "runs" / "whole", run)


def test_a_training_that_is_killed_twice_reaches_the_same_bits(place):
    folder, env = place
    run = folder / "runs" / "killed"
    words = ("train", "debug", "--name", "killed", *STEPS)
    assert kill_when((run / "checkpoints" / "10").exists, *words, cwd=folder, env=env)
    assert kill_when((run / "checkpoints" / "40").exists, *words, "--resume", cwd=folder, env=env)
    command(*words, "--resume", cwd=folder, env=env)

    same_bits(folder / "runs" / "whole", run)

    logs = [(folder / "runs" / name / "log.jsonl").read_text().splitlines() for name in ("whole", "killed")]
    losses = [[(json.loads(line)["step"], json.loads(line)["loss"]) for line in log] for log in logs]
    assert losses[0] == losses[1]


def test_a_damaged_checkpoint_is_deleted_and_the_one_before_it_reaches_the_same_bits(place):
    folder, env = place
    run = folder / "runs" / "damaged"
    shutil.copytree(folder / "runs" / "whole", run)
    described = json.loads((run / "experiment.json").read_text()) | {"name": "damaged"}
    (run / "experiment.json").write_text(json.dumps(described))
    seals = run / "checkpoints" / "60" / "seal" / "metadata"
    seals.write_text(json.dumps({name: value ^ 1 for name, value in json.loads(seals.read_text()).items()}))
    words = ("train", "debug", "--name", "damaged", *STEPS, "--resume")
    told = command(*words, cwd=folder, env=env, check=False)
    assert told.returncode == 2 and "delete that folder to use the one before it" in told.stderr
    shutil.rmtree(run / "checkpoints" / "60")
    command(*words, cwd=folder, env=env)
    whole, mended = trees(folder / "runs" / "whole"), trees(run)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(mended), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_a_rollout_that_is_killed_leaves_the_same_store(place):
    folder, env = place
    run = folder / "runs" / "whole"
    words = ("rollout", run, "--frames", "300", "--starts", "2", "--members", "3", "--batch", "4")
    words = (*words, "--chunk", "10", "--output")
    command(*words, folder / "whole.zarr", cwd=folder, env=env)

    note = folder / "killed.zarr.progress.npz"

    def far():
        """In the second batch, after some chunks."""
        try:
            with np.load(note) as found:
                return int(found["batch"]) == 1 and int(found["lead"]) >= 50
        except (OSError, ValueError, KeyError):
            return False

    assert kill_when(note.exists, *words, folder / "killed.zarr", cwd=folder, env=env)
    assert kill_when(far, *words, folder / "killed.zarr", cwd=folder, env=env)
    command(*words, folder / "killed.zarr", cwd=folder, env=env)
    assert not note.exists()
    assert tree(folder / "killed.zarr") == tree(folder / "whole.zarr")
    assert len(tree(folder / "whole.zarr")) > 60


def test_a_finished_command_changes_nothing_when_it_is_given_again(place):
    folder, env = place
    before = tree(folder / "runs" / "whole" / "checkpoints")
    command("train", "debug", "--name", "whole", *STEPS, "--resume", cwd=folder, env=env)
    assert tree(folder / "runs" / "whole" / "checkpoints") == before
