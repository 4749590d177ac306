"""The parts of a sampler: noise priors, starts, partitions, sweeps, and how the context is shown."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.denoisers import NOTHING, Condition
from rolling.noise import Cosine, Logit, diffuse, expand
from rolling.noise.prior import CONTEXT, FRESH, Correlated, Independent, NoisePrior, covariance, gaussian
from rolling.oracle import UNCLIPPED, Basis, Oracle, autoregressive_covariance, exact_denoiser
from rolling.sampling.carry import Carry
from rolling.sampling.guidance import Denoisers, History, HistoryGuidance
from rolling.sampling.partitions import Blocks, Partition, Whole
from rolling.sampling.recipe import Sampling
from rolling.sampling.restart import Restart
from rolling.sampling.rollout import Rollout, first_guess
from rolling.sampling.sampler import Sampler
from rolling.sampling.starts import FromClip, FromForecast, FromGuess, FromNoise, Guess, Persistence, Start
from rolling.sampling.sweeps import Even, Picard, Power, Sequential, Spacing, Sweep
from rolling.solvers import Ancestral, Ddim, Deis, DpmSolverPlusPlus, Heun, TimeShift, UniPC
from rolling.windows import (
    Ahead,
    AlignedContext,
    Autoregressive,
    FullSequence,
    NoisyContext,
    Pyramid,
    Rolling,
)
from tests.test_rollout import PARAMS, bind, joined

GRID = (3, 2, 2)


def keys(members: int = 2):
    return jax.random.split(jax.random.key(11), members)


SAMPLINGS = {
    "correlated": Sampling(window=Rolling(size=5, context=1), noise=Correlated(lags=3)),
    "blocks": Sampling(window=Rolling(size=5, context=1, block=2), solver=UniPC(), calls_per_frame=0.5),
    "pyramid": Sampling(window=Pyramid(size=5, context=1, stagger=0.5), solver=Deis()),
    "guess": Sampling(window=Rolling(size=4, context=0), start=FromGuess(), solver=Heun(), calls_per_frame=2),
    "clip": Sampling(window=Rolling(size=6, context=1), start=FromClip(frames=3), solver=Ancestral()),
    "fifo": Sampling(
        window=Rolling(size=10, context=2), partition=Blocks(size=4), solver=DpmSolverPlusPlus()
    ),
    "noisy context": Sampling(window=NoisyContext(inner=Rolling(size=4, context=2)), solver=Ancestral()),
    "aligned context": Sampling(window=AlignedContext(inner=Autoregressive(context=2)), calls_per_frame=3),
    "history guidance": Sampling(window=Rolling(size=4, context=2), guidance=(HistoryGuidance(),)),
    "picard": Sampling(window=FullSequence(size=5, context=2), sweep=Picard(tolerance=0.0)),
    "power": Sampling(window=Rolling(size=4, context=1), spacing=Power(exponent=2.0), calls_per_frame=3),
    "truncated": Sampling(
        window=Rolling(size=5, context=1),
        truncate_tail=True,
        solver=Ancestral(),
        restart=Restart(times=2, level=0.5, every=2),
    ),
}


def given_to(sampling):
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(size=(2, sampling.given_frames, *GRID)), jnp.float32)


@functools.cache
def rollout_of(sampling, cycles) -> Rollout:
    """One for all that is asked of it: it is compiled once."""
    return Rollout(Sampler(sampling), bind, cycles=cycles)


def frames_of(sampling, count=7, cycles=3, resume=None):
    chunks = rollout_of(sampling, cycles).chunks(PARAMS, given_to(sampling), keys(), count, resume=resume)
    return list(chunks)


@functools.cache
def whole(name: str) -> np.ndarray:
    return joined(frames_of(SAMPLINGS[name]))


QUICK = ("blocks", "truncated")  # the others are compiled for long


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SAMPLINGS]
)
def test_chunks_and_stops_change_no_bit(name):
    """Every part: a rollout that is cut otherwise, and that goes on from a carry on disk."""
    assert whole(name).shape == (2, 7, *GRID) and np.isfinite(whole(name)).all()
    chunks = frames_of(SAMPLINGS[name], cycles=1)
    np.testing.assert_array_equal(joined(chunks), whole(name))
    stop = SAMPLINGS[name].window.stride
    rollout = rollout_of(SAMPLINGS[name], 1)
    carry = next(rollout.chunks(PARAMS, given_to(SAMPLINGS[name]), keys(), 7)).carry
    rest = frames_of(SAMPLINGS[name], resume=(stop, carry))
    np.testing.assert_array_equal(joined(rest), whole(name)[:, stop:])


def test_parts_are_what_they_say():
    for part in (Independent(), Correlated()):
        assert isinstance(part, NoisePrior)
    for part in (FromNoise(), FromGuess(), FromClip()):
        assert isinstance(part, Start)
    assert isinstance(Persistence(), Guess)
    assert isinstance(Whole(), Partition) and isinstance(Blocks(), Partition)
    assert isinstance(Even(), Spacing) and isinstance(Power(), Spacing)
    assert isinstance(Sequential(), Sweep) and isinstance(Picard(), Sweep)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 2.0])
def test_correlated_noise_is_an_autoregressive_process(strength):
    with jax.enable_x64(True):
        prior, c = Correlated(strength=strength, lags=60), strength / np.hypot(1, strength)
        lags = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
        np.testing.assert_allclose(covariance(prior, 6, restart=False), c**lags, atol=2 * c**60 + 1e-14)
        np.testing.assert_allclose(covariance(prior, 6), c**lags, atol=1e-14)
        cut = covariance(Correlated(lags=2), 6, restart=False)
        np.testing.assert_allclose(np.diag(cut), 1.0, atol=1e-15)


def test_noise_belongs_to_its_frame():
    prior = Correlated(lags=4)
    draw = lambda frame: gaussian(keys(), frame, FRESH, GRID, jnp.float32)  # noqa: E731
    whole, later = prior(draw, 0, 9, restart=False), prior(draw, 4, 5, restart=False)
    np.testing.assert_allclose(whole[:, 4:], later, rtol=1e-6, atol=1e-6)


def test_correlated_noise_in_a_rolling_window_leaves_a_bias():
    """Fresh noise that goes with noise that the flow has bent already: docs/methods.md has these figures."""
    rolling = [Oracle(noise=Correlated(), calls_per_frame=n).max_covariance_error() for n in (32, 128)]
    assert rolling[0] == pytest.approx(0.0561, abs=1e-3) and rolling[1] == pytest.approx(0.0646, abs=1e-3)


def test_a_forecast_as_first_guess_is_exact():
    """A run that samples the exact distribution begins one that does; persistence leaves the first frames
    wrong. The noise of the guess has channels of its own."""
    basis, frames = Basis(given=1, before=6, frames=24, lifetime=0), 8

    def generator(before, after):
        pad = [(0, 0)] * 4 + [(before, after)]
        return lambda *where: jnp.pad(basis(*where), pad)

    def error(start, **guess):
        way = Sampling(window=Rolling(size=5, context=1), schedule=UNCLIPPED, start=start, calls_per_frame=64)
        exact = exact_denoiser(jnp.asarray(autoregressive_covariance((0.9,), 5)))
        given = jnp.zeros((1, 1, 1, 1, 2 * basis.channels)).at[..., 0].set(1.0)
        rollout = Rollout(
            Sampler(way, generator(0, basis.channels)), lambda _: Denoisers(exact, None, **guess)
        )
        z = joined(list(rollout.chunks(None, given, keys(1), frames)))[0, :, 0, 0]
        return np.abs(z @ z.T - autoregressive_covariance((0.9,), frames)).max()

    with jax.enable_x64(True):
        next_frame = Sampling(window=Autoregressive(context=1), schedule=UNCLIPPED, calls_per_frame=64)
        exact = exact_denoiser(jnp.asarray(autoregressive_covariance((0.9,), 2)))
        guess = first_guess(Sampler(next_frame, generator(basis.channels, 0)), exact)
        assert error(FromForecast(run="next"), guess=guess) < error(FromGuess()) - 0.06 < 0.03


def test_a_first_guess_is_told_of_its_own_frames():
    """A network that repeats what is known of a frame, its index; two of three given frames are needed."""
    recipe = Sampling(window=FullSequence(size=4, context=2), schedule=UNCLIPPED)
    repeat = lambda z, logsnr, condition: 0 * z + condition.vectors[:, :, None, None, :]  # noqa: E731
    guess = first_guess(Sampler(recipe), repeat)
    known = lambda count: Condition(vectors=jnp.tile(jnp.arange(count * 1.0)[None, :, None], (2, 1, 2)))  # noqa: E731
    found = guess(jnp.zeros((2, 3, *GRID)), 5, keys(), known(9))
    np.testing.assert_array_equal(found[0, :, 0, 0, 0], [3, 4, 5, 6, 7])
    with pytest.raises(InputError, match="looks 6 frames ahead and this window 5"):
        guess(jnp.zeros((2, 3, *GRID)), 5, keys(), known(8))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truth:
    """A guess that counts on."""

    def __call__(self, given, frames):
        return given[:, -1:] + jnp.arange(1, frames + 1, dtype=given.dtype)[None, :, None, None, None]


@pytest.mark.slow
@pytest.mark.parametrize(
    "start", [FromNoise(), FromGuess(), FromClip(frames=2), FromClip(frames=4)], ids=repr
)
@pytest.mark.parametrize("context", [1, 2])
def test_whatever_the_start_frames_are_told_of_themselves(start, context):
    """A network that repeats the frame's own vector, which is its index."""
    recipe = Sampling(window=Rolling(size=6, context=context), schedule=UNCLIPPED, start=start)
    repeat = lambda z, logsnr, condition: 0 * z + condition.vectors[:, :, None, None, :]  # noqa: E731

    def conditions(first, count):
        assert first >= 0
        return Condition(
            vectors=jnp.tile(jnp.arange(first, first + count, dtype=jnp.float32)[None, :, None], (2, 1, 1))
        )

    given = jnp.tile(
        jnp.arange(recipe.given_frames, dtype=jnp.float32)[None, :, None, None, None], (2, 1, 1, 1, 1)
    )
    chunks = Rollout(Sampler(recipe), lambda _: repeat, cycles=2).chunks(None, given, keys(), 7, conditions)
    found = joined(chunks)
    np.testing.assert_allclose(found[0, :, 0, 0, 0], recipe.given_frames + np.arange(7), atol=1e-5)


