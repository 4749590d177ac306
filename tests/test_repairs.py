"""Repairs of a rollout's state, and errors that it passes on: on AR(1) the answers have closed forms."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.denoisers import NOTHING
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.metrics.repair_ladder import Repaired
from rolling.run.evaluation.passed_on import what_is_passed_on
from rolling.run.evaluation.repaired_state import which_part_is_guilty
from rolling.sampling import Denoisers, Sampler, Sampling, Units
from rolling.sampling.carry import Carry
from rolling.sampling.own_rollout import finished_after_repair, passed_on
from rolling.sampling.perturbations import SHAPES, Blur, Brightness, Contrast, Swelling, White
from rolling.sampling.repairs import LADDER, Knowledge
from rolling.solvers import Ddim, UniPC
from rolling.windows import Autoregressive, Rolling

A, G, B, CYCLES, STARTS = 0.9, 0.05, 0.1, 3, 4_000
STEP = Sampling(window=Autoregressive(context=1), solver=UniPC(order=2), calls_per_frame=12)


def units(height=1, width=1, mask=None, periodic=False) -> Units:
    boundary = "periodic" if periodic else "open"
    y, x = (
        Axis(name=name, values=(*map(float, range(count)),), boundary=boundary)
        for name, count in (("y", height), ("x", width))
    )
    layout = Layout(variables=(Variable(name="u"),), axes=(y, x))
    return Units.standard(layout)._replace(mask=mask)


def wrong(gain=0.0, bias=0.0):
    """The exact denoiser of the frame after a clean one, `N(a c, 1 - a^2)`, with another gain and a bias."""

    def network(z, logsnr, condition):
        context, noisy = z[:, :1], z[:, 1:]
        alpha2, sigma2 = (jax.nn.sigmoid(sign * logsnr[:, 1:])[..., None, None, None] for sign in (1, -1))
        mean, variance = (1 + gain) * A * context + bias, 1 - A**2
        kept = variance * jnp.sqrt(alpha2) / (alpha2 * variance + sigma2)
        return jnp.concatenate([context, mean + kept * (noisy - jnp.sqrt(alpha2) * mean)], axis=1)

    return network


def process(frames):
    rng = np.random.default_rng(0)
    x = [rng.normal(size=STARTS)]
    for _ in range(frames - 1):
        x.append(A * x[-1] + np.sqrt(1 - A**2) * rng.normal(size=STARTS))
    return jnp.asarray(np.stack(x, axis=1)[..., None, None, None], jnp.float32)


def expected(after, rho, bias):
    """Bias and mean squared error of a frame that a process of gain `rho` makes `after` frames after the one
    that it has in common with the truth."""
    mean = bias * (1 - rho**after) / (1 - rho)
    apart = (1 - A**2) * (1 - rho ** (2 * after)) / (1 - rho**2) + 1 - A ** (2 * after)
    return mean, mean**2 + (rho**after - A**after) ** 2 + apart


def test_the_true_context_takes_the_error_back_to_that_of_one_step():
    """And the noisy frames of a window that begins each cycle with pure noise have no part in it."""
    x, key = process(CYCLES + 2), jax.random.split(jax.random.key(0), STARTS)
    ladder = LADDER[:4]
    assert [repair.name for repair in ladder] == ["nothing", "context", "noisy frames", "both"]

    @jax.jit
    def frames(gain, bias):
        denoisers = Denoisers(wrong(gain, bias), units=units())
        return finished_after_repair(Sampler(STEP), denoisers, x, key, NOTHING, CYCLES, ladder)

    true, block = np.asarray(x)[..., 0, 0, 0], np.arange(STARTS) % 50
    for gain, bias in ((G, B), (0.0, 0.0)):
        made = np.asarray(frames(gain, bias))[..., 0, 0, 0]
        np.testing.assert_array_equal(made[:, 1, 0], true[:, CYCLES])
        errors = Repaired.bias(made[:, :, 1:], true[:, CYCLES + 1 :], block)
        squares = Repaired.root_mean_square((made[:, :, 1] - true[:, CYCLES + 1 :]) ** 2, block)
        for i, after in enumerate((CYCLES + 1, 1, CYCLES + 1, 1)):
            mean, square = expected(after, (1 + gain) * A, bias)
            assert errors.error[i, 0] == pytest.approx(mean, abs=0.03)
            assert squares.error[i, 0] == pytest.approx(np.sqrt(square), abs=0.03)
        assert errors.is_wrong == errors.helps(1) == errors.helps(3) == bool(bias)
        assert squares.helps(1) and not squares.helps(2) and not errors.helps(2)


def test_errors_of_pairs_are_compared():
    """Between starts they differ far more than with and without the repair of one."""
    true = 100 * np.random.default_rng(0).normal(size=(64, 1))
    made = true[:, None] + np.array([2.0, -1.0, 2.0])[:, None]
    found = Repaired.bias(made + 0 * true[:, None], true, np.arange(64))
    np.testing.assert_allclose(found.error[:, 0] * true.std(), [2, -1, 2])
    np.testing.assert_allclose(found.less[:, 0] * true.std(), [0, 1, 0], atol=1e-9)
    assert found.helps(1) and not found.helps(2)
    one = Repaired.bias(made, true, np.zeros(64, int))
    assert np.isnan(one.error[:, 1:]).all() and not one.is_wrong and not one.helps(1)


def state(value):
    z = value * jnp.broadcast_to(jnp.arange(1.0, 5).reshape(1, 1, 2, 2, 1), (3, 5, 2, 2, 1))
    key, zero = jax.random.split(jax.random.key(0), 3), jnp.zeros((), int)
    return Carry(z=z, history=(z + 1,), first=zero, step=zero, key=key)


def test_each_repair_changes_its_part_alone():
    own, true = state(1.0), state(2.0)
    given = 300 + 7 * true.z[:, :2]
    pictures = units(2, 2)._replace(mean=np.float32([1.0]), std=np.float32([2.0]))
    found = {
        repair.name: repair(own, Knowledge(true, given, pictures))
        for repair in LADDER
        if repair.name != "range"
    }
    part = lambda name: (found[name].z[:, :2], found[name].z[:, 2:], found[name].history[0])  # noqa: E731
    of = lambda carry: (carry.z[:, :2], carry.z[:, 2:], carry.history[0])  # noqa: E731
    for name, repaired in {
        "nothing": (), "context": (0,), "noisy frames": (1, 2), "both": (0, 1, 2),
    }.items():  # fmt: skip
        for i in range(3):
            np.testing.assert_array_equal(part(name)[i], of(true if i in repaired else own)[i])
    np.testing.assert_allclose(part("moments")[0], given, rtol=1e-5)
    np.testing.assert_array_equal(part("moments")[1], of(own)[1])


def factors(sampling, network, cases, cycles, x, where):
    key = jax.random.split(jax.random.key(1), len(x))

    @jax.jit
    def factor(gain):
        denoisers = Denoisers(network(gain), units=where)
        two = passed_on(Sampler(sampling), denoisers, x, key, NOTHING, cycles, cases, 0.01)
        change, square = two.sum(axis=0)
        return change / square

    return factor


def test_an_error_is_passed_on_by_powers_of_the_gain():
    """Noise and brightness by `((1 + g) a)^k`; of contrast a frame has what its own shares with the first."""
    x = jax.random.normal(jax.random.key(2), (64, 2, 8, 8, 1))
    cases = [(shape, False) for shape in (White(), Brightness(), Contrast())]
    found = factors(STEP, wrong, cases, 5, x, units(8, 8))
    for gain in (0.0, G, 0.2):
        rho, after = (1 + gain) * A, np.arange(1, 6)
        np.testing.assert_allclose(found(gain)[:2], np.stack([rho**after] * 2), atol=0.01)
        variance = rho ** (2 * after) + (1 - A**2) * (1 - rho ** (2 * after)) / (1 - rho**2)
        np.testing.assert_allclose(found(gain)[2], rho ** (2 * after) / variance, atol=0.03)


def test_noisy_frames_that_remember_the_truth_take_an_error_out():
    """A network that answers with the noisy frames passes on nothing of the context, and of an error of the
    whole window all, until those frames have left."""

    def kept(gain):
        return lambda z, logsnr, condition: gain * z / jnp.sqrt(jax.nn.sigmoid(logsnr))[..., None, None, None]

    sampling = Sampling(window=Rolling(size=4, context=1), solver=Ddim())
    x = jax.random.normal(jax.random.key(3), (4, 4, 6, 6, 1))
    cases = [(shape, whole) for whole in (False, True) for shape in (White(), Brightness())]
    found = factors(sampling, kept, cases, 2, x, units(6, 6))(1.0)
    np.testing.assert_allclose(found, np.repeat([[0.0], [1.0]], 2, axis=0) * np.ones(2), atol=1e-3)


def test_shapes():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 6, 8, 1)), jnp.float32)
    key, plain = jax.random.split(jax.random.key(0), 2), units(6, 8)
    wave = jnp.cos(2 * jnp.pi * jnp.arange(8) / 8).reshape(1, 1, 1, 8, 1) * jnp.ones((1, 1, 6, 1, 1))
    damped = np.cos(np.pi / 8) ** 2 - 1  # of a wave of 8 cells, by the weights 1/4, 1/2, 1/4
    np.testing.assert_allclose(
        Blur().direction(wave, key, units(6, 8, periodic=True)), damped * wave, atol=1e-6
    )
    np.testing.assert_allclose(Blur().direction(jnp.ones_like(x), key, plain), 0, atol=1e-6)
    np.testing.assert_allclose(Contrast().direction(x + 3, key, plain).mean((2, 3)), 0, atol=1e-5)
    noise = White().direction(x, key, plain)
    np.testing.assert_array_equal(noise[:, 0], noise[:, 2])
    assert not np.allclose(noise[0], noise[1])
    slope = jnp.broadcast_to(jnp.arange(8.0).reshape(1, 1, 1, 8, 1), x.shape)
    np.testing.assert_allclose(Swelling().direction(slope, key, plain)[..., 1:-1, :], 1, atol=1e-6)
    sea = np.zeros((6, 8, 1), bool)
    for shape in SHAPES:
        assert not np.asarray(shape.direction(x, key, plain._replace(mask=sea))).any()


@pytest.mark.parametrize("ask", [which_part_is_guilty, what_is_passed_on])
def test_a_window_without_context_is_refused(ask):
    forecaster: Any = SimpleNamespace(recipe=Sampling(window=Rolling(size=4, context=0)))
    with pytest.raises(InputError, match="changes the context of a window, and this one has none: leave it"):
        ask(forecaster, *[None] * 2)


def test_sequences_too_short_for_the_age_are_refused():
    short: Any = type("Short", (), {"__len__": lambda self: 1, "length": lambda self, index: 9})()
    run: Any = SimpleNamespace(recipe=STEP, experiment=SimpleNamespace(reference=SimpleNamespace(frames=0)))
    with pytest.raises(InputError, match=r"rolled over 21 or more, .* more than 9: .* a smaller --repair-at"):
        which_part_is_guilty(run, short, SimpleNamespace(repair_at=20))
