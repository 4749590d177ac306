"""Old frames beside the window: the right ones, in training and in rollouts, and what they are good for."""

import dataclasses
import functools
import shutil

import einops
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.augment import Translate
from rolling.data.clip_past import NO_PAST, ClipPast
from rolling.data.pipeline import clips
from rolling.data.statistics import measure
from rolling.denoisers import Condition
from rolling.losses import XLoss
from rolling.oracle import UNCLIPPED, Oracle
from rolling.run import model
from rolling.run.cli import main
from rolling.run.experiment import codec
from rolling.run.experiment.objectives import LossInputs
from rolling.run.experiment.own_context import OwnContext
from rolling.run.forecasting.forecaster import load
from rolling.run.forecasting.zarr_writer import ForecastStore
from rolling.sampling import Carry, Denoisers, Rollout, Sampler, Sampling
from rolling.sampling.constraints import Units
from rolling.sampling.guidance import History, HistoryGuidance
from rolling.sampling.old_frames import Memory
from rolling.sampling.own_rollout import finished_after_repair, finished_on_own
from rolling.sampling.partitions import Blocks
from rolling.sampling.repairs import LADDER
from rolling.sampling.restart import Restart
from rolling.sampling.starts import FromClip, FromForecast, FromGuess, FromNoise
from rolling.sampling.sweeps import Picard
from rolling.solvers import Ddim
from rolling.windows import Autoregressive, FullSequence, NoisyContext, Rolling, TrainedOn
from tests.run_tools import THIN, debug, tree
from tests.test_compare import retold
from tests.test_data_pipeline import LENGTHS, numbered, numbers

AGES = (2, 5, 9)


def by_age(batch, statistics, count):
    """The numbers of the old frames of a batch, `[clip, age]`."""
    parts = einops.rearrange(batch["memory"], "b h w (t c) -> b t h w c", t=count)
    return numbers({"x": parts}, statistics)


def test_old_frames_are_of_the_clips_own_past_and_changed_as_the_clip_is():
    sequences = numbered()
    statistics, before = measure(sequences), (1, 4, 7)
    batches = clips(
        sequences,
        statistics,
        frames=3,
        batch=16,
        seed=0,
        past=ClipPast(reference=1, reach=4, memory=before),
        augment=(Translate(),),
        threads=0,
    )
    clamped = twice = 0
    for _ in range(6):
        batch = next(batches)
        assert batch["x"].shape == (16, 3, 4, 6, 2) and batch["memory"].shape == (16, 4, 6, 6)
        first = numbers(batch, statistics)[:, 0]
        old = by_age(batch, statistics, 3)
        beginning = first // 100 * 100
        expected = np.maximum(first[:, None] - np.array(before), beginning[:, None])
        np.testing.assert_array_equal(old, expected)
        clamped += int((expected == beginning[:, None]).sum())
        # Where the clip is the sequence's beginning, all are its first frame, moved as it was.
        here = first == beginning
        twice += int(here.sum())
        for part in einops.rearrange(batch["memory"][here], "b h w (t c) -> t b h w c", t=3):
            np.testing.assert_array_equal(part, batch["x"][here, 0])
    assert clamped > 0 and twice > 0


def test_some_clips_are_trained_as_if_their_sequence_began_late():
    sequences = numbered()
    statistics, before = measure(sequences), (1, 3, 5)
    late = {}
    for share in (0.0, 1.0):
        batches = clips(
            sequences,
            statistics,
            frames=3,
            batch=400,
            seed=1,
            past=ClipPast(memory=before, start_share=share),
            threads=0,
        )
        batch = next(batches)
        first, old = numbers(batch, statistics)[:, 0], by_age(batch, statistics, 3)
        free = first % 100 >= max(before)  # where the sequence itself leaves room
        late[share] = set(map(tuple, (first[:, None] - old)[free].tolist()))
    # So many frames before the clip, if its past begins 5, 4, ..., 0 frames before it.
    assert late == {0.0: {before}, 1.0: {tuple(min(b, k) for b in before) for k in range(6)}}
    assert max(LENGTHS) >= 3 + 5


