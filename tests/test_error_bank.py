"""Training on context with errors of the network's own, on AR(1) and through the real loop."""

import dataclasses
import math
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.noise import Cosine, LinearLogsnr
from rolling.run import commands
from rolling.run.checkpoint import Checkpoints
from rolling.run.experiment.error_bank import Bank, ErrorBank
from rolling.run.experiment.objectives import Denoising, LossInputs
from rolling.sampling.constraints import Limits, Units
from rolling.sampling.recipe import Sampling
from rolling.windows import Autoregressive, Rolling, TrainedOn
from tests.loss_tools import after_a_clean_frame, ar1, scaled_inputs

A, GAIN = 0.9, 0.7
LAYOUT = Layout(
    variables=(Variable(name="u"), Variable(name="v")),
    axes=(Axis(name="y", values=(0.0,)), Axis(name="x", values=(0.0,))),
)
CLEAN = Cosine(minimum=-math.inf, maximum=math.inf)  # shows context without noise
NEXT_FRAME = Sampling(window=Autoregressive(context=1), schedule=CLEAN)


def process(key, batch: int, frames: int) -> jax.Array:
    """AR(1) of unit variance in the first variable, zeros in the second: `[batch, frames, 1, 1, 2]`."""
    x = ar1(key, batch, frames, A)
    return jnp.stack([x, jnp.zeros_like(x)], axis=-1)[:, :, None, None]


def linear(z, logsnr, condition):
    """`x^ = GAIN c` in the first variable; the second tells the clock of each frame."""
    told = jnp.broadcast_to(jnp.minimum(logsnr, 30.0)[..., None, None], z.shape[:-1])
    return jnp.stack([jnp.broadcast_to(GAIN * z[:, :1, ..., 0], z.shape[:-1]), told], axis=-1)


def inputs(network, sampling=NEXT_FRAME, mask=None) -> LossInputs:
    return scaled_inputs(network, sampling, Units.standard(LAYOUT)._replace(mask=mask))


def known(objective) -> Bank:
    """A full bank whose error `k` is `4^k`, for the first variable."""
    values = 4.0 ** np.arange(objective.levels * objective.slots)
    errors = np.zeros((objective.levels, objective.slots, 1, 1, 2), np.float16)
    errors[..., 0, 0, 0] = values.reshape(errors.shape[:2])
    return Bank(jnp.asarray(errors), jnp.full(objective.levels, 10**6, jnp.int32))


def stepping(objective, x, mask=None):
    """`(bank, key)` to the loss of the linear network and the next bank."""
    given = inputs(linear, mask=mask)
    return jax.jit(lambda bank, key: objective.loss_and_state(given, 1.0, None, {"x": x}, key, bank))


def test_the_bank_holds_errors_of_its_predictions_each_at_its_level():
    """`GAIN x_0 - x_1` of one of the clips, at the clock `tau = 2/pi atan(exp(-logsnr / 2))`."""
    objective, x = ErrorBank(levels=4, slots=8), process(jax.random.key(0), 64, 2)
    bank = objective.init(inputs(linear))
    assert bank.errors.shape == (4, 8, 1, 1, 2) and bank.errors.dtype == jnp.float16
    step = stepping(objective, x)
    plain = jax.jit(lambda key: Denoising().loss(inputs(linear), 1.0, None, {"x": x}, key))
    for i in range(20):
        loss, bank = step(bank, jax.random.key(i))
        # While nothing is shown, it is the loss of denoising.
        assert loss == pytest.approx(float(plain(jax.random.key(i))), rel=1e-6)
    assert (np.asarray(bank.written) > objective.slots).all()
    by_hand = np.asarray((GAIN * x[:, 0] - x[:, 1])[:, 0, 0, 0])
    error, logsnr = (np.asarray(bank.errors[..., 0, 0, i], np.float64) for i in (0, 1))
    apart = np.abs(error[..., None] - by_hand).min(axis=-1)
    np.testing.assert_array_less(apart, 1e-3 * np.abs(error) + 1e-6)
    assert len(np.unique(error)) > 20
    share = np.arctan(np.exp(-logsnr / 2)) / np.arctan(np.exp(-objective.nearly_clean / 2))
    lowest = np.arange(4)[:, None]
    assert ((4 * share > lowest - 0.01) & (4 * share < lowest + 1.01)).all()


