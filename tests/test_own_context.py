"""Training on context that the network made, on the linear-Gaussian process whose answers are known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.denoisers import NOTHING, Condition
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.losses import XLoss
from rolling.noise import Cosine
from rolling.run.experiment.objectives import Denoising, LossInputs
from rolling.run.experiment.own_context import OwnContext
from rolling.sampling.constraints import Units
from rolling.sampling.own_rollout import own_rollout
from rolling.sampling.recipe import Sampling
from rolling.sampling.sampler import Sampler
from rolling.solvers import UniPC
from rolling.windows import Autoregressive, IndependentTimes, Rolling, TrainedOn
from tests.loss_tools import after_a_clean_frame, ar1, scaled_inputs

pytestmark = pytest.mark.slow  # rollouts within gradients take long to compile

A = 0.9
CELL = Units.standard(
    Layout(
        variables=(Variable(name="u"),), axes=(Axis(name="y", values=(0.0,)), Axis(name="x", values=(0.0,)))
    )
)
NEXT_FRAME = Sampling(window=Autoregressive(context=1), solver=UniPC(order=2), calls_per_frame=16)


def process(key, batch: int, frames: int) -> jax.Array:
    """AR(1) of unit variance, `[batch, frames, 1, 1, 1]`."""
    return ar1(key, batch, frames, A)[..., None, None, None]


exact = after_a_clean_frame(A)


def keys(seed: int, x):
    return jax.random.split(jax.random.key(seed), len(x))


def test_own_frames_have_the_right_distribution_and_forget_the_truth():
    """The frame that the network makes after `k` cycles has unit variance; with the true frame after it, it
    has the true frame 0 in common: a correlation of `a^k a^(k+1)`."""
    x = process(jax.random.key(0), 20_000, 4)
    states = jax.jit(
        lambda x: own_rollout(Sampler(NEXT_FRAME), exact, x, keys(1, x), NOTHING, cycles=2).frames[:, 0]
    )(x)
    assert states.shape == (3, len(x), 2, 1, 1, 1)
    np.testing.assert_array_equal(states[0][:, :1], x[:, :1])
    for k in (0, 1, 2):
        own, following = np.asarray(states[k][:, 0]).ravel(), np.asarray(x[:, k + 1]).ravel()
        assert np.var(own) == pytest.approx(1, abs=0.03)
        assert np.mean(own * following) == pytest.approx(A ** (2 * k + 1), abs=0.02)


def inputs(network, sampling=NEXT_FRAME, condition=NOTHING) -> LossInputs:
    return scaled_inputs(network, sampling, CELL, condition)


def test_what_is_learnt_from_own_context_is_the_gain_that_the_oracle_has():
    """At the end of the noise only the context tells of the frame: the best gain on it, the parameter, is
    where the gradient of the loss vanishes, `a` on true context and `a^3` after one cycle."""
    x = {"x": process(jax.random.key(2), 20_000, 3)}

    class Noise(Autoregressive):
        """Trains on frames of almost pure noise."""

        def sample_times(self, key, batch):
            times = super().sample_times(key, batch)
            return times._replace(tau=jnp.where(times.rate > 0, 0.9999, times.tau))

    sampling = dataclasses.replace(NEXT_FRAME, window=Noise(context=1), schedule=Cosine())
    rolled = LossInputs(
        lambda gain, key: (
            lambda z, logsnr, condition: jnp.where(
                key is None, exact(z, logsnr, condition), gain * jnp.repeat(z[:, :1], 2, axis=1)
            )
        ),
        lambda batch, key: NOTHING,
        sampling,
        XLoss(),
        CELL,
    )
    for share, gain in ((0.0, A), (1.0, A**3)):
        loss = OwnContext(share=share).loss
        slope = jax.jit(jax.grad(lambda p, s=loss: s(rolled, p, None, x, jax.random.key(3))))
        assert slope(gain) == pytest.approx(0, abs=0.04)
        assert slope(gain + 0.1) > 0.1 and slope(gain - 0.1) < -0.1


@pytest.mark.parametrize("whole", [False, True])
def test_conditions_and_targets_move_with_the_window(whole):
    """A network that answers with what it is told of each frame makes no error, from any cycle on."""
    index = jnp.broadcast_to(jnp.arange(8.0)[None, :, None], (6, 8, 1))
    told = Condition(vectors=index)
    answer = lambda z, logsnr, condition: condition.vectors[..., None, None]  # noqa: E731
    sampling = Sampling(window=Rolling(size=4, context=1), solver=UniPC(order=2))
    objective = OwnContext(share=0.7, cycles=4, whole=whole)
    assert objective.frames(sampling.window) == 8
    given = inputs(answer, sampling, told)
    batch = {"x": index[..., None, None]}
    assert objective.loss(given, 1.0, None, batch, jax.random.key(0)) == 0
    assert objective.loss(given, 1.1, None, batch, jax.random.key(0)) > 0


def test_no_gradient_passes_through_the_rollout():
    x = process(jax.random.key(4), 8, 3)
    roll = lambda gain: own_rollout(  # noqa: E731
        Sampler(NEXT_FRAME), lambda *seen: gain * exact(*seen), x, keys(5, x), NOTHING, cycles=1
    ).frames.sum()
    assert jax.grad(roll)(1.0) == 0 and roll(1.0) != roll(0.9)


def test_without_own_clips_it_is_the_diffusion_loss():
    x = {"x": process(jax.random.key(6), 20_000, 3)}
    short = {"x": x["x"][:, :2]}
    found = OwnContext(share=0.0).loss(inputs(exact), 0.8, None, x, jax.random.key(7))
    plain = Denoising().loss(inputs(exact), 0.8, None, short, jax.random.key(8))
    assert found == pytest.approx(float(plain), rel=0.03)


def test_windows_that_it_does_not_suit_are_refused():
    other = TrainedOn(inner=Rolling(size=8, context=2), trained=Rolling(size=6, context=2))
    for change, words in (
        ({"window": other}, "another size than its own"),
        ({"window": Rolling(size=4, context=0)}, "needs a window with context"),
    ):
        with pytest.raises(InputError, match=words):
            dataclasses.replace(debug, objective=OwnContext(), **change)
    dataclasses.replace(debug, objective=OwnContext(whole=True), window=Rolling(size=4, context=0))
    dataclasses.replace(debug, objective=OwnContext(), window=IndependentTimes(inner=debug.window))
    with pytest.raises(InputError, match="Autoregressive has none when a cycle begins"):
        dataclasses.replace(debug, objective=OwnContext(whole=True), window=Autoregressive(context=1))
    with pytest.raises(InputError, match="cycles must be a whole number"):
        OwnContext(cycles=0)
    with pytest.raises(InputError, match="probability"):
        OwnContext(share=1.5)
