"""Clips in TFRecord files, and in data sets of tensorflow-datasets, without TensorFlow."""

import io
import json
import sys

import google_crc32c
import numpy as np
import pytest
from PIL import Image

from rolling.common.errors import InputError
from rolling.data.clips.collections import BairPushing, Tfds
from rolling.data.clips.collections.tfrecords import masked_crc
from rolling.data.clips.protocol import Entry, Picture
from tests.record_tools import framed, joined, listed, prepared as stored, refused

tfds = pytest.importorskip("tensorflow_datasets")
tf_example_pb2 = pytest.importorskip("tensorflow_datasets.proto").tf_example_pb2
RNG = np.random.default_rng(0)
BAIR = Picture(height=64, width=64)
CLIPS = RNG.integers(0, 256, (4, 5, 64, 64, 3), dtype=np.uint8)
ACTIONS = RNG.normal(size=(4, 5, 4)).astype(np.float32)
PLACES = RNG.normal(size=(4, 5, 3)).astype(np.float32)


def example(clip):
    made = tf_example_pb2.Example()
    features = made.features.feature
    for t in range(5):
        features[f"{t}/image_aux1/encoded"].bytes_list.value.append(CLIPS[clip, t].tobytes())
        features[f"{t}/image_main/encoded"].bytes_list.value.append((255 - CLIPS[clip, t]).tobytes())
        features[f"{t}/action"].float_list.value.extend(ACTIONS[clip, t].tolist())
        features[f"{t}/endeffector_pos"].float_list.value.extend(PLACES[clip, t].tolist())
    return made.SerializeToString()


RECORDS = [framed(example(clip)) for clip in range(4)]
STARTS = np.cumsum([0, *map(len, RECORDS)]).tolist()


@pytest.fixture
def bair(tmp_path):
    """Three records to train on, one to test."""
    for split, records in (("train", RECORDS[:3]), ("test", RECORDS[3:])):
        folder = tmp_path / "softmotion30_44k" / split
        folder.mkdir(parents=True)
        (folder / "traj_0_to_255.tfrecords").write_bytes(b"".join(records))
    return tmp_path


def test_the_checksum_is_that_of_the_published_example():
    # RFC 3720, B.4: thirty-two bytes of zeros.
    assert google_crc32c.value(bytes(32)) == 0x8A9136AA
    assert masked_crc(bytes(32)) == ((0x8A9136AA >> 15 | 0x8A9136AA << 17) + 0xA282EAD8) % 2**32


def test_records_are_clips_with_actions(bair):
    collection = BairPushing(path=str(bair))
    found = listed(collection)
    names = ["test/traj_0_to_255.tfrecords/0", *(f"train/traj_0_to_255.tfrecords/{s}" for s in STARTS[:3])]
    assert list(found) == [f"softmotion30_44k/{name}" for name in names]
    assert [entry.split for entry in found.values()] == ["test", "train", "train", "train"]
    for clip, entry in zip((3, 0, 1, 2), found.values(), strict=True):
        frames, actions, tokens = joined(collection, entry, BAIR)
        assert np.array_equal(frames, CLIPS[clip])
        assert np.array_equal(actions, ACTIONS[clip])
        assert tokens is None


def test_the_other_camera_and_the_place_of_the_hand(bair):
    file = bair / "softmotion30_44k" / "train" / "traj_0_to_255.tfrecords"
    collection = BairPushing(path=str(file), camera="image_main", actions=("action", "endeffector_pos"))
    frames, actions, _ = joined(collection, collection.entries()[1], BAIR)
    assert np.array_equal(frames, 255 - CLIPS[1])
    assert np.array_equal(actions, np.concatenate([ACTIONS[1], PLACES[1]], axis=-1))
    assert joined(BairPushing(path=str(file), actions=()), collection.entries()[1], BAIR)[1] is None


