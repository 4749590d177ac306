"""Video files as blocks of pictures: what is in them, when it is shown, and what cannot be used."""

import re
import struct
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.clips.decode import BLOCK, read_video
from rolling.data.clips.protocol import BadClip, Picture
from tests.clip_tools import levels, write_sound, write_video

REAL = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "video"
real = pytest.param("real", marks=pytest.mark.skipif(not REAL.is_dir(), reason=f"no real clips in {REAL}"))
GREY = Picture(height=32, width=32, colour=False)


def frames(path, picture=GREY, **cut):
    return np.concatenate([block.frames for block in read_video(path, picture, **cut)])


def numbers(path, rate=None, **cut):
    """Which frames of `levels` come out."""
    found = frames(path, Picture(height=32, width=32, colour=False, rate=rate), **cut)
    assert (np.ptp(found, axis=(1, 2, 3)) == 0).all()
    return [int(value) for value in found[:, 0, 0, 0] // 4]


def test_frames_of_the_same_size_come_out_as_they_went_in(tmp_path):
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (2 * BLOCK + 3, 32, 32, 1), np.uint8)
    path = write_video(tmp_path / "a.mkv", clip)
    np.testing.assert_array_equal(frames(path), clip)
    blocks = [len(block.frames) for block in read_video(path, GREY)]
    assert blocks == [BLOCK, BLOCK, 3]
    colour = rng.integers(0, 256, (3, 32, 32, 3), np.uint8)
    path = write_video(tmp_path / "b.mkv", colour)
    np.testing.assert_array_equal(frames(path, Picture(height=32, width=32)), colour)


@pytest.mark.parametrize("codec, suffix", [("libx264", "mp4"), ("mpeg4", "avi")])
def test_black_white_and_colours_survive_lossy_codecs(tmp_path, codec, suffix):
    clip = np.zeros((4, 64, 96, 3), np.uint8)
    clip[1], clip[2], clip[3] = 255, (255, 0, 0), (30, 60, 200)
    path = write_video(tmp_path / f"a.{suffix}", clip, codec=codec, key_frames=1)
    found = frames(path, Picture(height=16, width=16))
    assert found.shape == (4, 16, 16, 3)
    np.testing.assert_allclose(found.mean((1, 2)), clip[:, 0, 0], atol=4)
    luma = frames(path, Picture(height=16, width=16, colour=False))
    np.testing.assert_allclose(luma.mean((1, 2, 3)), clip[:, 0, 0] @ [0.299, 0.587, 0.114], atol=4)


def bands(height, width):
    """Black, then 100 in the middle square, then white, along the long side."""
    clip = np.zeros((2, height, width, 1), np.uint8)
    if width >= height:
        edge = (width - height) // 2
        clip[:, :, edge : edge + height], clip[:, :, edge + height :] = 100, 255
        return clip
    return bands(width, height).swapaxes(1, 2)


@pytest.mark.parametrize("size", [(32, 96), (96, 32), (65, 129), (31, 95)])
def test_the_middle_is_cut_out_and_areas_are_averaged(tmp_path, size):
    found = frames(write_video(tmp_path / "a.mkv", bands(*size)), Picture(height=16, width=16, colour=False))
    assert found.shape == (2, 16, 16, 1)
    np.testing.assert_allclose(found[:, 1:-1, 1:-1].astype(int), 100, atol=1)
    checker = np.indices((64, 64)).sum(0)[None, ..., None] % 2 * np.uint8(200)
    path = write_video(tmp_path / "b.mkv", checker.astype(np.uint8))
    np.testing.assert_allclose(
        frames(path, Picture(height=16, width=16, colour=False)).astype(int), 100, atol=1
    )


def test_odd_targets_and_pictures_that_grow(tmp_path):
    path = write_video(tmp_path / "a.mkv", levels(3, 9, 13))
    found = frames(path, Picture(height=17, width=23, colour=False))
    assert found.shape == (3, 17, 23, 1)
    np.testing.assert_array_equal(found[:, 0, 0, 0], [0, 4, 8])


