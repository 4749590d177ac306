"""The loop: however a rollout is cut, batched or stopped, the same bits; one compilation; constant memory."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.denoisers import NOTHING, Condition
from rolling.noise import Cosine, expand
from rolling.noise.prior import FRESH, gaussian
from rolling.oracle import UNCLIPPED
from rolling.sampling import Carry, Rollout, Sampler, Sampling
from rolling.solvers import Ddim, DpmSolverPlusPlus
from rolling.windows import Autoregressive, FullSequence, IndependentTimes, Rolling

WINDOWS = {
    "rolling": Rolling(size=5, context=2),
    "rolling without context": Rolling(size=4, context=0),
    "full": FullSequence(size=5, context=2),
    "full, mostly context": IndependentTimes(inner=FullSequence(size=5, context=3)),
    "autoregressive": Autoregressive(context=1),
}
every_window = pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
GRID = (4, 4, 2)
MEMBERS = 3
PARAMS = {"gain": jnp.asarray(0.9), "mix": jnp.asarray(0.3)}


def bind(params):
    """Not a good network, but one that looks at its neighbours, the clocks and the parameters."""

    def denoise(z, logsnr, condition):
        before = jnp.concatenate([z[:, :1], z[:, :-1]], axis=1)
        return params["gain"] * jnp.tanh(z) + params["mix"] * before * jax.nn.sigmoid(expand(logsnr, z))

    return denoise


def cheap_noise(key, frame, fold, shape, dtype):
    """As good as any for bits, and compiled much sooner than a generator of random numbers."""
    seed = jax.random.key_data(key)[:, 1] % 1000
    phase = seed[:, None] + 7.0 * frame[None].astype(dtype) + 13.0 * jnp.asarray(fold, dtype)
    cells = jnp.arange(np.prod(shape), dtype=dtype).reshape(1, 1, *shape)
    return 2 * jnp.sin(phase[:, :, None, None, None] * (1 + cells))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noisy2M(DpmSolverPlusPlus):
    """Has a history and draws noise: whatever a loop could confuse, it would show."""

    def step(self, denoise, z, history, step, noise):
        z, history = super().step(denoise, z, history, step, noise)
        return z + 0.1 * noise(0), history


def keys(members: int = MEMBERS):
    return jax.random.split(jax.random.key(11), members)


def context_of(window, members: int = MEMBERS):
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(size=(MEMBERS, window.context, *GRID))[:members], jnp.float32)


def sampler_of(window, solver=Noisy2M(), noise=cheap_noise) -> Sampler:
    return Sampler(Sampling(window=window, schedule=Cosine(), solver=solver, calls_per_frame=2), noise)


@functools.cache
def rollout_of(name: str, cycles: int) -> Rollout:
    return Rollout(sampler_of(WINDOWS[name]), bind, cycles=cycles)


def start(name: str, frames: int, cycles: int = 3, resume=None):
    return rollout_of(name, cycles).chunks(PARAMS, context_of(WINDOWS[name]), keys(), frames, resume=resume)


def joined(chunks) -> np.ndarray:
    return np.concatenate([chunk.frames for chunk in chunks], axis=1)


@functools.cache
def whole(name: str) -> np.ndarray:
    """11 frames, which are a multiple of no stride but one."""
    return joined(start(name, 11))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "rolling" else pytest.mark.slow) for name in WINDOWS]
)
def test_chunking_changes_no_bit(name):
    assert whole(name).shape == (MEMBERS, 11, *GRID) and np.isfinite(whole(name)).all()
    for cycles in (1, 16) if name in ("rolling", "full") else (1,):
        chunks = list(start(name, 11, cycles))
        per_chunk = cycles * WINDOWS[name].stride
        assert [chunk.start for chunk in chunks] == list(range(0, 11, per_chunk))
        np.testing.assert_array_equal(joined(chunks), whole(name))


@pytest.mark.parametrize("name", ["rolling", "full"])
def test_any_number_of_frames_is_a_beginning_of_the_whole(name):
    assert list(start(name, 0)) == []
    for frames in (1, 2, 5, 7, 10):
        np.testing.assert_array_equal(joined(start(name, frames)), whole(name)[:, :frames])


@pytest.mark.parametrize("name", ["rolling", "full"])
def test_a_member_does_not_know_of_the_others(name):
    for i in range(MEMBERS):
        context, key = context_of(WINDOWS[name])[i : i + 1], keys()[i : i + 1]
        alone = joined(rollout_of(name, 3).chunks(PARAMS, context, key, 11))
        np.testing.assert_array_equal(alone[0], whole(name)[i])


@pytest.mark.parametrize("name", WINDOWS)
def test_a_stopped_rollout_goes_on_to_the_identical_bits(name):
    """From numbers on a disk, after any chunk, and after one that was cut short."""
    for stop in range(1, 11):
        for chunk in start(name, stop):
            done, numbers = chunk.start + chunk.frames.shape[1], saved(chunk.carry)
        assert done == stop
        rest = joined(start(name, 11, resume=(done, restored(numbers))))
        np.testing.assert_array_equal(rest, whole(name)[:, stop:], err_msg=f"stopped at {stop}")


def saved(carry: Carry):
    parts = carry.z, carry.history, carry.first, carry.step, jax.random.key_data(carry.key)
    return jax.tree.map(np.array, parts)


def restored(numbers) -> Carry:
    z, history, first, step, key = jax.tree.map(jnp.array, numbers)
    return Carry(z=z, history=history, first=first, step=step, key=jax.random.wrap_key_data(key))


def test_members_differ_and_keys_decide():
    window = WINDOWS["rolling"]
    same = jnp.broadcast_to(context_of(window)[:1], context_of(window).shape)
    rollout = rollout_of("rolling", 3)
    (first,) = rollout.chunks(PARAMS, same, keys(), 3)
    (again,) = rollout.chunks(PARAMS, same, keys(), 3)
    (other,) = rollout.chunks(PARAMS, same, jax.random.split(jax.random.key(12), MEMBERS), 3)
    np.testing.assert_array_equal(first.frames, again.frames)
    assert (np.asarray(first.frames[0]) != np.asarray(first.frames[1])).mean() > 0.99
    assert (np.asarray(first.frames) != np.asarray(other.frames)).mean() > 0.99


def compilations(run) -> int:
    """How many programs a piece of work compiles."""
    seen = []

    def listen(event, duration, **rest):
        if event.endswith("backend_compile_duration"):
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        run()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    return len(seen)


@pytest.mark.parametrize("name", ["rolling", "full"])
def test_nothing_is_compiled_after_the_first_chunks(name):
    window = WINDOWS[name]
    rollout = Rollout(sampler_of(window), bind, cycles=2)  # not compiled by another test
    per_chunk = rollout.frames_per_chunk
    chunks = rollout.chunks(PARAMS, context_of(window), keys(), 9 * per_chunk)
    assert compilations(lambda: next(chunks)) > 0
    assert compilations(lambda: [np.asarray(chunk.frames) for chunk in chunks]) == 0
    # Other parameters, another key and another length run through the same programs.
    other = jax.tree.map(lambda leaf: leaf * 1.1, PARAMS)
    again = rollout.chunks(
        other, context_of(window), jax.random.split(jax.random.key(5), MEMBERS), 4 * per_chunk
    )
    assert compilations(lambda: [np.asarray(chunk.frames) for chunk in again]) == 0
    list(rollout.chunks(PARAMS, context_of(window), keys(), 3 * per_chunk + 1))
    assert rollout._begin._cache_size() == rollout._advance._cache_size() == 1


def test_memory_does_not_grow_with_the_length():
    held = []
    for chunk in start("full", 40 * rollout_of("full", 3).frames_per_chunk):
        chunk.frames.block_until_ready()
        held.append(sum(array.nbytes for array in jax.live_arrays()))
    assert max(held[2:]) == min(held[2:])


class Eye:
    """A denoiser that sees whether what it is told belongs to the frames that it is shown.

    The noise of a frame is its index, and so is the frame: `z = (alpha + sigma) index`. Vectors and fields
    hold the index, too. Where they disagree, at any step, the frame is spoiled.
    """

    def __init__(self, offset: float):
        self.offset = offset

    def __call__(self, z, logsnr, condition):
        logsnr = expand(logsnr, z)
        scale = jnp.sqrt(jax.nn.sigmoid(logsnr)) + jnp.sqrt(jax.nn.sigmoid(-logsnr))
        vectors, fields = condition.vectors[:, :, None, None, :], condition.fields
        label = condition.label[:, None, None, None, None]
        seen = z / scale
        wrong = jnp.abs(vectors - seen) + jnp.abs(fields - seen) + jnp.abs(label - self.offset)
        return vectors + 1e3 * jnp.where(wrong > 0.05, wrong, 0.0) + condition.static[None, None] * 0


def index_noise(key, frame, fold, shape, dtype):
    return jnp.broadcast_to(frame.astype(dtype)[None, :, None, None, None], (len(key), len(frame), *shape))


@pytest.mark.slow
@every_window
def test_conditions_move_with_their_frames(window):
    recipe = Sampling(window=window, schedule=UNCLIPPED, solver=Ddim(), calls_per_frame=3)
    sampler = Sampler(recipe, index_noise)
    asked = []

    def conditions(first, count):
        asked.append((first, count))
        index = jnp.arange(first, first + count, dtype=jnp.float32)
        return Condition(
            label=jnp.full(2, 7, jnp.int32),
            vectors=jnp.tile(index[None, :, None], (2, 1, 1)),
            fields=jnp.tile(index[None, :, None, None, None], (2, 1, 3, 2, 1)),
            static=jnp.ones((3, 2, 1)),
        )

    context = index_noise(keys(2), jnp.arange(window.context), FRESH, (3, 2, 1), jnp.float32)
    rollout = Rollout(sampler, lambda _: Eye(7.0), cycles=2)
    chunks = list(rollout.chunks(None, context, keys(2), 10, conditions))
    found = np.concatenate([chunk.frames for chunk in chunks], axis=1)
    expected = window.context + np.arange(10.0)
    np.testing.assert_allclose(
        found, np.broadcast_to(expected[None, :, None, None, None], found.shape), atol=1e-5
    )
    assert all(first >= 0 for first, _ in asked) and len(set(count for _, count in asked)) <= 2


def test_a_condition_is_cut_to_the_window():
    vectors = jnp.arange(20.0).reshape(2, 10, 1)
    condition = Condition(label=jnp.asarray([1, 2]), vectors=vectors, static=jnp.ones((2, 2, 1)))
    cut = condition.window(3, 4)
    np.testing.assert_array_equal(cut.vectors, vectors[:, 3:7])
    np.testing.assert_array_equal(cut.label, condition.label)
    assert cut.fields is None and cut.tokens is None and cut.static is condition.static
    assert NOTHING.window(3, 4) == NOTHING


@every_window
def test_the_context_keeps_its_bits(window):
    sampler = sampler_of(window)
    context = context_of(window)
    carry = sampler.warm_up(bind(PARAMS), sampler.begin(context, keys()), NOTHING)
    np.testing.assert_array_equal(carry.z[:, : window.context], context)
    emitted = np.asarray(sampler.finished(carry))
    known = np.concatenate([context, emitted], axis=1)
    carry = sampler.cycle(bind(PARAMS), sampler.shift(carry), NOTHING)
    np.testing.assert_array_equal(carry.z[:, : window.context], known[:, window.stride :])
    assert carry.first == window.stride


def test_a_shift_takes_the_history_along():
    window = WINDOWS["rolling"]
    sampler = sampler_of(window)
    before = sampler.warm_up(bind(PARAMS), sampler.begin(context_of(window), keys()), NOTHING)
    after = sampler.shift(before)
    np.testing.assert_array_equal(after.z[:, :-1], before.z[:, 1:])
    for old, new in zip(before.history.values, after.history.values, strict=True):
        np.testing.assert_array_equal(new[:, :-1], old[:, 1:])
    made, kept = before.history.logsnr, after.history.logsnr
    np.testing.assert_array_equal(kept[:, :-1], made[:, 1:])
    assert np.isneginf(kept[:, -1]).all() and np.isfinite(made[:, 2:-1]).all()
    assert after.step == before.step == 2 * (window.size - window.context)


def test_noise_depends_on_key_frame_and_fold_alone():
    frames, key = jnp.arange(100), keys(2)
    noise = gaussian(key, frames, FRESH, GRID, jnp.float32)
    np.testing.assert_array_equal(noise[:, ::-1], gaussian(key, frames[::-1], FRESH, GRID, jnp.float32))
    np.testing.assert_array_equal(noise[::-1], gaussian(key[::-1], frames, FRESH, GRID, jnp.float32))
    flat = np.concatenate([np.ravel(noise), np.ravel(gaussian(key, frames, 1, GRID, jnp.float32))])
    assert len(np.unique(flat)) > 0.99 * flat.size  # of 2^23 numbers some meet by chance
    assert abs(flat.mean()) < 0.05 and abs(flat.std() - 1) < 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoDraws(Ddim):
    """Draws twice in a step, and shows both."""

    def step(self, denoise, z, history, step, noise):
        return jnp.concatenate([noise(0)[..., :1], noise(1)[..., :1]], axis=-1), history


def test_draws_of_one_step_have_keys_of_their_own():
    def noise(key, frame, fold, shape, dtype):
        shown = jax.random.key_data(key)[:, 1].astype(dtype)
        return jnp.broadcast_to(shown[:, None, None, None, None], (len(key), len(frame), *shape))

    sampler = sampler_of(Autoregressive(context=0), TwoDraws(), noise)
    carry = sampler.begin(jnp.zeros((MEMBERS, 0, *GRID)), keys())
    z = np.asarray(sampler.cycle(bind(PARAMS), carry, NOTHING).z)
    np.testing.assert_array_equal(z[..., 0], carry.z[..., 0])
    assert (z[..., 0] != z[..., 1]).all()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (
            lambda: sampler_of(Rolling()).begin(jnp.zeros((1, 1, *GRID)), keys(1)),
            "needs 2 frames of context, not 1",
        ),
        (lambda: Rollout(sampler_of(Rolling()), bind, cycles=0), "at least one cycle, not 0"),
        (
            lambda: dataclasses.replace(sampler_of(Rolling()).recipe, calls_per_frame=0),
            "choose a whole multiple of 1",
        ),
    ],
)
def test_bad_parameters(build, words):
    with pytest.raises(InputError, match=words):
        build()
