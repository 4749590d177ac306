"""The prepared store: what is in it, and that neither kills nor numbers of processes change a byte."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data import cache, conditions
from rolling.data.clips.collections.array_files import ArrayFiles
from rolling.data.clips.protocol import TEST, TRAIN, UNSPECIFIED, BadClip, Entry, Picture
from rolling.data.clips.source import Clips
from rolling.data.clips.split import Draw, hash_fraction, split_entries
from rolling.data.clips.store.prepare import prepare
from rolling.data.clips.store.reader import DESCRIPTION, open_store
from rolling.data.clips.store.shards import Task, is_written, write_shard
from rolling.data.pipeline import clips
from rolling.data.source import Sequences, Source, Split, Stored
from rolling.data.statistics import Measured, measure
from rolling.run.experiment import codec
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


def copied(folder: Path, count: int, copies: dict[str, str], split: dict[str, str] | None = None) -> Path:
    """Clips as npy files of 6 frames, some of them copies of others, in the folders of a split or flat."""
    for number in range(count):
        file = folder / (split or {}).get(str(number), "") / f"{number}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        frames = np.random.default_rng(number).integers(0, 256, (6, 8, 12), dtype=np.uint8)
        np.save(file, frames)
    for name, of in copies.items():
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(next(folder.rglob(f"{of}.npy")), folder / name)
    return folder


def arrays(folder: Path, cache: Path, **settings) -> Split:
    settings = {"picture": PICTURE, "workers": 0, "collection": ArrayFiles(axes="t h w")} | settings
    return Clips(path=str(folder), cache=str(cache), **settings).open()


def names(part) -> set[str]:
    return {part.name(i).removesuffix("/frames") for i in range(len(part))}


def check_statistics(split: Split) -> None:
    """Those of exactly the clips that are trained on."""
    frames = np.concatenate([split.train.read(i, 0, split.train.length(i)) for i in range(len(split.train))])
    found = measure(split.train)
    np.testing.assert_allclose(found.climatology[0], frames.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.std, frames.std((0, 1, 2)), rtol=1e-5)


def test_copies_and_links_lie_on_one_side(tmp_path):
    folder = copied(tmp_path / "clips", 20, {f"copy{i}.npy": str(i) for i in range(20)})
    for number in range(20):
        (folder / f"link{number}.npy").symlink_to(folder / f"{number}.npy")
    split = arrays(folder, tmp_path / "cache")
    assert len(split.test) == 5  # a quarter of 20 different clips, each once
    numbers = lambda part: {re.findall(r"\d+", name)[0] for name in names(part)}  # noqa: E731
    held_out = numbers(split.test)
    assert len(held_out) == 5 and not held_out & numbers(split.train)
    assert len(split.train) == 45 and len(split.skipped) == 10
    assert all("it is a copy of" in why and "held out" in why for _, why in split.skipped)
    check_statistics(split)
    # Of pictures of another size, the same clips are held out.
    small = arrays(folder, tmp_path / "cache", picture=Picture(height=4, width=6, colour=False))
    assert names(small.test) == names(split.test)


def test_a_copy_of_a_clip_of_the_test_folder_is_not_trained_on(tmp_path):
    folder = copied(
        tmp_path / "clips",
        6,
        {"train/again.npy": "5", "test/again.npy": "5", "train/twice.npy": "0"},
        {str(i): "test" if i > 3 else "train" for i in range(6)},
    )
    split = arrays(folder, tmp_path / "cache", labelled=False)
    assert names(split.test) == {"test/4.npy", "test/5.npy"}
    assert names(split.train) == {*(f"train/{i}.npy" for i in range(4)), "train/twice.npy"}
    assert split.skipped == (
        ("test/again.npy/frames", "it is a copy of test/5.npy/frames, held out"),
        ("train/again.npy/frames", "it is a copy of test/5.npy/frames, held out"),
    )
    check_statistics(split)
    with pytest.raises(InputError, match=r"no clip is left to train on: 1 of 2 .*a copy of"):
        arrays(copied(tmp_path / "two", 1, {"b.npy": "0"}), tmp_path / "cache", test=("b.npy/frames",))


def moving(seed: int, count: int = 32) -> np.ndarray:
    """Two soft balls in front of a background that all clips share, `[T, 48, 64, 3]`."""
    y, x = np.mgrid[:48, :64]
    rng, t = np.random.default_rng(seed), np.arange(count)[:, None, None]
    frames = 90 + 60 * np.sin(x / 9) * np.cos(y / 7) + np.zeros((count, 1, 1))
    for _ in range(2):
        (a, b), (c, d) = rng.uniform(0, 6, 2), rng.uniform(0.1, 0.3, 2)
        far = np.square(x - 32 - 25 * np.sin(a + c * t)) + np.square(y - 24 - 18 * np.sin(b + d * t))
        frames = frames + 80 * np.exp(-far / 60)
    return np.repeat(np.clip(frames, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


@pytest.mark.parametrize("marked", [False, True])
def test_clips_that_were_compressed_again_or_trimmed_lie_on_one_side(tmp_path, marked):
    folder = tmp_path / "clips"
    spoiled = {"whole": slice(None), "start": slice(16, None), "end": slice(0, 16), "both": slice(7, 25)}
    for number in range(8):
        place = folder / (("test" if number > 5 else "train") if marked else "")
        write_video(place / f"{number}.mkv", moving(number))
        for name, part in spoiled.items():
            place = folder / ("train" if marked else "")
            write_video(place / f"{number}-{name}.mp4", moving(number)[part], codec="mpeg4")
    still = np.repeat(
        moving(0)[:1], 20, axis=0
    )  # of one scene, but nothing tells them apart or makes them alike
    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 3, still.shape, dtype=np.uint8)
        write_video(folder / ("train" if marked else "") / f"{8 + number}.mkv", still + noise)
    picture = Picture(height=24, width=32)
    split = Clips(path=str(folder), cache=str(tmp_path), picture=picture, workers=0, labelled=False).open()
    numbers = lambda part: {re.search(r"(\d+)[-.]", name)[1] for name in names(part)}  # noqa: E731
    assert not numbers(split.train) & numbers(split.test)
    assert numbers(split.train) | numbers(split.test) == set("0123456789")
    held_out = numbers(split.test) - {"8", "9"}
    assert len(split.test) == len(numbers(split.test)) and (not marked or held_out == {"6", "7"})
    assert len(split.skipped) == 4 * len(held_out)
    assert all("it is but for compression or trimming a copy of" in why for _, why in split.skipped)
    alike = (
        f"alike but for compression or trimming, and so on one side: {5 * (8 - len(held_out))} clips, such"
    )
    assert any(word.startswith(alike) for word in split.notices)


@pytest.mark.parametrize(("by", "count"), [("pictures", 3), ("names", 1)])
def test_a_drawn_test_part_is_of_clips_that_can_be_used(tmp_path, by, count):
    entries = [dataclasses.replace(e, split=UNSPECIFIED) for e in Made(actions=1, tokens=2).entries()]
    made = Made(actions=1, tokens=2, odd=("5 bad",))
    draw, folder = Draw(share=0.001, by=by), tmp_path / "a"
    folder.mkdir()
    prepare(folder, made, split_entries(entries, ()), PICTURE, draw=draw, workers=0)
    split = open_store(folder)
    assert len(split.test) == min(count, 11 // 4) and len(split.train) + len(split.test) == 11
    for part in (split.train, split.test):  # what goes with a clip stays with it
        for index in range(len(part)):
            number = int(part.name(index).removeprefix("clip"))
            told = part.conditioning(index, 0, 2)
            assert told["actions"][0] == number and told["tokens"][0, 0] == number
    check_statistics(split)


def test_the_rule_of_earlier_versions_draws_by_names(tmp_path):
    entries = [dataclasses.replace(e, split=UNSPECIFIED) for e in Made().entries()]
    order = sorted(range(12), key=lambda i: hash_fraction(b"clip%d" % i))
    made = Made(odd=(f"{order[0]} bad",))
    tmp_path.joinpath("a").mkdir()
    draw = Draw(share=0.001, by="names")
    assert [e.name for e in draw.marked(entries) if e.split == TEST] == [f"clip{order[0]}"]
    prepare(tmp_path / "a", made, split_entries(entries, ()), PICTURE, draw=draw, workers=0)
    assert names(open_store(tmp_path / "a").test) == {f"clip{order[1]}"}
    # An experiment that was saved before there was a choice keeps its split.
    now = codec.encode(Clips(path="x"))
    before = {name: value for name, value in now.items() if name != "holdout_by"}
    assert codec.decode(now).holdout_by == "likeness" and codec.decode(before).holdout_by == "names"


def test_a_codec_that_crashes_costs_one_clip(tmp_path):
    split = stored(tmp_path / "a", Made(odd=("5 die", "6 bad")), workers=2)
    assert split.skipped == (("clip5", "the process that read it died (SIGSEGV)"), ("clip6", "it is bad"))
    assert len(split.train) + len(split.test) == 10


SCRIPT = """
import sys
from pathlib import Path
from rolling.data.clips.store.prepare import prepare
from rolling.run.experiment import codec
from tests.clip_tools import Made
from rolling.data.clips.protocol import Picture
if __name__ == "__main__":
    folder, made = Path(sys.argv[1]), Made(count=60, pause=0.1, odd=("7 bad",))
    folder.mkdir()
    prepare(folder, made, made.entries(), Picture(height=8, width=12, colour=False), workers=2)