@pytest.mark.parametrize(
    ("at", "read", "words"),
    [
        (STARTS[1] + 12 + 1000, [0, 2], "the checksum of the record at byte"),
        (STARTS[1] + 3, [0], "no record begins at byte"),
        (STARTS[1] + 9, [0], "no record begins at byte"),
        (STARTS[2] - 1, [0, 2], "the checksum of the record at byte"),
    ],
)
def test_a_damaged_record_is_refused_and_the_file_goes_on_where_it_can(bair, at, read, words):
    file = bair / "softmotion30_44k" / "train" / "traj_0_to_255.tfrecords"
    content = bytearray(file.read_bytes())
    content[at] ^= 255
    file.write_bytes(content)
    collection = BairPushing(path=str(file))
    found = listed(collection)
    assert len(found) == len(read) + 1
    for clip in read:
        entry = found[f"traj_0_to_255.tfrecords/{STARTS[clip]}"]
        assert np.array_equal(joined(collection, entry, BAIR)[0], CLIPS[clip])
    refused(collection, found[f"traj_0_to_255.tfrecords/{STARTS[1]}"], words)


@pytest.mark.parametrize("left", [STARTS[2] - 1, STARTS[2] - 500, STARTS[1] + 12, STARTS[1] + 5])
def test_a_file_that_is_cut_short_keeps_its_whole_records(bair, left):
    file = bair / "softmotion30_44k" / "train" / "traj_0_to_255.tfrecords"
    file.write_bytes(file.read_bytes()[:left])
    collection = BairPushing(path=str(file))
    first, second = collection.entries()
    assert np.array_equal(joined(collection, first, BAIR)[0], CLIPS[0])
    refused(collection, second, "cut short within the record|no record begins")


def test_records_are_the_source_of_an_experiment(bair, tmp_path):
    file = bair / "softmotion30_44k" / "train" / "traj_0_to_255.tfrecords"
    file.write_bytes(file.read_bytes()[:-1])
    split = stored(BairPushing(path=str(bair)), tmp_path / "cache", picture=BAIR)
    assert (len(split.train), len(split.test)) == (2, 1)
    assert np.array_equal(split.test.read(0, 0, 5), CLIPS[3])
    assert np.array_equal(split.test.conditioning(0, 1, 3)["actions"], ACTIONS[3, 1:3])
    ((name, reason),) = split.skipped
    assert name.endswith(f"/{STARTS[2]}") and "cut short" in reason
    file.write_bytes(b"".join(RECORDS[:3]))
    assert len(stored(BairPushing(path=str(bair)), tmp_path / "cache", picture=BAIR).train) == 3


@pytest.mark.parametrize(
    ("content", "settings", "words"),
    [
        (b"", {}, "no record begins at byte 0"),
        (b"no record at all", {}, "no record begins at byte 0"),
        (framed(b"\xff\xff\xff"), {}, "the record cannot be read"),
        (framed(b""), {}, "it has no 0/image_aux1/encoded; there are: none"),
        (
            RECORDS[0],
            {"camera": "image"},
            "it has no 0/image/encoded; there are: 0/action, 0/endeffector_pos",
        ),
        (RECORDS[0], {"actions": ("state",)}, "it has no 0/state"),
        (RECORDS[0], {"height": 48}, "12288 bytes, but 48 x 64 x 3 are 9216"),
    ],
)
def test_records_of_another_kind_are_refused(tmp_path, content, settings, words):
    (tmp_path / "a.tfrecord-00000-of-00001").write_bytes(content)
    collection = BairPushing(path=str(tmp_path), **settings)
    (entry,) = collection.entries()
    refused(collection, entry, words, BAIR)


def test_a_place_without_records_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no records"):
        BairPushing(path=str(tmp_path)).entries()
    with pytest.raises(InputError, match="there is no"):
        BairPushing(path=str(tmp_path / "nowhere")).entries()
    with pytest.raises(InputError, match="no data were named"):
        BairPushing().entries()
    refused(BairPushing(path=str(tmp_path)), Entry(name="gone.tfrecord/0"), "gone.tfrecord is not there")


