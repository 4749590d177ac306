"""Frames of the beginning that a network sees all the time, in training and in rollouts."""

import dataclasses

import einops
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.augment import Translate
from rolling.data.clip_past import ClipPast
from rolling.data.pipeline import clips
from rolling.data.statistics import measure
from rolling.denoisers import NO_PAST, Condition, joined
from rolling.run import model
from rolling.run.experiment import Reference, codec
from rolling.run.forecasting.forecaster import Forecaster
from rolling.windows import Rolling
from tests.run_tools import debug
from tests.test_data_pipeline import LENGTHS, numbered

SHOWN = dataclasses.replace(debug, reference=Reference(frames=1), window=Rolling(size=4, context=2))


def test_a_reference_is_of_the_clips_own_past_and_changed_as_the_clip_is():
    sequences = numbered()
    statistics = measure(sequences)
    batches = clips(
        sequences,
        statistics,
        frames=3,
        batch=16,
        seed=0,
        past=ClipPast(reference=2, reach=4),
        augment=(Translate(),),
        threads=0,
    )
    gaps = set()
    for _ in range(8):
        batch = next(batches)
        assert batch["x"].shape == (16, 3, 4, 6, 2) and batch["reference"].shape == (16, 4, 6, 4)
        own = statistics.denormalise(batch["x"])
        past = statistics.denormalise(einops.rearrange(batch["reference"], "b h w (t c) -> b t h w c", t=2))
        first = np.round(own[:, 0, 0, 0, 0]).astype(int)
        shown = np.round(past[:, :, 0, 0, 0]).astype(int)
        np.testing.assert_array_equal(shown[:, 1] - shown[:, 0], 1)
        np.testing.assert_array_equal(first // 100, shown[:, 0] // 100)
        gaps |= set(first - shown[:, 0])
        # Frame `f` of a sequence that is shown twice is the same, mirrored or not.
        twice = first == shown[:, 0]
        np.testing.assert_array_equal(past[twice, 0], own[twice, 0])
    assert gaps == set(range(5)) and max(LENGTHS) > 8


def test_a_clip_at_the_beginning_has_itself():
    sequences = numbered()
    past = ClipPast(reference=1, reach=9)
    short = next(clips(sequences, measure(sequences), frames=12, batch=2, seed=0, past=past))
    np.testing.assert_array_equal(short["reference"], short["x"][:, 0])


def test_the_order_of_clips_does_not_depend_on_it():
    sequences = numbered()
    one, other = (
        next(clips(sequences, measure(sequences), frames=4, batch=6, seed=3, **more))
        for more in ({}, {"past": ClipPast(reference=1, reach=2)})
    )
    np.testing.assert_array_equal(one["x"], other["x"])
    assert "reference" not in one


class Told:
    """A network that answers with its reference, or with nothing where it has none."""

    def __call__(self, params, z, logsnr, condition):
        told = condition.reference
        return jnp.zeros_like(z) if told is None else jnp.broadcast_to(told[:, None], z.shape)


def test_a_network_sees_as_much_of_it_as_it_was_trained_with():
    z, logsnr = jnp.zeros((2, 3, 4, 4, 1)), jnp.zeros((2, 3))
    condition = Condition(reference=jnp.stack([jnp.ones((2, 4, 4)), 2 * jnp.ones((2, 4, 4))], axis=-1))
    for frames, seen in ((0, 0.0), (1, 1.0)):
        experiment = dataclasses.replace(
            debug, reference=Reference(frames=frames), prediction=codec.decode({"type": "prediction.x"})
        )
        denoise = model.binder(experiment, Told(), NO_PAST)({})
        assert (denoise(z, logsnr, condition) == seen).all()
    twice = joined([condition, condition])
    assert twice.reference.shape == (4, 4, 4, 2) and condition.copies(3).reference.shape == (6, 4, 4, 2)


def forecaster(experiment) -> Forecaster:
    split = experiment.source.open()
    statistics = measure(split.train)
    layout = split.train.layout
    _, params = model.build(experiment, layout, statistics.mask)
    return Forecaster(experiment, layout, statistics, params, 0)


def test_a_rollout_shows_the_first_given_frame_to_its_end(monkeypatch):
    """However it is cut into chunks: frames that are made of the reference alone are all alike."""
    made = forecaster(SHOWN)
    monkeypatch.setattr(
        made,
        "bind",
        lambda params, recipe: lambda z, logsnr, c: jnp.broadcast_to(c.reference[:, None], z.shape),
    )
    given = np.stack([np.full(made.layout.shape, value, np.float32) for value in (0.3, 5.0)])[None]
    keys = jax.random.split(jax.random.key(0), 1)
    known = lambda first, count: Condition()  # noqa: E731
    for start, frames, _ in made.sample(given, known, keys, 11, cycles=4):
        np.testing.assert_allclose(frames, 0.3, atol=0.02, err_msg=f"from {start} on")


def test_what_has_no_first_frames_is_refused():
    with pytest.raises(InputError, match="shown the first 3 frames of a rollout, which is given 2"):
        dataclasses.replace(SHOWN, reference=Reference(frames=3)).check_trained(SHOWN)
    with pytest.raises(InputError, match=r"reference\.frames must be a finite number of at least 0"):
        Reference(frames=-1)


def test_runs_of_before_have_none():
    before = {name: value for name, value in codec.encode(debug).items() if name != "reference"}
    assert codec.decode(before) == debug and debug.reference.frames == 0