"""


@pytest.mark.slow
def test_killed_and_resumed_it_reaches_the_same_bytes(tmp_path):
    calm = Made(count=60, odd=("7 bad",))
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
    assert 3 <= len(finished) < 60 and not (folder / DESCRIPTION).exists()
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


def test_what_the_clips_are_is_told(tmp_path):
    folder = tmp_path / "videos"
    for number, rate in enumerate((10, 10, 10, 30, 1)):
        write_video(
            folder / "ab"[number % 2] / f"clip{number}.mkv", levels(12, 8, 12) + np.uint8(number), rate=rate
        )
    asked = dataclasses.replace(PICTURE, rate=10.0)
    split = source(folder, tmp_path, picture=asked).open()
    assert split.notices == (
        "only 2 clips held out: every score rests on so few",
        "2 classes, clips to train on + held out: a 3 + 0, b 0 + 2",
        "frames a second found: 10 (3 clips), 1 (1 clip), 30 (1 clip)",
        "stretched: 1 clip of far fewer than the 10 frames a second asked for, so that a frame is shown up"
        " to 10 times: a/clip4.mkv (1); lower --source.picture.rate, or leave them out",
    )
    assert "used as they are, and a step is not the same time" in source(folder, tmp_path).open().notices[-1]
    made = stored(tmp_path / "made", Made(actions=2, tokens=4))
    assert made.notices[2:] == ("actions: 2 numbers with each frame", "tokens: 3 x 4 with each clip")


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


def test_of_two_who_prepare_at_once_one_waits(tmp_path, capfd):
    made, at_work = [], threading.Event()

    def make(folder):
        made.append(folder)
        at_work.set()
        time.sleep(0.2)
        (folder / "done").touch()

    whole = lambda path: (path / "done").exists()  # noqa: E731
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(cache.grow, tmp_path / "it", make, whole)]
        at_work.wait()  # it has signed its lock by now
        futures += [pool.submit(cache.grow, tmp_path / "it", make, whole) for _ in range(7)]
    assert {future.result() for future in futures} == {tmp_path / "it"}
    assert len(made) == 1 and [path.name for path in tmp_path.iterdir()] == ["it"]
    said = capfd.readouterr().err.splitlines()
    assert (
        f"{tmp_path / 'it'} is in use by process {os.getpid()} on " in said[0] and "waiting for it" in said[0]
    )


def test_who_is_held_out():
    unsaid = [Entry(name=f"{i}.mp4") for i in range(400)]
    digests = [b"%d" % i for i in range(400)]
    drawn = lambda n, draw: set(np.flatnonzero(draw.settled(unsaid[:n], digests[:n])[0]).tolist())  # noqa: E731
    for draw in (Draw(), Draw(by="names")):
        assert 20 < len(drawn(400, draw)) < 60
        # Of fewer clips the same ones.
        assert drawn(300, draw) == {i for i in drawn(400, draw) if i < 300}
    assert [len(drawn(n, Draw(share=0.001))) for n in (2, 3, 8, 20, 40, 400)] == [1, 1, 2, 5, 10, 10]
    assert len(drawn(4, Draw(share=0.999))) == 3
    said = [dataclasses.replace(e, split=TEST if i < 3 else TRAIN) for i, e in enumerate(unsaid)]
    held_out = lambda *of: [e.name for e in split_entries(*of) if e.split == TEST]  # noqa: E731
    assert held_out(said, ()) == ["0.mp4", "1.mp4", "2.mp4"]
    assert held_out(said, ("7", "9.mp4")) == ["7.mp4", "9.mp4"]
    assert {e.split for e in split_entries(unsaid, ())} == {UNSPECIFIED}
    with pytest.raises(InputError, match="names '41x', and there is no such clip; the nearest is '41'"):
        split_entries(unsaid, ("41x",))
    for few, test in ((unsaid[:1], ()), (unsaid[:2], ("0", "1"))):
        with pytest.raises(InputError, match="cannot be split into two parts"):
            split_entries(few, test)


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