def test_the_order_of_clips_does_not_depend_on_it():
    sequences = numbered()
    one, other = (
        next(clips(sequences, measure(sequences), frames=4, batch=6, seed=3, **more))
        for more in ({}, {"past": ClipPast(memory=(2, 6))})
    )
    np.testing.assert_array_equal(one["x"], other["x"])
    assert "memory" not in one


def due(newest, ages, first=0):
    """The old frames that are due, of frames whose values are their indices."""
    return jnp.maximum(newest[:, None] - jnp.asarray(ages, newest.dtype)[None], first)


def eye(window, ages, first=0):
    """A denoiser of frames whose values are their indices, which spoils them where it is not shown exactly
    the frames that are `ages` older than the newest of its context."""

    def denoise(z, logsnr, condition):
        newest = condition.vectors[:, -1, 0] - window.size + window.context
        wrong = jnp.abs(condition.memory - due(newest, ages, first)[:, None, None]).max((1, 2, 3))
        spoiled = 1e3 * jnp.where(wrong > 0.01, wrong, 0.0)
        return 0 * z + condition.vectors[..., None, None] + spoiled[:, None, None, None, None]

    return denoise


def told(first, count):
    index = jnp.arange(first, first + count, dtype=jnp.float32)
    return Condition(vectors=jnp.tile(index[None, :, None], (2, 1, 1)))


KEYS = jax.random.split(jax.random.key(0), 2)
RECIPES = {
    "frame by frame": {"window": Rolling(size=5, context=2)},
    "blocks of two": {"window": Rolling(size=6, context=2, block=2)},
    "blocks of three, context of one": {"window": Rolling(size=7, context=1, block=3)},
    "chunks": {"window": FullSequence(size=5, context=2)},
    "next frame": {"window": Autoregressive(context=2)},
    "a noisy context": {"window": NoisyContext(inner=Rolling(size=5, context=2), level=0.1)},
    "no context": {"window": Rolling(size=4, context=0), "start": FromNoise(past=1)},
    "more given": {"window": Rolling(size=5, context=2), "start": FromNoise(past=6)},
    "from a guess": {"window": Rolling(size=5, context=2), "start": FromGuess()},
    "from a guess, no context": {"window": FullSequence(size=3, context=0), "start": FromGuess()},
    "from a clip": {"window": Rolling(size=6, context=1), "start": FromClip(frames=3)},
    "guided by the history": {
        "window": Rolling(size=5, context=2),
        "guidance": (HistoryGuidance(histories=(History(weight=1.5),)),),
    },
    "all steps at once": {"window": FullSequence(size=5, context=2), "sweep": Picard(), "calls_per_frame": 2},
    "restarts": {"window": Rolling(size=5, context=2), "restart": Restart(times=1)},
}


@functools.cache
def recipe(name) -> Sampling:
    parts = {"schedule": UNCLIPPED, "solver": Ddim(), "calls_per_frame": 1} | RECIPES[name]
    return Sampling(memory=Memory(ages=AGES), **parts)


@functools.cache
def rollout(name, cycles) -> Rollout:
    of = recipe(name)
    return Rollout(Sampler(of), lambda _: eye(of.window, AGES), cycles=cycles)


def roll(name, frames, cycles=2, resume=None):
    given = jnp.arange(recipe(name).given_frames, dtype=jnp.float32)[None, :, None, None, None]
    given = jnp.broadcast_to(given, (2, given.shape[1], 1, 1, 1))
    return rollout(name, cycles).chunks(None, given, KEYS, frames, told, resume=resume)


@pytest.mark.parametrize("name", RECIPES)
def test_the_network_is_shown_the_frames_of_these_ages(name):
    """At every call of a rollout, across chunks; the first given frame, 0, stands in for those before it."""
    found = np.concatenate([chunk.frames for chunk in roll(name, 17)], axis=1)
    expected = recipe(name).given_frames + np.arange(17.0)
    np.testing.assert_allclose(found[..., 0, 0, 0], np.tile(expected, (2, 1)), atol=1e-3)


def test_other_frames_would_be_seen():
    of = recipe("frame by frame")
    wrong = Rollout(Sampler(of), lambda _: eye(of.window, (2, 5, 8)), cycles=2)
    given = jnp.tile(jnp.arange(2.0)[None, :, None, None, None], (2, 1, 1, 1, 1))
    found = np.concatenate([chunk.frames for chunk in wrong.chunks(None, given, KEYS, 12, told)], axis=1)
    assert np.abs(found[:, :5, 0, 0, 0] - 2 - np.arange(5)).max() < 1e-3 < 100 < found.max()


