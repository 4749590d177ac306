"""Frames of any size, range and rate as the frames of a picture."""

import numpy as np
import pytest

from rolling.data.clips.collections.folders import settle_validation
from rolling.data.clips.collections.names import in_order, label_of, split_of
from rolling.data.clips.protocol import BadClip, Entry, Picture
from rolling.data.clips.resize import centre_crop, nearest_frames, resize, resized_clip, to_grey_levels

hypothesis = pytest.importorskip("hypothesis")
given, st = hypothesis.given, hypothesis.strategies
RNG = np.random.default_rng(0)
CLIP = Entry(name="clip")
SIZES = st.integers(1, 40)


def frames(height, width, channels=3, count=2):
    return RNG.integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def test_an_even_reduction_averages_areas():
    clip = frames(12, 18)
    areas = clip.reshape(2, 4, 3, 6, 3, 3).mean((2, 4))
    made = resize(clip, Picture(height=4, width=6)).astype(float)
    assert np.abs(made - areas).max() <= 0.5 + 1e-6


def test_the_middle_is_cut_out_before_it_is_shrunk():
    clip = frames(8, 20)
    square = Picture(height=4, width=4)
    assert np.array_equal(resize(clip, square), resize(clip[:, :, 6:14], square))
    turned = resize(clip.swapaxes(1, 2), square)
    assert np.array_equal(turned, resize(clip, square).swapaxes(1, 2))


def test_parts_of_pixels_count_by_their_area():
    line = np.array([0, 90, 210], np.uint8)[None, None, :, None]
    made = resize(np.repeat(line, 3, axis=1), Picture(height=2, width=2, colour=False))
    assert made[0, :, :, 0].tolist() == [[30, 170]] * 2


def test_frames_of_the_right_size_are_left_alone():
    clip = frames(6, 5)
    assert np.array_equal(resize(clip, Picture(height=6, width=5)), clip)


def test_a_picture_of_no_size_leaves_frames_as_large_as_they_are():
    clip = frames(6, 5)
    assert np.array_equal(resize(clip, Picture(height=0, width=0)), clip)
    assert resize(clip, Picture(height=0, width=0, colour=False)).shape == (2, 6, 5, 1)


def test_luma_is_that_of_bt_601_and_grey_becomes_three_equal_channels():
    clip = frames(4, 4)
    luma = resize(clip, Picture(height=4, width=4, colour=False))
    assert luma.shape == (2, 4, 4, 1)
    expected = (0.299 * clip[..., 0] + 0.587 * clip[..., 1] + 0.114 * clip[..., 2])[..., None]
    assert np.abs(luma - expected).max() <= 0.5 + 1e-3
    colours = resize(luma, Picture(height=4, width=4))
    assert colours.shape == (2, 4, 4, 3)
    assert np.array_equal(colours, np.repeat(luma, 3, axis=-1))
    assert np.array_equal(resize(colours, Picture(height=4, width=4, colour=False)), luma)


@given(SIZES, SIZES, SIZES, SIZES, st.booleans(), st.sampled_from((1, 3)))
def test_any_size_becomes_any_other_and_one_grey_stays_what_it_is(h, w, height, width, colour, channels):
    picture = Picture(height=height, width=width, colour=colour)
    made = resize(np.full((2, h, w, channels), 137, np.uint8), picture)
    assert made.shape == (2, height, width, picture.channels)
    assert made.dtype == np.uint8
    assert (made == 137).all()


@given(SIZES, SIZES, SIZES, SIZES)
def test_the_middle_has_the_aspect_of_the_picture_and_touches_two_edges(h, w, height, width):
    above, left, below, right = centre_crop((h, w), (height, width))
    assert 0 <= above < below <= h
    assert 0 <= left < right <= w
    np.testing.assert_allclose((below - above) * width, (right - left) * height, rtol=1e-9)
    np.testing.assert_allclose([above + below, left + right], [h, w], rtol=1e-9)
    assert np.isclose(below - above, h) or np.isclose(right - left, w)


@given(SIZES, SIZES, SIZES, SIZES)
def test_a_mirrored_frame_becomes_the_mirrored_picture(h, w, height, width):
    clip, picture = frames(h, w, count=1), Picture(height=height, width=width)
    made, mirrored = resize(clip, picture).astype(int), resize(clip[:, ::-1, ::-1], picture).astype(int)
    assert np.abs(made - mirrored[:, ::-1, ::-1]).max() <= 1


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 4, 4, 4), (2, 4, 4, 2), (2, 0, 4, 3)])
def test_frames_of_other_shapes_are_refused(shape):
    with pytest.raises(BadClip, match="1 or 3 channels"):
        resize(np.zeros(shape, np.uint8), Picture())


@pytest.mark.parametrize(
    ("scale", "values"),
    [
        ("levels", np.array([0, 51, 255], np.uint8)),
        ("levels", np.array([0, 51, 255], np.int64)),
        ("levels", np.array([0.2, 50.9, 255], np.float32)),
        ("unit", np.array([0, 0.2, 1], np.float64)),
        ("unit", np.array([0, 0.2, 1 + 1e-7], np.float32)),
        ("signed", np.array([-1, -0.6, 1], np.float32)),
    ],
)
def test_black_and_white_are_the_ends_of_the_scale(scale, values):
    assert to_grey_levels(values, scale).tolist() == [0, 51, 255]
    assert to_grey_levels(values, scale).dtype == np.uint8


def test_truth_values_are_black_and_white():
    assert to_grey_levels(np.array([False, True]), "unit").tolist() == [0, 255]


