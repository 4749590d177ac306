"""The sound of clips: cut in time as their pictures are, and what becomes of clips without it."""

import dataclasses
import json
import os

import numpy as np
import pytest
import xarray as xr

from rolling.common.errors import InputError
from rolling.configs.clips_with_sound import experiment as preset
from rolling.data import cache
from rolling.data.clips.collections import ArrayFiles, Kinetics
from rolling.data.clips.protocol import BadClip, Picture
from rolling.data.clips.source import Clips
from rolling.data.clips.tracks.audio import read_sound
from rolling.data.clips.tracks.clips_with_sound import ClipsWithSound
from rolling.data.clips.tracks.sound_store import DESCRIPTION, INDEX
from rolling.data.clips.tracks.sound_tracks import SoundTracks
from rolling.data.source import WithGaps
from rolling.data.statistics import measure
from rolling.data.together import NamedSource, Together
from rolling.metrics.ensemble import Rmse
from rolling.run import commands
from rolling.run.experiment import codec
from rolling.sound import audible, waveform
from rolling.windows import Ahead, Rolling
from tests.clip_tools import write_film
from tests.run_tools import thin_towers

pytest.importorskip("av")
RATE, SOURCE = 16_000, 48_000
PICTURE = Picture(height=8, width=8, rate=10.0)


def click(at, seconds=2.0, channels=1, source=SOURCE):
    """A short sound `at` a time, of 2 ms."""
    sound = np.zeros((channels, round(seconds * source)))
    sound[:, round(at * source) : round((at + 0.002) * source)] = 0.8
    return sound


def tone(frequency, seconds=2.0, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * SOURCE)) / SOURCE)[None]


def begin(samples):
    """The time of the first loud sample."""
    assert np.abs(samples).max() > 0.3
    return np.argmax(np.abs(samples) > 0.3) / RATE


def pitch(samples):
    return np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples)


# One file.


@pytest.mark.parametrize(
    ("kind", "codec"),
    [
        ("mkv", "pcm_s16le"),
        ("mkv", "flac"),
        ("mkv", "libopus"),
        ("mp4", "aac"),
        ("mkv", "aac"),
        ("ts", "aac"),
    ],
)
def test_a_click_is_heard_when_it_sounds(tmp_path, kind, codec):
    for source in (SOURCE, 44_100) if codec != "libopus" else (SOURCE,):
        sound = click(0.7, source=source)
        path = write_film(tmp_path / f"{source}.{kind}", sound, codec=codec, samples=source)
        found = read_sound(path, RATE, 2 * RATE)
        assert (found.known, found.fault, found.several) == (2 * RATE, "", False)
        assert begin(found.samples) == pytest.approx(0.7, abs=0.002)
        quiet = found.samples[: round(0.65 * RATE)]
        assert np.abs(quiet).max() < 0.02


def test_time_counts_from_the_first_picture(tmp_path):
    path = write_film(tmp_path / "a.mkv", click(0.7), first_picture=0.25)
    assert begin(read_sound(path, RATE, RATE).samples) == pytest.approx(0.45, abs=0.001)
    assert begin(read_sound(path, RATE, RATE, start=0.2).samples) == pytest.approx(0.25, abs=0.001)