def test_a_guess_is_diffused_to_the_clocks_of_a_cycle():
    window = Rolling(size=5, context=1)
    sampler = Sampler(Sampling(window=window, schedule=Cosine(), start=FromGuess(guess=Truth())))
    x = jnp.arange(5.0)[None, :, None, None, None] * jnp.ones((2, 1, *GRID))
    carry = sampler.place(x, keys(), 0)
    noise = gaussian(keys(), jnp.arange(5), FRESH, GRID, jnp.float32)
    expected = diffuse(x, noise, Cosine().logsnr(window.cycle(jnp.ones(1))))
    np.testing.assert_allclose(carry.z[:, 1:], expected[:, 1:], rtol=1e-6)
    np.testing.assert_array_equal(carry.z[:, 0], x[:, 0])


def test_a_guess_is_forgotten_where_it_was_noised_enough():
    """With the exact denoiser the frames that began as noise have the exact distribution again."""
    exact = Oracle(start=FromNoise(), calls_per_frame=32, frames=24)
    guess = dataclasses.replace(exact, start=FromGuess())
    z, process = guess.coefficients(), 0.9 ** np.abs(np.subtract.outer(np.arange(25), np.arange(25)))
    error = np.abs(z @ z.T - process)
    assert error[:6, :6].max() > 0.1 and error[20:, 20:].max() < 0.03


