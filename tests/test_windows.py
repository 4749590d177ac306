"""Windows: the hand-over of clocks from cycle to cycle, the warm-up that leads to it, the training times."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolling.errors import InputError
from rolling.windows import (
    Autoregressive,
    FullSequence,
    IndependentTimes,
    Rolling,
    Window,
    warmup_steps,
)

pytestmark = pytest.mark.usefixtures("quick_compilation")
KEY = jax.random.key(7)

# Every size is compiled anew, so there are few of them and every context.
shapes = st.sampled_from([1, 2, 3, 5]).flatmap(
    lambda size: st.tuples(st.just(size), st.integers(0, size - 1))
)
rolling = shapes.map(lambda shape: Rolling(size=shape[0], context=shape[1]))
full = shapes.map(lambda shape: FullSequence(size=shape[0], context=shape[1]))
autoregressive = shapes.map(lambda shape: Autoregressive(context=shape[0] - 1))
windows = st.one_of(rolling, full, autoregressive, rolling.map(lambda roll: IndependentTimes(roll=roll)))
TIMES = jnp.linspace(0.0, 1.0, 25)


@given(windows)
def test_clocks_are_handed_over(window):
    """To the bit: a frame that moved one cycle on goes on from where its clock stopped."""
    assert isinstance(window, Window)
    begin, end = np.asarray(window.cycle(jnp.asarray(1.0))), np.asarray(window.cycle(jnp.asarray(0.0)))
    np.testing.assert_array_equal(begin[: -window.stride], end[window.stride :])
    np.testing.assert_array_equal(begin[-window.stride :], 1.0)
    np.testing.assert_array_equal(end[: window.context + window.stride], 0.0)


@given(windows)
def test_the_warm_up_leads_from_noise_to_the_cycle(window):
    first, last = (np.asarray(window.warmup(jnp.asarray(t))) for t in (1.0, 0.0))
    np.testing.assert_array_equal(first, np.arange(window.size) >= window.context)
    np.testing.assert_array_equal(last, window.cycle(jnp.asarray(0.0)))


@given(windows)
def test_clocks_are_monotone_in_time_and_place(window):
    for clocks in (window.cycle, window.warmup):
        tau = np.asarray(clocks(TIMES))
        assert tau.shape == (len(TIMES), window.size) and tau.dtype == np.float32
        assert (tau >= 0).all() and (tau <= 1).all()
        assert (np.diff(tau, axis=0) >= 0).all(), "a clock runs backwards"
        assert (np.diff(tau, axis=1) >= 0).all(), "a later frame is cleaner than an earlier one"
        assert (tau[:, : window.context] == 0).all(), "context is clean"
        assert (tau[1:-1, window.context] > 0).all()


def test_rolling_clocks_by_hand():
    window = Rolling(size=6, context=2)
    np.testing.assert_allclose(window.cycle(jnp.asarray(0.5)), [0, 0, 1 / 8, 3 / 8, 5 / 8, 7 / 8])
    np.testing.assert_allclose(window.warmup(jnp.asarray(0.5)), [0, 0, 1 / 2, 3 / 4, 1, 1])
    np.testing.assert_allclose(Autoregressive(context=1).cycle(jnp.asarray(0.3)), [0, 0.3], rtol=1e-6)


@pytest.mark.parametrize(
    ("window", "stride", "steps"),
    [
        (Rolling(size=6, context=1), 1, 40),
        (Rolling(size=8, context=2), 1, 48),
        (FullSequence(size=6, context=2), 4, 32),
        (Autoregressive(context=3), 1, 8),
    ],
)
def test_a_warm_up_gives_a_frame_as_many_steps_as_the_cycles_do(window, stride, steps):
    assert window.stride == stride
    assert warmup_steps(window, 8 * stride) == steps


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
        FullSequence(size=5, context=2),
        Autoregressive(context=1),
    ],
)
def test_training_times_lie_on_the_windows_own_curves(window):
    times = window.sample_times(KEY, 64)
    tau, rate = (np.asarray(part) for part in times)
    assert tau.shape == rate.shape == (64, window.size)
    # The speed of the frame behind the context tells the warm-up from the cycle, and its clock gives t.
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


def test_rates():
    window = Rolling(size=6, context=2, warmup_share=0.5)
    times = window.sample_times(KEY, 256)
    moving = np.asarray(times.rate)[np.asarray(times.rate) > 0]
    assert set(moving.tolist()) == {0.25, 1.0}
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
    batch, roll = 6000, Rolling(size=5, context=2)
    window = IndependentTimes(roll=roll, clean_share=0.3)
    assert (window.size, window.context, window.stride) == (5, 2, 1)
    np.testing.assert_array_equal(window.cycle(TIMES), roll.cycle(TIMES))
    np.testing.assert_array_equal(window.warmup(TIMES), roll.warmup(TIMES))
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


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Rolling(size=2, context=2), "window of 2 frames cannot hold 2 of context"),
        (lambda: Rolling(size=2, context=-1), "choose 0 <= context < size"),
        (lambda: Rolling(size=0, context=0), "window of 0 frames"),
        (lambda: Rolling(warmup_share=1.5), "warmup_share is a probability"),
        (lambda: Rolling(warmup_share=float("nan")), "warmup_share is a probability"),
        (lambda: FullSequence(size=3, context=3), "cannot hold 3 of context"),
        (lambda: Autoregressive(context=-1), "choose 0 <= context < size"),
        (lambda: IndependentTimes(clean_share=-0.1), "clean_share of independent times is a probability"),
    ],
)
def test_bad_parameters(build, words):
    with pytest.raises(InputError, match=words) as caught:
        build()
    assert "\n" not in str(caught.value)
