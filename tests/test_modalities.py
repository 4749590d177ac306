"""Modalities in lockstep: every solver to the bit, frames that are known, given and absent ones, refusals."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.denoisers import Condition, Known
from rolling.geometry import Axis
from rolling.joint_layout import JointLayout, NamedLayout
from rolling.layout import Layout, Variable
from rolling.noise import Cosine, expand
from rolling.noise.prior import Correlated
from rolling.sampling import Modality, Rollout, Sampler, Sampling, joint
from rolling.sampling.constraints import ConservedMean, JointUnits, Limits, Units
from rolling.sampling.guidance import ClassifierFree, Denoisers
from rolling.sampling.sweeps import Picard
from rolling.solvers import Ancestral, Ddim, DpmSolverPlusPlus, Heun, in_lockstep
from rolling.windows import FullSequence, NoisyContext, Rolling
from tests.solver_tools import SOLVERS

GRID = (2, 3)
KEYS = jax.random.split(jax.random.key(5), 2)


def noise_of(channel: int):
    """Noise of one channel that depends on the frame and the draw, and not on the key."""

    def draw(key, frame, fold, shape, dtype):
        phase = 7.0 * frame[None].astype(dtype) + 13.0 * jnp.asarray(fold, dtype) + 5.0 * channel
        cells = jnp.arange(1, 1 + np.prod(shape[:-1]), dtype=dtype).reshape(1, 1, *shape[:-1], 1)
        return jnp.broadcast_to(2 * jnp.sin(expand(phase, cells) * cells), (len(key), len(frame), *shape))

    return draw


def both_noises(key, frame, fold, shape, dtype):
    one = (*shape[:-1], 1)
    return jnp.concatenate([noise_of(i)(key, frame, fold, one, dtype) for i in (0, 1)], axis=-1)


def mixing(z, logsnr, condition):
    """A denoiser of two channels, each of which sees the other one, its neighbours and the clocks."""
    before = jnp.concatenate([z[:, :1], z[:, :-1]], axis=1)
    return 0.8 * jnp.tanh(z) + 0.3 * z[..., ::-1] * jax.nn.sigmoid(expand(logsnr, z)) + 0.1 * before


def of_parts(z, logsnr, condition):
    x = mixing(jnp.concatenate([z["a"], z["b"]], axis=-1), logsnr["a"], condition)
    return {"a": x[..., :1], "b": x[..., 1:]}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Own:
    """A user's solver: two calls, a history, and noise."""

    calls = 2
    noise = "per_frame"

    def init(self, z):
        return jnp.zeros_like(z)

    def step(self, denoise, z, history, step, noise):
        x = denoise(z, step.logsnr_t)
        again = denoise(0.5 * (z + x), step.logsnr_s)
        return 0.5 * z + 0.4 * again + 0.1 * history + 0.05 * noise(0), x


@pytest.mark.parametrize("solver", [*SOLVERS, Own()], ids=repr)
@pytest.mark.parametrize(
    "window", [Rolling(size=4, context=1), NoisyContext(inner=FullSequence(size=3, context=1))]
)
def test_two_modalities_on_one_clock_are_one_array_to_the_bit(solver, window):
    recipe = Sampling(window=window, schedule=Cosine(), solver=solver, calls_per_frame=2 * solver.calls)
    given = jnp.asarray(np.random.default_rng(0).normal(size=(2, 1, *GRID, 2)), jnp.float32)
    stacked = Sampler(recipe, both_noises)
    pair = joint(
        recipe,
        {"a": 1, "b": 1},
        generators={"a": noise_of(0), "b": noise_of(1)},
    )
    with jax.disable_jit():  # two programs are not rounded alike
        one = list(Rollout(stacked, lambda _: mixing, cycles=2).chunks(None, given, KEYS, 2))
        begin = {"a": given[..., :1], "b": given[..., 1:]}
        two = list(Rollout(pair, lambda _: of_parts, cycles=2).chunks(None, begin, KEYS, 2))
    for whole, parts in zip(one, two, strict=True):
        found = np.concatenate([parts.frames["a"], parts.frames["b"]], axis=-1)
        np.testing.assert_array_equal(found, whole.frames)