def test_persistence_is_damped():
    given = jnp.ones((1, 2, *GRID))
    np.testing.assert_allclose(Persistence(damping=0.5)(given, 3)[0, :, 0, 0, 0], [0.5, 0.25, 0.125])


@functools.cache
def error_of(oracle: Oracle) -> float:
    return oracle.max_covariance_error()


@pytest.mark.parametrize(
    "plain",
    [
        pytest.param({"noise": Independent()}, id="independent"),
        pytest.param({"noise": Correlated()}, id="correlated"),
        pytest.param({"restart": Restart(times=2, every=2), "solver": Ancestral()}, id="restarts"),
        pytest.param({"restart": Restart(times=1), "start": FromGuess()}, id="restarts, from a guess"),
    ],
)
@pytest.mark.parametrize(
    "way",
    [{"partition": Blocks(size=6, lookahead=False)}, {"sweep": Picard(tolerance=0.0)}],
    ids=["one block of all frames", "picard"],
)
def test_ways_of_calling_the_network_do_not_change_what_is_sampled(way, plain):
    plain = Oracle(calls_per_frame=2, frames=8, **plain)
    other = dataclasses.replace(plain, **way)
    assert other.max_covariance_error() == pytest.approx(error_of(plain), abs=1e-10)


@pytest.mark.parametrize("lookahead", [False, True])
def test_blocks_are_one_call_and_belong_to_their_slots(lookahead):
    calls = []

    def network(z, logsnr, condition):
        calls.append(z.shape)
        return (
            z * expand(logsnr, z)
            + condition.vectors[:, :, None, None]
            + condition.label[:, None, None, None, None]
        )

    rng = np.random.default_rng(0)
    z, logsnr = rng.normal(size=(2, 10, 1, 1, 1)), rng.normal(size=(1, 10))
    condition = Condition(label=jnp.asarray([1, 2]), vectors=jnp.asarray(rng.normal(size=(2, 10, 1))))
    partition = Blocks(size=4, lookahead=True) if lookahead else Blocks(size=5, lookahead=False)
    found = partition(network)(jnp.asarray(z), jnp.asarray(logsnr), condition)
    expected = network(jnp.asarray(z), jnp.broadcast_to(logsnr, (2, 10)), condition)
    ahead = 2 if lookahead else 0
    np.testing.assert_allclose(found[:, ahead:], expected[:, ahead:], rtol=1e-6)
    assert calls[0] == ((8, 4, 1, 1, 1) if lookahead else (4, 5, 1, 1, 1))


