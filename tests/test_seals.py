"""One bit that has changed in what a run keeps is told of when it is read, and never used in silence."""

import contextlib
import errno
import json
import random
import re
import shutil

import jax
import numpy as np
import pytest

from rolling.common import documents, seal
from rolling.common.errors import InputError
from rolling.data.clips.collections.rolling_stores import ForecastClips
from rolling.data.clips.protocol import Picture
from rolling.data.clips.store import reader
from rolling.data.clips.store.prepare import prepare
from rolling.layout import video
from rolling.run.checkpoint import JSON, TREES, Checkpoints
from rolling.run.forecasting.init_times import InitTime
from rolling.run.forecasting.zarr_reader import open_forecast
from rolling.run.forecasting.zarr_writer import ForecastStore, skeleton
from tests.clip_tools import Made

LAYOUT, FRAMES = video(8, 8, rate=10, colour=False), 6
PICTURE = Picture(height=8, width=12, colour=False)
rng = np.random.default_rng(0)
WEIGHTS = {"a": {"kernel": rng.standard_normal((5, 7)).astype(np.float32)}, "b": [np.ones(3), np.zeros(2)]}
ITEMS = {name: WEIGHTS for name in TREES} | {
    name: {"words": [1, 2.5, "a"], "pair": (1, name)} for name in JSON
}


@pytest.fixture(autouse=True)
def fresh():
    for kept in (reader.mapped, reader._checked, reader._columns):
        kept.cache_clear()
    seal._told.clear()


def write_checkpoint(folder, steps=(1, 2)):
    with contextlib.closing(Checkpoints(folder)) as checkpoints:
        for step in steps:
            checkpoints.save(step, ITEMS)
            checkpoints.wait()


def read_checkpoint(folder):
    with contextlib.closing(Checkpoints(folder)) as checkpoints:
        found = checkpoints.restore(TREES + JSON)
    return [leaf.tolist() for name in TREES for leaf in jax.tree.leaves(found[name])], [
        found[name] for name in JSON
    ]


def write_forecast(folder):
    store = ForecastStore(folder, LAYOUT, {"run": "ours"})
    starts = [InitTime(sequence=i, frame=1) for i in range(2)]
    store.create(skeleton(LAYOUT, np.zeros(2), np.tile(1.0 + np.arange(FRAMES), (2, 1)), starts, 1), 3)
    frames = np.random.default_rng(1).integers(0, 256, (2, FRAMES, 8, 8, 1)).astype(np.float32)
    for start in range(2):
        for lead in (0, 3):
            store.write(start, 0, lead, frames[start, lead : lead + 3])
    store.complete()


def read_forecast(folder):
    found = open_forecast(folder, LAYOUT)
    with found.dataset as dataset:
        named = {name: dataset[name].attrs for name in dataset.variables}
        named |= {f"{name} at": dataset[name].values.tolist() for name in dataset.coords}
        fields = [found.read(start, 0, FRAMES).tolist() for start in range(2)]
        return dataset.attrs, named, fields


def write_prepared(folder):
    folder.mkdir()
    made = Made(count=5, actions=2, tokens=3)
    prepare(folder, made, made.entries(), PICTURE, workers=0)


def read_prepared(folder):
    for kept in (reader.mapped, reader._checked, reader._columns):
        kept.cache_clear()
    split = reader.open_store(folder)
    found = []
    for part in (split.train, split.test):
        for i in range(len(part)):
            known = part.conditioning(i, 0, part.length(i))
            found.append([part.name(i), part.raw(i, 0, part.length(i)).tolist()])
            found.append({name: value.tolist() for name, value in known.items()})
    return found, split.train.statistics().to_arrays()["mean"].tolist(), split.train.layout, split.skipped


