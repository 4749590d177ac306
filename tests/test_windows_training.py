"""Training times: on the window's own curves, or on purpose elsewhere; how the context is shown."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from rolling.common.errors import InputError
from rolling.windows import (
    AlignedContext,
    Autoregressive,
    FullSequence,
    HistoryDropout,
    IndependentTimes,
    NoisyContext,
    Pyramid,
    Rolling,
    TrainedOn,
    Trapezoid,
    shows_history,
    training_frames,
)
from tests.window_strategies import Power, plain, shown, windows

hypothesis = pytest.importorskip("hypothesis")
given, settings = hypothesis.given, hypothesis.settings
pytestmark = pytest.mark.slow
KEY = jax.random.key(7)
TIMES = jnp.linspace(0.0, 1.0, 25)


def parts(times):
    return np.asarray(times.tau), np.asarray(times.rate)


@settings(max_examples=8)
@given(plain | shown)
def test_what_is_trained_is_what_is_sampled(window):
    """Every vector of clocks lies on the path of a cycle or of the warm-up, and after the context it is
    trained exactly where it moves."""
    grid = jnp.linspace(0.0, 1.0, 2001)
    curves = np.concatenate([window.cycle(grid), window.warmup(grid)])
    tau, rate = parts(window.sample_times(KEY, 32))
    distance = np.abs(tau[:, None] - curves[None]).max(axis=-1).min(axis=1)
    assert distance.max() < (1 + window.size) / 2000
    n = window.context
    np.testing.assert_array_equal(rate[:, :n], 0.0)
    np.testing.assert_array_equal(rate[:, n:] > 0, (tau[:, n:] > 0) & (tau[:, n:] < 1))


@settings(max_examples=8)
@given(windows)
def test_a_clip_is_as_long_as_its_training_times(window):
    tau, rate = parts(window.sample_times(KEY, 4))
    assert tau.shape == rate.shape == (4, training_frames(window))
    assert (tau >= 0).all() and (tau <= 1).all() and (rate >= 0).all()
    np.testing.assert_array_equal(parts(window.sample_times(KEY, 4))[0], tau)


def difference(clocks, t, h=1e-3):
    """`d clocks / dt`, and where it is smooth enough to be compared."""
    t = np.clip(t, h, 1 - h)
    low, middle, high = (np.asarray(clocks(jnp.asarray(at, jnp.float32))) for at in (t - h, t, t + h))
    smooth = np.abs(high - 2 * middle + low) < 1e-5
    return (high - low) / (2 * h), smooth


@pytest.mark.parametrize(
    "window",
    [
        Rolling(size=5, context=2),
        Rolling(size=3, context=0),
        Rolling(size=2, context=1),
        Rolling(size=5, context=1, block=2),
        FullSequence(size=5, context=2),
        Autoregressive(context=1),
    ],
)
def test_training_times_lie_on_the_windows_own_curves(window):
    times = window.sample_times(KEY, 64)
    tau, rate = (np.asarray(part) for part in times)
    assert tau.shape == rate.shape == (64, window.size)
    # The speed of the frame after the context tells the warm-up from the cycle, and its clock gives t.
    lead = window.context
    for clocks in (window.cycle, window.warmup):
        speed = float(np.asarray(clocks(jnp.asarray(0.5)) - clocks(jnp.asarray(0.25)))[lead] * 4)
        rows = np.isclose(rate[:, lead], speed)
        t = np.where(rows, tau[:, lead] / speed, 0.5)
        np.testing.assert_allclose(tau[rows], np.asarray(clocks(jnp.asarray(t)))[rows], atol=1e-6)
        expected, smooth = difference(clocks, t)
        smooth &= rows[:, None]
        np.testing.assert_allclose(rate[smooth], expected[smooth], atol=1e-3)
        assert rows.any() or speed == pytest.approx(1.0)
    assert ((rate > 0) == ((tau > 0) & (tau < 1))).all(), "only frames inside the sweep are trained"


def test_warped_clocks_are_trained_on_their_own_curves():
    """By the chain rule; a root is infinitely steep at 0, where no frame moves."""
    inner = Rolling(size=4, context=1, warmup_share=0.5)
    u, speed = parts(inner.sample_times(KEY, 64))
    tau, rate = parts(Power(inner=inner, power=3).sample_times(KEY, 64))
    np.testing.assert_allclose(tau, u**3, rtol=1e-6)
    np.testing.assert_allclose(rate, 3 * u**2 * speed, rtol=1e-5)
    tau, rate = parts(Power(inner=inner, power=0.5).sample_times(KEY, 64))
    np.testing.assert_allclose(tau, np.sqrt(u), rtol=1e-6)
    assert np.isfinite(rate).all() and (rate[:, 0] == 0).all() and (rate[:, 1] > 0).all()


def test_rates():
    window = Rolling(size=6, context=2, warmup_share=0.5)
    times = window.sample_times(KEY, 256)
    moving = np.asarray(times.rate)[np.asarray(times.rate) > 0]
    assert set(moving.tolist()) == {0.25, 1.0}
    blocks = parts(Rolling(size=8, context=2, block=2).sample_times(KEY, 256))[1]
    np.testing.assert_array_equal(blocks[:, 2::2], blocks[:, 3::2])
    np.testing.assert_allclose(np.unique(blocks), [0.0, 1 / 3, 1.0], rtol=1e-6)
    for window, rate in ((Pyramid(size=6, stagger=0.5), 2.5), (Trapezoid(size=7, stagger=0.5), 2.0)):
        assert set(parts(window.sample_times(KEY, 256))[1].ravel().tolist()) == {0.0, rate}
    assert set(np.asarray(Autoregressive().sample_times(KEY, 256).rate).ravel().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.7, 1.0])
def test_share_of_the_warm_up(share):
    batch = 4000
    rate = np.asarray(Rolling(size=5, context=1, warmup_share=share).sample_times(KEY, batch).rate)
    warm = np.mean(rate.max(axis=1) == 1.0)
    assert abs(warm - share) <= 4 * np.sqrt(share * (1 - share) / batch)


@pytest.mark.parametrize(
    "window", [Rolling(size=5, context=1, warmup_share=0.0), FullSequence(size=5, context=1)]
)
def test_times_of_a_batch_are_stratified(window):
    """One in each of `batch` equal parts, at a common offset: uniform each, without clumps together."""
    batch = 32
    offsets = []
    for seed in range(40):
        tau = np.asarray(window.sample_times(jax.random.key(seed), batch).tau)
        t = np.sort(tau[:, 1] * (window.size - window.context) / window.stride)
        np.testing.assert_allclose(np.diff(t), 1 / batch, atol=1e-5)
        offsets.append(t[0] * batch)
    assert 0.35 < np.mean(offsets) < 0.65 and np.std(offsets) > 0.2


def test_training_times_are_reproducible_and_differ():
    window = Rolling()
    first, again = (window.sample_times(KEY, 8) for _ in range(2))
    np.testing.assert_array_equal(first.tau, again.tau)
    assert not np.array_equal(first.tau, window.sample_times(jax.random.key(8), 8).tau)


def test_independent_times():
    batch, inner = 6000, Rolling(size=5, context=2)
    window = IndependentTimes(inner=inner, clean_share=0.3)
    assert (window.size, window.context, window.stride) == (5, 2, 1)
    np.testing.assert_array_equal(window.cycle(TIMES), inner.cycle(TIMES))
    np.testing.assert_array_equal(window.warmup(TIMES), inner.warmup(TIMES))
    tau, rate = (np.asarray(part) for part in window.sample_times(KEY, batch))
    clean = (rate[:, :2] == 0).all(axis=1)
    assert abs(clean.mean() - 0.3) < 4 * np.sqrt(0.21 / batch)
    np.testing.assert_array_equal(rate == 0, clean[:, None] & (np.arange(5) < 2))
    np.testing.assert_array_equal(tau[rate == 0], 0.0)
    assert set(rate.ravel().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(tau[~clean].mean(axis=0), 0.5, atol=0.03)
    np.testing.assert_allclose(tau[~clean].var(axis=0), 1 / 12, atol=0.01)
    correlation = np.corrcoef(tau[~clean].T)
    np.testing.assert_allclose(correlation, np.eye(5), atol=0.08)


def test_monotone_times():
    """The ordered values of independent ones; each again as likely anywhere, the k-th near k / (W + 1)."""
    inner = Rolling(size=4, context=1)
    tau, rate = parts(IndependentTimes(inner=inner, clean_share=0.0, monotone=True).sample_times(KEY, 4000))
    assert (np.diff(tau, axis=1) >= 0).all() and (rate == 1).all()
    np.testing.assert_allclose(tau.mean(axis=0), np.arange(1, 5) / 5, atol=0.02)
    np.testing.assert_allclose(tau.mean(), 0.5, atol=0.01)
    tau, rate = parts(IndependentTimes(inner=inner, clean_share=1.0, monotone=True).sample_times(KEY, 64))
    assert (np.diff(tau, axis=1) >= 0).all() and (tau[:, 0] == 0).all() and (rate[:, 1:] == 1).all()


def test_a_random_history_has_every_length_alike():
    batch, inner = 6000, Rolling(size=5, context=3)
    tau, rate = parts(IndependentTimes(inner=inner, random_history=True).sample_times(KEY, batch))
    np.testing.assert_array_equal(rate == 0, tau == 0)
    given = rate == 0
    assert (np.diff(given.astype(int), axis=1) <= 0).all(), "a gap in the history"
    counts = np.bincount(given.sum(axis=1))
    assert len(counts) == 4
    np.testing.assert_allclose(counts / batch, 0.25, atol=0.03)


def test_a_noisy_context_stays_at_its_level():
    inner = Pyramid(size=5, context=2)
    window = NoisyContext(inner=inner, level=0.25)
    for sweep in ("cycle", "warmup"):
        tau, own = (np.asarray(getattr(w, sweep)(TIMES)) for w in (window, inner))
        np.testing.assert_array_equal(tau[:, :2], 0.25)
        np.testing.assert_array_equal(tau[:, 2:], own[:, 2:])
    (tau, rate), (own_tau, own_rate) = (parts(w.sample_times(KEY, 16)) for w in (window, inner))
    np.testing.assert_array_equal(tau, np.where(np.arange(5) < 2, 0.25, own_tau))
    np.testing.assert_array_equal(rate, own_rate)


def test_a_context_of_many_levels_is_shown_at_one_level_a_clip():
    """Uniform up to the highest, by a test of Kolmogorov and Smirnov, and clean in a tenth of the clips."""
    inner = Rolling(size=5, context=2)
    window = NoisyContext(inner=inner, level=0.05, most=0.25)
    np.testing.assert_array_equal(window.cycle(TIMES), NoisyContext(inner=inner, level=0.05).cycle(TIMES))
    tau, rate = parts(window.sample_times(KEY, 4000))
    levels = tau[:, 0]
    np.testing.assert_array_equal(levels, tau[:, 1])
    assert (levels == 0).mean() == pytest.approx(0.1, abs=0.02)
    assert scipy.stats.kstest(levels[levels > 0], "uniform", (0, 0.25)).pvalue > 0.01
    assert (rate[:, :2] == 0).all() and (rate[:, 2:].max(axis=1) > 0).all()


@pytest.mark.parametrize(
    "inner", [Autoregressive(context=2), Rolling(size=5, context=2), Pyramid(size=5), Trapezoid(size=5)]
)
def test_an_aligned_context_goes_with_the_first_frame(inner):
    window = AlignedContext(inner=inner)
    for tau in (window.cycle(TIMES), window.warmup(TIMES), window.sample_times(KEY, 16).tau):
        np.testing.assert_array_equal(tau[:, :2], np.repeat(np.asarray(tau)[:, 2:3], 2, axis=1))
    np.testing.assert_array_equal(window.cycle(TIMES)[:, 2:], inner.cycle(TIMES)[:, 2:])
    (_, rate), (_, own) = (parts(w.sample_times(KEY, 16)) for w in (window, inner))
    np.testing.assert_array_equal(rate, own)
    assert (rate[:, :2] == 0).all() and (rate[:, 2:] > 0).any()


def test_history_is_dropped_or_noised_by_the_clip():
    batch, inner = 6000, NoisyContext(inner=Rolling(size=5, context=2), level=0.125)
    window = HistoryDropout(inner=inner, drop=0.2, noise=0.3)
    np.testing.assert_array_equal(window.cycle(TIMES), inner.cycle(TIMES))
    tau, rate = parts(window.sample_times(KEY, batch))
    np.testing.assert_array_equal(tau[:, 0], tau[:, 1])
    assert (rate[:, :2] == 0).all() and (rate[:, 2:].max(axis=1) > 0).all()
    dropped, shown = tau[:, 0] == 1, tau[:, 0] == 0.125
    noised = tau[~dropped & ~shown, 0]
    np.testing.assert_allclose([dropped.mean(), len(noised) / batch], [0.2, 0.3], atol=0.025)
    np.testing.assert_allclose([noised.mean(), noised.var()], [0.5, 1 / 12], atol=0.025)
    # What is made does not depend on how the history is shown.
    curves = np.asarray(inner.cycle(jnp.linspace(0.0, 1.0, 2001)))[:, 2:]
    cycle = rate[:500, 2:].max(axis=1) < 0.5
    near = np.abs(tau[:500, None, 2:] - curves[None]).max(axis=-1).min(axis=1)
    assert cycle.mean() > 0.8 and near[cycle].max() < 1e-3


def test_history_is_dropped_from_the_front_on():
    """`m` of three frames, 1, 2 or 3: the others are shown as ever."""
    window = HistoryDropout(inner=Rolling(size=5, context=3), drop=0.1, front=0.6)
    tau, rate = parts(window.sample_times(KEY, 6000))
    context = tau[:, :3]
    assert set(np.unique(context)) == {0.0, 1.0} and (np.diff(context, axis=1) <= 0).all()
    counts = np.bincount(context.sum(axis=1).astype(int), minlength=4) / 6000
    np.testing.assert_allclose(counts, [0.3, 0.2, 0.2, 0.2 + 0.1], atol=0.025)
    assert (rate[:, :3] == 0).all() and (rate[:, 3:].max(axis=1) > 0).all()


@pytest.mark.parametrize(
    ("window", "trained"),
    [
        (Rolling(size=5, context=3), {(3, 0.0)}),
        (NoisyContext(inner=Rolling(size=5, context=3)), {(3, 0.0)}),
        (HistoryDropout(inner=Rolling(size=5, context=3)), {(3, 0.0), (0, 0.0)}),
        (HistoryDropout(inner=Rolling(size=5, context=3), noise=0.1), {(3, 0.0), (0, 0.0), (3, 0.5)}),
        (
            HistoryDropout(inner=Rolling(size=5, context=3), drop=0.0, front=0.1),
            {(3, 0.0), (0, 0.0), (1, 0.0), (2, 0.0)},
        ),
    ],
    ids=repr,
)
def test_which_histories_are_trained(window, trained):
    """Those that it says are those that its training times have."""
    asked = {(kept, level) for kept in range(4) for level in (0.0, 0.5)} - {(0, 0.5)}
    assert {case for case in asked if shows_history(window, *case)} == trained
    if not isinstance(window, NoisyContext):
        context = parts(window.sample_times(KEY, 3000))[0][:, :3]
        noised = (context > 0) & (context < 1)
        found = {(int((row == 0).sum()), 0.0) for row in context[~noised.any(axis=1)]}
        assert found | ({(3, 0.5)} if noised.any() else set()) == trained
    assert all(shows_history(IndependentTimes(inner=window), *case) for case in asked)


def test_histories_that_are_trained_stay_so_where_they_are_shown():
    """Dropout changes the clips that it drops, and nothing else."""
    own = IndependentTimes(inner=Rolling(size=4, context=2), clean_share=0.0)
    tau, rate = parts(HistoryDropout(inner=own, drop=0.5).sample_times(KEY, 400))
    dropped = (tau[:, :2] == 1).all(axis=1)
    assert 0.4 < dropped.mean() < 0.6
    np.testing.assert_array_equal(rate[:, :2], np.where(dropped, 0.0, 1.0)[:, None].repeat(2, axis=1))


def test_a_window_may_be_trained_on_another():
    inner, trained = Rolling(size=12, context=1), IndependentTimes(inner=FullSequence(size=5, context=2))
    window = TrainedOn(inner=inner, trained=trained)
    assert (window.size, window.context, window.stride) == (12, 1, 1) and training_frames(window) == 5
    np.testing.assert_array_equal(window.cycle(TIMES), inner.cycle(TIMES))
    for found, own in zip(window.sample_times(KEY, 8), trained.sample_times(KEY, 8), strict=True):
        np.testing.assert_array_equal(found, own)


@pytest.mark.parametrize("kind", [NoisyContext, AlignedContext, HistoryDropout, IndependentTimes])
def test_wrappers_stand_inside_a_window_that_is_trained_on_another(kind):
    with pytest.raises(InputError, match="put it inside"):
        kind(inner=TrainedOn(inner=Rolling(size=12, context=4), trained=Rolling(size=6, context=2)))
