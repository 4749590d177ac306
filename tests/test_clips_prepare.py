"""The prepared store: what is in it, and that neither kills nor numbers of processes change a byte."""

import dataclasses
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data import cache, conditions
from rolling.data.clips.protocol import TEST, TRAIN, UNSPECIFIED, BadClip, Entry, Picture
from rolling.data.clips.source import Clips
from rolling.data.clips.split import hash_fraction, split_entries
from rolling.data.clips.store.prepare import prepare
from rolling.data.clips.store.reader import DESCRIPTION, open_store
from rolling.data.clips.store.shards import Task, is_written, write_shard
from rolling.data.pipeline import clips
from rolling.data.source import Sequences, Source, Stored
from rolling.data.statistics import Measured, measure
from tests.clip_tools import Made, levels, write_video

PICTURE = Picture(height=8, width=12, colour=False)


def stored(folder: Path, made: Made, workers: int = 0, **settings):
    folder.mkdir(exist_ok=True)
    prepare(folder, made, made.entries(), PICTURE, workers=workers, **settings)
    return open_store(folder)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FromLists(Made):
    """Its blocks come from an iterator that, unlike a generator, cannot be closed."""

    def read(self, entry, picture):
        return iter(list(super().read(entry, picture)))


def test_any_iterator_of_blocks_is_prepared(tmp_path):
    stored(tmp_path / "a", Made())
    stored(tmp_path / "b", FromLists())
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_a_store_holds_what_was_read(tmp_path):
    made = Made(actions=2, tokens=4)
    split = stored(tmp_path / "a", made)
    assert (len(split.train), len(split.test), split.skipped) == (9, 3, ())
    for protocol in (Sequences, Measured, Stored):
        assert isinstance(split.train, protocol)
    layout = split.train.layout
    assert layout.is_video and layout.shape == (8, 12, 1)
    assert (layout.labels, layout.actions, layout.tokens) == (("a", "b"), 2, 4)
    entries = made.entries()
    for part, name in ((split.train, TRAIN), (split.test, TEST)):
        chosen = [e for e in entries if e.split == name]
        for index, entry in enumerate(chosen):
            blocks = list(made.read(entry, PICTURE))
            frames = np.concatenate([b.frames for b in blocks])
            assert part.length(index) == 15 and part.name(index) == entry.name
            read = part.read(index, 2, 9)
            assert read.dtype == np.float32
            np.testing.assert_array_equal(read, frames[2:9])
            np.testing.assert_array_equal(part.raw(index, 0, 15), frames)
            told = part.conditioning(index, 2, 9)
            np.testing.assert_array_equal(told["actions"], np.concatenate([b.actions for b in blocks])[2:9])
            np.testing.assert_array_equal(told["tokens"], blocks[0].tokens)
            assert told["label"] == "ab".index(entry.label) and told["label"].dtype == np.int32
            assert conditions.conditioning(part, index, 0, 3)["vectors"].shape == (3, 2)
    with pytest.raises(IndexError):
        split.train.read(0, 10, 16)
    with pytest.raises(InputError, match="actions of clip0 are known for 15 frames, not for 16"):
        split.train.conditioning(0, 10, 16)
    with pytest.raises(ValueError, match="read-only"):
        split.train.raw(0, 0, 1)[:] = 0
    np.testing.assert_allclose(split.train.times(0, 3, 20), np.arange(3, 20))


