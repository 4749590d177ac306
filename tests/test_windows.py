"""Windows: the hand-over of clocks from cycle to cycle, the warm-up that leads to it, clocks by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.windows import (
    Ahead,
    Autoregressive,
    Every,
    FullSequence,
    HistoryDropout,
    IndependentTimes,
    NoisyContext,
    Pyramid,
    Rolling,
    Trapezoid,
    Window,
    warmup_steps,
)
from tests.window_strategies import plain, pyramids, windows

hypothesis = pytest.importorskip("hypothesis")
given, st = hypothesis.given, hypothesis.strategies
TIMES = jnp.linspace(0.0, 1.0, 25)


def cycle(window, t) -> np.ndarray:
    return np.asarray(window.cycle(jnp.asarray(t, jnp.float32)))


@given(windows)
def test_clocks_are_handed_over(window):
    """To the bit: a frame that moved one cycle on goes on from where its clock stopped."""
    assert isinstance(window, Window)
    begin, end = cycle(window, 1.0), cycle(window, 0.0)
    size, n, stride = window.size, window.context, window.stride
    assert 0 < stride <= size - n
    np.testing.assert_array_equal(begin[n : size - stride], end[n + stride :])
    np.testing.assert_array_equal(begin[size - stride :], 1.0)
    np.testing.assert_array_equal(end[n : n + stride], 0.0)


@given(windows)
def test_the_warm_up_leads_from_noise_to_the_cycle(window):
    first, last = (np.asarray(window.warmup(jnp.asarray(t))) for t in (1.0, 0.0))
    np.testing.assert_array_equal(first[window.context :], 1.0)
    np.testing.assert_array_equal(last, cycle(window, 0.0))


@given(windows)
def test_clocks_run_within_their_range_and_never_back(window):
    for clocks in (window.cycle, window.warmup):
        tau = np.asarray(clocks(TIMES))
        assert tau.shape == (len(TIMES), window.size) and tau.dtype == np.float32
        assert (tau >= 0).all() and (tau <= 1).all()
        assert (np.diff(tau, axis=0) >= 0).all(), "a clock runs backwards"
        assert (np.diff(tau, axis=0)[:, window.context :] > 0).any(axis=1).all(), "no clock runs"


@given(plain)
def test_only_what_is_finished_is_clean(window):
    """The context, and before the end of a cycle no frame that others have yet to follow."""
    for clocks in (window.cycle, window.warmup):
        tau = np.asarray(clocks(TIMES))
        assert (tau[:, : window.context] == 0).all(), "context is clean"
        assert (tau[1:, -window.stride :].max(axis=1) > 0).all(), "all is finished before its time"
        if not isinstance(window, Trapezoid):
            assert (np.diff(tau, axis=1) >= 0).all(), "a later frame is cleaner than an earlier one"
            if not isinstance(window, Pyramid):
                assert (tau[1:, window.context] > 0).all()


def test_rolling_clocks_by_hand():
    window = Rolling(size=6, context=2)
    np.testing.assert_allclose(cycle(window, 0.5), [0, 0, 1 / 8, 3 / 8, 5 / 8, 7 / 8])
    np.testing.assert_allclose(window.warmup(jnp.asarray(0.5)), [0, 0, 1 / 2, 3 / 4, 1, 1])
    np.testing.assert_allclose(cycle(Autoregressive(context=1), 0.3), [0, 0.3], rtol=1e-6)


def test_frames_of_a_block_share_the_clock_of_rolling_blocks():
    window, single = Rolling(size=7, context=1, block=3), Rolling(size=3, context=1)
    assert window.stride == 3
    for sweep in ("cycle", "warmup"):
        blocks = np.asarray(getattr(single, sweep)(TIMES))[:, 1:]
        found = np.asarray(getattr(window, sweep)(TIMES))[:, 1:]
        np.testing.assert_array_equal(found, np.repeat(blocks, 3, axis=1))
    # One block is the whole chunk.
    one = Rolling(size=5, context=2, block=3)
    np.testing.assert_array_equal(one.cycle(TIMES), FullSequence(size=5, context=2).cycle(TIMES))


def test_a_modality_sees_the_last_of_its_ticks():
    inner = Rolling(size=12, context=4, block=4)
    slow, t = Every(inner=inner, every=4), jnp.asarray(0.5)
    assert (slow.size, slow.context, slow.stride) == (3, 1, 1)
    np.testing.assert_allclose(inner.cycle(t), [0] * 4 + [1 / 4] * 4 + [3 / 4] * 4)
    np.testing.assert_allclose(slow.cycle(t), [0, 1 / 4, 3 / 4])
    rising = Every(inner=Pyramid(size=8, context=0, stagger=1.0), every=4)  # one tick after another
    np.testing.assert_allclose(rising.cycle(jnp.asarray(0.5)), [0, 1], atol=1e-6)
    assert Every(inner=HistoryDropout(inner=inner), every=4).shows(1, 0.0)


def test_frames_ahead_are_noise_in_a_rollout_and_in_training():
    inner = Rolling(size=4, context=1)
    window, key = Ahead(inner=inner, ahead=2), jax.random.key(0)
    assert (window.size, window.stride) == (6, 1)
    for sweep in ("cycle", "warmup"):
        found, own = (getattr(of, sweep)(TIMES) for of in (window, inner))
        np.testing.assert_array_equal(found, jnp.concatenate([own, jnp.ones((len(TIMES), 2))], axis=1))
    (tau, rate), (inner_tau, inner_rate) = (of.sample_times(key, 8) for of in (window, inner))
    np.testing.assert_array_equal(tau[:, :4], inner_tau)
    np.testing.assert_array_equal(rate[:, :4], inner_rate)
    np.testing.assert_array_equal([tau[:, 4:], rate[:, 4:]], [jnp.ones((8, 2)), jnp.zeros((8, 2))])


def scheduling_matrix(steps: int, frames: int, u: float) -> np.ndarray:
    """`M[m, k] = clip(T + int(k u) - m, 0, T)` of diffusion forcing: what is left of each frame's steps."""
    rows = steps + int((frames - 1) * u) + 1
    return np.array(
        [[min(max(steps + int(k * u) - m, 0), steps) for k in range(frames)] for m in range(rows)]
    )