@pytest.mark.slow
def test_partitions_lose_and_lookahead_wins_some_of_it_back():
    """A queue of 8 on the oracle: blocks do not see each other."""

    def error(size, lookahead):
        ahead = size // 2 if lookahead else 0
        window = Rolling(size=8 + ahead, context=ahead)
        partition = Blocks(size=size, lookahead=lookahead)
        return Oracle(window=window, partition=partition, calls_per_frame=4, frames=12).max_covariance_error()

    plain, ahead = ([error(size, look) for size in (2, 4, 8)] for look in (False, True))
    assert plain[0] > plain[1] > plain[2] and ahead[0] < plain[0] and ahead[1] < plain[1]
    assert ahead[2] > plain[2]  # one block that sees all of the queue needs no lookahead


@pytest.mark.slow
@pytest.mark.parametrize(
    ("solver", "early"),
    [(Ddim(eta=0.5), ()), (DpmSolverPlusPlus(order=3), ()), (UniPC(order=2), ((1e-7, 2e-6), (1e-2, 1e-1)))],
    ids=repr,
)
def test_picard_ends_at_the_sequential_sampler(solver, early):
    """To rounding where it runs to the end, whatever the solver; to 1e-6 or less where it may end early."""
    window = FullSequence(size=5, context=1)
    plain = Sampling(window=window, solver=solver, calls_per_frame=4)
    expected = joined(frames_of(plain, 8))
    for tolerance, close in ((0.0, 2e-6), *early):
        found = joined(frames_of(dataclasses.replace(plain, sweep=Picard(tolerance=tolerance)), 8))
        np.testing.assert_allclose(found, expected, atol=close)


def test_picard_needs_fewer_rounds_than_steps():
    rounds = []

    def network(z, logsnr, condition):
        jax.debug.callback(lambda: rounds.append(1))
        return bind(PARAMS)(z, logsnr, condition)

    window = FullSequence(size=5, context=1)
    sampler = Sampler(Sampling(window=window, calls_per_frame=8, sweep=Picard(tolerance=1e-3)))
    carry = sampler.begin(jnp.zeros((2, 1, *GRID)), keys())
    jax.block_until_ready(sampler.cycle(network, carry, NOTHING).z)
    jax.effects_barrier()
    assert 3 < len(rounds) < 20 < sampler.recipe.cycle_steps


def test_a_truncated_rollout_begins_nothing_after_its_end():
    sampling = Sampling(window=Rolling(size=5, context=1), truncate_tail=True, calls_per_frame=2)
    carry = frames_of(sampling, count=3)[-1].carry
    after = np.arange(5) + int(carry.first) >= 1 + 3
    fresh = gaussian(keys(), carry.first + jnp.arange(5), FRESH, GRID, jnp.float32)
    assert after.sum() == 3
    np.testing.assert_array_equal(carry.z[:, after], fresh[:, after])
    exact = Oracle(calls_per_frame=32, frames=5, truncate_tail=True).max_covariance_error()
    assert exact == pytest.approx(Oracle(calls_per_frame=32, frames=5).max_covariance_error(), rel=0.5)