FLAT = Layout(
    variables=(Variable(name="v"),),
    axes=tuple(
        Axis(name=name, values=tuple(map(float, range(n)))) for name, n in zip("yx", GRID, strict=True)
    ),
)


def test_each_modality_obeys_its_own_constraints():
    """As one array whose first channel obeys them does, to the bit, in every prediction and at the end; what
    is given is left as it is."""
    kept = (Limits(variables=("v",), low=-0.4, high=0.5), ConservedMean(variables=("v",)))
    recipe = Sampling(window=Rolling(size=4, context=1), schedule=Cosine(), calls_per_frame=2)
    both = dataclasses.replace(FLAT, variables=(Variable(name="v"), Variable(name="w")))
    stacked = Sampler(dataclasses.replace(recipe, constraints=kept), both_noises)
    own = (Modality(name="a", constraints=kept),)
    generators = {"a": noise_of(0), "b": noise_of(1)}
    pair = joint(recipe, {"a": 1, "b": 1}, modalities=own, generators=generators)
    layout = JointLayout(modalities=tuple(NamedLayout(name=name, layout=FLAT) for name in "ab"))
    given = jnp.asarray(np.random.default_rng(0).normal(size=(2, 1, *GRID, 2)), jnp.float32)
    begin = {"a": given[..., :1], "b": given[..., 1:]}
    units, joint_units = Units.standard(both), JointUnits.standard(layout)
    with jax.disable_jit():
        one = list(Rollout(stacked, lambda _: Denoisers(mixing, units=units)).chunks(None, given, KEYS, 2))
        made = Rollout(pair, lambda _: Denoisers(of_parts, units=joint_units))
        two = list(made.chunks(None, begin, KEYS, 2))
        loose = Rollout(joint(recipe, {"a": 1, "b": 1}, generators=generators), lambda _: of_parts)
        free = list(loose.chunks(None, begin, KEYS, 2))
    for whole, parts, other in zip(one, two, free, strict=True):
        found = np.concatenate([parts.frames["a"], parts.frames["b"]], axis=-1)
        np.testing.assert_array_equal(found, whole.frames)
        means = np.mean(parts.frames["a"], axis=(2, 3, 4))
        np.testing.assert_allclose(
            means, np.broadcast_to(given[..., :1].mean((2, 3, 4)), means.shape), atol=1e-6
        )
        assert np.abs(parts.frames["b"] - other.frames["b"]).max() > 1e-3  # it sees the other one
    with pytest.raises(InputError, match="units of the frames"):
        list(Rollout(pair, lambda _: of_parts).chunks(None, begin, KEYS, 2))
    with pytest.raises(InputError, match="or give it to the modality that it is of"):
        joint(dataclasses.replace(recipe, constraints=kept), {"a": 1, "b": 1})


def test_a_step_asks_as_often_as_one_solver_does():
    asked = []

    def denoise(z, logsnr):
        asked.append(sorted(z))
        return {name: 0.5 * part for name, part in z.items()}

    def step(denoise):
        first = denoise(jnp.ones((1, 1, 1)), jnp.zeros((1, 1)))
        return first + denoise(2 * first, jnp.zeros((1, 1)))

    found = in_lockstep({"a": step, "b": lambda ask: 3 * step(ask)}, 2, denoise)
    assert (found["a"].item(), found["b"].item()) == (1.0, 3.0)
    assert asked == [["a", "b"]] * 2
    for calls, words in ((3, "calls the network 2 times in a step, and 3 are due"), (1, "more than 1 times")):
        with pytest.raises(InputError, match=words):
            in_lockstep({"a": step}, calls, denoise)


# Rates of 1 and 2, clocks that rise tick by tick, another grid for each.
EVERY = {"fast": 1, "slow": 2}
SLOW = Modality(name="slow", schedule=Cosine(resolution=64.0))
RECIPE = Sampling(window=Rolling(size=8, context=2, block=2), solver=DpmSolverPlusPlus(), calls_per_frame=1)
SPACE = {"fast": (3, 1), "slow": (2, 2, 1)}


def coupled(z, logsnr, condition):
    """Each modality sees the mean of the other one at the end of its own intervals."""
    fast, slow = z["fast"], z["slow"]
    seen = fast[:, 1::2].mean((2, 3)), slow.mean((2, 3, 4))
    return {
        "fast": 0.9 * jnp.tanh(fast) + 0.1 * jnp.repeat(seen[1], 2, 1)[:, :, None, None],
        "slow": 0.9 * jnp.tanh(slow) + 0.1 * expand(seen[0], slow),
    }