@pytest.mark.parametrize("name", ["frame by frame", "blocks of three, context of one", "chunks"])
def test_a_stopped_rollout_goes_on_to_the_identical_bits(name):
    """From numbers on a disk; what it keeps does not grow."""
    whole = np.concatenate([chunk.frames for chunk in roll(name, 13)], axis=1)
    shapes = set()
    for stop in (1, 4, 5, 11):
        for chunk in roll(name, stop):
            shapes.add(chunk.carry.memory.shape)
            key = np.array(jax.random.key_data(chunk.carry.key))
            parts = {k: jax.tree.map(np.array, v) for k, v in vars(chunk.carry).items() if k != "key"}
        carry = Carry(key=jax.random.wrap_key_data(key), **jax.tree.map(jnp.asarray, parts))
        rest = np.concatenate([c.frames for c in roll(name, 13, resume=(stop, carry))], axis=1)
        np.testing.assert_array_equal(rest, whole[:, stop:])
    context = recipe(name).window.context
    assert shapes == {(2, max(AGES) + 1 - context, 1, 1, 1)}


@pytest.mark.parametrize(
    ("window", "ages"),
    [
        (Autoregressive(context=1), (3,)),
        (Rolling(size=3, context=1), (2, 3)),
        (FullSequence(size=3, context=1), (2, 3)),
    ],
    ids=repr,
)
def test_with_it_a_process_of_long_memory_is_exact(window, ages):
    """`x_k = 0.9 x_(k-4) + noise`: four independent AR(1). One frame of context tells nothing of the frames
    after it, and without old ones the correlation of 0.9 is lost; with them the error falls as 1/calls."""

    def error(calls, memory):
        return Oracle(
            window=window,
            correlation=(0.0, 0.0, 0.0, 0.9),
            calls_per_frame=calls,
            frames=8,
            start=FromNoise(past=3),
            memory=memory,
        ).max_covariance_error()

    coarse, fine = (error(calls, Memory(ages=ages)) for calls in (16, 64))
    assert 3.4 < coarse / fine < 4.6 and fine < 0.03
    assert error(64, Memory()) == pytest.approx(0.9, abs=1e-3)


@functools.cache
def own(cycles, whole):
    """`shift` to the loss of a network that answers right where it is shown the right old frames, on clips
    that begin with frame 20; `shift` spoils the past that comes with them. One program is compiled sooner
    than each of its operations."""
    window = Rolling(size=5, context=2)
    sampling = Sampling(window=window, schedule=UNCLIPPED, solver=Ddim(), memory=Memory(ages=(2, 3, 6)))
    objective = OwnContext(share=0.7, cycles=cycles, whole=whole)
    before = objective.past(sampling)
    index = 20.0 + jnp.arange(objective.frames(window))
    index = jnp.tile(index[None, :, None], (6, 1, 1))
    past = jnp.tile(20.0 - jnp.asarray(before, jnp.float32), (6, 1, 1, 1))
    inputs = LossInputs(
        lambda params, key: eye(window, (2, 3, 6)),
        lambda batch, key: Condition(vectors=index, memory=past + batch["shift"]),
        sampling,
        XLoss(),
        Units.standard(debug.source.layout()),
    )
    x, key = index[..., None, None], jax.random.key(0)
    return jax.jit(lambda shift: objective.loss(inputs, None, None, {"x": x, "shift": shift}, key))


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True])
def test_old_frames_move_with_windows_of_its_own(whole):
    """True ones of before the clip, and own ones once they have left the window: any cycle, any clip."""
    assert own(1, whole)(0.0) < 1e-6 and own(6, whole)(0.0) < 1e-6
    assert own(1, whole)(1.0) > 1