@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize(("steps", "u"), [(8, 0), (8, 2), (8, 8), (10, 3), (8, 2.5), (6, 0.7)])
def test_a_pyramid_is_the_scheduling_matrix_row_by_row(steps, u, block):
    frames = 4
    window = Pyramid(size=2 + frames * block, context=2, stagger=u / steps, block=block)
    matrix = scheduling_matrix(steps, frames, u)
    with jax.enable_x64(True):
        t = 1 - np.arange(len(matrix)) / (steps + (frames - 1) * u)
        left = steps * np.asarray(window.cycle(jnp.asarray(t)))[:, 2:]
    # Where the stagger is no whole number of steps, the matrix rounds down to one.
    np.testing.assert_array_equal(np.floor(left + 1e-9), np.repeat(matrix, block, axis=1))
    if u == int(u):
        np.testing.assert_allclose(left, np.repeat(matrix, block, axis=1), atol=1e-9)


def test_the_ends_of_the_stagger():
    """0: all frames together. 1: one after another, none starts before the last one is finished."""
    together = Pyramid(size=6, context=2, stagger=0.0)
    np.testing.assert_allclose(together.cycle(TIMES), FullSequence(size=6, context=2).cycle(TIMES), atol=1e-7)
    tau = np.asarray(Pyramid(size=6, context=2, stagger=1.0).cycle(TIMES))[:, 2:]
    assert (((tau > 1e-6) & (tau < 1 - 1e-6)).sum(axis=1) <= 1).all()
    np.testing.assert_allclose(tau.sum(axis=1), 4 * np.asarray(TIMES), atol=1e-6)