def test_what_an_exact_denoiser_leaves_in_the_bank():
    """The variance of a frame given the one before it and itself with noise of variance `S`,
    `q S / ((1 - S) q + S)` with `q = 1 - a^2`, at clocks that are spread evenly up to the last level."""
    q, objective = 1 - A**2, ErrorBank(levels=8, slots=128, share=0.0)
    x = process(jax.random.key(5), 2_000, 2)

    exact = after_a_clean_frame(A)

    def step(i, bank):
        return objective.loss_and_state(inputs(exact), 1.0, None, {"x": x}, jax.random.key(i), bank)[1]

    bank = jax.jit(lambda bank: jax.lax.fori_loop(0, 200, step, bank))(objective.init(inputs(exact)))
    end = 2 / np.pi * np.arctan(np.exp(-objective.nearly_clean / 2))
    s = np.sin(np.pi / 2 * end * np.linspace(0, 1, 1000)) ** 2
    by_hand = (q * s / ((1 - s) * q + s)).mean()
    assert np.mean(np.asarray(bank.errors[..., 0], np.float64) ** 2) == pytest.approx(by_hand, rel=0.15)


def test_a_full_level_gives_up_one_of_its_errors_for_a_new_one():
    objective, x = ErrorBank(levels=2, slots=4), process(jax.random.key(0), 64, 2)
    bank, step = known(objective), stepping(objective, x)
    replaced = set()
    for i in range(8):
        _, after = step(bank, jax.random.key(i))
        places = np.argwhere(np.asarray(after.errors != bank.errors).any(axis=(2, 3, 4)))
        assert places[:, 0].tolist() == [0, 1] and (after.written == bank.written + 1).all()
        replaced |= set(places[:, 1].tolist())
    assert len(replaced) > 1
    none = jnp.full((64, 2), objective.levels)  # no frame belongs to any level
    same = objective.kept(bank, x, none, jax.random.key(0))
    assert (same.errors == bank.errors).all() and (same.written == bank.written).all()


def shown(objective, x, sampling):
    """`bank` to the first variable of the clips as a network sees them; its answer, the true frames, has no
    loss."""

    @jax.jit
    def step(bank):
        seen = []

        def network(z, logsnr, condition):
            seen.append(z)
            return x

        given = inputs(network, sampling)
        return objective.loss_and_state(given, 1.0, None, {"x": x}, jax.random.key(7), bank)[0], seen[0]

    def seen_by(bank):
        loss, z = step(bank)
        assert loss == 0
        return np.asarray(z[..., 0, 0, 0], np.float64)

    return seen_by


def test_a_share_of_the_clips_is_shown_with_errors_of_the_bank():
    """One error and one factor between 0.5 and 1.5 for both frames of a clip's context, and for no others."""
    objective, sampling = ErrorBank(levels=2, slots=2), Sampling(window=Rolling(size=4, context=2))
    sampling = dataclasses.replace(sampling, schedule=CLEAN)
    x = process(jax.random.key(1), 20_000, 4)
    bank, seen = known(objective), shown(objective, x, sampling)
    clean = seen(bank._replace(written=jnp.array([10**6, objective.begin - 1])))
    wrong = seen(bank)
    np.testing.assert_array_equal(clean[:, :2], x[:, :2, 0, 0, 0])
    np.testing.assert_array_equal(clean[:, 2:], wrong[:, 2:])
    added = (wrong - clean)[:, :2]
    np.testing.assert_allclose(added[:, 0], added[:, 1], atol=1e-4)
    added = added[:, 0]
    some = added != 0
    assert some.mean() == pytest.approx(0.7, abs=0.015)
    # The errors are 1, 4, 16, 64: their ranges do not overlap.
    which = np.round(np.log(added[some]) / np.log(4)).astype(int)
    factor = added[some] / 4.0**which
    assert factor.min() == pytest.approx(0.5, abs=0.01) and factor.max() == pytest.approx(1.5, abs=0.01)
    assert factor.mean() == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(np.bincount(which) / some.sum(), 0.25, atol=0.015)