class Tiny(tfds.core.GeneratorBasedBuilder):
    """Clips in the ways that data sets have them."""

    VERSION = tfds.core.Version("1.0.0")
    code_path = None  # to find it, a package is asked for that tensorflow-datasets does not bring along

    def _info(self):
        features = {
            "video": tfds.features.Tensor(shape=(None, 8, 8, 3), dtype=np.uint8, encoding="bytes"),
            "floats": tfds.features.Tensor(shape=(None, 8, 8), dtype=np.float32),
            "pictures": tfds.features.Sequence(tfds.features.Image(shape=(8, 8, 3))),
            "label": tfds.features.ClassLabel(names=["run", "walk"]),
            "words": tfds.features.Text(),
            "actions": tfds.features.Tensor(shape=(None, 2), dtype=np.float32),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples(range(3)),
            "validation": self._generate_examples(range(3, 5)),
        }

    def _generate_examples(self, numbers):
        for i in numbers:
            yield i, clip(i)


def clip(i):
    frames = np.random.default_rng(i).integers(0, 256, (3 + i, 8, 8, 3), dtype=np.uint8)
    return {
        "video": frames,
        "floats": (frames[..., 0] / 255).astype(np.float32),
        "pictures": [png(frame) for frame in frames],
        "label": i % 2,
        "words": f"clip {i}",
        "actions": np.full((3 + i, 2), i, np.float32),
    }


