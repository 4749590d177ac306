"""Restarts: the exact transition, the exact law of a rollout with them, their cost, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.noise.prior import Correlated
from rolling.oracle import Oracle
from rolling.run.commands import show_experiment
from rolling.run.experiment.options import parse
from rolling.sampling import Restart, Rollout, Sampler, Sampling
from rolling.solvers import Ddim, Heun, UniPC
from rolling.windows import Autoregressive, FullSequence, Pyramid, Rolling

ROLLING = Rolling(size=4, context=1)


@pytest.mark.parametrize(
    ("window", "more"),
    [
        pytest.param(ROLLING, {}, id="rolling"),
        pytest.param(Autoregressive(context=1), {}, id="autoregressive", marks=pytest.mark.slow),
        pytest.param(FullSequence(size=4, context=1), {"noise": Correlated()}, id="chunks, correlated"),
        pytest.param(Pyramid(size=4, context=1, stagger=0.5), {}, id="pyramid", marks=pytest.mark.slow),
        pytest.param(Rolling(size=5, context=1, block=2), {}, id="blocks", marks=pytest.mark.slow),
        pytest.param(ROLLING, {"truncate_tail": True}, id="truncated", marks=pytest.mark.slow),
    ],
)
def test_with_the_exact_denoiser_the_law_stays_exact(window, more):
    """The covariance of a rollout converges with small steps."""
    way = {"window": window, "solver": UniPC(order=2), "frames": 6} | more
    few, many = (
        Oracle(**way, calls_per_frame=calls, restart=Restart(times=1)).max_covariance_error()
        for calls in (8, 32)
    )
    assert many < 0.012 and many < few / 4


def test_a_restart_changes_the_frames_of_its_cycles_only():
    """Cycles are counted from the warm-up on: with every third, frames 1 and 2 are those of no restarts."""
    way = {"window": ROLLING, "calls_per_frame": 2, "frames": 4}
    plain, third = (
        Oracle(**way, restart=restart).coefficients() for restart in (Restart(), Restart(times=1, every=3))
    )
    one, other = ((z @ z.T).diagonal() for z in (plain, third))
    np.testing.assert_allclose(one[:3], other[:3], rtol=1e-12)
    assert (np.abs(one[3:] - other[3:]) > 1e-6).all()


@pytest.mark.parametrize(
    ("way", "restart", "calls"),
    [
        ({}, Restart(times=2, level=0.5, every=3), 2 + 2 / 3),
        ({"calls_per_frame": 1}, Restart(times=1, level=0.3), 2),  # whole steps: rounded up
        ({"solver": Heun()}, Restart(times=1, level=1.0), 4),
    ],
)
def test_the_calls_that_are_made_are_the_calls_that_are_told(way, restart, calls):
    sampling = Sampling(**{"window": ROLLING, "calls_per_frame": 2, "restart": restart} | way)
    made = []

    def network(z, logsnr, condition):
        jax.debug.callback(lambda: made.append(1))
        return 0.9 * z

    rollout, key = Rollout(Sampler(sampling), lambda _: network), jax.random.split(jax.random.key(0), 1)
    given = jnp.zeros((1, sampling.given_frames, 1, 1, 1))
    counts = []
    for frames in (6, 12):  # beyond the warm-up, and a restart in each third cycle
        jax.block_until_ready([chunk.frames for chunk in rollout.chunks(None, given, key, frames)])
        jax.effects_barrier()
        counts.append(len(made))
    assert sampling.network_calls == pytest.approx(calls)
    assert counts[1] - 2 * counts[0] == pytest.approx(6 * calls)


def test_a_sequence_does_not_depend_on_its_batch():
    sampling = Sampling(window=Rolling(size=3, context=1), restart=Restart(times=1, level=1.0))
    rollout = Rollout(Sampler(sampling), lambda _: lambda z, logsnr, condition: 0.9 * z)
    given = jax.random.normal(jax.random.key(1), (2, 1, 3, 2, 1))
    key = jax.random.split(jax.random.key(0), 2)
    frames = lambda given, key: next(rollout.chunks(None, given, key, 3)).frames  # noqa: E731
    both = frames(given, key)
    np.testing.assert_allclose(frames(given[1:], key[1:])[0], both[1], atol=1e-6)
    assert np.abs(both[0] - both[1]).max() > 0.1


def test_it_is_an_option_and_changes_nothing_unless_asked_for():
    chosen = parse(debug, ["--restart.times", "1", "--restart.every", "4"], "rolling")
    assert chosen.restart == Restart(times=1, every=4)
    assert debug.network_calls == debug.calls_per_frame == 1
    assert "network calls per frame: 1.25\n" in show_experiment(chosen)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Restart(times=-1), "restart.times must be"),
        (lambda: Restart(every=0), "restart.every must be"),
        (lambda: Restart(level=0.0), r"a level in \(0, 1\], not 0.0"),
        (lambda: Restart(level=float("nan")), r"a level in \(0, 1\]"),
        (
            lambda: Sampling(window=Autoregressive(context=1), restart=Restart(times=1, level=1.0)),
            "a restart from level 1 throws all frames of this window away",
        ),
        (
            lambda: Sampling(window=ROLLING, solver=Ddim(), noise=Correlated(), restart=Restart(times=1)),
            "cannot be right where the noise of neighbouring frames is correlated",
        ),
    ],
)
def test_what_does_not_suit_is_refused(build, words):
    with pytest.raises(InputError, match=words):
        build()
