"""Clips as folders of pictures."""

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from rolling.common.errors import InputError
from rolling.data.clips.collections import FrameFolders, Videos
from rolling.data.clips.protocol import Entry, Picture
from tests.clip_tools import write_video
from tests.record_tools import LUMA, SMALL, damage, joined, listed, prepared, refused

RNG = np.random.default_rng(0)


def clip(folder, count=5, size=(8, 8), name="{:03d}.png", first=0):
    """Writes frames of noise, and returns them."""
    folder.mkdir(parents=True)
    frames = RNG.integers(0, 256, (count, *size, 3), dtype=np.uint8)
    for i, frame in enumerate(frames, first):
        Image.fromarray(frame).save(folder / name.format(i))
    return frames


def test_folders_of_frames_are_clips_with_split_and_class(tmp_path):
    expected = {
        name: clip(tmp_path / name)
        for name in ("train/walking/1", "train/walking/10", "train/running/2", "test/walking/1")
    }
    (tmp_path / "train" / "notes.txt").write_text("no frame")
    collection = FrameFolders(path=str(tmp_path))
    found = listed(collection)
    assert list(found) == ["test/walking/1", "train/running/2", "train/walking/1", "train/walking/10"]
    assert found["train/running/2"] == Entry(name="train/running/2", split="train", label="running")
    for name, frames in expected.items():
        assert np.array_equal(joined(collection, found[name])[0], frames)


def test_numbers_are_read_as_numbers(tmp_path):
    frames = clip(tmp_path / "a", count=12, name="frame{}.png", first=5)
    collection = FrameFolders(path=str(tmp_path))
    assert np.array_equal(joined(collection, listed(collection)["a"])[0], frames)


def test_links_are_followed_but_not_in_circles(tmp_path):
    frames = clip(tmp_path / "elsewhere" / "1")
    (tmp_path / "data" / "walk").mkdir(parents=True)
    (tmp_path / "data" / "walk" / "all").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "walk" / "back").symlink_to(tmp_path / "data")
    collection = FrameFolders(path=str(tmp_path / "data"))
    found = listed(collection)
    assert list(found) == ["walk/all/1"]
    assert np.array_equal(joined(collection, found["walk/all/1"])[0], frames)


def test_a_single_clip_may_be_named_itself(tmp_path):
    frames = clip(tmp_path / "a")
    collection = FrameFolders(path=str(tmp_path / "a"))
    (entry,) = collection.entries()
    assert np.array_equal(joined(collection, entry)[0], frames)


def test_the_same_names_lie_below_another_place(tmp_path):
    clip(tmp_path / "a" / "walk" / "1")
    (tmp_path / "a").rename(tmp_path / "b")
    assert list(listed(FrameFolders(path=str(tmp_path / "b")))) == ["walk/1"]


def test_a_rate_takes_the_nearest_frames_and_their_actions(tmp_path):
    frames = clip(tmp_path / "a", count=70)
    np.save(tmp_path / "a" / "actions.npy", np.arange(140).reshape(70, 2))
    np.save(tmp_path / "a" / "tokens.npy", np.ones((3, 4)))
    collection = FrameFolders(path=str(tmp_path), rate=30)
    found, actions, tokens = joined(collection, Entry(name="a"), Picture(height=8, width=8, rate=15))
    assert np.array_equal(found, frames[::2])
    assert np.array_equal(actions, np.arange(140, dtype=np.float32).reshape(70, 2)[::2])
    assert tokens.shape == (3, 4)


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "LA", "CMYK"])
def test_pictures_of_any_mode_become_colours(tmp_path, mode):
    folder = tmp_path / "a"
    folder.mkdir()
    suffix = "tif" if mode == "CMYK" else "png"
    for i in range(2):
        Image.new("RGB", (8, 8), "white").convert(mode).save(folder / f"{i}.{suffix}")
    found, _, _ = joined(FrameFolders(path=str(tmp_path)), Entry(name="a"))
    assert (found == 255).all()