def test_windows_on_the_truth_have_true_old_frames():
    """Of the rollouts of `rolling drift`, which begin at frame 30."""
    window = Rolling(size=5, context=2)
    sampler = Sampler(Sampling(window=window, schedule=UNCLIPPED, solver=Ddim(), memory=Memory(ages=AGES)))
    frames = lambda first, count: jnp.tile(  # noqa: E731
        jnp.arange(first, first + count, dtype=jnp.float32)[None, :, None, None, None], (2, 1, 1, 1, 1)
    )
    past, network = frames(22, 8), eye(window, AGES)
    found = finished_on_own(sampler, network, frames(30, 5), KEYS, told(30, 25), 15, past)
    np.testing.assert_allclose(found[..., 0, 0, 0], np.tile(32.0 + np.arange(15), (2, 1)), atol=1e-3)

    units = Units.standard(debug.source.layout())
    repairs = [repair for repair in LADDER if repair.name in ("nothing", "context", "noisy frames", "both")]
    after = finished_after_repair(
        sampler, Denoisers(network, units=units), frames(30, 17), KEYS, told(30, 25), 12, repairs, past
    )
    np.testing.assert_allclose(
        after[..., 0, 0, 0], np.broadcast_to([43.0, 44.0], (2, len(repairs), 2)), atol=1e-3
    )


def test_the_true_context_of_a_repair_has_true_old_frames():
    sampler = Sampler(recipe("frame by frame"))
    own, true = (sampler.place(jnp.full((2, 5, 1, 1, 1), value), KEYS, 0) for value in (1.0, 2.0))
    known = type("Known", (), {"given": own.z[:, :2], "true": true})()
    found = {repair.name: repair(own, known).memory.max() for repair in LADDER[:4]}
    assert found == {"nothing": 1, "context": 2, "noisy frames": 1, "both": 2}


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Memory(ages=(4, 4)), r"rising, not \(4, 4\)"),
        (lambda: Memory(ages=(-1,)), "from 0 on and rising"),
        (lambda: Memory(start_share=2.0), "start_share is a probability"),
        (
            lambda: Sampling(memory=Memory(ages=(1, 8)), window=Rolling(size=5, context=2)),
            r"age 1 lies in the context of this window, 2 frames: choose --memory.ages from 2 on",
        ),
        (
            lambda: Sampling(memory=Memory(ages=(4,)), window=Rolling(size=4, context=0)),
            "given none: choose a window with context, or --start.past 1",
        ),
        (
            lambda: Sampling(
                memory=Memory(ages=(4,)),
                window=Rolling(size=8, context=2),
                partition=Blocks(size=4),
            ),
            "ages count from the context of the window that the network is trained on",
        ),
        (
            lambda: Sampling(
                memory=Memory(ages=(4,)),
                window=TrainedOn(inner=Rolling(size=8, context=2), trained=Rolling(size=6, context=2)),
            ),
            "shown another than the one that is rolled",
        ),
        (lambda: FromNoise(past=-1), "start.past must be"),
        (
            lambda: dataclasses.replace(debug, memory=Memory(ages=(4,))).check_trained(debug),
            r"trained with old frames of the ages \(4,\) and is asked with \(\): leave --memory.ages",
        ),
    ],
)
def test_what_does_not_suit_is_refused(build, words):
    with pytest.raises(InputError, match=words):
        build()


def test_a_network_trained_without_is_shown_none():
    """As the weaker network of a guidance, beside one that was trained with them."""
    condition = Condition(memory=jnp.ones((2, 4, 4, 3)), reference=jnp.ones((2, 4, 4, 1)))
    assert model.shown(condition, debug, 1) == Condition()
    same = dataclasses.replace(debug, memory=Memory(ages=(2, 3, 4)))
    assert model.shown(condition, same, 1).memory is condition.memory


def test_a_start_from_a_forecast_keeps_the_given_frames_before_its_context():
    of = dataclasses.replace(recipe("more given"), start=FromForecast(run="x", frames=8))
    sampler = Sampler(of)
    given = jnp.tile(jnp.arange(8.0)[None, :, None, None, None], (2, 1, 1, 1, 1))
    seen = []

    class Watched(Sampler):
        def cycle(self, denoiser, carry, condition, end=0):
            seen.append(carry.memory[0, :, 0, 0, 0])
            return carry

    guess = Denoisers(eye(of.window, AGES), guess=lambda given, frames, *rest: given[:, :frames])
    of.start(Watched(of), guess, given, KEYS, told(0, 13), 99)
    np.testing.assert_array_equal(seen[0], [0, 0, 0, 1, 2, 3, 4, 5])
    assert sampler.window.context == 2