def test_pixels_that_are_not_square_and_cameras_held_upright(tmp_path):
    clip = bands(32, 32)
    clip[:, :, 8:24], clip[:, :, :8], clip[:, :, 24:] = 100, 0, 255  # twice as wide on the screen
    wide = np.repeat(clip, 3, axis=-1)
    wide = write_video(tmp_path / "a.mp4", wide, codec="libx264", aspect=Fraction(2, 1))
    found = frames(wide, Picture(height=16, width=16, colour=False))
    np.testing.assert_allclose(found[:, :, 2:-2].astype(int), 100, atol=8)
    clip = np.zeros((2, 32, 32, 1), np.uint8)
    clip[:, 0, 31] = 200  # upper right: a quarter turn against the clock brings it to the upper left
    for turned in (90, 180, -90):
        path = write_video(tmp_path / f"{turned}.mp4", clip, codec="ffv1", turned=turned)
        np.testing.assert_array_equal(frames(path), np.rot90(clip, turned // 90, axes=(1, 2)))


def test_the_rate_is_regular_and_frames_are_the_nearest_in_time(tmp_path):
    path = write_video(tmp_path / "a.mkv", levels(30), rate=30)
    assert numbers(path, 10) == list(range(0, 30, 3))
    assert numbers(path, 15) == list(range(0, 30, 2))
    slow = write_video(tmp_path / "b.mkv", levels(10), rate=10)
    assert numbers(slow, 20) == [i // 2 + (i % 2 > 0) for i in range(18)] + [9, 9]
    assert numbers(slow, 10) == numbers(slow) == list(range(10))


def test_a_variable_frame_rate_becomes_a_regular_one(tmp_path):
    rng = np.random.default_rng(1)
    times = np.round(np.cumsum(rng.choice([0.03, 0.04, 0.2, 0.7], 60)), 3)
    path = write_video(tmp_path / "a.mkv", levels(60), times=times)
    assert numbers(path) == list(range(60))  # all frames, as they are
    rate = 8.0
    targets = np.arange(int((times[-1] - times[0]) * rate)) / rate
    away = np.abs(targets[:, None] - (times - times[0])[None])
    found = numbers(path, rate)
    np.testing.assert_allclose(away[range(len(targets)), found[: len(targets)]], away.min(1), atol=1e-6)
    assert 0 <= len(found) - len(targets) <= 8 and set(found[len(targets) :]) <= {59}


def test_cuts_are_the_same_with_a_seek_and_without(tmp_path):
    path = write_video(tmp_path / "a.mkv", levels(60), rate=10)
    assert numbers(path, start=1.0, stop=2.0) == list(range(10, 20))
    for start in np.arange(2.1, 5.9, 0.1):
        assert numbers(path, start=start) == list(range(round(10 * start), 60))
    assert numbers(path, 5, start=3.0, stop=4.0) == [30, 32, 34, 36, 38]
    with pytest.raises(BadClip, match="no frames in it between 7 s and 8"):
        frames(path, start=7.0, stop=8.0)


def test_times_that_leap_are_not_believed(tmp_path):
    times = np.r_[np.arange(10) / 10, 5000 + np.arange(10) / 10]
    path = write_video(tmp_path / "a.mkv", levels(20), times=times)
    assert len(numbers(path, 10.0)) < 25
    assert set(numbers(path, 10.0)) == set(range(20))


def cut_off(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def test_what_cannot_be_used_is_told(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (40, 32, 32, 3), np.uint8)

    def coded(name, codec):
        return write_video(tmp_path / name, noise, codec=codec)

    (tmp_path / "empty.mp4").touch()
    (tmp_path / "garbage.mp4").write_bytes(rng.bytes(5000))
    (tmp_path / "text.avi").write_text("not found")
    for path, words in (
        (tmp_path / "nowhere.mp4", "the file is missing"),
        (tmp_path / "empty.mp4", "the file is empty"),
        (tmp_path / "garbage.mp4", "cannot be decoded"),
        (tmp_path / "text.avi", "cannot be decoded"),
        (write_sound(tmp_path / "sound.wav"), "of none of the formats"),
        (cut_off(coded("a.mp4", "libx264"), 0.5), "cannot be decoded"),  # its table stood at the end
    ):
        with pytest.raises(BadClip, match=words):
            frames(path, Picture(height=16, width=16))


def test_a_corrupt_frame_costs_only_those_after_it(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    path = write_video(tmp_path / "a.mp4", noise, codec="libx264")
    whole = frames(path, Picture(height=16, width=16))
    content = bytearray(path.read_bytes())
    place = len(content) // 2
    content[place : place + 2000] = bytes(2000)
    path.write_bytes(content)
    blocks = list(read_video(path, Picture(height=16, width=16)))
    left = np.concatenate([block.frames for block in blocks])
    assert 5 < len(left) < 30
    np.testing.assert_array_equal(left, whole[: len(left)])
    assert [block.fault for block in blocks] == [*[""] * (len(blocks) - 1), f"frame {len(left)} is corrupt"]
    assert {block.rate for block in blocks} == {10.0}
    content[200:-2000] = bytes(len(content) - 2200)  # from the first frame on
    path.write_bytes(content)
    with pytest.raises(BadClip, match=r"corrupt|cannot be decoded"):
        frames(path, Picture(height=16, width=16))


@pytest.mark.parametrize(
    ("suffix", "says"),
    [("avi", r"corrupt|of the 40 frames that it promises"), ("mkv", r"of the 4\.0 s that it promises")],
)
def test_a_file_that_was_cut_short_is_used_up_to_there(tmp_path, suffix, says):
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    path = write_video(tmp_path / f"a.{suffix}", noise, codec="mpeg4")
    whole = frames(path, Picture(height=16, width=16))
    *_, last = blocks = list(read_video(cut_off(path, 0.5), Picture(height=16, width=16)))
    left = np.concatenate([block.frames for block in blocks])
    assert 5 < len(left) < 30 and re.search(says, last.fault)
    np.testing.assert_array_equal(left, whole[: len(left)])


def test_a_missing_library_is_no_bad_clip(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mkv", levels(2))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match="needs PyAV: pip install") as caught:
        frames(path)
    assert not isinstance(caught.value, BadClip)


def swapped(path: Path) -> Path:
    """63 frames, 25 a second, whose packets say 2, 4, 3, 5, 7, 6, ... as their times."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "gray"
        for number, array in enumerate(levels(63)):
            for packet in stream.encode(av.VideoFrame.from_ndarray(array[..., 0], "gray")):
                packet.dts, packet.pts = number, number + 2 + (0, 1, -1)[number % 3]
                container.mux(packet)
    return path


@pytest.mark.parametrize("kind", ["made", real])
def test_times_that_go_backwards_are_counted(kind, tmp_path):
    path, count, second = REAL / "clips" / "mmaction2_test.avi", 164, 4
    if kind == "made":
        path, count, second = swapped(tmp_path / "a.mkv"), 63, 1
    everything = frames(path)
    assert len(everything) == count
    np.testing.assert_array_equal(
        frames(path, Picture(height=32, width=32, colour=False, rate=25.0)), everything
    )
    half = frames(path, Picture(height=32, width=32, colour=False, rate=12.5))
    np.testing.assert_array_equal(half, everything[::2])
    cut = frames(path, start=float(second), stop=second + 1.0)
    np.testing.assert_array_equal(cut, everything[25 * second : 25 * second + 25])


def lying(path: Path) -> Path:
    """60 frames, 20 a second, that can be decoded from 0, 20 and 40 on, and whose table says 0, 26 and 46."""
    y, x = np.mgrid[:64, :64]
    waves = [128 + 100 * np.sin((x + 2 * t) / 9) * np.cos((y - t) / 7) for t in range(60)]
    clip = np.repeat(np.stack(waves).astype(np.uint8)[..., None], 3, axis=-1)
    content = write_video(path, clip, codec="libx264", rate=20, key_frames=20).read_bytes()
    table = content.index(b"stss") + 8
    assert struct.unpack_from(">4I", content, table) == (3, 1, 21, 41)
    path.write_bytes(content[: table + 8] + struct.pack(">2I", 27, 47) + content[table + 16 :])
    return path


@pytest.mark.parametrize("kind", ["made", real])
def test_key_frames_that_lie_do_no_harm(kind, tmp_path):
    path, count, firsts = REAL / "clips" / "imageio_cockatoo.mp4", 280, (77, 160)
    if kind == "made":
        path, count, firsts = lying(tmp_path / "a.mp4"), 60, (28, 35, 48)
    everything = frames(path)
    assert len(everything) == count
    for first in firsts:
        np.testing.assert_array_equal(frames(path, start=first / 20), everything[first:])