def test_silence_where_a_track_begins_late_or_ends_early(tmp_path):
    path = write_film(tmp_path / "a.mkv", tone(500, 0.5), late=0.75)
    found = read_sound(path, RATE, 2 * RATE)
    assert found.known == 2 * RATE and not found.fault
    loud = np.abs(found.samples) > 0.05
    assert np.argmax(loud) / RATE == pytest.approx(0.75, abs=0.002)
    assert (len(loud) - np.argmax(loud[::-1])) / RATE == pytest.approx(1.25, abs=0.003)
    assert not found.samples[: round(0.74 * RATE)].any() and not found.samples[round(1.26 * RATE) :].any()


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_channels_are_mixed_without_becoming_louder(tmp_path, layout):
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    sound = np.repeat(tone(440, amplitude=0.9), channels, axis=0)
    path = write_film(tmp_path / "a.mkv", sound, layout=layout, codec="flac")
    samples = read_sound(path, RATE, 2 * RATE).samples[RATE // 2 : RATE]
    assert pitch(samples) == pytest.approx(440, abs=3)
    assert np.abs(samples).max() == pytest.approx(0.9, rel=0.02)


def test_of_several_tracks_the_first(tmp_path):
    path = write_film(tmp_path / "a.mkv", tone(440), tone(3000))
    found = read_sound(path, RATE, 2 * RATE)
    assert found.several and pitch(found.samples) == pytest.approx(440, abs=3)


def test_files_without_sound(tmp_path):
    silent = write_film(tmp_path / "a.mkv")
    for path, why in (
        (silent, "it has no sound"),
        (tmp_path / "b.mkv", "the file is missing"),
        (
            write_film(tmp_path / "c.mkv", np.zeros((1, 4000)), samples=1000),
            "1000 samples a second, not 4000",
        ),
    ):
        with pytest.raises(BadClip, match=why):
            read_sound(path, RATE, RATE)


def broken(path):
    """Damages a film from the middle on; of its sound, flac, every block has a checksum."""
    data = bytearray(path.read_bytes())
    at = 3 * len(data) // 5
    data[at : at + 30_000] = bytes(30_000)
    path.write_bytes(data)
    return path


def noisy(path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 2 * SOURCE))
    return write_film(path, noise, codec="flac")


def test_damaged_sound_is_known_up_to_the_damage(tmp_path):
    path = noisy(tmp_path / "a.mkv")
    whole = read_sound(path, RATE, 2 * RATE)
    found = read_sound(broken(path), RATE, 2 * RATE)
    assert whole.known == 2 * RATE and found.fault.startswith("its sound cannot be decoded: Invalid data")
    assert RATE < found.known < 2 * RATE and not found.samples[found.known :].any()
    np.testing.assert_allclose(
        found.samples[: found.known - 100], whole.samples[: found.known - 100], atol=1e-4
    )