def test_statistics_are_of_the_training_part_alone(tmp_path):
    made = Made()
    split = stored(tmp_path / "a", made)
    frames = np.concatenate(
        [b.frames for e in made.entries() if e.split == TRAIN for b in made.read(e, PICTURE)]
    ).astype(float)
    found = measure(split.train)
    np.testing.assert_allclose(found.mean, frames.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found.std, frames.std((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found.climatology, frames.mean(0)[None], rtol=1e-6)
    batch = next(clips(split.train, found, frames=4, batch=8, seed=0))
    assert batch["x"].dtype == np.float32 and batch["label"].shape == (8,)
    # In bulk and from bytes: the bits of the formula.
    np.testing.assert_array_equal(
        found.normalise(frames.astype(np.uint8)), found.normalise(np.float32(frames))
    )
    expected = (np.float32(frames) - found.mean) / found.std
    np.testing.assert_array_equal(found.normalise(np.float32(frames)), expected)


def test_bad_clips_are_skipped_and_told_whoever_reads_them(tmp_path):
    made = Made(actions=1, odd=("1 bad", "4 stumble", "6 many"))
    alone, pair = (stored(tmp_path / str(n), made, n) for n in (0, 2))
    assert (
        alone.skipped
        == pair.skipped
        == (
            ("clip1", "it is bad"),
            ("clip4", "KeyError: 'header'"),
            ("clip6", "it has 2 actions a frame and tokens of shape (), other clips 1 and ()"),
        )
    )
    assert len(alone.train) == 6 and len(alone.test) == 3
    assert content(tmp_path / "0") == content(tmp_path / "2")
    names = [alone.train.name(i) for i in range(6)]
    assert names == ["clip0", "clip2", "clip5", "clip8", "clip9", "clip10"]
    fewer = measure(alone.train)
    sums = sum(alone.train.read(i, 0, 15).sum(0) for i in range(6))
    np.testing.assert_allclose(fewer.climatology[0], sums / 90, rtol=1e-6)
    with pytest.raises(InputError, match="none of 12 clips can be used; clip0: it has 15 frames, and 16 are"):
        stored(tmp_path / "short", Made(), min_frames=16)
    with pytest.raises(
        InputError, match="no clip is left to test on: 3 of 12 were skipped; clip3: it is bad"
    ):
        stored(tmp_path / "untested", Made(odd=("3 bad", "7 bad", "11 bad")))
    for workers in (0, 2):
        with pytest.raises(InputError, match="a library is missing") as caught:
            stored(tmp_path / f"needy{workers}", Made(odd=("5 need",)), workers)
        assert not isinstance(caught.value, BadClip)


def test_a_drawn_test_part_is_drawn_again_where_it_is_bad(tmp_path):
    entries = [dataclasses.replace(e, split=UNSPECIFIED) for e in Made().entries()]
    order = sorted(range(12), key=lambda i: hash_fraction(f"clip{i}"))
    made = Made(odd=(f"{order[0]} bad",))
    tmp_path.joinpath("a").mkdir()
    prepare(tmp_path / "a", made, split_entries(entries, (), 0.001), PICTURE, drawn=True, workers=0)
    split = open_store(tmp_path / "a")
    assert len(split.train) == 10 and [split.test.name(0)] == [f"clip{order[1]}"]
    frames = np.concatenate([split.train.read(i, 0, 15) for i in range(10)])
    np.testing.assert_allclose(measure(split.train).climatology[0], frames.mean(0), rtol=1e-5)


def test_a_codec_that_crashes_costs_one_clip(tmp_path):
    split = stored(tmp_path / "a", Made(odd=("5 die", "6 bad")), workers=2)
    assert split.skipped == (("clip5", "the process that read it died (SIGSEGV)"), ("clip6", "it is bad"))
    assert len(split.train) + len(split.test) == 10


SCRIPT = """
import sys
from pathlib import Path
from rolling.data.clips.store.prepare import prepare
from tests.clip_tools import Made
from rolling.data.clips.protocol import Picture
if __name__ == "__main__":
    folder, made = Path(sys.argv[1]), Made(count=200, pause=0.03, odd=("7 bad",))
    folder.mkdir()
    prepare(folder, made, made.entries(), Picture(height=8, width=12, colour=False), workers=2)
"""


@pytest.mark.slow
def test_killed_and_resumed_it_reaches_the_same_bytes(tmp_path):
    calm = Made(count=200, odd=("7 bad",))
    stored(tmp_path / "calm", calm)
    script, folder = tmp_path / "script.py", tmp_path / "killed"
    script.write_text(SCRIPT)
    root = str(Path(__file__).resolve().parent.parent)
    process = subprocess.Popen(
        [sys.executable, script, folder], env=os.environ | {"PYTHONPATH": root}, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*.npz"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    finished = {file: file.stat().st_mtime_ns for file in folder.glob("*.npz")}
    assert 3 <= len(finished) < 100 and not (folder / DESCRIPTION).exists()
    with pytest.raises(InputError, match="not a prepared store"):
        open_store(folder)
    shards = {file: file.stat().st_mtime_ns for file in folder.glob("shard-*.npy")}
    time.sleep(0.5)  # what its processes were about to finish
    stored(folder, calm)
    assert content(folder) == content(tmp_path / "calm")
    kept = [file for file, stamp in shards.items() if file.stat().st_mtime_ns == stamp]
    assert len(kept) >= len(finished)


def test_what_a_power_failure_cut_is_written_again(tmp_path):
    made = Made(count=9)
    stored(tmp_path / "calm", made)
    folder = tmp_path / "cut"
    folder.mkdir()
    entries = tuple(made.entries())
    for number in range(4):
        one = entries[number : number + 1]
        task = Task(folder=folder, number=number, first=number, collection=made, entries=one, picture=PICTURE)
        write_shard(task, lambda place: None)
        assert is_written(task)
    for name, keep in (("shard-00001.npy", -1), ("notes-00002.npz", 200), ("notes-00003.npz", 0)):
        (folder / name).write_bytes((folder / name).read_bytes()[:keep])
    stored(folder, made)
    assert content(folder) == content(tmp_path / "calm")
    stored(folder, made)  # a kill just before the folder got its name
    assert content(folder) == content(tmp_path / "calm")


def test_a_damaged_store_is_refused(tmp_path):
    stored(tmp_path / "a", Made())
    shard = next((tmp_path / "a").glob("shard-*"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match="is damaged, or was not copied in full"):
        open_store(tmp_path / "a")
    about = tmp_path / "a" / DESCRIPTION
    about.write_text(about.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(InputError, match="has format 99, and this version reads 1"):
        open_store(tmp_path / "a")


# The source.


def videos(folder: Path, count: int = 6, frames: int = 12) -> Path:
    for number in range(count):
        clip = levels(frames, 8, 12) + np.uint8(number)
        write_video(folder / "ab"[number % 2] / f"clip{number}.mkv", clip)
    return folder


def source(folder: Path, tmp_path: Path, **settings) -> Clips:
    settings = {"test": ("clip1", "b/clip3.mkv"), "picture": PICTURE, "workers": 0} | settings
    return Clips(path=str(folder), cache=str(tmp_path / "cache"), **settings)


def test_a_folder_of_videos_is_prepared_once(tmp_path):
    folder = videos(tmp_path / "videos")
    assert isinstance(Clips(), Source)
    split = source(folder, tmp_path).open()
    assert [split.test.name(i) for i in range(2)] == ["b/clip1.mkv", "b/clip3.mkv"]
    assert split.train.layout.labels == ("a", "b") and len(split.train) == 4
    assert source(folder, tmp_path, labelled=False).open().train.layout.labels == ()
    np.testing.assert_array_equal(split.test.read(1, 0, 12)[:, 0, 0, 0], 4 * np.arange(12) + 3)
    stores = lambda: sorted(p.name for p in (tmp_path / "cache").iterdir())  # noqa: E731
    (first,) = stores()
    assert first == split.train.path.name
    moved = folder.rename(tmp_path / "elsewhere")
    assert source(moved, tmp_path).open().train.path.name == first
    # A file more, another picture, other parts: another store.
    write_video(moved / "a" / "new.mkv", levels(3, 8, 12))
    assert len(source(moved, tmp_path).open().train) == 5
    assert source(moved, tmp_path, min_frames=4).open().skipped == (
        ("a/new.mkv", "it has 3 frames, and 4 are needed"),
    )
    assert source(moved, tmp_path, picture=dataclasses.replace(PICTURE, rate=5.0)).open().train.length(0) == 6
    assert len(stores()) == 4 and not [name for name in stores() if name.startswith(".")]
    # The store serves without the videos.
    copy = tmp_path / "cache" / first
    again = source(copy, tmp_path).open()
    assert len(again.train) == 4 and again.train.path == copy
    with pytest.raises(InputError, match="holds 8 x 12 grey pictures, all frames, but 64 x 64 colour"):
        source(copy, tmp_path, picture=Picture()).open()


def test_broken_files_leave_a_list_and_bad_folders_leave_nothing(tmp_path):
    folder = videos(tmp_path / "videos")
    (folder / "a" / "garbage.mp4").write_bytes(b"garbage" * 100)
    (folder / "a" / "empty.mp4").touch()
    split = source(folder, tmp_path).open()
    assert dict(split.skipped)["a/empty.mp4"] == "the file is empty"
    assert "cannot be decoded" in dict(split.skipped)["a/garbage.mp4"] and len(split.skipped) == 2
    bad = tmp_path / "bad"
    for name in ("a.mp4", "b.mp4"):
        bad.mkdir(exist_ok=True)
        (bad / name).touch()
    before = sorted((tmp_path / "cache").iterdir())
    with pytest.raises(InputError, match=r"none of 2 clips can be used; a.mp4: the file is empty"):
        source(bad, tmp_path, test=()).open()
    assert sorted((tmp_path / "cache").iterdir()) == before


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a/clip.npy", "it holds arrays: give --source.collection array_files"),
        ("a/000.png", "it holds pictures: give --source.collection frame_folders"),
        ("a/notes.txt", "its files should end in"),
    ],
)
def test_a_folder_of_another_kind_is_told(tmp_path, name, says):
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=says):
        source(tmp_path, tmp_path).open()


def test_names_that_are_no_text(tmp_path):
    folder = videos(tmp_path / "videos", count=3)
    os.rename(folder / "a" / "clip0.mkv", os.path.join(os.fsencode(folder), b"\xff\xe9.mkv"))
    with open(os.path.join(os.fsencode(folder), b"\xfe.mp4"), "wb"):
        pass
    split = source(folder, tmp_path, test=("clip1",)).open()
    assert split.skipped == (("\\udcfe.mp4", "the file is empty"),)
    assert os.fsencode(split.train.name(1)) == b"\xff\xe9.mkv"


def test_a_full_disk_keeps_what_was_finished(tmp_path, monkeypatch):
    from rolling.data.clips.store import shards

    folder = videos(tmp_path / "videos")
    replaced, real = [], os.replace

    def full(a, b):
        replaced.append(b)
        if len(replaced) > 5:
            raise OSError(28, "No space left on device", str(b))
        real(a, b)

    with monkeypatch.context() as patched:
        patched.setattr(shards.os, "replace", full)
        with pytest.raises(InputError, match="the disk is full"):
            source(folder, tmp_path).open()
    (part,) = (tmp_path / "cache").iterdir()
    assert part.name.startswith(".") and len(list(part.glob("*.npz"))) == 2
    split = source(folder, tmp_path).open()
    assert len(split.train) == 4 and [p.name for p in (tmp_path / "cache").iterdir()] == [
        split.train.path.name
    ]


def test_of_two_who_prepare_at_once_one_waits(tmp_path):
    made = []

    def make(folder):
        made.append(folder)
        time.sleep(0.2)
        (folder / "done").touch()

    whole = lambda path: (path / "done").exists()  # noqa: E731
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(cache.grow, tmp_path / "it", make, whole) for _ in range(8)]
    assert {future.result() for future in futures} == {tmp_path / "it"}
    assert len(made) == 1 and [path.name for path in tmp_path.iterdir()] == ["it"]


def test_who_is_held_out():
    unsaid = [Entry(name=f"{i}.mp4") for i in range(400)]
    drawn = {e.name for e in split_entries(unsaid, (), 0.1) if e.split == TEST}
    assert 20 < len(drawn) < 60
    # Of fewer clips the same ones, in any order.
    some = {e.name for e in split_entries(unsaid[100::-1], (), 0.1) if e.split == TEST}
    assert some == drawn & {e.name for e in unsaid[:101]}
    said = [dataclasses.replace(e, split=TEST if i < 3 else TRAIN) for i, e in enumerate(unsaid)]
    assert [e.name for e in split_entries(said, (), 0.1) if e.split == TEST] == ["0.mp4", "1.mp4", "2.mp4"]
    assert [e.name for e in split_entries(said, ("7", "9.mp4"), 0.1) if e.split == TEST] == ["7.mp4", "9.mp4"]
    assert sum(e.split == TEST for e in split_entries(unsaid[:2], (), 0.001)) == 1
    with pytest.raises(InputError, match="names '41x', and there is no such clip; the nearest is '41'"):
        split_entries(unsaid, ("41x",), 0.1)
    with pytest.raises(InputError, match="1 clip"):
        split_entries(unsaid[:1], (), 0.1)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"holdout": 1.0}, "holdout is a share"),
        ({"min_frames": 0}, "min_frames must be at least 1"),
        ({"workers": -1}, "workers must be at least 0"),
        ({"picture": Picture(height=0)}, "above 0"),
        ({"picture": Picture(rate=0.0)}, "above 0"),
    ],
)
def test_settings_that_make_no_sense(settings, words):
    with pytest.raises(InputError, match=words):
        Clips(**settings)