def begin(batch: int = 2):
    rng = np.random.default_rng(1)
    counts = {"fast": 2, "slow": 1}
    return {n: jnp.asarray(rng.normal(size=(batch, counts[n], *SPACE[n])), jnp.float32) for n in SPACE}


@functools.cache
def rollout(cycles: int = 2, **stand) -> Rollout:
    return Rollout(joint(RECIPE, EVERY, modalities=[SLOW], **stand), lambda _: coupled, cycles=cycles)


def frames(chunks) -> dict[str, np.ndarray]:
    found = [chunk.frames for chunk in chunks]
    return {name: np.concatenate([part[name] for part in found], axis=1) for name in found[0]}


def known_fast(ticks: int = 40):
    """What is known of the ticks from `first` on: the fast modality is the number of its frame over 40."""
    numbers = jnp.arange(ticks, dtype=jnp.float32) / ticks

    def conditions(first, count):
        part = jnp.broadcast_to(numbers[None, first : first + count, None, None], (2, count, *SPACE["fast"]))
        return Condition(of={"fast": Condition(known=Known(part, jnp.ones((2, count), bool)))})

    return conditions


def test_each_modality_is_emitted_at_its_rate_however_the_rollout_is_cut():
    whole = frames(rollout().chunks(None, begin(), KEYS, 12))
    assert {n: part.shape for n, part in whole.items()} == {"fast": (2, 12, 3, 1), "slow": (2, 6, 2, 2, 1)}
    assert all(np.isfinite(part).all() for part in whole.values())
    for cut in (rollout(5).chunks(None, begin(), KEYS, 12), rollout(1).chunks(None, begin(), KEYS, 12)):
        found = frames(cut)
        for name, part in whole.items():
            np.testing.assert_array_equal(found[name], part)
    short = frames(rollout().chunks(None, begin(), KEYS, 6))
    np.testing.assert_array_equal(short["slow"], whole["slow"][:, :3])


def test_a_stopped_rollout_goes_on_to_the_identical_bits():
    chunks = rollout().chunks(None, begin(), KEYS, 12)
    first = next(chunks)
    resume = (4, jax.tree.map(jnp.copy, first.carry))
    rest = frames(chunks)
    again = frames(rollout().chunks(None, begin(), KEYS, 12, resume=resume))
    for name, part in rest.items():
        np.testing.assert_array_equal(again[name], part)


def test_the_noise_of_each_modality_is_its_own_and_members_differ():
    sampler = joint(RECIPE, {"a": 1, "b": 1})
    given = jnp.zeros((2, 2, 64, 1))
    carry = sampler.begin({"a": given, "b": given}, KEYS)
    noise = np.stack([carry[name].z[:, 2:] for name in "ab"]).reshape(4, -1)
    assert np.abs(np.corrcoef(noise) - np.eye(4)).max() < 0.15


def test_what_is_given_is_seen_and_not_emitted():
    given = frames(rollout(given=("fast",)).chunks(None, begin(), KEYS, 8, known_fast()))
    assert list(given) == ["slow"]
    seen = []

    def watching(z, logsnr, condition):
        jax.debug.callback(lambda *now: seen.append(now), z["fast"], logsnr["fast"], ordered=True)
        assert condition.of["fast"].known is None, "the network is told by the frames"
        return coupled(z, logsnr, condition)

    sampler = joint(RECIPE, EVERY, modalities=[SLOW], given=("fast",))
    watched = Rollout(sampler, lambda _: watching, cycles=2)
    list(watched.chunks(None, begin(), KEYS, 8, known_fast()))
    jax.effects_barrier()
    clean = float(RECIPE.schedule.logsnr(jnp.zeros(())))
    assert len(seen) == 6 + 3 * 2  # the warm-up, and two steps for each of the other three slots
    for z, logsnr in seen:
        first = round(float(z[0, 0, 0, 0]) * 40)
        np.testing.assert_allclose(z[:, :, 0, 0], np.tile((first + np.arange(8)) / 40, (2, 1)), atol=1e-6)
        assert (logsnr == clean).all()