def png(frame):
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "png")
    stream.seek(0)
    return stream


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data set, and the same as if its frames were of the feature `Video`."""
    place = tmp_path_factory.mktemp("tfds")
    tfds.display_progress_bar(False)
    Tiny(data_dir=place, file_format="array_record").download_and_prepare()
    features = place / "tiny" / "1.0.0" / "features.json"
    about = json.loads(features.read_text())
    about["featuresDict"]["features"]["pictures"] = {
        "pythonClassName": "tensorflow_datasets.core.features.video_feature.Video",
        "video": {
            "shape": {"dimensions": ["-1", "8", "8", "3"]},
            "dtype": "uint8",
            "encodingFormat": "png",
        },
    }
    features.write_text(json.dumps(about))
    assert "tensorflow" not in sys.modules
    return place


def clip_of(frames):
    """Which clip it is: records were shuffled."""
    return len(frames) - 3


@pytest.mark.parametrize("key", ["video", "pictures", "floats"])
def test_any_feature_of_frames(prepared, key):
    collection = Tfds(path=str(prepared), key=key, scale="unit" if key == "floats" else "levels")
    found = listed(collection)
    assert list(found) == [
        f"tiny/1.0.0/{n}" for n in ("train[0]", "train[1]", "train[2]", "validation[0]", "validation[1]")
    ]
    assert [entry.split for entry in found.values()] == ["train"] * 3 + ["test"] * 2
    seen = []
    for entry in found.values():
        frames, _, _ = joined(collection, entry, Picture(height=8, width=8))
        seen.append(clip_of(frames))
        expected = clip(seen[-1])["video"]
        assert np.array_equal(frames, np.repeat(expected[..., :1], 3, -1) if key == "floats" else expected)
    assert sorted(seen[:3]) == [0, 1, 2] and sorted(seen[3:]) == [3, 4]


@pytest.mark.parametrize(("label", "names"), [("label", ("run", "walk")), ("words", ())])
def test_classes_and_actions(prepared, label, names):
    collection = Tfds(path=str(prepared), name="tiny/1.0.0", label=label, actions="actions")
    for entry in collection.entries():
        frames, actions, _ = joined(collection, entry, Picture(height=8, width=8))
        i = clip_of(frames)
        assert entry.label == (names[i % 2] if names else f"clip {i}")
        assert np.array_equal(actions, np.full((3 + i, 2), i, np.float32))


def test_a_data_set_is_the_source_of_an_experiment(prepared, tmp_path):
    split = stored(Tfds(path=str(prepared), label="label"), tmp_path / "cache")
    assert (len(split.train), len(split.test)) == (3, 2)
    assert split.train.layout.labels == ("run", "walk")
    for part in (split.train, split.test):
        for i in range(len(part)):
            number = part.length(i) - 3
            assert part.conditioning(i, 0, 1)["label"] == number % 2
            assert np.array_equal(part.read(i, 0, number + 3), clip(number)["video"])


def test_what_a_data_set_does_not_have_is_said(prepared, tmp_path):
    with pytest.raises(InputError, match=r"no feature 'frames': there are .*video"):
        Tfds(path=str(prepared), key="frames").entries()
    with pytest.raises(InputError, match="no feature 'class'"):
        Tfds(path=str(prepared), label="class").entries()
    with pytest.raises(InputError, match=r"holds no data set .*file_format='array_record'"):
        Tfds(path=str(prepared), name="large").entries()
    with pytest.raises(InputError, match="there is no"):
        Tfds(path=str(tmp_path / "nowhere")).entries()
    refused(Tfds(path=str(prepared)), Entry(name="tiny/1.0.0/train[7]"), "the record cannot be read")


def copied(prepared, place):
    folder = place / "tiny" / "1.0.0"
    folder.mkdir(parents=True)
    for file in (prepared / "tiny" / "1.0.0").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_several_data_sets_must_be_told_apart(prepared, tmp_path):
    copied(prepared, tmp_path / "a")
    copied(prepared, tmp_path / "b")
    with pytest.raises(InputError, match=r"several data sets.*a/tiny/1.0.0, b/tiny/1.0.0"):
        Tfds(path=str(tmp_path)).entries()
    assert len(Tfds(path=str(tmp_path), name="a").entries()) == 5


def test_a_data_set_of_another_format_is_refused(prepared, tmp_path):
    about = copied(prepared, tmp_path) / "dataset_info.json"
    about.write_text(about.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(InputError, match="prepared as tfrecord"):
        Tfds(path=str(tmp_path)).entries()


def test_a_damaged_data_set_is_refused(prepared, tmp_path):
    folder = copied(prepared, tmp_path)
    (shard,) = folder.glob("*train*")
    shard.write_bytes(shard.read_bytes()[:-100])
    collection = Tfds(path=str(tmp_path))
    refused(collection, collection.entries()[0], "the record cannot be read")
    with pytest.raises(InputError, match="train cannot be read"):
        Tfds(path=str(tmp_path), label="label").entries()
    (folder / "features.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        collection.entries()


def test_a_missing_library_is_named_with_what_to_do(prepared, bair, monkeypatch):
    for module in ("tensorflow_datasets", "tensorflow_datasets.proto"):
        monkeypatch.setitem(sys.modules, module, None)
    collection = BairPushing(path=str(bair))
    with pytest.raises(InputError, match=r"pip install 'rolling-diffusion\[video\]'"):
        list(collection.read(collection.entries()[0], BAIR))
    with pytest.raises(InputError, match=r"pip install 'rolling-diffusion\[video\]'"):
        Tfds(path=str(prepared)).entries()


def rewritten(prepared, place, file, old, new):
    about = copied(prepared, place) / file
    assert old in about.read_text()
    about.write_text(about.read_text().replace(old, new))
    return Tfds(path=str(place))


def test_a_data_set_imports_no_module(prepared, tmp_path, monkeypatch):
    (tmp_path / "hostile.py").write_text(f"open({str(tmp_path / 'evidence')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    kind = "tensorflow_datasets.core.features.text_feature.Text"
    collection = rewritten(prepared, tmp_path / "a", "features.json", kind, "hostile.Text")
    with pytest.raises(InputError, match=r"kind 'hostile.Text', which is none of tensorflow-datasets' own"):
        collection.entries()
    assert not (tmp_path / "evidence").exists()


@pytest.mark.parametrize("template", ["../{DATASET}", "/etc/{SPLIT}", "{DATASET:>999999}", "{SPLIT.name}"])
def test_a_data_set_reads_no_files_outside(prepared, tmp_path, template):
    old = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    with pytest.raises(InputError, match="in files that cannot be in its folder"):
        rewritten(prepared, tmp_path, "dataset_info.json", old, template).entries()


def test_a_picture_in_a_record_starts_no_program(prepared, monkeypatch):
    """Whatever is decoded, it is of one of the formats of frames."""
    monkeypatch.setattr("rolling.data.untrusted.pictures.FORMATS", ("JPEG",))
    collection = Tfds(path=str(prepared), key="pictures")
    refused(collection, collection.entries()[0], "the record cannot be read .*identify")