@pytest.mark.parametrize(
    ("scale", "values", "words"),
    [
        ("levels", [0.0, 0.5, 0.9], "scale unit"),
        ("levels", [False, True], "scale unit"),
        ("levels", [-1.0, 100.0], "from -1 to 100"),
        ("levels", [0, 256], "from 0 to 256"),
        ("unit", [0.0, 255.0], "between 0 and 1"),
        ("unit", [0.0, np.nan], "from nan to nan"),
        ("signed", [-1.0, np.inf], "from -1 to inf"),
        ("levels", [1j], "complex"),
        ("levels", ["a"], "type"),
    ],
)
def test_values_off_the_scale_are_refused(scale, values, words):
    with pytest.raises(BadClip, match=words):
        to_grey_levels(np.array(values), scale)


@pytest.mark.parametrize(
    ("rate", "wanted", "expected"),
    [
        (30, 15, [0, 2, 4, 6, 8]),
        (30, 10, [0, 3, 6, 9]),
        (10, None, list(range(10))),
        (None, 15, list(range(10))),
        (10, 20, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9]),
        (25, 10, [0, 3, 5, 8]),
    ],
)
def test_the_nearest_frames_are_taken(rate, wanted, expected):
    assert nearest_frames(10, CLIP, rate, wanted).tolist() == expected


@given(st.integers(1, 200), st.floats(0.5, 60), st.floats(0.5, 60))
def test_no_other_frame_is_nearer(count, rate, wanted):
    taken = nearest_frames(count, CLIP, rate, wanted)
    times = np.arange(len(taken)) / wanted
    away = np.abs(taken / rate - times)
    assert (away <= 0.5 / rate + 1e-6).all()
    assert (np.diff(taken) >= 0).all()
    assert taken[0] >= 0 and taken[-1] < count


def test_a_cut_in_seconds_needs_a_rate():
    entry = Entry(name="clip", start=0.2, stop=0.5)
    assert nearest_frames(10, entry, 10, None).tolist() == [2, 3, 4]
    assert nearest_frames(10, entry, 10, 5).tolist() == [2, 4]
    with pytest.raises(BadClip, match="not known"):
        nearest_frames(10, entry, None, 5)
    with pytest.raises(BadClip, match="lasts 1 s"):
        nearest_frames(10, Entry(name="clip", start=2.0), 10, None)


@given(st.integers(1, 150), st.sampled_from((None, 5.0, 24.0, 30.0)))
def test_blocks_joined_are_the_clip_with_the_actions_of_its_frames(count, wanted):
    clip = RNG.integers(0, 256, (count, 2, 2, 3), dtype=np.uint8)
    actions, tokens = np.arange(count)[:, None], np.ones((3, 4))
    picture = Picture(height=2, width=2, rate=wanted)
    blocks = list(
        resized_clip(clip.__getitem__, count, CLIP, picture, rate=24.0, actions=actions, tokens=tokens)
    )
    taken = nearest_frames(count, CLIP, 24.0, wanted)
    assert np.array_equal(np.concatenate([b.frames for b in blocks]), clip[taken])
    assert np.concatenate([b.actions for b in blocks])[:, 0].tolist() == taken.tolist()
    assert all(b.tokens.dtype == b.actions.dtype == np.float32 for b in blocks)
    assert blocks[0].tokens.shape == (3, 4)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"actions": np.ones((3, 2))}, "4 frames, but actions for 3"),
        ({"actions": np.ones(4)}, "its actions have the shape"),
        ({"actions": np.full((4, 1), np.nan)}, "its actions are not finite"),
        ({"tokens": np.full((4, 1), np.inf)}, "its tokens are not finite"),
        ({"tokens": np.array([["a"]])}, "its tokens have the shape"),
    ],
)
def test_what_is_told_must_fit(told, words):
    clip = frames(2, 2, count=4)
    with pytest.raises(BadClip, match=words):
        list(resized_clip(clip.__getitem__, 4, CLIP, Picture(height=2, width=2), **told))


NAMES = st.lists(st.from_regex(r"[a-c0-9²٣]{1,4}(/[a-c0-9]{1,4})?", fullmatch=True), unique=True)


@given(NAMES, st.randoms())
def test_the_order_of_names_depends_on_the_names_alone(names, random):
    shuffled = list(names)
    random.shuffle(shuffled)
    assert in_order(shuffled) == in_order(names)


@given(st.lists(st.integers(0, 10**6), min_size=2, unique=True))
def test_numbers_in_names_count_by_their_value(numbers):
    names = [f"walk{n}/frame_{n}.png" for n in numbers]
    assert in_order(names) == [f"walk{n}/frame_{n}.png" for n in sorted(numbers)]


@pytest.mark.parametrize(
    ("name", "split", "label"),
    [
        ("train/walking/0001", "train", "walking"),
        ("Test/0001", "test", ""),
        ("walking/0001", "", "walking"),
        ("0001", "", ""),
        ("train.npy", "train", ""),
        ("sports/ski/train/3", "train", "sports/ski"),
        ("training.v2/3", "", "training.v2"),
    ],
)
def test_folders_tell_split_and_class(name, split, label):
    assert (split_of(name), label_of(name)) == (split, label)


def test_validation_is_the_test_part_where_there_is_no_other():
    def named(*names):
        return [Entry(name=name, split=split_of(name)) for name in names]

    assert [e.split for e in settle_validation(named("train/a", "val/b"))] == ["train", "test"]
    assert [e.name for e in settle_validation(named("train/a", "val/b", "test/c"))] == ["train/a", "test/c"]
