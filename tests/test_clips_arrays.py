"""Clips in npy, npz and HDF5 files."""

import time

import h5py
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.clips.collections import ArrayFiles
from rolling.data.clips.protocol import Entry, Picture
from tests.record_tools import LUMA, SMALL, damage, joined, listed, prepared, refused

RNG = np.random.default_rng(0)
CLIPS = RNG.integers(0, 256, (3, 40, 8, 8, 3), dtype=np.uint8)  # n t h w c
ACTIONS = RNG.normal(size=(3, 40, 2)).astype(np.float32)
TOKENS = RNG.normal(size=(3, 4, 5)).astype(np.float32)
LABELS = np.array(["run", "walk", "run"])


def write(path, **arrays):
    """The arrays in a file of the kind that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        for name, array in arrays.items():
            np.save(path if name == "frames" else path.with_suffix(f".{name}.npy"), array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                words = array.dtype.kind in "US"
                file[name] = array.astype(h5py.string_dtype()) if words else array
    return path


@pytest.fixture(params=["a.npy", "a.npz", "a.h5", "A.HDF5"])
def file(request, tmp_path):
    return tmp_path / request.param


def test_an_array_holds_many_clips_and_what_goes_with_them(file):
    write(file, frames=CLIPS, labels=LABELS, actions=ACTIONS, tokens=TOKENS)
    collection = ArrayFiles(path=str(file))
    found = listed(collection)
    assert list(found) == [f"{file.name}/frames[{i}]" for i in range(3)]
    for i, entry in enumerate(found.values()):
        frames, actions, tokens = joined(collection, entry)
        assert entry.label == LABELS[i]
        assert np.array_equal(frames, CLIPS[i])
        assert np.array_equal(actions, ACTIONS[i])
        assert np.array_equal(tokens, TOKENS[i])


def test_one_clip_to_a_file_with_splits_and_classes_in_folders(file):
    for i, split in enumerate(("train", "train", "val")):
        write(file.parent / split / LABELS[i] / f"{i}{file.suffix}", frames=CLIPS[i], actions=ACTIONS[i])
    collection = ArrayFiles(path=str(file.parent))
    found = list(listed(collection).values())
    assert [(e.split, e.label) for e in found] == [("train", "run"), ("train", "walk"), ("test", "run")]
    for i, entry in enumerate(found):
        frames, actions, _ = joined(collection, entry)
        assert np.array_equal(frames, CLIPS[i])
        assert np.array_equal(actions, ACTIONS[i])


def test_links_are_followed_and_hidden_files_left_out(tmp_path):
    write(tmp_path / "elsewhere" / "a.npy", frames=CLIPS)
    write(tmp_path / "data" / ".b.npy", frames=CLIPS)
    (tmp_path / "data" / "train").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "back").symlink_to(tmp_path / "data")
    collection = ArrayFiles(path=str(tmp_path / "data"))
    found = listed(collection)
    assert list(found) == [f"train/a.npy/frames[{i}]" for i in range(3)]
    assert np.array_equal(joined(collection, found["train/a.npy/frames[1]"])[0], CLIPS[1])


@pytest.mark.parametrize(
    ("axes", "order"),
    [("n t h w c", (0, 1, 2, 3, 4)), ("n t c h w", (0, 1, 4, 2, 3)), ("t n h w c", (1, 0, 2, 3, 4))],
)
def test_axes_stand_in_any_order(file, axes, order):
    write(file, frames=CLIPS.transpose(order))
    collection = ArrayFiles(path=str(file), axes=axes)
    for clip, entry in zip(CLIPS, listed(collection).values(), strict=True):
        assert np.array_equal(joined(collection, entry)[0], clip)


def test_moving_mnist(tmp_path):
    digits = RNG.integers(0, 256, (20, 6, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "mnist_test_seq.npy", digits)
    collection = ArrayFiles(path=str(tmp_path / "mnist_test_seq.npy"), axes="t n h w")
    found = listed(collection)
    assert len(found) == 6
    frames, _, _ = joined(collection, found["mnist_test_seq.npy/frames[4]"], LUMA)
    assert np.array_equal(frames[..., 0], digits[:, 4])


def test_one_clip_of_grey_levels_needs_no_axes(file):
    write(file, frames=CLIPS[0, ..., 0])
    collection = ArrayFiles(path=str(file))
    (entry,) = collection.entries()
    assert np.array_equal(joined(collection, entry, LUMA)[0][..., 0], CLIPS[0, ..., 0])


@pytest.mark.parametrize(
    ("scale", "make"),
    [("unit", lambda x: x / 255), ("signed", lambda x: x / 127.5 - 1), ("levels", lambda x: x * 1.0)],
)
def test_floats_on_a_scale_come_back_as_grey_levels(file, scale, make):
    write(file, frames=make(CLIPS).astype(np.float32))
    collection = ArrayFiles(path=str(file), scale=scale)
    assert np.array_equal(joined(collection, collection.entries()[1])[0], CLIPS[1])


def test_floats_of_an_unsaid_scale_are_refused(file):
    write(file, frames=(CLIPS / 255).astype(np.float32))
    collection = ArrayFiles(path=str(file))
    refused(collection, collection.entries()[0], "scale unit")


def test_a_rate_takes_the_nearest_frames(file):
    write(file, frames=CLIPS, actions=ACTIONS)
    collection = ArrayFiles(path=str(file), rate=12)
    frames, actions, _ = joined(collection, collection.entries()[2], Picture(height=8, width=8, rate=4))
    assert np.array_equal(frames, CLIPS[2, ::3])
    assert np.array_equal(actions, ACTIONS[2, ::3])


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_arrays_of_one_clip_each_by_a_pattern(tmp_path, suffix):
    clips = {f"clip_{i}": clip[: 5 + i] for i, clip in enumerate((*CLIPS, *CLIPS, *CLIPS, *CLIPS))}
    write(tmp_path / f"a{suffix}", **clips, labels=np.arange(12), rewards=np.ones((12, 3)))
    collection = ArrayFiles(path=str(tmp_path / f"a{suffix}"), key="clip_*")
    found = list(listed(collection).values())
    assert [entry.label for entry in found] == [str(i) for i in range(12)]
    assert len(joined(collection, found[11])[0]) == 16
    with pytest.raises(InputError, match=r"several arrays.*clip_1 \(6, 8, 8, 3\)"):
        ArrayFiles(path=str(tmp_path / f"a{suffix}")).entries()


def test_groups_hold_a_clip_with_its_actions(tmp_path):
    arrays = {}
    for i in range(3):
        arrays |= {f"data/demo_{i}/obs/image": CLIPS[i], f"data/demo_{i}/obs/depth": CLIPS[i, ..., :1]}
        arrays |= {f"data/demo_{i}/actions": ACTIONS[i], f"data/demo_{i}/labels": np.array(f"task {i}")}
    write(tmp_path / "a.hdf5", **arrays)
    collection = ArrayFiles(path=str(tmp_path / "a.hdf5"), key="data/*/obs/image")
    for i, entry in enumerate(listed(collection).values()):
        frames, actions, tokens = joined(collection, entry)
        assert entry.label == f"task {i}"
        assert np.array_equal(frames, CLIPS[i])
        assert np.array_equal(actions, ACTIONS[i])
        assert tokens is None


def test_the_name_of_an_array_may_have_several_lines(tmp_path):
    write(tmp_path / "a.h5", **{"two\nlines": CLIPS})
    collection = ArrayFiles(path=str(tmp_path / "a.h5"))
    for i, entry in enumerate(listed(collection).values()):
        assert np.array_equal(joined(collection, entry)[0], CLIPS[i])


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_arrays_called_like_splits_are_those(tmp_path, suffix):
    write(tmp_path / f"a{suffix}", train=CLIPS[:2], test=CLIPS[2:])
    found = ArrayFiles(path=str(tmp_path), key="*").entries()
    assert sorted(entry.split for entry in found) == ["test", "train", "train"]


def test_a_file_that_cannot_be_used_is_one_entry_that_is_refused(file):
    write(file, frames=CLIPS)
    spoilt = write(file.with_name("b" + file.suffix), frames=CLIPS)
    damage(spoilt)
    collection = ArrayFiles(path=str(file.parent))
    found = listed(collection)
    assert len(found) == 4
    refused(collection, found[spoilt.name], "the file cannot be read.*damaged, cut short")
    assert np.array_equal(joined(collection, found[f"{file.name}/frames[0]"])[0], CLIPS[0])
    file.unlink()
    with pytest.raises(InputError, match=f"{spoilt.name} cannot be used: .*cannot be read"):
        collection.entries()


def test_an_array_that_cannot_be_used_is_one_entry_that_is_refused(tmp_path):
    write(tmp_path / "a.h5", a=CLIPS[0], b=CLIPS[1, :0], c=CLIPS[2, ..., :2])
    collection = ArrayFiles(path=str(tmp_path / "a.h5"), key="*")
    found = listed(collection)
    assert np.array_equal(joined(collection, found["a.h5/a"])[0], CLIPS[0])
    refused(collection, found["a.h5/b"], r"shape \(0, 8, 8, 3\) cannot be t h w c")
    refused(collection, found["a.h5/c"], r"shape \(40, 8, 8, 2\) cannot be t h w c")


def test_a_file_of_damaged_pixels_is_refused(tmp_path):
    file = tmp_path / "a.npz"
    np.savez_compressed(file, frames=CLIPS)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    collection = ArrayFiles(path=str(file))
    refused(collection, collection.entries()[0], "the file cannot be read")


def test_a_changed_file_is_read_anew(file):
    write(file, frames=CLIPS)
    collection = ArrayFiles(path=str(file))
    entry = collection.entries()[2]
    assert np.array_equal(joined(collection, entry)[0], CLIPS[2])
    time.sleep(0.01)
    write(file, frames=CLIPS[:2, ::-1], actions=ACTIONS[:2])
    assert len(collection.entries()) == 2
    assert np.array_equal(joined(collection, collection.entries()[1])[1], ACTIONS[1])
    refused(collection, entry, "out of|index")


@pytest.mark.parametrize(
    ("arrays", "settings", "words"),
    [
        ({"frames": CLIPS}, {"key": "images"}, r"no array images; there are: frames \(3, 40, 8, 8, 3\)"),
        ({"rewards": np.ones((3, 4))}, {}, "no array of frames; there are: rewards"),
        ({"frames": CLIPS[..., 0]}, {}, r"cannot be t h w c .*give --source.collection.axes"),
        ({"frames": CLIPS}, {"axes": "t n h w"}, r"\(3, 40, 8, 8, 3\) cannot be t n h w"),
        ({"frames": np.stack([CLIPS] * 2)}, {}, "cannot be frames in time"),
        ({"frames": CLIPS, "labels": np.arange(4)}, {}, r"3 clips in it, but labels has the shape \(4,\)"),
        ({"frames": CLIPS, "labels": np.ones(3)}, {}, "its labels have the shape"),
        ({"frames": CLIPS, "labels": np.ones((3, 2), int)}, {}, "its labels have the shape"),
    ],
)
def test_what_does_not_fit_the_settings_is_said(tmp_path, arrays, settings, words):
    write(tmp_path / "a.h5", **arrays)
    with pytest.raises(InputError, match=words):
        ArrayFiles(path=str(tmp_path / "a.h5"), **settings).entries()


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        ({"actions": ACTIONS[:, :39]}, "40 frames, but actions for 39"),
        ({"actions": ACTIONS[:2]}, "3 clips in it, but actions has the shape"),
        ({"tokens": TOKENS * np.nan}, "its tokens are not finite"),
        ({"labels": np.arange(2)}, "3 clips in it, but labels has the shape"),
    ],
)
def test_what_stands_beside_must_fit(tmp_path, beside, words):
    write(tmp_path / "a" / "a.h5", frames=CLIPS, **beside)
    write(tmp_path / "b" / "b.h5", frames=CLIPS)
    collection = ArrayFiles(path=str(tmp_path))
    found = [entry for entry in collection.entries() if entry.name.startswith("a/")]
    refused(collection, found[0], words)


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([CLIPS[0], None], object))
    np.savez(tmp_path / "a.npz", frames=np.array([[[{}]]], object))
    for name in ("a.npy", "a.npz"):
        collection = ArrayFiles(path=str(tmp_path / name), axes="t h w")
        with pytest.raises(InputError, match=r"[Oo]bject|pickle"):
            for entry in collection.entries():
                list(collection.read(entry, SMALL))


@pytest.mark.parametrize(
    "settings", [{"axes": "n t h"}, {"axes": "t t h w"}, {"axes": "nthwc"}, {"scale": "x"}]
)
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(InputError, match=r"axes|scale"):
        ArrayFiles(**settings)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda place: "", "no data were named"),
        (lambda place: place / "nowhere", "there is no"),
        (lambda place: place, "holds no arrays"),
        (lambda place: place / "a.txt", "of no kind that can be read: .npy, .npz"),
    ],
)
def test_places_without_arrays_are_refused(tmp_path, make, words):
    (tmp_path / "a.txt").write_text("no array")
    with pytest.raises(InputError, match=words):
        ArrayFiles(path=str(make(tmp_path))).entries()


def test_an_entry_of_a_file_that_went_away_is_refused(tmp_path):
    write(tmp_path / "a.npy", frames=CLIPS)
    refused(ArrayFiles(path=str(tmp_path)), Entry(name="b.npy/frames[0]"), "no longer there")
    refused(ArrayFiles(path=str(tmp_path)), Entry(name="a.npy/pixels[0]"), "has changed")
    refused(ArrayFiles(path=str(tmp_path)), Entry(name="a.npy/frames"), "has changed")


def test_a_file_is_the_source_of_an_experiment_and_prepared_anew_when_it_changes(file, tmp_path):
    cache, collection = tmp_path / "cache", ArrayFiles(path=str(file))
    write(file, frames=CLIPS, labels=LABELS, actions=ACTIONS, tokens=TOKENS)
    split = prepared(collection, cache, test=("frames[1]",))
    assert split.train.layout.labels == ("run", "walk")
    assert split.skipped == ()
    assert np.array_equal(split.train.read(1, 3, 5), CLIPS[2, 3:5])
    told = split.test.conditioning(0, 0, 40)
    assert told["label"] == 1
    assert np.array_equal(told["actions"], ACTIONS[1])
    assert np.array_equal(told["tokens"], TOKENS[1])
    time.sleep(0.01)
    write(file, frames=CLIPS[:, ::-1], labels=LABELS, actions=ACTIONS * np.nan, tokens=TOKENS)
    with pytest.raises(InputError, match="its actions are not finite"):
        prepared(collection, cache)


def test_what_cannot_be_used_is_listed_with_the_reason(tmp_path):
    for number, name in enumerate(("train/a.h5", "test/b.h5", "train/c.h5")):
        frames = np.random.default_rng(number).integers(0, 256, CLIPS.shape, dtype=np.uint8)
        write(tmp_path / "data" / name, frames=frames)
    damage(tmp_path / "data" / "train" / "c.h5")
    split = prepared(ArrayFiles(path=str(tmp_path / "data")), tmp_path / "cache")
    assert (len(split.train), len(split.test)) == (3, 3)
    ((name, reason),) = split.skipped
    assert name == "train/c.h5" and reason.startswith("the file cannot be read")
