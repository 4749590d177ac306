"""Training and sampling over several devices: eight virtual ones do what one does."""

import os

import jax
import numpy as np
import pytest

from rolling.run.checkpoint import Checkpoints
from rolling.run.cli import main
from tests.run_tools import command, environment

pytestmark = pytest.mark.slow
EIGHT = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
WORDS = ("train", "debug", "--training.batch", "8", "--training.steps", "4")
WORDS += ("--network.channels", "16", "--network.blocks", "1")
# An objective with a state that it uses from the second step on.
WORDS += ("--objective", "error_bank", "--objective.levels", "1", "--objective.slots", "1")
WORDS += ("--objective.begin", "1", "--objective.share", "1", "--name")


def trained(run):
    """The parameters, and what the bank of errors has come to."""
    checkpoints = Checkpoints(run / "checkpoints")
    found = checkpoints.restore(("params", "objective"))
    checkpoints.close()
    return [np.asarray(leaf) for leaf in jax.tree.leaves(found["params"])], found["objective"]


def test_eight_devices_reach_what_one_reaches(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert jax.device_count() == 1
    assert main([*WORDS, "one"]) == 0
    assert main([*WORDS, "parts", "--training.accumulate", "2"]) == 0
    command(*WORDS, "eight", cwd=tmp_path, env=environment(XLA_FLAGS=EIGHT))
    (a, bank), (b, other), (c, _) = (trained(tmp_path / "runs" / name) for name in ("one", "eight", "parts"))
    assert bank["written"] == other["written"] == 4
    np.testing.assert_allclose(bank["errors"], other["errors"], rtol=0, atol=4e-3)  # of half precision
    for single, sharded in zip(a, b, strict=True):
        np.testing.assert_allclose(single, sharded, rtol=0, atol=2e-4)
    # Accumulated parts draw their noise apart, so they take other steps, of the same size.
    moved = [np.abs(x - y).max() for x, y in zip(a, c, strict=True)]
    assert 0 < max(moved) < 0.1


def test_a_batch_that_the_devices_cannot_share_is_refused(tmp_path):
    eight = environment(XLA_FLAGS=EIGHT)
    done = command("train", "debug", "--training.batch", "6", cwd=tmp_path, env=eight, check=False)
    assert done.returncode == 2
    assert "a batch of 6 cannot be split over 8 devices" in done.stderr.splitlines()[-1]