def test_a_trapezoid_by_hand():
    window = Trapezoid(size=6, context=1, stagger=0.5)  # ranks 0, 1, 2, 1, 0
    np.testing.assert_allclose(cycle(window, 1.0), [0, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(cycle(window, 0.5), [0, 0, 0.5, 1, 0.5, 0])
    np.testing.assert_allclose(cycle(window, 0.25), [0, 0, 0, 0.5, 0, 0], atol=1e-7)
    even = Trapezoid(size=5, context=1, stagger=1.0)  # ranks 0, 1, 1, 0
    np.testing.assert_allclose(cycle(even, 0.25), [0, 0, 0.5, 0.5, 0], atol=1e-7)


@given(st.integers(1, 9), st.floats(0.0, 1.0))
def test_the_middle_of_a_trapezoid_is_last(frames, stagger):
    """No frame is clean by accident: all are noise at first, the middle one is clean at the end only."""
    window = Trapezoid(size=frames + 1, context=1, stagger=stagger)
    tau = np.asarray(window.cycle(TIMES))[:, 1:]
    np.testing.assert_array_equal(tau[-1], 1.0)
    np.testing.assert_array_equal(tau, tau[:, ::-1])
    np.testing.assert_array_equal(tau.max(axis=1), tau[:, (frames - 1) // 2])
    assert (tau[1:, (frames - 1) // 2] > 0).all()


@given(pyramids)
def test_pyramids_are_as_exact_in_single_precision(window):
    single = np.asarray(window.cycle(TIMES))
    with jax.enable_x64(True):
        double = np.asarray(window.cycle(jnp.linspace(0.0, 1.0, len(TIMES), dtype=jnp.float64)))
    np.testing.assert_allclose(single, double, atol=2e-6)


@pytest.mark.parametrize(
    ("window", "stride", "steps"),
    [
        (Rolling(size=6, context=1), 1, 40),
        (Rolling(size=8, context=2), 1, 48),
        (Rolling(size=8, context=2, block=3), 3, 48),
        (FullSequence(size=6, context=2), 4, 32),
        (Pyramid(size=6, context=2), 4, 32),
        (Trapezoid(size=6, context=1), 5, 40),
        (Autoregressive(context=3), 1, 8),
        (Every(inner=Rolling(size=12, context=4), every=1), 1, 64),
        (Every(inner=Rolling(size=12, context=4, block=4), every=4), 1, 16),
        (Ahead(inner=Rolling(size=6, context=1), ahead=3), 1, 40),
    ],
)
def test_a_warm_up_gives_a_frame_as_many_steps_as_the_cycles_do(window, stride, steps):
    assert window.stride == stride
    assert warmup_steps(window, 8 * stride) == steps


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Rolling(size=2, context=2), "window of 2 frames cannot hold 2 of context"),
        (lambda: Rolling(size=2, context=-1), "choose 0 <= context < size"),
        (lambda: Rolling(size=0, context=0), "window of 0 frames"),
        (lambda: Rolling(warmup_share=1.5), "warmup_share is a probability"),
        (lambda: Rolling(warmup_share=float("nan")), "warmup_share is a probability"),
        (lambda: Rolling(size=6, context=1, block=2), "choose a block that divides size - context"),
        (lambda: Rolling(block=0), "cannot be cut into blocks of 0"),
        (lambda: Pyramid(size=2, context=2), "cannot hold 2 of context"),
        (lambda: Pyramid(stagger=1.01), "stagger lies between 0 .* not 1.01"),
        (lambda: Pyramid(stagger=-0.1), "stagger lies between 0"),
        (lambda: Pyramid(block=0), "at least one frame"),
        (lambda: Trapezoid(stagger=float("nan")), "stagger lies between 0"),
        (lambda: Trapezoid(size=0, context=0), "window of 0 frames"),
        (lambda: NoisyContext(level=1.2), "local time: choose one between 0 and 1, .* not 1.2"),
        (lambda: NoisyContext(level=0.2, most=0.1), "no higher than the most that training shows, not 0.2"),
        (lambda: HistoryDropout(drop=-0.1), "drop of the history is a probability"),
        (lambda: HistoryDropout(noise=1.1), "noise of the history is a probability"),
        (lambda: HistoryDropout(drop=0.6, noise=0.6), "sum of drop, noise and front of the history"),
        (lambda: FullSequence(size=3, context=3), "cannot hold 3 of context"),
        (lambda: Every(inner=Rolling(size=6, context=2), every=4), "choose whole multiples of 4"),
        (lambda: Every(every=0), "at every 0 ticks does not suit"),
        (lambda: Ahead(ahead=-1), "0 or more frames ahead, not -1"),
        (lambda: Autoregressive(context=-1), "choose 0 <= context < size"),
        (lambda: IndependentTimes(clean_share=-0.1), "clean_share of independent times is a probability"),
    ],
)
def test_bad_parameters(build, words):
    with pytest.raises(InputError, match=words) as caught:
        build()
    assert "\n" not in str(caught.value)
