"""The input pipeline and augmentations."""

import json
import math

import jax
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.arrays import Arrays
from rolling.data.augment import Crop, Light, Mirror, ShiftReflect, Translate
from rolling.data.pipeline import clips
from rolling.data.statistics import measure
from rolling.geometry import Axis
from rolling.layout import Layout, Variable, video
from rolling.physics.simulators import Kolmogorov, roll, start

RNG = np.random.default_rng(0)
LENGTHS = (9, 3, 12, 5)


def numbered(periodic=True, features=(), mask=None):
    """Frames that hold `100 sequence + frame` in one variable, noise in the other."""
    layout = Layout(
        variables=(Variable(name="number"), Variable(name="noise")),
        axes=(
            Axis(name="lat", values=tuple(range(4))),
            Axis(name="lon", values=tuple(range(6)), boundary="periodic" if periodic else "open"),
        ),
        step=6.0,
        time_units="hours",
        features=features,
    )
    frames = []
    for sequence, length in enumerate(LENGTHS):
        array = RNG.normal(size=(length, 4, 6, 2)).astype(np.float32)
        array[..., 0] = (100 * sequence + np.arange(length))[:, None, None]
        frames.append(array)
    origins = np.array(["2020-01-01"] * len(LENGTHS), "datetime64[ns]")
    return Arrays(layout=layout, frames=frames, origins=origins, mask=mask)


def numbers(batch, statistics):
    return np.round(statistics.denormalise(batch["x"])[..., 0, 0, 0]).astype(int)


@pytest.mark.parametrize("stride", [1, 2])
def test_every_clip_once_an_epoch_and_none_across_sequences(stride):
    sequences = numbered()
    statistics = measure(sequences)
    expected = {
        100 * sequence + start
        for sequence, length in enumerate(LENGTHS)
        for start in range(0, length - 4 + 1, stride)
    }
    iterator = clips(sequences, statistics, frames=4, batch=1, seed=1, stride=stride)
    for _ in range(2):
        found = [numbers(next(iterator), statistics)[0] for _ in expected]
        assert all((np.diff(clip) == 1).all() for clip in found)
        assert {clip[0] for clip in found} == expected


def test_the_order_depends_on_the_seed_and_the_epoch_only():
    sequences = numbered(features=("hour_of_day",))
    statistics = measure(sequences)

    def run(seed, threads, count=12):
        iterator = clips(
            sequences, statistics, frames=4, batch=3, seed=seed, threads=threads, augment=(Translate(),)
        )
        return [next(iterator) for _ in range(count)]

    first = run(0, 0)
    for threads in (1, 3):
        for a, b in zip(first, run(0, threads), strict=True):
            np.testing.assert_array_equal(a["x"], b["x"])
            np.testing.assert_array_equal(a["vectors"], b["vectors"])
    assert any((a["x"] != b["x"]).any() for a, b in zip(first, run(1, 0), strict=True))
    starts = np.concatenate([numbers(batch, statistics)[:, 0] for batch in first])
    assert (starts[:17] != starts[17:34]).any()  # 17 clips an epoch
    assert first[0]["x"].shape == (3, 4, 4, 6, 2) and first[0]["x"].dtype == np.float32
    assert first[0]["vectors"].shape == (3, 4, 2) and first[0]["vectors"].dtype == np.float32


@pytest.mark.parametrize("threads", [0, 2])
def test_the_state_is_json_and_brings_the_same_batches_back(threads):
    sequences = numbered()
    statistics = measure(sequences)

    def fresh():
        return clips(
            sequences, statistics, frames=3, batch=4, seed=5, threads=threads, augment=(Translate(),)
        )

    iterator = fresh()
    for _ in range(7):
        next(iterator)
    state = json.loads(json.dumps(iterator.get_state()))
    expected = [next(iterator)["x"] for _ in range(5)]
    again = fresh()
    again.set_state(state)
    for x in expected:
        np.testing.assert_array_equal(next(again)["x"], x)


def test_masked_cells_are_zero_after_normalisation():
    mask = np.ones((4, 6, 2), bool)
    mask[1, 2] = False
    sequences = numbered(mask=mask)
    for frames in sequences.frames:
        frames[:, 1, 2] = np.nan
    batch = next(clips(sequences, measure(sequences), frames=3, batch=4, seed=0))
    assert "vectors" not in batch
    assert np.isfinite(batch["x"]).all() and (batch["x"][..., ~mask] == 0).all()


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"frames": 13}, "takes 13 in a row, but the longest unbroken sequence of the training part has 12"),
        ({"batch": 0}, "batch"),
        ({"augment": (Translate(axes=("y",)),)}, "lat, which is not periodic"),
        ({"augment": (ShiftReflect(),)}, "not number"),
    ],
)
def test_what_the_pipeline_refuses(settings, words):
    sequences = numbered()
    with pytest.raises(InputError, match=words):
        clips(sequences, measure(sequences), **{"frames": 4, "batch": 2, "seed": 0} | settings)


def test_masked_clips_are_not_shifted():
    with pytest.raises(InputError, match="masked"):
        Translate().check(numbered().layout, np.ones((4, 6, 2), bool))


