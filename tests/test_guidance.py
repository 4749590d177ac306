"""Guidance on the exact denoiser, and on denoisers that show what they were given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.denoisers import NO_LABEL, NOTHING, Condition, Inputs, functional
from rolling.layout import video
from rolling.noise import Cosine, diffuse, expand
from rolling.noise.prior import CONTEXT, gaussian
from rolling.oracle import UNCLIPPED, Oracle, autoregressive_covariance, exact_denoiser
from rolling.sampling.guidance import (
    Autoguidance,
    ClassifierFree,
    Denoisers,
    Guidance,
    History,
    HistoryGuidance,
    Schedules,
    guided,
)
from rolling.sampling.recipe import Sampling
from rolling.sampling.sampler import Sampler
from rolling.solvers import Ddim
from rolling.windows import FullSequence, Rolling

WINDOW = Rolling(size=6, context=3)
SETTING = Schedules(WINDOW, UNCLIPPED)
PROCESS = autoregressive_covariance((1.6, -0.8), 6)

pytestmark = pytest.mark.usefixtures("double")


def frames(seed: int = 0, batch: int = 2):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(batch, 6, 2, 1, 1)))


def unchanged(z, logsnr):
    return z


def clocks(tau=(0.0, 0.0, 0.0, 0.2, 0.5, 0.9)):
    return UNCLIPPED.logsnr(jnp.asarray([tau]))


def shown_with(noise):
    def show(z, logsnr):
        eps = jnp.concatenate([noise] * (len(z) // len(noise)))
        inside = expand(jnp.arange(6)[None] < WINDOW.context, z)
        return jnp.where(inside, diffuse(z, eps, logsnr), z)

    return show


def exact(logsnr=None):
    return exact_denoiser(jnp.asarray(PROCESS))


def labelled(z, logsnr, condition):
    """A network that adds its label to what it sees; any label counts 0."""
    label = jnp.where(condition.label == NO_LABEL, 0, condition.label)
    return 0.5 * z + label[:, None, None, None, None]


@pytest.mark.parametrize("guidance", [ClassifierFree(), HistoryGuidance(), Autoguidance(weak="x")])
def test_they_are_guidance(guidance):
    assert isinstance(guidance, Guidance)


def test_classifier_free_is_the_weighted_difference():
    z, condition = frames(), Condition(label=jnp.asarray([2, 5]))
    guide = guided(labelled, None, [ClassifierFree(scale=3.0)], SETTING, unchanged)
    expected = 0.5 * z + 3.0 * condition.label[:, None, None, None, None]
    np.testing.assert_allclose(guide(z, clocks(), condition), expected)


def test_a_guidance_interval_counts_for_each_frame():
    z, condition = frames(), Condition(label=jnp.asarray([2, 5]))
    guide = guided(labelled, None, [ClassifierFree(scale=3.0, low=-1.0, high=5.0)], SETTING, unchanged)
    extra = np.asarray(guide(z, clocks(), condition) - labelled(z, clocks(), condition))[:, :, 0, 0, 0]
    inside = (np.asarray(clocks()) >= -1) & (np.asarray(clocks()) <= 5)
    assert 0 < inside.sum() < 6
    np.testing.assert_allclose(extra, np.where(inside, 2.0 * condition.label[:, None], 0.0), atol=1e-12)


def test_autoguidance_leads_away_from_the_weaker_network():
    z = frames()
    weak = lambda z, logsnr, condition: 0.25 * z  # noqa: E731
    guide = guided(lambda z, *_: 0.5 * z, weak, [Autoguidance(scale=2.0, weak="x")], SETTING, unchanged)
    np.testing.assert_allclose(guide(z, clocks(), NOTHING), 0.75 * z)


@pytest.mark.slow
def test_a_masked_history_is_no_history():
    """With the exact denoiser frames at `tau = 1` drop out: to rounding, whatever they hold."""
    z, noise = frames(), frames(1)
    nothing = HistoryGuidance(histories=(History(weight=0.0),))
    found = guided(exact(), None, [nothing], SETTING, shown_with(noise))(z, clocks(), NOTHING)
    free = exact_denoiser(jnp.asarray(PROCESS[3:, 3:]))
    alone = free(z[:, 3:], clocks()[:, 3:])
    np.testing.assert_allclose(found[:, 3:], alone, atol=1e-14)


def test_a_whole_history_of_weight_one_changes_nothing():
    z, noise = frames(), frames(1)
    guide = guided(
        exact(), None, [HistoryGuidance(histories=(History(weight=1.0),))], SETTING, shown_with(noise)
    )
    np.testing.assert_allclose(guide(z, clocks(), NOTHING), exact()(z, clocks()), atol=1e-14)


def test_temporal_and_fractional_histories():
    """Against the exact denoiser asked by hand, with the history really diffused to its level."""
    z, noise = frames(), frames(1)
    parts = HistoryGuidance(histories=(History(weight=1.2, frames=1), History(weight=0.7, level=0.4)))
    found = guided(exact(), None, [parts], SETTING, shown_with(noise))(z, clocks(), NOTHING)

    def asked(tau):
        logsnr = clocks((*tau, 0.2, 0.5, 0.9))
        return exact()(shown_with(noise)(z, logsnr), logsnr)

    none = asked((1.0, 1.0, 1.0))
    expected = none + 1.2 * (asked((1.0, 1.0, 0.0)) - none) + 0.7 * (asked((0.4, 0.4, 0.4)) - none)
    np.testing.assert_allclose(found[:, 3:], expected[:, 3:], atol=1e-13)


def test_history_guidance_in_an_interval():
    z, show = frames(), shown_with(frames(1))
    logsnr = clocks()
    ask = lambda guidance: guided(exact(), None, [guidance], SETTING, show)(z, logsnr, NOTHING)  # noqa: E731
    always, plain = ask(HistoryGuidance()), exact()(z, logsnr)
    found = ask(HistoryGuidance(low=-1.0, high=5.0))
    inside = ((logsnr >= -1) & (logsnr <= 5))[..., None, None, None]
    np.testing.assert_allclose(found, np.where(inside, always, plain), atol=1e-13)


def test_guidances_compose_in_one_call():
    sizes = []

    def network(z, logsnr, condition):
        sizes.append((z.shape[0], logsnr.shape, condition.label.shape))
        return labelled(z, logsnr, condition) + jnp.mean(z[:, :3], axis=1, keepdims=True)

    z, condition = frames(), Condition(label=jnp.asarray([2, 5]))
    both = [ClassifierFree(scale=2.0), HistoryGuidance(histories=(History(weight=1.5),))]
    show = shown_with(frames(1))
    found = guided(network, None, both, SETTING, show)(z, clocks(), condition)
    assert sizes == [(8, (8, 6), (8,))]
    again = guided(network, None, both[::-1], SETTING, show)(z, clocks(), condition)
    np.testing.assert_allclose(found, again, atol=1e-13)
    # By hand: guidance of the label on each of the two answers that history guidance asks for.
    label = guided(network, None, both[:1], SETTING, show)
    masked = clocks((1.0, 1.0, 1.0, 0.2, 0.5, 0.9))
    none, whole = label(z, masked, condition), label(z, clocks(), condition)
    np.testing.assert_allclose(found, none + 1.5 * (whole - none), atol=1e-13)


@pytest.mark.slow
def test_the_sampler_shows_the_history_at_its_label():
    """A network that sees only the context is shown `alpha x + sigma eps`, and the carry stays clean."""
    seen = []

    def network(z, logsnr, condition):
        jax.debug.callback(lambda *a: seen.append([np.asarray(part) for part in a]), z, logsnr, ordered=True)
        return 0 * z

    guidance = (HistoryGuidance(histories=(History(weight=1.0, level=0.3),)),)
    sampler = Sampler(Sampling(window=WINDOW, schedule=Cosine(), solver=Ddim(), guidance=guidance))
    key = jax.random.split(jax.random.key(0), 1)
    context = frames(batch=1)[:, :3]
    carry = sampler.cycle(network, sampler.begin(context, key), NOTHING)
    np.testing.assert_array_equal(carry.z[:, :3], context)
    z, logsnr = seen[-1]
    eps = gaussian(key, jnp.arange(3), CONTEXT, context.shape[2:], context.dtype)
    level = Cosine().logsnr(jnp.asarray([[1.0], [0.3]])) * jnp.ones((2, 3))
    np.testing.assert_allclose(logsnr[:, :3], level)
    np.testing.assert_allclose(
        z[:, :3], diffuse(jnp.tile(context, (2, 1, 1, 1, 1)), jnp.tile(eps, (2, 1, 1, 1, 1)), level)
    )


@pytest.mark.slow
def test_guidance_of_weight_one_rolls_out_the_exact_distribution():
    plain = Oracle(calls_per_frame=4, frames=6)
    one = Oracle(calls_per_frame=4, frames=6, guidance=(HistoryGuidance(histories=(History(weight=1.0),)),))
    assert one.max_covariance_error() == pytest.approx(plain.max_covariance_error(), abs=1e-10)
    strong = Oracle(calls_per_frame=4, frames=6, guidance=(HistoryGuidance(),))
    assert strong.max_covariance_error() > 2 * plain.max_covariance_error()  # guidance is no sampling


@pytest.mark.slow
def test_a_network_that_is_told_nothing_does_as_without_a_label():
    from flax import nnx

    from rolling.video.uvit.network import VideoUViT

    with jax.enable_x64(False):
        inputs = Inputs(space=(8, 8), channels=1, labels=3, tokens=4)
        network = VideoUViT(channels=(8,), blocks=(1,), heads=2, embedding=8)
        apply, params = functional(network.build(inputs, nnx.Rngs(0)))
        apply = jax.jit(apply)
        params = jax.tree.map(lambda leaf: leaf + 0.05, params)
        z, logsnr = jnp.ones((2, 3, 8, 8, 1)), jnp.zeros((2, 3))
        condition = Condition(label=jnp.asarray([0, 2]), tokens=jnp.ones((2, 5, 4)))
        nothing = apply(params, z, logsnr, NOTHING)
        np.testing.assert_allclose(apply(params, z, logsnr, condition.dropped()), nothing, atol=1e-6)
        some = apply(params, z, logsnr, condition.dropped(jnp.asarray([True, False])))
        np.testing.assert_allclose(some[0], nothing[0], atol=1e-6)
        assert np.abs(some[1] - nothing[1]).max() > 1e-4
        padded = Condition(tokens=jnp.concatenate([jnp.ones((2, 5, 4)), jnp.zeros((2, 2, 4))], axis=1))
        np.testing.assert_allclose(
            apply(params, z, logsnr, padded),
            apply(params, z, logsnr, Condition(tokens=jnp.ones((2, 5, 4)))),
            atol=1e-6,
        )


@pytest.mark.parametrize(("known", "suits"), [({}, False), ({"labels": ("a",)}, True), ({"tokens": 3}, True)])
def test_guidance_by_labels_or_tokens_wants_some(known, suits):
    layout = video(8, 8, **known)
    for part in (HistoryGuidance(), Autoguidance(weak="x")):
        Sampling(window=WINDOW, guidance=(part,)).check_layout(layout)
    recipe = Sampling(guidance=(ClassifierFree(),))
    if suits:
        recipe.check_layout(layout)
    else:
        with pytest.raises(InputError, match="these data have none: leave it out, with --guidance none"):
            recipe.check_layout(layout)


def test_two_networks_ride_together():
    recipe = Sampling(
        window=FullSequence(size=3, context=1),
        schedule=Cosine(),
        solver=Ddim(),
        guidance=(Autoguidance(scale=2.0, weak="x"),),
    )
    sampler = Sampler(recipe)
    key = jax.random.split(jax.random.key(0), 1)
    carry = sampler.begin(jnp.zeros((1, 1, 2, 1, 1)), key)
    both = Denoisers(lambda z, *_: 0 * z + 1.0, lambda z, *_: 0 * z + 0.25)
    z = sampler.cycle(both, carry, NOTHING).z
    np.testing.assert_allclose(z[:, 1:], 1.75, atol=0.2)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ClassifierFree(low=2.0, high=1.0), "2.0 is not below 1.0"),
        (lambda: History(level=1.5), "a level in \\[0, 1\\]"),
        (lambda: HistoryGuidance(histories=()), "at least one history"),
        (lambda: HistoryGuidance(low=1.0, high=1.0), "1.0 is not below 1.0"),
        (lambda: Oracle(guidance=(Autoguidance(),)), "needs the folder of a run"),
        (lambda: Oracle(guidance=(Autoguidance(weak="x"),)).coefficients(), "there is none here"),
        (
            lambda: Oracle(window=Rolling(size=4, context=0), guidance=(HistoryGuidance(),)),
            "the window has 0",
        ),
        (
            lambda: Oracle(guidance=(HistoryGuidance(histories=(History(frames=3),)),)),
            "up to 3 frames of context and the window has 1",
        ),
    ],
)
def test_bad_parameters(build, words):
    with pytest.raises(InputError, match=words):
        build()