def test_what_is_transparent_lies_on_black(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("RGBA", (8, 8), (255, 255, 255, 0)).save(tmp_path / "a" / "0.png")
    assert not joined(FrameFolders(path=str(tmp_path)), Entry(name="a"))[0].any()


def test_pictures_stand_upright(tmp_path):
    (tmp_path / "a").mkdir()
    image = Image.fromarray(np.tile(np.arange(16, dtype=np.uint8)[:, None] * 16, (1, 8)))
    turned = Image.Exif()
    turned[0x0112] = 3  # half a turn
    image.save(tmp_path / "a" / "0.png", exif=turned)
    found, _, _ = joined(FrameFolders(path=str(tmp_path)), Entry(name="a"), Picture(height=16, width=8))
    assert found[0, 0, 0, 0] == 240 and found[0, -1, 0, 0] == 0


def test_a_pattern_leaves_masks_out(tmp_path):
    frames = clip(tmp_path / "a", name="image_{}.png")
    clip(tmp_path / "b", name="mask_{}.png")
    for file in (tmp_path / "b").iterdir():
        file.rename(tmp_path / "a" / file.name)
    assert np.array_equal(
        joined(FrameFolders(path=str(tmp_path), pattern="image_*"), Entry(name="a"))[0], frames
    )
    refused(FrameFolders(path=str(tmp_path)), Entry(name="a"), "lacks frames")


def test_a_gap_is_refused_unless_it_is_allowed(tmp_path):
    frames = clip(tmp_path / "a")
    (tmp_path / "a" / "002.png").unlink()
    refused(FrameFolders(path=str(tmp_path)), Entry(name="a"), "001.png is followed by 003.png")
    found, _, _ = joined(FrameFolders(path=str(tmp_path), gaps=True), Entry(name="a"))
    assert np.array_equal(found, frames[[0, 1, 3, 4]])


def test_every_fifth_frame_is_no_gap(tmp_path):
    frames = clip(tmp_path / "a", count=11)
    for i in set(range(11)) - {0, 5, 10}:
        (tmp_path / "a" / f"{i:03d}.png").unlink()
    assert np.array_equal(joined(FrameFolders(path=str(tmp_path)), Entry(name="a"))[0], frames[::5])


def cut(folder):
    damage(folder / "003.png")


def garbage(folder):
    (folder / "003.png").write_bytes(b"no picture")


def empty(folder):
    (folder / "003.png").write_bytes(b"")


def larger(folder):
    Image.new("RGB", (9, 8)).save(folder / "003.png")


def deep(folder):
    Image.fromarray(np.full((8, 8), 4000, np.uint16)).save(folder / "003.png")


def few_actions(folder):
    np.save(folder / "actions.npy", np.ones((4, 2)))


def pickled_actions(folder):
    np.save(folder / "actions.npy", np.array([{}] * 5, object))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "003.png cannot be read"),
        (garbage, r"^003.png cannot be read \(cannot identify image file\): it is damaged"),
        (empty, "003.png cannot be read"),
        (larger, "003.png is 9 x 8, but 000.png 8 x 8"),
        (deep, "003.png has more than eight bits"),
        (few_actions, "5 frames, but actions for 4"),
        (pickled_actions, "actions.npy cannot be read"),
    ],
)
def test_a_clip_that_is_spoilt_is_refused_with_the_name_of_the_file(tmp_path, spoil, words):
    clip(tmp_path / "a")
    frames = clip(tmp_path / "b")
    spoil(tmp_path / "a")
    collection = FrameFolders(path=str(tmp_path))
    found = listed(collection)
    refused(collection, found["a"], words)
    assert np.array_equal(joined(collection, found["b"], SMALL)[0], frames)
    assert joined(collection, found["b"], LUMA)[0].shape == (5, 8, 8, 1)


def test_folders_are_the_source_of_an_experiment(tmp_path):
    for name in ("train/run/1", "train/walk/2", "val/run/3"):
        clip(tmp_path / "data" / name)
    (tmp_path / "data" / "train" / "run" / "1" / "002.png").unlink()
    split = prepared(FrameFolders(path=str(tmp_path / "data")), tmp_path / "cache")
    assert (len(split.train), len(split.test)) == (1, 1)
    assert split.train.layout.labels == ("run", "walk")
    ((name, reason),) = split.skipped
    assert name == "train/run/1" and "lacks frames" in reason


def test_a_clip_that_went_away_is_refused(tmp_path):
    clip(tmp_path / "a")
    refused(FrameFolders(path=str(tmp_path)), Entry(name="gone"), "gone is not there")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"path": ""}, "no data were named"),
        ({"path": "{}/nowhere"}, "there is no"),
        ({"path": "{}"}, "holds frames"),
        ({"path": "{}/notes.txt"}, "is a file"),
    ],
)
def test_places_without_clips_are_refused(tmp_path, settings, words):
    (tmp_path / "notes.txt").write_text("no frame")
    with pytest.raises(InputError, match=words):
        FrameFolders(path=settings["path"].format(tmp_path)).entries()


@pytest.mark.parametrize("rate", [0, -1.0, float("nan"), float("inf")])
def test_a_rate_must_be_one(rate):
    with pytest.raises(InputError, match="rate"):
        FrameFolders(rate=rate)


@pytest.mark.parametrize("size", [(96, 128), (100, 180), (180, 100), (240, 320)])
@pytest.mark.parametrize("side", [24, 64])
def test_a_video_and_a_folder_of_the_same_frames_are_the_same_pictures(tmp_path, size, side):
    """Videos are resized by another library, to whole pixels; a picture half a pixel aside errs four times as
    much."""
    picture = Picture(height=side, width=side)
    noise = gaussian_filter(RNG.normal(size=(2, *size, 3)), (0, 3, 3, 0))
    frames = (255 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8)
    (tmp_path / "a").mkdir()
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "a" / f"{i}.png")
    write_video(tmp_path / "a.mkv", frames)
    folder, _, _ = joined(FrameFolders(path=str(tmp_path)), Entry(name="a"), picture)
    video, _, _ = joined(Videos(path=str(tmp_path)), Entry(name="a.mkv"), picture)
    assert np.abs(folder.astype(float) - video).mean() < 3