def test_what_is_absent_stays_pure_noise_and_its_values_do_not_matter():
    seen = []

    def watching(z, logsnr, condition):
        jax.debug.callback(lambda *now: seen.append(now), z["slow"], logsnr["slow"], ordered=True)
        return coupled(z, logsnr, condition)

    sampler = joint(RECIPE, EVERY, modalities=[SLOW], absent=("slow",))
    watched = Rollout(sampler, lambda _: watching, cycles=2)
    one = frames(watched.chunks(None, begin(), KEYS, 4))
    other = frames(watched.chunks(None, begin() | {"slow": jnp.full((2, 1, 2, 2, 1), jnp.nan)}, KEYS, 4))
    jax.effects_barrier()
    assert list(one) == ["fast"]
    np.testing.assert_array_equal(one["fast"], other["fast"])
    noise = float(Cosine(resolution=64.0).logsnr(jnp.ones(())))
    assert all((logsnr == noise).all() for _, logsnr in seen)
    assert 0.7 < np.std([z for z, _ in seen]) < 1.3


def test_frames_that_are_known_stand_and_the_others_run():
    """Of one modality, too: every third frame is known, and stays so to the bit."""
    recipe = Sampling(window=FullSequence(size=7, context=1), calls_per_frame=1)

    def conditions(first, count):
        number = first + jnp.arange(count)
        values = jnp.broadcast_to(number.astype(jnp.float32)[None, :, None, None], (2, count, 2, 1))
        return Condition(known=Known(values, jnp.broadcast_to(number % 3 == 0, (2, count))))

    def denoise(z, logsnr, condition):
        return 0.5 * z + 0.1 * z.mean(1, keepdims=True)

    chunks = Rollout(Sampler(recipe), lambda _: denoise).chunks(
        None, jnp.zeros((2, 1, 2, 1)), KEYS, 12, conditions
    )
    found = np.concatenate([np.asarray(chunk.frames) for chunk in chunks], axis=1)
    for i in range(12):
        known = (found[:, i] == i + 1).all()
        assert known == ((i + 1) % 3 == 0), i


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: joint(RECIPE, EVERY, given=("sound",)), "no modality sound: choose among fast, slow"),
        (lambda: joint(RECIPE, EVERY, given=("fast",), absent=("fast",)), "both given and absent"),
        (lambda: joint(RECIPE, EVERY, given=("fast",), absent=("slow",)), "nothing to make"),
        (lambda: joint(RECIPE, EVERY, modalities=[SLOW, SLOW]), "is said once, and these are slow, slow"),
        (lambda: joint(RECIPE, {"fast": 1, "slow": 3}), "whole multiples of 3"),
        (lambda: joint(RECIPE, {"fast": 1, "slow": 0}), "slow has a frame at every 0 ticks"),
        (
            lambda: joint(RECIPE, EVERY, modalities=[Modality(name="slow", solver=Heun())]),
            "the solver of slow calls the network 2 times in a step and that of the recipe 1 times",
        ),
        (
            lambda: joint(dataclasses.replace(RECIPE, sweep=Picard()), EVERY),
            "cannot be made with this sweep",
        ),
        (
            lambda: joint(dataclasses.replace(RECIPE, guidance=(ClassifierFree(),)), EVERY),
            "cannot be made with this guidance",
        ),
        (
            lambda: joint(
                dataclasses.replace(RECIPE, solver=Ddim()),
                EVERY,
                modalities=[Modality(name="slow", solver=Ancestral(), noise=Correlated())],
            ),
            "correlated noise does not go with",
        ),
        (lambda: next(rollout().chunks(None, begin(), KEYS, 5)), "slots of 2 ticks, and 5 are none"),
        (
            lambda: next(rollout().chunks(None, {"fast": begin()["fast"]}, KEYS, 4)),
            "begins with frames of fast, slow, not of fast",
        ),
        (
            lambda: next(rollout().chunks(None, begin() | {"slow": begin()["fast"]}, KEYS, 4)),
            "needs 1 given frames, not 2",
        ),
        (
            lambda: next(rollout(given=("fast",)).chunks(None, begin(), KEYS, 4)),
            "fast is given, and its frames are not",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(make, words):
    with pytest.raises(InputError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