@pytest.mark.parametrize("fields", ["vorticity", "velocity"])
def test_a_transformed_state_has_the_transformed_trajectory(fields):
    flow = Kolmogorov(resolution=16, grid=24, mode=2, viscosity=0.05, dt=0.05, interval=0.5, fields=fields)
    # Of mode 2, S shifts by a quarter of the domain, whole cells of the grid and of the frames.
    symmetry, layout, shown = ShiftReflect(mode=2), Kolmogorov(mode=2).layout, flow.layout
    with jax.enable_x64(True):
        state = 3 * start(flow, jax.random.split(jax.random.key(0), 1))[0]
        _, frames = roll(flow, state[None], 4)
        for shifts, rotate in ((1, False), (0, True), (1, True), (2, False), (3, True)):
            other = symmetry.transform(np.asarray(state)[None, ..., None], layout, shifts, rotate)
            _, changed = roll(flow, other[..., 0], 4)
            expected = symmetry.transform(np.asarray(frames[0]), shown, shifts, rotate)
            assert np.abs(expected - np.asarray(frames[0])).max() > 0.1
            np.testing.assert_allclose(changed[0], expected, atol=1e-12)


def test_shift_reflect_stays_a_group_and_needs_whole_cells():
    layout, symmetry = Kolmogorov().layout, ShiftReflect()
    symmetry.check(layout, None)
    clip = RNG.normal(size=(2, 32, 32, 1))
    turned = clip
    for _ in range(8):
        turned = symmetry.transform(turned, layout, 1, False)
    np.testing.assert_array_equal(turned, clip)
    seen = {symmetry.apply(clip, layout, np.random.default_rng(i)).tobytes() for i in range(200)}
    assert len(seen) == 16
    assert math.isclose(symmetry.apply(clip, layout, RNG).std(), clip.std())
    with pytest.raises(InputError, match="whole number of the 20 cells"):
        symmetry.check(Kolmogorov(resolution=20).layout, None)


def test_a_mirror_exchanges_left_and_right_of_every_other_clip():
    layout, rng = video(4, 6), np.random.default_rng(1)
    clip = RNG.normal(size=(3, 4, 6, 3))
    Mirror().check(layout, None)
    found = [Mirror().apply(clip, layout, rng) for _ in range(200)]
    turned = [np.array_equal(one, clip[:, :, ::-1]) for one in found]
    assert all(a or np.array_equal(one, clip) for a, one in zip(turned, found, strict=True))
    assert 70 < sum(turned) < 130


@pytest.mark.parametrize("seed", range(5))
def test_a_crop_is_a_part_of_the_picture_the_same_one_in_all_frames(seed):
    """A ramp stays a ramp under linear interpolation: its slope tells the share, its value the place."""
    y, x = np.mgrid[:12, :16].astype(np.float32)
    clip = np.stack([np.stack([y, x], -1) + 100 * t for t in range(3)])
    found = Crop(least=0.5).apply(clip, video(12, 16, rate=8.0), np.random.default_rng(seed))
    assert found.shape == clip.shape and found.dtype == clip.dtype
    shares = np.diff(found[..., 0], axis=1), np.diff(found[..., 1], axis=2)
    share = shares[0][0, 0, 0]
    assert 0.5 <= share < 1
    for ramp in shares:
        np.testing.assert_allclose(ramp, share, atol=1e-4)
    np.testing.assert_allclose(np.diff(found, axis=0), 100, atol=1e-4)
    assert found[0].min() >= 0 and found[0, ..., 0].max() <= 11 and found[0, ..., 1].max() <= 15


def test_light_changes_mean_and_contrast_alone():
    rng = np.random.default_rng(0)
    clip = rng.uniform(60, 190, (3, 8, 8, 3)).astype(np.float32)
    pictures, offsets, factors = video(8, 8, rate=8.0), [], []
    for _ in range(200):
        found = Light(brightness=0.1, contrast=0.2).apply(clip, pictures, rng)
        factor, _ = np.polyfit(clip.ravel(), found.ravel(), 1)
        np.testing.assert_allclose(found - found.mean(), factor * (clip - clip.mean()), atol=1e-3)
        offsets.append(found.mean() - clip.mean())
        factors.append(factor)
    # Uniform: nowhere farther than the limit, and near it at times.
    assert 24 < np.max(np.abs(offsets)) <= 25.5 + 1e-3 and abs(np.mean(offsets)) < 4
    assert 0.8 - 1e-4 <= min(factors) < 0.82 and 1.18 < max(factors) <= 1.2 + 1e-4
    bright = Light(brightness=0.9, contrast=0.9).apply(clip, pictures, np.random.default_rng(1))
    assert bright.min() >= 0 and bright.max() <= 255


@pytest.mark.parametrize("change", [Mirror(), Crop(), Light()])
def test_changes_of_pictures_are_for_pictures(change):
    with pytest.raises(InputError, match="is for pictures, and would change the meaning of number, noise"):
        change.check(numbered().layout, None)
    change.check(video(8, 8, rate=8.0), None)


@pytest.mark.parametrize("change", [Mirror(), Crop()])
def test_what_moves_the_picture_would_change_what_actions_mean(change):
    with pytest.raises(InputError, match="how actions change with the picture"):
        change.check(video(8, 8, rate=8.0, actions=2), None)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Crop(least=0), "least share"),
        (lambda: Crop(least=1.1), "least share"),
        (lambda: Light(contrast=1), "contrast of Light"),
        (lambda: Light(brightness=-0.1), "brightness of Light"),
    ],
)
def test_shares_that_are_none(make, words):
    with pytest.raises(InputError, match=words):
        make()
