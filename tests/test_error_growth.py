"""Where drift comes from, on AR(1), whose errors and slopes are known in closed form."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.denoisers import NOTHING
from rolling.metrics.error_growth import ErrorGrowth
from rolling.run.cli import main
from rolling.run.evaluation.true_windows import TrueWindows
from rolling.sampling.own_rollout import finished_on_own
from rolling.sampling.recipe import Sampling
from rolling.sampling.sampler import Sampler
from rolling.solvers import Ddim
from rolling.windows import Autoregressive, Rolling
from tests.run_tools import THIN

A, FRAMES, STARTS = 0.9, 12, 40_000


def series(gain=A, bias=0.0, fresh=1.0, seed=0):
    """`[start, 1 + T]` of a process that begins in the steady state of variance 1."""
    x0, eps = np.random.default_rng(0).normal(size=STARTS), np.random.default_rng(seed + 1)
    found = [x0]
    for _ in range(FRAMES):
        found.append(gain * found[-1] + bias + fresh * np.sqrt(1 - A**2) * eps.normal(size=STARTS))
    return np.stack(found, axis=1)


def origin(made, blocks=50, at_once=1):
    return ErrorGrowth.of(made, series(), at_once, np.arange(STARTS) * blocks // STARTS)


def holds(number, value, within):
    assert number[0] == pytest.approx(value, abs=within)
    assert number[1] < number[0] < number[2]
    assert number[1] - within < value < number[2] + within


def test_a_bias_is_there_at_once_and_saturates():
    """The error after `k` frames is `b (1 - a^k) / (1 - a)`."""
    found, b = origin(series(bias=0.05, seed=1)), 0.05
    error = lambda k: b * (1 - A**k) / (1 - A)  # noqa: E731
    holds(found.at_once, b, 0.01)
    holds(found.later, (error(12) - error(6)) / 6, 0.003)
    holds(found.gain, A, 0.01)
    holds(found.true_gain, A, 0.01)
    assert found.is_biased and found.drifts


def test_frames_of_the_first_cycle_are_taken_together():
    found = origin(series(bias=0.05, seed=1), at_once=3)
    holds(found.at_once, 0.05 * (1 + 1.9 + 2.71) / 3, 0.01)


def test_a_gain_is_the_slope_and_moves_no_mean():
    found = origin(series(gain=1.04, seed=1))
    holds(found.gain, 1.04, 0.01)
    assert not found.is_biased and not found.drifts


def test_what_follows_the_same_law_does_not_drift():
    found = origin(series(seed=1))
    assert not found.is_biased and not found.drifts


def test_one_part_tells_nothing_for_certain_and_a_constant_has_no_slope():
    alone = ErrorGrowth.of(series(bias=1.0), series(), 1, np.zeros(STARTS, int))
    assert np.isnan(alone.later[1:]).all() and not alone.drifts and not alone.is_biased
    still = np.ones((4, 9))
    found = ErrorGrowth.of(still, still, 1, np.arange(4))
    assert np.isnan(found.gain[0]) and found.later[0] == 0 and not found.drifts


def test_what_is_conserved_is_measured_by_the_least_that_counts():
    """True frames that differ by rounding alone say neither how large an error is nor what is passed on."""
    rounding = 1e-6 * series(seed=2)
    found = ErrorGrowth.of(3 + rounding + 0.2, 3 + rounding, 1, np.arange(STARTS) % 50, 0.1)
    np.testing.assert_allclose(found.at_once, 2.0, rtol=1e-6)
    assert np.isnan(found.gain).all() and np.isnan(found.true_gain).all() and not found.drifts


@pytest.mark.parametrize("window", [Autoregressive(context=1), Rolling(size=3, context=1)])
def test_own_frames_go_on_from_the_truth(window):
    """A network that answers with powers of a gain times the context, one call a frame, whose solver leaves
    hardly any noise: the frames are powers of the gain times the last true one."""
    gain = 0.8
    powers = lambda count: gain ** jnp.arange(count).reshape(1, -1, 1, 1, 1)  # noqa: E731
    network = lambda z, logsnr, condition: z[:, :1] * powers(z.shape[1])  # noqa: E731
    sampler = Sampler(Sampling(window=window, solver=Ddim(), calls_per_frame=1))
    x = jax.random.normal(jax.random.key(0), (5, window.size, 1, 1, 1))
    made = finished_on_own(sampler, network, x, jax.random.split(jax.random.key(1), 5), NOTHING, 4)
    np.testing.assert_allclose(made, (x[:, :1] * powers(5))[:, 1:], atol=5e-3)


def test_fewer_starts_than_asked_for_are_told():
    parts = {"forecaster": None, "test": None, "before": 2, "reach": 8, "batch": 1, "seed": 0, "asked": 100}
    windows = TrueWindows(starts=[None] * 30, **parts)
    said = "The data hold 30 starts of 8 frames, and 100 were asked for: fewer --frames give more."
    assert windows.shortage(8) == [said]
    assert dataclasses.replace(windows, asked=30).shortage(8) == []


@pytest.mark.slow
def test_the_command_tells_of_every_statistic(tmp_path, capsys):
    words = ["--folder", str(tmp_path), "--training.steps", "1", "--training.batch", "2", *THIN]
    assert main(["train", "debug", "--name", "run", *words]) == 0
    capsys.readouterr()
    assert main(["drift", str(tmp_path / "run"), "--frames", "8", "--starts", "6", "--batch", "4",
                 "--repair-at", "3", "--perturb", "0.01"]) == 0  # fmt: skip
    told = capsys.readouterr().out
    assert "were asked for" not in told
    assert told.startswith("6 starts in ") and ", 8 frames each\n" in told
    for name in ("Mean", "Contrast", "Motion", "Mean gradient", "Power in ring 1"):
        assert f"\n{name} " in told
    assert "repaired after 3 frames" in told and "\nFrames (RMSE) " in told and "range" not in told
    assert "errors of 0.01\n" in told and "\nblur, in the context " in told
    assert "Saturat" not in told  # not of pictures
    assert main(["drift", str(tmp_path / "run"), "--frames", "3"]) == 2
    assert "drift.frames must be a finite number of at least 4" in capsys.readouterr().err