@pytest.mark.parametrize("start", [FromNoise(), FromGuess(), FromClip(frames=2)], ids=repr)
def test_whatever_the_start_what_is_truncated_is_pure_noise(start):
    sampling = Sampling(window=Rolling(size=5, context=1), truncate_tail=True, start=start)
    carry = frames_of(sampling, count=1)[-1].carry
    after = np.arange(5) + int(carry.first) >= sampling.given_frames + 1
    fresh = gaussian(keys(), carry.first + jnp.arange(5), FRESH, GRID, jnp.float32)
    assert after.sum() == 3
    np.testing.assert_array_equal(carry.z[:, after], fresh[:, after])


def test_a_second_call_sees_the_context_as_noisy_as_the_frame():
    levels = []

    def network(z, logsnr, condition):
        jax.debug.callback(lambda a: levels.append(np.asarray(a)), logsnr, ordered=True)
        return 0.5 * z

    window = AlignedContext(inner=Autoregressive(context=2))
    sampler = Sampler(Sampling(window=window, solver=Heun(), calls_per_frame=4))
    carry = sampler.begin(given_to(Sampling(window=window)), keys())
    jax.block_until_ready(sampler.warm_up(network, carry, NOTHING).z)
    jax.effects_barrier()
    assert len(levels) == 4
    for level in levels:
        np.testing.assert_array_equal(level, np.broadcast_to(level[:, -1:], level.shape))


def test_the_context_is_shown_at_its_clock_and_kept_clean():
    shown = []

    def network(z, logsnr, condition):
        jax.debug.callback(lambda *a: shown.append(tuple(map(np.asarray, a))), z, logsnr, ordered=True)
        return 0.5 * z

    window = AlignedContext(inner=Autoregressive(context=2))
    sampler = Sampler(Sampling(window=window, schedule=UNCLIPPED, calls_per_frame=4))
    context = given_to(Sampling(window=window))
    carry = sampler.warm_up(network, sampler.begin(context, keys()), NOTHING)
    jax.effects_barrier()
    np.testing.assert_array_equal(carry.z[:, :2], context)
    eps = gaussian(keys(), jnp.arange(2), CONTEXT, GRID, jnp.float32)
    assert len(shown) == 4
    for (z, logsnr), tau in zip(shown, (1.0, 0.75, 0.5, 0.25), strict=True):
        level = UNCLIPPED.logsnr(jnp.full((1, 2), tau))
        np.testing.assert_allclose(z[:, :2], diffuse(context, eps, level), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            logsnr[:, :2], np.broadcast_to(level, logsnr[:, :2].shape), rtol=1e-5, atol=1e-5
        )


@pytest.mark.slow
def test_a_noisy_context_costs_what_it_hides():
    """The more of the context is hidden, the worse the distribution, at any number of steps."""
    errors = [
        Oracle(
            window=NoisyContext(inner=Rolling(size=6, context=1), level=level), calls_per_frame=32
        ).max_covariance_error()
        for level in (0.0, 0.3, 0.6)
    ]
    assert errors[0] == pytest.approx(0.0155, abs=2e-4) and errors[0] < errors[1] < errors[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("correlation", "context", "hidden", "expected"),
    [((1.8, -0.9), 2, 0.01, 0.4567), ((1.8, -0.9), 4, 0.01, 0.0160), ((0.999,), 5, 0.1, 0.1148)],
)
def test_a_context_that_keeps_its_noise_keeps_the_variance(correlation, context, hidden, expected):
    """Errors up to lag 16 in the limit of many calls, from the covariance of the chain in closed form, for
    `sigma^2` of the context: with noise drawn anew the second and third would be 0.13 and 0.67."""
    level = 2 / np.pi * np.arcsin(np.sqrt(hidden))
    oracle = Oracle(
        window=NoisyContext(inner=Autoregressive(context=context), level=level),
        correlation=correlation,
        solver=UniPC(order=2),
        calls_per_frame=128,
        frames=60,
    )
    last = oracle.coefficients()[-17:]
    error = last @ last.T - autoregressive_covariance(correlation, 17)
    assert np.abs(np.diag(error)).max() < 0.005
    assert np.abs(error).max() == pytest.approx(expected, abs=0.004)