@pytest.mark.parametrize("seed", range(6))
def test_files_with_random_damage_are_read_or_refused(tmp_path, seed):
    rng = np.random.default_rng(seed)
    codec, kind = (("aac", "mp4"), ("flac", "mkv"), ("libopus", "mkv"))[seed % 3]
    path = write_film(tmp_path / f"a.{kind}", tone(440) + click(0.3), codec=codec)
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    data[rng.integers(0, len(data), 60)] = rng.integers(0, 256, 60)
    path.write_bytes(data.tobytes()[: len(data) if seed < 3 else len(data) // 2])
    try:
        found = read_sound(path, RATE, 2 * RATE)
    except InputError:
        return
    assert found.samples.shape == (2 * RATE,) and np.isfinite(found.samples).all()
    assert 0 < found.known <= 2 * RATE and np.abs(found.samples).max() <= 1


# A folder.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight films, clip `i` with a click at `0.3 + 0.15 i`; the last two are for the test part. One of each
    part has no sound."""
    place = tmp_path_factory.mktemp("films")
    for i in range(6):
        write_film(place / "train" / f"{i}.mkv", *([click(0.3 + 0.15 * i)] if i != 4 else []))
    for i in range(6, 9):
        write_film(place / "test" / f"{i}.mkv", *([click(0.3 + 0.15 * i)] if i != 7 else []))
    return place


def source(folder, place, **changes):
    clips = Clips(path=str(folder), picture=PICTURE, workers=0, cache=str(place), labelled=False)
    return SoundTracks(**({"clips": clips, "rate": RATE, "per_frame": 4} | changes))


@pytest.fixture(scope="module")
def opened(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("cache")
    return source(folder, place), source(folder, place).open()


def test_frames_are_those_of_the_clips(opened):
    tracks, split = opened
    assert tracks.layout() == split.train.layout and audible(split.train.layout)
    assert split.train.layout.shape == (400, 1) and split.train.layout.step == 0.025
    pictures = tracks.clips.open()
    for part, own in ((split.train, pictures.train), (split.test, pictures.test)):
        assert isinstance(part, WithGaps) and len(part) == len(own)
        for i in range(len(own)):
            assert part.name(i) == own.name(i) and part.length(i) == 4 * own.length(i)
            number = int(own.name(i).split("/")[1][:-4])
            there = part.present(i, 0, part.length(i))
            frames = part.read(i, 0, part.length(i))
            if number in (4, 7):
                assert not there.any() and not frames.any()
                continue
            assert there.all() and frames.dtype == np.float32
            samples, rate = waveform(part.layout, frames)
            at = 0.3 + 0.15 * number
            assert rate == RATE and begin(samples) == pytest.approx(at, abs=0.001)
            loudest = int(np.square(np.expm1(np.abs(frames))).sum((1, 2)).argmax())
            assert abs(loudest - int(at / 0.025)) <= 1
            np.testing.assert_array_equal(part.read(i, 8, 13), frames[8:13])
    assert any("without all of its sound: 2 clips (it has no sound): " in told for told in split.notices)


def test_statistics_are_those_of_clips_with_sound(opened):
    _, split = opened
    train = split.train
    frames = [train.read(i, 0, train.length(i)) for i in range(len(train)) if train.present(i, 0, 1)[0]]
    assert len(frames) == 5
    values = np.concatenate(frames).astype(np.float64)
    found = measure(train)
    np.testing.assert_allclose(found.mean, values.mean(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.std, values.std(), rtol=1e-5)


def test_pictures_and_sound_are_joined(folder, opened, tmp_path):
    tracks, _ = opened
    clips = ClipsWithSound(clips=tracks.clips, rate=RATE)
    joint = clips.open()
    assert joint.train.layout.every == {"video": 4, "sound": 1}
    assert clips.layout() == joint.train.layout
    named = dataclasses.replace(clips, path=str(folder), clips=dataclasses.replace(tracks.clips, path=""))
    assert named.source_of("sound") == tracks
    assert (len(joint.train), len(joint.test)) == (6, 2)
    assert joint.train.with_gaps == ("sound",) and joint.test.with_gaps == ()
    assert any("1 of 3 joined sequences are left out, as frames of sound" in told for told in joint.notices)
    for i in range(2):
        at = 0.3 + 0.15 * int(joint.test.name(i).split("/")[1][:-4])
        start = int(at / 0.1) * 4 - 4  # from the picture before that of the click
        frames = joint.test.read(i, start, start + 12)
        assert frames["video"].shape == (3, 8, 8, 3)
        heard, _ = waveform(joint.test.layout.of["sound"], frames["sound"])
        assert start * 0.025 + begin(heard) == pytest.approx(at, abs=0.001)
    parts = (NamedSource(name="video", source=tracks.clips), NamedSource(name="sound", source=tracks))
    assert len(Together(parts=parts).open().train) == 6
    assert clips.source_of("sound") == tracks and clips.source_of("video") == tracks.clips
    assert codec.decode(codec.encode(clips), where="here") == clips


def test_the_store_is_made_once_by_any_number_of_processes(folder, opened, tmp_path):
    tracks, split = opened
    written = {path: path.stat().st_mtime_ns for path in split.train.path.iterdir()}
    tracks.open()
    assert written == {path: path.stat().st_mtime_ns for path in split.train.path.iterdir()}
    other = dataclasses.replace(
        tracks, clips=dataclasses.replace(tracks.clips, cache=str(tmp_path), workers=2)
    )
    path = other.open().train.path
    assert sorted(p.name for p in path.iterdir()) == sorted(p.name for p in written)
    for file in written:
        if file.suffix == ".npy":
            assert (path / file.name).read_bytes() == file.read_bytes()


def test_damage_to_the_store_is_found(folder, tmp_path):
    tracks = source(folder, tmp_path)
    split = tracks.open()
    path = split.train.path
    shard = max((p for p in path.glob("sound-*.npy")), key=lambda p: p.stat().st_size)
    whole = shard.read_bytes()
    data = bytearray(whole)
    data[-5] ^= 1
    shard.write_bytes(data)
    again = tracks.open()
    with pytest.raises(InputError, match="is damaged, as it is not what was written"):
        for part in (again.train, again.test):
            for i in range(len(part)):
                part.read(i, 0, 4)
    shard.write_bytes(whole[:-8])  # it is made again
    assert tracks.open().train.read(0, 0, 4).shape == (4, 400, 1)
    assert shard.read_bytes() == whole
    for name in (INDEX, DESCRIPTION):
        (path / name).write_bytes(b"{}")
        tracks.open()
        assert json.loads((path / DESCRIPTION).read_text())["rate"] == RATE


def test_cuts_of_one_film(tmp_path):
    """Kinetics cuts films that are named by their id alone, and whose sound is cut with them."""
    place = tmp_path / "films"
    for name, at in (("aaaaaaaaaaa", 1.4), ("bbbbbbbbbbb", 1.2), ("ccccccccccc", 1.7)):
        write_film(place / f"{name}.mkv", click(at, 3.0), pictures=30)
    rows = ["label,youtube_id,time_start,time_end,split"]
    rows += ["x,aaaaaaaaaaa,1,2,train", "x,bbbbbbbbbbb,1,3,train", "x,ccccccccccc,1,2,test"]
    (place / "list.csv").write_text("\n".join(rows) + "\n")
    clips = Clips(
        path=str(place), collection=Kinetics(), picture=PICTURE, workers=0, cache=str(tmp_path / "c")
    )
    split = SoundTracks(clips=clips, rate=RATE).open()
    found = {}
    for part in (split.train, split.test):
        for i in range(len(part)):
            samples, _ = waveform(part.layout, part.read(i, 0, part.length(i)))
            found[part.name(i)[0]] = (len(samples) / RATE, round(begin(samples), 2))
    assert found == {"a": (1.0, 0.4), "b": (2.0, 0.2), "c": (1.0, 0.7)}
    with open(place / "list.csv", "a") as file:
        file.write("x,aaaaaaaaaaa,2,3,train\n")
    with pytest.raises(
        InputError, match=r"2 clips are cut from aaaaaaaaaaa\.mkv, and sound finds its pictures"
    ):
        SoundTracks(clips=clips, rate=RATE).open()


def test_damaged_and_several_tracks_are_told(tmp_path):
    place = tmp_path / "films"
    for i in range(3):
        write_film(place / f"{i}.mkv", tone(440 + 100 * i), *([tone(900)] if i == 1 else []))
    for i in range(3):  # of other lengths, so that none is a copy
        write_film(place / f"silent{i}.mkv", pictures=10 + i)
    broken(noisy(place / "noisy.mkv"))
    split = source(place, tmp_path / "c").open()
    part, i = next(
        (part, i)
        for part in (split.train, split.test)
        for i in range(len(part))
        if part.name(i) == "noisy.mkv"
    )
    there, frames = part.present(i, 0, part.length(i)), part.read(i, 0, part.length(i))
    count = int(there.sum())
    assert 0 < count < part.length(i) and there[:count].all()
    assert frames[:count].any(axis=(1, 2)).all() and not frames[count:].any()
    told = " ".join(split.notices)
    assert (
        "without all of its sound: 3 clips (it has no sound): silent0.mkv, silent1.mkv, silent2.mkv" in told
    )
    assert "of several tracks one is used: 1 clip: 1.mkv" in told
    assert "Invalid data found when processing input, and is missing from there on): noisy.mkv" in told


# What cannot be read.


def test_rates_are_whole_multiples(tmp_path):
    def tracks(pictures, **changes):
        return source(
            tmp_path, tmp_path, clips=Clips(picture=dataclasses.replace(PICTURE, rate=pictures)), **changes
        )

    assert tracks(25.0).layout().shape == (160, 1)
    assert tracks(30.0, rate=15_360).layout().step == pytest.approx(1 / 120)
    for pictures, would in ((15.0, 15_960), (29.97, 17_982), (24.0, 15_936)):
        with pytest.raises(
            InputError, match=f"16000 samples a second are no even .* a rate of {would} would do"
        ):
            tracks(pictures).layout()
        assert tracks(pictures, rate=would).layout().step == pytest.approx(1 / (4 * pictures), rel=1e-6)
    with pytest.raises(InputError, match="choose another rate of pictures"):
        tracks(30_000 / 1001).layout()
    with pytest.raises(InputError, match="without a rate they have none"):
        tracks(None).layout()
    for changes, why in (
        ({"per_frame": 0}, "per_frame must be at least 1"),
        ({"rate": 10}, "of 1000 to 192000 Hz"),
    ):
        with pytest.raises(InputError, match=why):
            tracks(10.0, **changes)


def test_rates_are_refused_before_anything_is_prepared(folder, tmp_path):
    tracks = source(folder, tmp_path)
    with pytest.raises(InputError, match="a rate of 16000 would do"):
        ClipsWithSound(clips=tracks.clips, rate=16_020).open()
    assert not list(tmp_path.iterdir())


def test_only_videos_have_sound(folder, opened, tmp_path):
    tracks, _ = opened
    arrays = dataclasses.replace(tracks.clips, collection=ArrayFiles())
    with pytest.raises(InputError, match="clips of ArrayFiles have no sound: choose a collection of videos"):
        dataclasses.replace(tracks, clips=arrays).open()
    store = tracks.clips.open().train.path
    prepared = dataclasses.replace(tracks.clips, path=str(store))
    with pytest.raises(InputError, match="holds prepared pictures, and sound is read from the videos"):
        dataclasses.replace(tracks, clips=prepared).open()


def test_stores_of_earlier_versions_do_not_say_where_clips_begin(opened, monkeypatch):
    tracks, _ = opened
    from rolling.data.clips.store.reader import Prepared

    monkeypatch.setattr(Prepared, "starts_known", False)
    with pytest.raises(InputError, match="prepared by an earlier version"):
        tracks.open()


def test_the_cache_is_named_by_what_is_read(opened, folder, tmp_path):
    tracks, split = opened
    assert split.train.path.parent == cache.folder(tracks.clips.cache)
    other = dataclasses.replace(tracks, per_frame=2)
    assert other.open().train.path != split.train.path
    assert os.path.basename(split.train.path).startswith("sound-")


# A run.


@pytest.mark.slow
def test_the_preset_makes_video_from_sound_and_sound_from_video(folder, tmp_path):
    experiment = dataclasses.replace(
        preset,
        source=ClipsWithSound(
            path=str(folder),
            clips=Clips(picture=PICTURE, workers=0, cache=str(tmp_path)),
            rate=1280,
            per_frame=2,
        ),
        network=thin_towers(preset.network, patch=4),
        window=Ahead(inner=Rolling(size=12, context=4, block=2), ahead=4),
        calls_per_frame=0.5,
        training=dataclasses.replace(preset.training, steps=3, batch=4),
        forecast=dataclasses.replace(preset.forecast, starts=2, members=1, frames=8, batch=2, chunk=8),
        metrics=(Rmse(),),
    )
    run = tmp_path / "run"
    commands.run(experiment, run)
    with xr.open_datatree(run / "forecast.zarr", engine="zarr") as stored:
        assert stored["video"].to_dataset().sizes["prediction_timedelta"] == 4
        frames = stored["sound"].to_dataset().mdct.isel(start=0, number=0).values
    layout = experiment.source.layout().of["sound"]
    assert frames.shape == (8, 64) and np.isfinite(frames).all()
    samples, rate = waveform(layout, frames[..., None])
    assert rate == 1280 and samples.shape == (8 * 64,)
    for given, made in (("video", "sound"), ("sound", "video")):
        store = run / f"forecast-given-{given}.zarr"
        assert [path.name for path in store.iterdir() if path.is_dir()] == [made]
        (score,) = json.loads((run / f"evaluation-given-{given}-{made}.json").read_text())["rmse"].values()
        assert np.isfinite(score["model"]).all()