def test_what_is_shown_obeys_the_constraints_and_the_mask():
    objective, x = ErrorBank(levels=1, slots=2, share=1.0), process(jax.random.key(2), 64, 2)
    limited = dataclasses.replace(NEXT_FRAME, constraints=(Limits(variables=("u",), high=1.5),))
    assert shown(objective, x, limited)(known(objective))[:, 0].max() == 1.5
    mask = np.array([[[False, True]]])
    empty = objective.init(inputs(linear, mask=mask))
    _, bank = stepping(objective, x, mask)(empty, jax.random.key(0))
    assert bank.written == 1
    assert bank.errors[0, 0, 0, 0, 0] == 0 and bank.errors[0, 0, 0, 0, 1] > objective.nearly_clean


def test_no_gradient_passes_through_the_bank():
    objective, x = ErrorBank(levels=1, slots=1, share=1.0), {"x": process(jax.random.key(3), 64, 2)}

    def kept(gain):
        bank = objective.loss_and_state(
            inputs(linear), gain, None, x, jax.random.key(4), objective.init(inputs(linear))
        )[1]
        return bank.errors.astype(jnp.float32).sum()

    value, slope = jax.jit(jax.value_and_grad(kept))(1.0)
    assert value != 0 and slope == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"window": Rolling(size=4, context=0)}, "this window has none"),
        (
            {"window": TrainedOn(inner=Rolling(size=8, context=2), trained=Rolling(size=6, context=2))},
            "another size than its own",
        ),
        ({"schedule": LinearLogsnr(minimum=-10.0, maximum=1.0)}, "ever has a logsnr above 2"),
    ],
)
def test_what_it_does_not_suit_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        dataclasses.replace(debug, objective=ErrorBank(), **change)


@pytest.mark.parametrize("wrong", [{"share": 1.5}, {"slots": 0}, {"begin": -1}, {"nearly_clean": math.nan}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(InputError, match=f"objective.{next(iter(wrong))}"):
        ErrorBank(**wrong)


TREES = ("params", "ema", "optimiser", "progress", "objective")


def leaves(run):
    checkpoints = Checkpoints(run / "checkpoints")
    found = checkpoints.restore(TREES)
    checkpoints.close()
    return found["objective"], [np.asarray(leaf) for leaf in jax.tree.leaves(found)]


@pytest.mark.slow
def test_a_training_resumes_with_the_bank_that_it_had(tmp_path):
    none = dataclasses.replace(debug.forecast, frames=0)
    experiment = dataclasses.replace(
        debug,
        objective=ErrorBank(levels=2, slots=3, begin=3, share=1.0),
        network=dataclasses.replace(debug.network, channels=(16,), blocks=(1,)),
        training=dataclasses.replace(debug.training, steps=12, batch=8, accumulate=2, checkpoint_every=8),
        forecast=none,
        long=none,
    )
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    commands.train(experiment, whole)
    shutil.copytree(whole, stopped)
    shutil.rmtree(stopped / "checkpoints" / "12")
    assert (leaves(stopped)[0]["written"] >= 3).all()  # its errors have been shown
    lost = tmp_path / "lost"
    shutil.copytree(stopped, lost)
    commands.train(experiment, stopped, resume=True)
    for one, other in zip(leaves(whole)[1], leaves(stopped)[1], strict=True):
        np.testing.assert_array_equal(one, other)
    shutil.rmtree(lost / "checkpoints" / "8" / "objective")
    with pytest.raises(InputError, match=r"checkpoints/8 cannot be read .* if it is damaged, delete"):
        commands.train(experiment, lost, resume=True)
