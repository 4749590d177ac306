"""Shapes that click when they bounce: the sound against unfolded paths, and the score of how well both agree
against clips in which the answer is known."""

import dataclasses
import math

import jax
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.bounces_and_clicks import CLOSE, BouncesAndClicks, Event, bounces, compared
from rolling.data.simulated import Simulated
from rolling.data.sounding_shapes import CLICK, FLOOR, SoundingShapes
from rolling.data.together import NamedSource, Together
from rolling.joint_layout import JointLayout, NamedLayout
from rolling.physics.simulators import Simulator, roll, simulate, start

pytestmark = pytest.mark.slow
PICTURE, SOUND = SoundingShapes(part="picture"), SoundingShapes(part="sound")
ONE = dataclasses.replace(SOUND, shapes=1, forms=("triangle",))
KEYS = jax.random.split(jax.random.key(3), 24)
LAYOUT = JointLayout(
    modalities=(
        NamedLayout(name="video", layout=PICTURE.layout),
        NamedLayout(name="sound", layout=SOUND.layout),
    )
)


def unfolded(place, speed, low, high, times):
    """When a point that starts at `place` meets a wall, up to the last of `times`."""
    ends = place + speed * times[-1]
    walls = np.arange(-100, 100) * (high - low) + low  # mirrored again and again
    met = [(wall - place) / speed for wall in walls if min(place, ends) <= wall <= max(place, ends)]
    return [time for time in met if time > 0]


def meetings(shapes, i, times):
    """The same for the first shape of trajectory `i`, along both axes, in frames of sound."""
    radius = float(shapes.radius[i, 0])
    ways = zip(shapes.position[i, 0].tolist(), shapes.velocity[i, 0].tolist(), strict=True)
    return [time for place, speed in ways for time in unfolded(place, speed, radius, 32 - radius, times)]


def test_both_are_simulators_of_the_same_trajectories_to_the_bit():
    assert isinstance(SOUND, Simulator) and SOUND.layout.shape == (32, 1) and PICTURE.layout.is_video
    assert SOUND.layout.step == 1 / 32 and SOUND.layout.time_units == PICTURE.layout.time_units == "s"

    def places(simulator, frames):
        states = start(simulator, KEYS)
        found = []
        for _ in range(frames):
            states, _ = roll(simulator, states, 1)
            found.append(np.asarray(states.shapes.position))
        return np.stack(found)

    np.testing.assert_array_equal(places(PICTURE, 10), places(SOUND, 40)[3::4])


def test_a_click_rings_from_the_time_of_the_bounce():
    """Against paths that are unfolded at the walls: the amplitude of a pitch is the sum of what is left of
    all clicks of its form."""
    states, frames = start(ONE, KEYS), 100
    heard = np.asarray(roll(ONE, states, frames)[1])[..., 0]
    pitch = np.asarray(ONE.pitches())[2]  # between two bands, equally far from both
    share = math.exp(-0.5 * (0.5 / 0.6) ** 2)
    assert pitch == 19.5
    times = np.arange(1, frames + 1)
    for i in range(len(KEYS)):
        met = meetings(states.shapes, i, times)
        fading = np.exp(-np.maximum(times[:, None] - np.array(met).reshape(1, -1), 0) / 32 / 0.15)
        expected = (CLICK * fading * (times[:, None] >= np.array(met).reshape(1, -1))).sum(axis=1)
        found = 10 ** (heard[i][:, 19] / 20) - FLOOR
        np.testing.assert_allclose(found, share * expected, atol=2e-3)


def test_each_form_has_a_pitch_and_silence_is_the_floor():
    for place, form in enumerate(("disc", "square", "triangle", "cross")):
        levels = np.asarray(simulate(dataclasses.replace(ONE, forms=(form,)), KEYS, 60))[..., 0]
        loud = levels.max(axis=(0, 1))
        assert (levels >= -48.001).all() and levels[:, 0].max() < -47.9 + 48 * (loud.max() > -48)
        np.testing.assert_array_equal(np.sort(np.argsort(loud)[-2:]), 8 * place + np.array([3, 4]))
    frequencies = SOUND.layout.x.values
    assert (frequencies[0], frequencies[-1]) == (200.0, 3200.0)
    np.testing.assert_allclose(np.diff(np.log(frequencies)), math.log(16) / 31, rtol=1e-2)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"part": "smell"}, "simulator.part"),
        ({"sounds": 0}, "sounds"),
        ({"bands": 8}, "bands"),
        ({"decay": 0.0}, "decay"),
        ({"shapes": 0}, "shapes"),
    ],
)
def test_what_is_refused(settings, told):
    with pytest.raises(InputError, match=told):
        SoundingShapes(**settings)