def test_runs_of_before_have_none():
    before = {name: value for name, value in codec.encode(debug).items() if name != "memory"}
    assert codec.decode(before) == debug and debug.memory.ages == ()
    sampler = Sampler(debug.recipe)
    carry = sampler.place(jnp.zeros((2, 4, 2, 2, 1)), KEYS, 0)
    assert carry.memory is None and sampler.shift(carry).memory is None
    assert not debug.clip_past and not NO_PAST


class Killed(BaseException):
    """What no command expects."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which `runs/old` was trained with old frames, on windows of its own."""
    folder = tmp_path_factory.mktemp("memory")
    train = ["train", "debug", "--folder", str(folder / "runs"), "--name", "old", "--memory.ages", "3", "7"]
    assert main([*train, *THIN, "--objective", "own_context", "--training.steps", "3"]) == 0
    return folder


@pytest.mark.slow
def test_from_the_command_line(trained, monkeypatch, capsys):
    """Shown, rolled out, killed in the middle and resumed to the same store; asked for its drift."""
    monkeypatch.chdir(trained)
    assert main(["show", "runs/old"]) == 0
    assert "memory.ages: [3, 7]" in capsys.readouterr().out

    words = ["rollout", "runs/old", "--frames", "24", "--starts", "2", "--members", "2", "--chunk", "4"]
    assert main([*words, "--output", "whole.zarr"]) == 0, capsys.readouterr().err
    save, notes = ForecastStore.save_note, []

    def killed(self, note):
        save(self, note)
        notes.append(sorted(value.shape for name, value in note.items() if name.startswith("carry")))
        if len(notes) == 3:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ForecastStore, "save_note", killed)
        with pytest.raises(Killed):
            main([*words, "--output", "killed.zarr"])
    assert (4, 7, 16, 16, 1) in notes[-1]  # of each of the four rollouts the last 7 frames
    assert main([*words, "--output", "killed.zarr"]) == 0, capsys.readouterr().err
    assert tree(trained / "killed.zarr") == tree(trained / "whole.zarr")

    asked = ["drift", "runs/old", "--starts", "2", "--frames", "8", "--repair-at", "3", "--perturb", "0.01"]
    assert main(asked) == 0, capsys.readouterr().err
    assert main([*words, "--memory.ages", "3", "8", "--output", "other.zarr"]) == 2
    assert "trained with old frames of the ages (3, 7)" in capsys.readouterr().err


@pytest.mark.slow
def test_other_runs_beside_it(trained, monkeypatch, capsys):
    """A weaker network of the same ages, or without old frames, guides; a student has its teacher's ages."""
    monkeypatch.chdir(trained)
    assert main(["train", "debug", "--name", "none", "--training.steps", "1", *THIN]) == 0
    shutil.copytree("runs/old", "runs/others")
    retold(trained / "runs" / "others", lambda described: described["memory"].update(ages=[3, 8]))
    guided = ["rollout", "runs/old", "--frames", "4", "--starts", "1", "--guidance", "autoguidance"]
    weak = lambda name: [*guided, "--guidance.0.weak", f"runs/{name}", "--output", f"{name}.zarr"]  # noqa: E731
    assert main(weak("none")) == 0, capsys.readouterr().err
    assert main(weak("others")) == 2
    assert "old frames of the ages (3, 8) and this one of (3, 7)" in capsys.readouterr().err
    few = ["--training.steps", "1", "--forecast.frames", "4", "--forecast.starts", "1", "--long.frames", "0"]
    few += ["--metrics", "rmse"]
    student = ["distill", "runs/old", "--steps-per-frame", "1", "--name", "student", *few]
    assert main(student) == 0, capsys.readouterr().err
    assert main([*student, "--name", "wrong", "--memory.ages", "3", "8"]) == 2
    assert "the teacher runs/old has another network" in capsys.readouterr().err
    # A forecast from Python, of frames in memory, begins with the given one.
    forecaster = load("runs/old")
    data = forecaster.experiment.source.open().test
    found = forecaster.predict(data.read(0, 0, 4), frames=9, members=2)
    assert found.shape == (2, 9, 16, 16, 1) and np.isfinite(found).all()