@pytest.mark.parametrize(
    "spacing", [Even(), Power(exponent=0.5), Power(exponent=1.0), Power(exponent=3.0)], ids=repr
)
def test_spacings_fall_from_one_to_zero(spacing):
    for steps in (1, 2, 7):
        times = spacing.times(steps)
        assert len(times) == steps + 1 and times[0] == 1 and times[-1] == 0 and (np.diff(times) < 0).all()
        assert spacing.even == np.allclose(np.diff(times), -1 / steps) or steps == 1


def test_a_non_uniform_grid_converges_too():
    errors = [Oracle(spacing=Power(exponent=2.0), calls_per_frame=n).max_covariance_error() for n in (8, 32)]
    assert errors[1] < errors[0] / 3


def test_a_carry_holds_all_of_it():
    assert {field.name for field in dataclasses.fields(Carry)} == {
        "z",
        "history",
        "first",
        "step",
        "key",
        "given",
        "memory",
    }


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Sampling(solver=Heun()), "choose a whole multiple of 2"),
        (lambda: Sampling(window=FullSequence(), calls_per_frame=0.25), "1.5 steps of Ddim for the 6 frames"),
        (lambda: Sampling(start=FromClip(frames=9)), "a clip of 9 frames does not fit"),
        (
            lambda: Sampling(window=Ahead(inner=Rolling(size=6), ahead=2), start=FromClip(frames=2)),
            "this window looks ahead at frames that stay pure noise",
        ),
        (lambda: FromClip(frames=0), "at least one frame, not 0"),
        (lambda: Blocks(size=5), "an even one with lookahead, not 5"),
        (
            lambda: Sampling(window=Rolling(size=9, context=2), partition=Blocks(size=4)),
            "a size of 2 plus a multiple of 2",
        ),
        (
            lambda: Sampling(window=Rolling(size=8, context=3), partition=Blocks(size=4)),
            "context of 2 instead of 3",
        ),
        (
            lambda: Sampling(window=Rolling(size=9, context=0), partition=Blocks(size=4, lookahead=False)),
            "multiple of 4",
        ),
        (
            lambda: Sampling(sweep=Picard(), solver=Heun(), calls_per_frame=2),
            "asks the network once for each step",
        ),
        (lambda: Picard(tolerance=-1.0), "a finite tolerance >= 0"),
        (lambda: Power(exponent=0.0), "positive and finite, not 0"),
        (lambda: Correlated(strength=-1.0), "strength >= 0"),
        (lambda: Sampling(sweep=Picard(), solver=TimeShift(variance=0.3)), "TimeShift does not"),
        (
            lambda: Sampling(noise=Correlated(), solver=Ancestral()),
            "does not go with the fresh noise of Ancestral",
        ),
        (
            lambda: Sampling(noise=Correlated(), solver=Heun(churn=0.1, churn_low=0.0), calls_per_frame=2),
            "differs from frame to frame",
        ),
        (
            lambda: Sampling(noise=Correlated(), solver=Heun(churn=0.1), calls_per_frame=2),
            "where frames wait as noise",
        ),
        (
            lambda: Sampling(
                window=Pyramid(stagger=1.0), noise=Correlated(), solver=Heun(churn=0.1), calls_per_frame=2
            ),
            "where frames wait as noise",
        ),
        (
            lambda: Sampling(window=NoisyContext(), noise=Correlated()),
            "a context that is shown with noise",
        ),
        (
            lambda: Sampling(guidance=(HistoryGuidance(),), noise=Correlated()),
            "a context that is shown with noise",
        ),
        (lambda: Sampling(calls_per_frame=float("nan")), "calls_per_frame is not a number"),
        (lambda: Sampling(calls_per_frame=float("inf")), "choose a whole multiple of 1"),
        (lambda: Sampling(spacing=Power(exponent=float("inf"))), "positive and finite"),
        (lambda: Sampling(schedule=Logit(offset=1.0, scale=float("nan"))), "needs scale > 0|not a number"),
        (
            lambda: Sampling(guidance=(HistoryGuidance(histories=(History(weight=float("nan")),)),)),
            "weight is not",
        ),
        (lambda: Persistence(damping=2.0), "a factor in \\[0, 1\\], not 2"),
    ],
)
def test_parts_that_do_not_suit_each_other(build, words):
    with pytest.raises(InputError, match=words):
        build()