def test_pictures_and_sound_join_by_their_times(tmp_path):
    sizes = {"train": 2, "test": 1, "cache": str(tmp_path)}
    parts = (
        NamedSource(name="video", source=Simulated(simulator=PICTURE, frames=12, test_frames=12, **sizes)),
        NamedSource(name="sound", source=Simulated(simulator=SOUND, frames=48, test_frames=48, **sizes)),
    )
    split = Together(parts=parts).open()
    assert split.train.layout.every == {"video": 4, "sound": 1} and split.train.length(0) == 48


def scored(video, sound, **settings):
    metric = BouncesAndClicks(**settings)
    state = metric.start(LAYOUT)
    for seen, heard in zip(video, sound, strict=True):
        state = metric.update(state, {"video": seen, "sound": heard})
    return {score.variable: score for score in metric.result(state)}


@pytest.fixture(scope="module")
def clips():
    pictures = np.rint(np.asarray(simulate(PICTURE, KEYS, 80)))
    return pictures, np.asarray(simulate(SOUND, KEYS, 320))


def test_real_clips_agree_and_others_do_not(clips):
    """The offsets that were put in are those that are found; pairs of different clips agree by chance."""
    video, sound = clips
    real = scored(video, sound, stretch=40)
    assert (real["f1"].values > 0.88).all() and (real["offset"].values < 0.13).all()
    assert (real["pitch"].values > 0.95).all()
    np.testing.assert_allclose(real["f1"].coordinate, [5.0, 10.0])
    shuffled = scored(video, np.roll(sound, 1, axis=0))
    assert (shuffled["f1"].values < 0.25).all() and (shuffled["offset"].values > 1.2).all()
    late = scored(video[:, :-1], sound[:, 4:])  # by a picture
    assert (late["f1"].values < 0.15).all()
    np.testing.assert_allclose(late["offset"].values, 1.0, atol=0.12)
    swapped = scored(video, np.roll(sound, 8, axis=2))  # every form at the pitch of the next
    assert (swapped["pitch"].values < 0.05).all()
    np.testing.assert_allclose(swapped["f1"].values, scored(video, sound)["f1"].values)


def test_bounces_are_found_where_the_path_turns(clips):
    """A single shape is never hidden: every bounce that lies three frames or more from the ends and from
    another is found to a tenth of a frame, unless the shape all but slides along the wall."""
    picture = dataclasses.replace(PICTURE, shapes=1)
    states = start(picture, KEYS)
    pictures = np.rint(np.asarray(roll(picture, states, 60)[1]))
    hits, count = 0, 0
    for i in range(len(KEYS)):
        met = sorted(time / 4 for time in meetings(states.shapes, i, np.arange(1, 241)))
        found = np.array([event.time for event in bounces(pictures[i])])
        alone = [t for t in met if 3 < t < 58 and sorted(abs(t - o) for o in met)[1] > 3]
        count += len(alone)
        hits += sum(len(found) > 0 and abs(found - t).min() < 0.1 for t in alone)
    assert count > 40 and hits >= 0.97 * count


def test_pairs_are_one_to_one_and_the_closest_first():
    seen = [Event(1.0, 0), Event(1.3, 1), Event(9.0, 2)]
    heard = [Event(1.2, 1), Event(9.0 + CLOSE + 0.01, 2)]
    found = compared(seen, heard)
    assert (found.bounces, found.clicks, found.pairs, found.alike) == (3, 2, 1, 1)
    np.testing.assert_allclose(found.offsets, [0.1, CLOSE + 0.01])
    assert compared([], heard).offsets == () and compared(seen, []).pairs == 0


def test_it_makes_no_sense_of_other_data():
    metric = BouncesAndClicks()
    assert metric.start(LAYOUT) is not None
    video, sound = (part.layout for part in LAYOUT.modalities)
    named = lambda **of: JointLayout(  # noqa: E731
        modalities=tuple(NamedLayout(name=name, layout=layout) for name, layout in of.items())
    )
    assert metric.start(named(video=video)) is None
    assert metric.start(named(video=sound, sound=video)) is None
    assert metric.start(named(video=video, sound=dataclasses.replace(sound, step=1 / 12))) is None


def test_a_rollout_without_an_event_has_no_score():
    still = np.full((20, 32, 32, 3), 20.0)
    quiet = np.full((80, 32, 1), -48.0)
    found = scored([still], [quiet])
    assert all(np.isnan(score.values).all() for score in found.values())
