"""Corrections of finished frames: an anchor ends a drift where the recursion says that it ends."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.denoisers import NOTHING
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.oracle import UNCLIPPED
from rolling.sampling import Denoisers, Rollout, Sampler, Sampling, Units
from rolling.sampling.constraints import Limits
from rolling.sampling.corrections import Anchor
from rolling.solvers import Ddim, UniPC
from rolling.windows import Autoregressive, FullSequence, Rolling

LAYOUT = Layout(
    variables=(Variable(name="u"), Variable(name="v")),
    axes=(
        Axis(name="latitude", values=(0.0, 60.0), units="degrees_north"),
        Axis(name="longitude", values=(0.0, 120.0, 240.0), units="degrees_east"),
    ),
)
UNITS = Units.standard(LAYOUT)
ANCHORED = Sampling(window=Autoregressive(context=1), schedule=UNCLIPPED, corrections=(Anchor(weight=0.05),))
GIVEN = np.asarray([[1.0, -1.0, 0.0], [0.5, 0.0, -0.5]])[..., None] + np.asarray([0.0, 3.0])


def copy(gain=1.0, bias=0.0, contrast=1.0, context=1):
    """A network whose every frame is the last one of context with its errors: the mean gets a gain and a
    bias, what differs from the mean a contrast."""

    def denoise(z, logsnr, condition):
        last = z[:, context - 1 : context]
        mean = UNITS.weights(z.dtype)
        mean = (mean * last).sum((2, 3), keepdims=True)
        x = gain * mean + bias + contrast * (last - mean)
        return jnp.concatenate([z[:, :context], jnp.repeat(x, z.shape[1] - context, axis=1)], axis=1)

    return denoise


def rolled(denoise, sampling, frames, units=UNITS, given=GIVEN):
    with jax.enable_x64(True):
        first = jnp.asarray(given)[None, None].repeat(sampling.given_frames, axis=1)
        rollout = Rollout(Sampler(sampling), lambda _: Denoisers(denoise, units=units), cycles=10)
        chunks = rollout.chunks(None, first, jax.random.split(jax.random.key(0), 1), frames)
        return np.concatenate([np.asarray(chunk.frames) for chunk in chunks], axis=1)[0]


def moments(frames):
    """Mean and standard deviation by area: at 60 degrees a row counts half."""
    rows = np.asarray([2 / 3, 1 / 3])[:, None, None] / 3
    mean = (rows * frames).sum((1, 2))
    return mean, np.sqrt((rows * (frames - mean[:, None, None]) ** 2).sum((1, 2)))


@pytest.mark.parametrize(
    ("gain", "weight"), [(1.0, 0.02), (1.0, 0.05), (1.0, 0.1), (1.02, 0.05), (1.02, 0.1)]
)
def test_a_bias_ends_where_the_recursion_ends(gain, weight):
    """`m -> (1 - w) (g m + b) + w m_given`, which a mean without an anchor leaves for good."""
    given = GIVEN - moments(GIVEN[None])[0][0]  # of mean 0
    anchored = dataclasses.replace(ANCHORED, corrections=(Anchor(weight=weight, what="mean"),))
    mean, _ = moments(rolled(copy(gain, 0.01), anchored, 600, given=given))
    limit = 0.01 * (1 - weight) / (1 - gain * (1 - weight))
    np.testing.assert_allclose(mean[-1], limit, rtol=2e-3)
    k = np.arange(1, 601)[:, None]
    np.testing.assert_allclose(mean, limit * (1 - (gain * (1 - weight)) ** k) + np.zeros(2), atol=1e-9)
    if gain == 1:
        free, _ = moments(
            rolled(copy(gain, 0.01), dataclasses.replace(ANCHORED, corrections=()), 60, given=given)
        )
        np.testing.assert_allclose(free[-1], 0.6, rtol=1e-6)


def test_contrast_is_held_too_and_one_without_the_other():
    """`s -> (1 - w) c s + w s_given`: from 1.1 times each frame to `w / (1 - (1 - w) 1.1)` in all."""
    mean, std = moments(GIVEN[None])
    denoise = copy(bias=0.01, contrast=1.01)
    for what, means, stds in (
        ("both", mean + 0.01 * 0.95 / 0.05, std * 0.05 / (1 - 0.95 * 1.01)),
        ("std", mean + 3.0, std * 0.05 / (1 - 0.95 * 1.01)),
        ("mean", mean + 0.01 * 0.95 / 0.05, std * 1.01**300),
    ):
        anchor = Anchor(what=what)
        found = moments(rolled(denoise, dataclasses.replace(ANCHORED, corrections=(anchor,)), 300)[-1:])
        np.testing.assert_allclose(found[0], means, rtol=1e-5)
        np.testing.assert_allclose(found[1], stds, rtol=1e-3)


def test_a_right_network_is_left_alone_and_the_whole_weight_sets_them():
    frames = rolled(copy(), ANCHORED, 20)
    np.testing.assert_allclose(frames, np.broadcast_to(GIVEN, frames.shape), atol=1e-12)
    whole = dataclasses.replace(ANCHORED, corrections=(Anchor(weight=1.0),))
    found = moments(rolled(copy(1.3, -0.2, 0.7), whole, 20))
    for got, wanted in zip(found, moments(GIVEN[None]), strict=True):
        np.testing.assert_allclose(got, np.broadcast_to(wanted, got.shape), atol=1e-12)


def test_cells_without_data_neither_count_nor_change():
    mask = np.ones((2, 3, 2), bool)
    mask[0, 1] = False
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 2, 3, 2)))
    given = jnp.asarray(np.random.default_rng(1).normal(size=(2, 2, 2, 3, 2)))
    units = UNITS._replace(mask=mask)
    found = Anchor().correct(x, given, units)
    np.testing.assert_array_equal(found[:, :, 0, 1], x[:, :, 0, 1])
    other = Anchor().correct(x.at[:, :, 0, 1].set(7.0), given.at[:, :, 0, 1].set(-7.0), units)
    np.testing.assert_array_equal(np.where(mask, other, 0), np.where(mask, found, 0))
    still = jnp.ones_like(x)  # without contrast there is nothing to stretch
    np.testing.assert_allclose(Anchor(what="std").correct(still, given, units), still, rtol=1e-6)


@pytest.mark.parametrize(
    "window", [Rolling(size=5, context=2), FullSequence(size=4, context=1)], ids=["rolling", "full"]
)
def test_it_holds_whatever_the_window_and_goes_on_from_a_carry(window):
    """All frames that a cycle finishes are corrected; limits are kept after that, and a rollout in two halves
    has the same bits."""
    way = dataclasses.replace(
        ANCHORED, window=window, solver=UniPC(order=2), calls_per_frame=2, corrections=(Anchor(weight=1.0),)
    )
    biased = copy(bias=0.1, context=window.context)
    frames = rolled(biased, way, 24)
    np.testing.assert_allclose(
        moments(frames)[0], np.broadcast_to(moments(GIVEN[None])[0], (24, 2)), atol=1e-5
    )
    limited = dataclasses.replace(way, constraints=(Limits(variables=("u",), low=-0.5, high=0.5),))
    assert np.abs(rolled(biased, limited, 24)[..., 0]).max() == 0.5

    rollout = Rollout(Sampler(way), lambda _: Denoisers(biased, units=UNITS), cycles=4)
    given = jnp.asarray(GIVEN, jnp.float32)[None, None].repeat(way.given_frames, axis=1)
    key = jax.random.split(jax.random.key(0), 1)
    whole = np.concatenate([chunk.frames for chunk in rollout.chunks(None, given, key, 24)], axis=1)
    first = next(rollout.chunks(None, given, key, 24))
    assert first.carry.given.shape == (1, window.context, 2, 3, 2)
    made = first.frames.shape[1]
    rest = [chunk.frames for chunk in rollout.chunks(None, given, key, 24, resume=(made, first.carry))]
    np.testing.assert_array_equal(np.concatenate([first.frames, *rest], axis=1), whole)


def test_without_corrections_nothing_is_carried():
    sampler = Sampler(dataclasses.replace(ANCHORED, corrections=(), solver=Ddim()))
    carry = sampler.begin(jnp.zeros((1, 1, 2, 3, 2)), jax.random.split(jax.random.key(0), 1))
    assert carry.given is None


def test_what_does_not_suit_is_refused():
    with pytest.raises(InputError, match="and this window has none: choose one with context"):
        Sampling(window=Rolling(size=4, context=0), corrections=(Anchor(),))
    for weight in (0.0, 1.5, float("nan")):
        with pytest.raises(InputError, match=r"a weight in \(0, 1\]"):
            Anchor(weight=weight)
    sampler = Sampler(ANCHORED)
    carry = sampler.begin(jnp.zeros((1, 1, 2, 3, 2)), jax.random.split(jax.random.key(0), 1))
    with pytest.raises(InputError, match="constraints and corrections need the units of the frames"):
        sampler.warm_up(copy(), carry, NOTHING)