KINDS = {
    "checkpoint": (write_checkpoint, read_checkpoint, 12),
    "forecast": (write_forecast, read_forecast, 40),
    "prepared": (write_prepared, read_prepared, 60),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_told_or_changes_nothing(kind, tmp_path):
    write, read, count = KINDS[kind]
    write(tmp_path / "it")
    truth, draw, told = read(tmp_path / "it"), random.Random(0), 0
    files = sorted(path for path in (tmp_path / "it").rglob("*") if path.is_file() and path.stat().st_size)
    for _ in range(count):
        file = draw.choice(files)
        before = file.read_bytes()
        place = draw.randrange(len(before))
        changed = before[place] ^ 1 << draw.randrange(8)
        file.write_bytes(before[:place] + bytes([changed]) + before[place + 1 :])
        try:
            assert read(tmp_path / "it") == truth, (file, place)
        except InputError as error:
            told += 1
            assert len(str(error).splitlines()) == 1
        file.write_bytes(before)
    assert read(tmp_path / "it") == truth
    # Most files of a checkpoint, whose names are orbax's own, are descriptions that nobody reads.
    assert told > count / 5 or kind == "checkpoint"


SPOILED = {"deeper than Python goes": 100_000, "deeper than any walk goes": 500, "larger than any": 0}


@pytest.mark.parametrize("what", SPOILED)
@pytest.mark.parametrize("kind", KINDS)
def test_json_of_any_depth_and_size_is_told_or_not_read(kind, what, tmp_path, monkeypatch):
    """Of each file on its own, as somebody may send it."""
    write, read, _ = KINDS[kind]
    write(tmp_path / "it")
    truth, told, depth = read(tmp_path / "it"), 0, SPOILED[what]
    if not depth:
        monkeypatch.setattr(documents, "LARGEST", 1)
    for file in sorted(path for path in (tmp_path / "it").rglob("*") if path.is_file()):
        before = file.read_bytes()
        if not before.startswith(b"{"):
            continue
        if depth:
            file.write_text("[" * depth + "]" * depth)
        try:
            assert read(tmp_path / "it") == truth, file
        except InputError as error:
            assert re.search("JSON is (nested|larger)", str(error)) and len(str(error).splitlines()) == 1
            told += 1
        file.write_bytes(before)
    assert told


# Where damage would be used, were it not for the seal.


def spoil(file, old, new):
    assert file.read_bytes().count(old) == 1, file
    file.write_bytes(file.read_bytes().replace(old, new))


def test_metadata_of_a_forecast_are_sealed(tmp_path):
    write_forecast(tmp_path / "a.zarr")
    write_forecast(tmp_path / "b.zarr")
    unit = tmp_path / "a.zarr" / LAYOUT.names[0] / "zarr.json"
    text = unit.read_text()
    spoil(unit, b'"fill_value": 0', b'"fill_value": 2')
    for read in (read_forecast, lambda path: ForecastClips(path=str(path)).entries()):
        with pytest.raises(InputError, match=r"a.zarr is damaged, .*: delete it and roll out again"):
            read(tmp_path / "a.zarr")
    # An unfinished one is not finished on top of the damage.
    with pytest.raises(InputError, match=r"a.zarr is damaged"):
        ForecastStore(tmp_path / "a.zarr", LAYOUT, {"run": "ours"}).check_identity()
    unit.write_text(text)
    read_forecast(tmp_path / "a.zarr")
    shutil.rmtree(tmp_path / "b.zarr" / "sequence")
    with pytest.raises(InputError, match=r"b.zarr is damaged"):
        read_forecast(tmp_path / "b.zarr")


def test_frames_of_a_prepared_store_are_checked_when_they_are_read(tmp_path):
    write_prepared(tmp_path / "it")
    shard = tmp_path / "it" / "shard-00001.npy"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    train = reader.open_store(tmp_path / "it").train
    train.read(0, 0, 15), train.read(1, 0, 14)
    with pytest.raises(InputError, match=r"shard-00001.npy is damaged.*delete it and prepare it again"):
        train.read(1, 0, 15)


def test_a_damaged_checkpoint_is_left_for_the_one_before_it(tmp_path):
    write_checkpoint(tmp_path)
    seals = tmp_path / "2" / "seal" / "metadata"
    noted = json.loads(seals.read_text())
    seals.write_text(json.dumps(noted | {"ema": noted["ema"] ^ 1}))
    with pytest.raises(InputError, match=r"checkpoint .*/2 is damaged.*delete that folder to use the one"):
        read_checkpoint(tmp_path)
    shutil.rmtree(tmp_path / "2")
    assert read_checkpoint(tmp_path)[0] == [leaf.tolist() for _ in TREES for leaf in jax.tree.leaves(WEIGHTS)]


# What cannot be kept.


def test_a_full_disk_leaves_no_half_of_a_checkpoint(tmp_path, monkeypatch):
    half = tmp_path / "2.orbax-checkpoint-tmp"
    half.mkdir()  # of a process that was killed
    write_checkpoint(tmp_path, (1,))
    assert not half.exists()
    with contextlib.closing(Checkpoints(tmp_path)) as checkpoints:

        def full():
            half.mkdir()
            raise ValueError("RESOURCE_EXHAUSTED: Failed writing: ... No space left on device (28)")

        with monkeypatch.context() as patch, pytest.raises(OSError) as told:
            patch.setattr(checkpoints._manager, "wait_until_finished", full)
            checkpoints.wait()
    assert told.value.errno == errno.ENOSPC and told.value.filename == str(tmp_path)
    assert not half.exists() and read_checkpoint(tmp_path)


# What earlier versions have kept.


def unsealed_checkpoint(folder):
    write_checkpoint(folder)
    for step in "12":
        shutil.rmtree(folder / step / "seal")


def unsealed_forecast(folder):
    write_forecast(folder)
    root = json.loads((folder / "zarr.json").read_text())
    del root["attributes"]["rolling_seal"]
    (folder / "zarr.json").write_text(json.dumps(root))


def unsealed_store(folder):
    write_prepared(folder)
    about = json.loads((folder / "store.json").read_text())
    del about["seal"], about["checksums"], about["files"]["checks.npy"]
    (folder / "store.json").write_text(json.dumps(about))
    (folder / "checks.npy").unlink()


@pytest.mark.parametrize(
    ("kind", "write"),
    [("checkpoint", unsealed_checkpoint), ("forecast", unsealed_forecast), ("prepared", unsealed_store)],
)
def test_what_has_no_seal_is_read_with_a_word(kind, write, tmp_path, capsys):
    KINDS[kind][0](tmp_path / "sealed")
    write(tmp_path / "it")
    capsys.readouterr()
    read = KINDS[kind][1]
    truth = read(tmp_path / "sealed")
    assert "seal" not in capsys.readouterr().err
    found = [read(tmp_path / "it") for _ in range(2)]
    assert capsys.readouterr().err.count("has no seal, as those of earlier versions") == 1
    if kind != "forecast":
        assert found == [truth, truth]


# The checksums.


@pytest.mark.parametrize(
    "value",
    [np.float32(3), np.zeros((0, 3)), np.arange(12.0).reshape(3, 4)[:, ::2], np.array([True]), b"abc"],
)
def test_a_checksum_is_that_of_the_bytes(value):
    import google_crc32c

    content = value if isinstance(value, bytes) else value.tobytes()
    assert seal.checksum(value) == google_crc32c.value(content)


def test_checksums_are_those_of_each():
    values = np.random.default_rng(0).integers(0, 256, (5, 4, 6), np.uint8)
    for several in (values, values[:, ::2], values[:0], values[0, 0], values.astype(np.float32)):
        assert seal.checksums(several) == [seal.checksum(np.array(value)) for value in several]


def test_names_types_and_shapes_count():
    x = np.arange(4, dtype=np.int32)
    others = [{"b": x}, {"a": x.reshape(2, 2)}, {"a": x.view(np.uint32)}, {"a": x, "b": x[:0]}]
    assert len({seal.checksum_of_arrays(value) for value in [{"a": x}, *others]}) == 5


def test_an_object_is_sealed_however_it_is_written(tmp_path):
    value = seal.sealed({"b": [1, 2.5], "a": "ü"})
    seal.check_sealed(json.loads(json.dumps(value, indent=3)), "it", "")
    for spoilt in ({"a": "u"}, {"c": 1}, {"seal": value["seal"] ^ 1}):
        with pytest.raises(InputError, match="it is damaged"):
            seal.check_sealed(value | spoilt, "it", "")
    (tmp_path / "file").write_bytes(bytes(range(256)) * 40_000)
    assert seal.checksum_of_file(tmp_path / "file") == seal.checksum((tmp_path / "file").read_bytes())
