"""Clips from anywhere, scored against real ones: what pairs up, how it is scored, what is told of."""

import json
import re
import sys

import numpy as np
import pytest
from PIL import Image

from rolling.data.clips.collections.detect import collection_at as collection, is_compressed
from rolling.data.clips.collections.pairs import paired
from rolling.data.clips.protocol import Entry, Picture
from rolling.data.clips.store.prepare import prepare
from rolling.layout import video
from rolling.run.cli import main
from rolling.run.forecasting.init_times import InitTime
from rolling.run.forecasting.zarr_writer import ForecastStore, skeleton
from rolling.video.metrics.projection import ProjectionFrechetDistance
from rolling.video.metrics.spectral_power import SpectralFrechetDistance, SpectralPower

COUNT, FRAMES, SIZE = 9, 6, 16


@pytest.fixture(autouse=True)
def no_weights(monkeypatch):
    """FVD is left out, whatever lies on this machine."""
    monkeypatch.delenv("ROLLING_I3D_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def real():
    """Smooth pictures that move: `[n, t, h, w, c]`."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (COUNT, 1, SIZE // 4, SIZE // 4, 3), np.uint8)
    still = coarse.repeat(4, axis=2).repeat(4, axis=3)[:, 0]
    return np.stack([np.roll(still, time, axis=2) for time in range(FRAMES + 1)], axis=1)


@pytest.fixture(scope="module")
def fakes(real):
    """Three samples of each: `[k, n, t, h, w, c]`."""
    noise = np.random.default_rng(1).normal(0, [[10.0], [20.0], [15.0]], (3, real.size))
    return np.clip(np.rint(real + noise.reshape(3, *real.shape)), 0, 255).astype(np.uint8)


def evaluate(real, fake, *options):
    words = ["evaluate", "--real", str(real), "--fake", str(fake), "--frames", str(FRAMES), *options]
    return main(list(map(str, words)))


def scored(folder, real, fake, *options):
    output = folder / "scores.json"
    assert evaluate(real, fake, "--output", output, *options) == 0
    return json.loads(output.read_text())


def write_video(path, frames, codec="libx264", pixels="yuv444p"):
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pixels
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write_pictures(folder, frames):
    folder.mkdir(parents=True)
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{i:03d}.png")


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def psnr(x, y):
    return 10 * np.log10(255**2 / np.mean((x.astype(float) - y) ** 2, axis=(-3, -2, -1)))


# Names.


def names(*found):
    return [Entry(name=name) for name in found]


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        (["a.mp4", "b.mp4"], ["b.avi", "a.avi"], [["a.avi"], ["b.avi"]]),
        (["a.mp4", "b.mp4", "c.mp4"], ["b.mp4", "c.mp4"], [["b.mp4"], ["c.mp4"]]),
        (["walk/a.mp4"], ["walk/a.npy/frames"], [["walk/a.npy/frames"]]),
        (["a", "b"], ["0/a", "0/b", "1/a", "1/b"], [["0/a", "1/a"], ["0/b", "1/b"]]),
        (["a.npy/frames"], ["a/0.mp4", "a/1.mp4"], [["a/0.mp4", "a/1.mp4"]]),
        (
            ["x.npy/frames[0]", "x.npy/frames[1]"],
            ["y.npz/arr_0[0]", "y.npz/arr_0[1]"],
            [["y.npz/arr_0[0]"], ["y.npz/arr_0[1]"]],
        ),
        (
            ["x.npy/frames[0]", "x.npy/frames[1]"],
            ["s0.npy/frames[0]", "s0.npy/frames[1]", "s1.npy/frames[0]", "s1.npy/frames[1]"],
            [["s0.npy/frames[0]", "s1.npy/frames[0]"], ["s0.npy/frames[1]", "s1.npy/frames[1]"]],
        ),
        (["v1.x", "v1.y"], ["v1.x/0", "v1.y/0"], [["v1.x/0"], ["v1.y/0"]]),
        (["a.mp4"], ["a.mp4", "b.mp4"], []),  # one without a real clip
        (["a.mp4", "a.avi"], ["a.mp4"], []),  # a name that stands for two
        (["a", "b"], ["a/0", "a/1", "b/0"], []),  # more samples of one than of another
    ],
)
def test_clips_pair_up_by_name(real, fake, expected):
    found = paired(names(*real), names(*fake))
    assert [[entry.name for entry in pair.fakes] for pair in found] == expected


# Scores.


def test_forecasts_are_scored_against_the_lead(tmp_path, real, fakes, capsys):
    save(tmp_path / "real.npy", real)
    for k, fake in enumerate(fakes):
        save(tmp_path / "fake" / f"sample{k}.npy", fake)
    found = scored(tmp_path, tmp_path / "real.npy", tmp_path / "fake", "--given", 2)
    assert found["clips"] == {"real": COUNT, "fake": 3 * COUNT} and found["members"] == 3
    expected = psnr(fakes, real)[:, :, 2:FRAMES]
    scores = found["scores"]
    assert scores["psnr"]["frame"]["leads"] == [1, 2, 3, 4]
    np.testing.assert_allclose(scores["psnr"]["frame"]["model"], expected.mean(axis=(0, 1)))
    best = [expected[expected[:, n].mean(axis=1).argmax(), n] for n in range(COUNT)]
    np.testing.assert_allclose(scores["best_psnr"]["frame"]["model"], np.mean(best, axis=0))
    repeated = psnr(real[:, 1:2], real[:, 2:FRAMES]).mean(axis=0)
    np.testing.assert_allclose(scores["psnr"]["frame"]["persistence"], repeated)
    assert {"crps", "spread_skill_ratio", "ssim", "best_ssim", "rmse"} <= set(scores)
    # The clips of a set begin with the frames given, which are the real ones.
    whole = np.concatenate([np.broadcast_to(real[:, :2], (3, *real[:, :2].shape)), fakes[:, :, 2:FRAMES]], 2)
    expected = apart(real[:, :FRAMES], whole.reshape(-1, *whole.shape[2:]))
    assert scores["spectral_frechet_distance"]["clips"]["model"] == pytest.approx([expected])
    shown = capsys.readouterr().out
    assert "27 fake clips against 9 real ones" in shown and "best_psnr" in shown and "repeated" in shown


def apart(real, fake):
    features = [SpectralPower()(clips.astype(np.float32)) for clips in (real, fake)]
    return SpectralFrechetDistance(frames=FRAMES).between(*features)[0].values[0]


def test_sets_without_common_names_are_compared_as_sets(tmp_path, real, fakes, capsys):
    save(tmp_path / "real.npy", real)
    save(tmp_path / "fake.npy", fakes[0, :5])
    save(tmp_path / "more" / "a.npy", fakes[1, :4])
    save(tmp_path / "more" / "b.npy", fakes[1, 4:])
    found = scored(tmp_path, tmp_path / "more", tmp_path / "fake.npy")
    assert found["members"] == 0 and found["clips"] == {"real": COUNT, "fake": 5}
    assert set(found["scores"]) == {"spectral_frechet_distance", "projection_frechet_distance"}
    value = found["scores"]["spectral_frechet_distance"]["clips"]["model"]
    assert value == pytest.approx([apart(fakes[1, :, :FRAMES], fakes[0, :5, :FRAMES])])
    assert "do not pair up" in capsys.readouterr().out


def test_the_same_clips_score_the_same_in_every_form(tmp_path, real, fakes):
    save(tmp_path / "real.npy", real)
    for name, clip in zip("abcdefghi", fakes[0], strict=True):
        write_pictures(tmp_path / "pictures" / name, clip)
        write_video(tmp_path / "videos" / f"{name}.mkv", clip, "ffv1", "bgr0")
        save(tmp_path / "arrays" / f"{name}.npy", clip)
    for name, clip in zip("abcdefghi", real, strict=True):
        write_pictures(tmp_path / "truth" / name, clip)
    expected = psnr(fakes[0], real)[:, :FRAMES].mean(axis=0)
    for form in ("pictures", "videos", "arrays"):
        found = scored(tmp_path, tmp_path / "truth", tmp_path / form)
        np.testing.assert_allclose(found["scores"]["psnr"]["frame"]["model"], expected, err_msg=form)


def test_arrays_of_other_scales(tmp_path, real, fakes):
    save(tmp_path / "real.npy", real / np.float32(255))
    save(tmp_path / "fake.npy", fakes[0] / np.float32(127.5) - 1)
    scales = ("--real-scale", "unit", "--fake-scale", "signed")
    found = scored(tmp_path, tmp_path / "real.npy", tmp_path / "fake.npy", *scales)
    expected = psnr(fakes[0], real)[:, :FRAMES].mean(axis=0)
    np.testing.assert_allclose(found["scores"]["psnr"]["frame"]["model"], expected)


def test_pictures_of_other_sizes_are_brought_to_one(tmp_path, real, fakes, capsys):
    save(tmp_path / "real.npy", real.repeat(2, axis=2).repeat(2, axis=3))
    save(tmp_path / "fake.npy", fakes[0])
    assert evaluate(tmp_path / "real.npy", tmp_path / "fake.npy") == 2
    assert "16 x 16" in (told := capsys.readouterr().err) and "32 x 32" in told and "--size" in told
    size = ("--size", SIZE, SIZE)
    found = scored(tmp_path, tmp_path / "real.npy", tmp_path / "fake.npy", *size)
    expected = psnr(fakes[0], real)[:, :FRAMES].mean(axis=0)
    np.testing.assert_allclose(found["scores"]["psnr"]["frame"]["model"], expected)


# Stores of ours.


def test_a_forecast_store_is_read_member_by_member(tmp_path, real, fakes):
    layout = video(SIZE, SIZE)
    store = ForecastStore(tmp_path / "run" / "forecast.zarr", layout, {"run": "ours"})
    starts = [InitTime(sequence=i, frame=1) for i in range(COUNT)]
    store.create(skeleton(layout, np.zeros(COUNT), np.zeros((COUNT, FRAMES + 1)), starts, 3), FRAMES + 1)
    for member, clips in enumerate(fakes):
        for start, clip in enumerate(clips):
            store.write(start, member, 0, clip.astype(np.float32))
    for i, clip in enumerate(real):
        save(tmp_path / "real" / f"{i:05d}.npy", clip)
    assert evaluate(tmp_path / "real", tmp_path / "run") == 2  # not finished
    store.complete()
    found = scored(tmp_path, tmp_path / "real", tmp_path / "run")
    assert found["members"] == 3
    expected = psnr(fakes, real)[:, :, :FRAMES].mean(axis=(0, 1))
    np.testing.assert_allclose(found["scores"]["psnr"]["frame"]["model"], expected)


def test_a_prepared_store_gives_its_test_part(tmp_path, real):
    for i, clip in enumerate(real):
        save(tmp_path / "raw" / ("train" if i < 5 else "test") / f"{i}.npy", clip)
    arrays = collection(str(tmp_path / "raw"))
    store = tmp_path / "store"
    store.mkdir()
    prepare(store, arrays, arrays.entries(), Picture(height=SIZE, width=SIZE), workers=0)
    found = scored(tmp_path, store, store)
    assert found["clips"] == {"real": 4, "fake": 4}
    assert found["scores"]["psnr"]["frame"]["model"] == [100] * FRAMES


# What is told.


def test_compressed_files_are_warned_of_once(tmp_path, real, capsys):
    for name, clip in zip("abc", real, strict=False):
        write_video(tmp_path / "lossy" / f"{name}.mp4", clip)
        write_video(tmp_path / "lossless" / f"{name}.mkv", clip, "ffv1", "bgr0")
    assert evaluate(tmp_path / "lossy", tmp_path / "lossy") == 0
    assert capsys.readouterr().err.count("measured on compressed files") == 1
    assert evaluate(tmp_path / "lossless", tmp_path / "lossless") == 0
    assert "measured on" not in capsys.readouterr().err


def test_videos_without_their_library_are_told_of(tmp_path, real, capsys, monkeypatch):
    write_video(tmp_path / "a.mp4", real[0])
    monkeypatch.setitem(sys.modules, "av", None)
    assert evaluate(tmp_path, tmp_path) == 2
    assert "PyAV" in capsys.readouterr().err


def test_pictures_in_jpeg_are_compressed(tmp_path, real):
    (tmp_path / "a").mkdir()
    Image.fromarray(real[0, 0]).save(tmp_path / "a" / "0.jpg")
    frames = collection(str(tmp_path))
    assert is_compressed(frames, frames.entries()[0])


def test_clips_that_cannot_be_used_are_left_out_and_told_of(tmp_path, real, fakes, capsys):
    for i in range(4):
        save(tmp_path / "real" / f"{i}.npy", real[i])
        save(tmp_path / "fake" / f"{i}.npy", fakes[0, i, : 3 if i == 1 else None])
    (tmp_path / "fake" / "2.npy").write_bytes(b"nothing")
    found = scored(tmp_path, tmp_path / "real", tmp_path / "fake")
    told = capsys.readouterr().err
    assert f"3 frames, and {FRAMES} are compared" in told and "fake: 2 clips, such as" in told
    assert len(found["skipped"][str(tmp_path / "fake")]) == 2
    expected = psnr(fakes[0], real)[[0, 3], :FRAMES].mean(axis=0)
    np.testing.assert_allclose(found["scores"]["psnr"]["frame"]["model"], expected)
    assert found["clips"] == {"real": 2, "fake": 2}


def fewer(folder, real):
    return save(folder / "real.npy", real), save(folder / "fake" / "b.npy", real[0])


def short(folder, real):
    return save(folder / "real.npy", real[:, :3]), save(folder / "fake.npy", real[:, :3])


def empty(folder, real):
    (folder / "none").mkdir()
    return save(folder / "real.npy", real), folder / "none"


def missing(folder, real):
    return folder / "nowhere", save(folder / "fake.npy", real)


def unnamed(folder, real):
    return save(folder / "real.npy", real), ""


@pytest.mark.parametrize(
    ("make", "options", "told"),
    [
        (fewer, (), r"too few clips in .*fake/b.npy: 1 can be used"),
        (short, (), r"too few clips.*0 can be used \(real.npy.*it has 3 frames"),
        (empty, (), r"there are no clips in .*none"),
        (missing, (), r"there is no .*nowhere"),
        (unnamed, (), r"give --real FOLDER and --fake FOLDER"),
        (missing, ("--given", "6"), r"--given .*below --frames, 6, not 6"),
        (missing, ("--size", "64", "0"), r"--size is a height and a width"),
        (missing, ("--output", "no/such/scores.json"), r"no folder no/such for --output"),
        (missing, ("--given", "many"), r"given"),
        (missing, ("--gven", "2"), r"--given"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_sentence(tmp_path, real, capsys, make, options, told):
    assert evaluate(*make(tmp_path, real), *options) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rolling:")]
    assert len(lines) == 1
    assert re.search(told, lines[0]), lines[0]


def test_the_order_of_clips_does_not_matter_to_sets(real, fakes):
    metric = ProjectionFrechetDistance(frames=FRAMES)
    space = metric.space(video(SIZE, SIZE))
    a, b = (space(clips[:, :FRAMES].astype(np.float32)) for clips in (real, fakes[0]))
    (first, *_), (again, *_) = metric.between(a, b), metric.between(a, b[::-1])
    assert first.values == pytest.approx(again.values)


MISTAKES = {
    "identical": lambda x: x,
    r"3\d\.\d dB .*they differ about as codecs": lambda x: np.clip(x + NOISE, 0, 255),
    r"[12]\d\.\d dB .*do not agree, but do with fake clips that begin a frame later, at inf": lambda x: (
        np.roll(x, -1, axis=1)
    ),
    "but do with fake clips that begin a frame earlier, at inf dB": lambda x: np.roll(x, 1, axis=1),
    r"but do with red and blue exchanged \(BGR\), at inf dB": lambda x: x[..., ::-1],
    r"but do with fake clips of the range 16 to 235, at [45]\d\.": lambda x: x * (219 / 255) + 16,
    r"dB in luma: they differ in colour": lambda x: x + CHROMA * 20,
    r"\d\.\d dB .*do not agree, so other clips": lambda x: 255 - x,
}
NOISE = np.random.default_rng(2).normal(0, 4, (COUNT, FRAMES + 1, SIZE, SIZE, 3))
CHROMA = np.array([1.0, -0.299 / 0.587, 0.0])  # no luma


@pytest.mark.parametrize("says", MISTAKES)
def test_whether_the_given_frames_agree_is_told(tmp_path, real, capsys, says):
    calm = 40 + real // 2  # room for what is added
    save(tmp_path / "real.npy", calm)
    wrong = np.clip(np.rint(MISTAKES[says](calm.astype(float))), 0, 255).astype(np.uint8)
    save(tmp_path / "fake.npy", wrong)
    found = scored(tmp_path, tmp_path / "real.npy", tmp_path / "fake.npy", "--given", 3)
    assert re.search(says, found["given_frames"]), found["given_frames"]
    assert found["given_frames"] == capsys.readouterr().out.splitlines()[1]
