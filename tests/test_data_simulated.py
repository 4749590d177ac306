"""Simulated sequences and the cache they are kept in."""

import dataclasses
import errno
import os

import numpy as np
import pytest

import rolling.data.simulated
from rolling.common.errors import InputError
from rolling.common.lock import alone
from rolling.data import cache
from rolling.data.simulated import Simulated
from rolling.data.source import Sequences, Source
from rolling.physics.simulators import KuramotoSivashinsky


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    simulator = KuramotoSivashinsky(resolution=8, grid=16, domain=8.0, spin_up=5.0)
    place = str(tmp_path_factory.mktemp("cache"))
    return Simulated(simulator=simulator, train=3, frames=12, test=3, test_frames=25, cache=place)


def test_parts_have_their_lengths_and_own_trajectories(small):
    split = small.open()
    assert isinstance(small, Source) and isinstance(split.train, Sequences)
    assert len(split.train) == 3 and split.train.length(2) == 12
    assert len(split.test) == 3 and split.test.length(0) == 25
    frames = split.train.read(1, 3, 7)
    assert frames.shape == (4, 8, 8, 1) and frames.dtype == np.float32 and np.isfinite(frames).all()
    np.testing.assert_allclose(split.test.times(1, 23, 27), [11.5, 12.0, 12.5, 13.0])
    firsts = [part.read(i, 0, 1).tobytes() for part in (split.train, split.test) for i in range(3)]
    assert len(set(firsts)) == 6


def test_a_trajectory_does_not_depend_on_how_many_there_are(small):
    more = dataclasses.replace(small, train=4, frames=22).open().train
    few = small.open().train
    for i in range(3):
        np.testing.assert_allclose(more.read(i, 0, 12), few.read(i, 0, 12), atol=1e-2)


def test_it_is_simulated_once(small, monkeypatch):
    before = small.open()
    monkeypatch.setattr(rolling.data.simulated, "chunks", None)
    after = small.open()
    np.testing.assert_array_equal(before.test.read(2, 0, 25), after.test.read(2, 0, 25))
    with pytest.raises(TypeError):
        dataclasses.replace(small, seed=1).open()


def test_damage_is_found_and_mended(small, capsys):
    expected = small.open().train.read(0, 0, 12)
    name = next(name for name in os.listdir(small.cache) if name.startswith("kuramoto"))
    folders = [folder for folder in os.listdir(small.cache)]
    for folder in folders:
        for file in ("train.npy", "test.npy", cache.CHECKSUMS):
            path = os.path.join(small.cache, folder, file)
            size = os.path.getsize(path)
            for damage in ("cut", "flip", "remove"):
                if damage == "remove":
                    os.remove(path)
                    continue
                with open(path, "r+b") as handle:
                    if damage == "cut":
                        handle.truncate(size // 2)
                    else:
                        handle.seek(size // 4)
                        handle.write(b"\xff\xff")
    assert not cache.is_intact(cache.Path(small.cache) / name)
    np.testing.assert_array_equal(small.open().train.read(0, 0, 12), expected)
    assert "damaged" in capsys.readouterr().err
    assert not [name for name in os.listdir(small.cache) if name.startswith(".")]


def test_halves_of_dead_processes_are_removed(small, tmp_path):
    half, kept = tmp_path / ".kolmogorov-0123456789abcdef.half", tmp_path / ".videos-0123456789abcdef.part"
    held = tmp_path / ".kolmogorov-1123456789abcdef.half"
    former = [tmp_path / f".kolmogorov-0123456789abcdef-{name}" for name in ("qwertz_1", "asdfgh_2")]
    for folder in (half, kept, held, *former):
        folder.mkdir()
        (folder / "train.npy").touch()
    for place in (former[0] / "train.npy", former[0]):
        os.utime(place, (0, 0))
    with alone(held.with_suffix(".lock"), "it"):
        dataclasses.replace(small, cache=str(tmp_path)).open()
    assert not half.exists() and not former[0].exists()
    # Of a process at work, of one of an earlier version that may be, and half of what took hours.
    assert held.exists() and former[1].exists() and kept.exists()


def test_what_cannot_be_simulated_or_kept(small, monkeypatch, tmp_path):
    wild = dataclasses.replace(small.simulator, dt=8.0, interval=8.0)
    with pytest.raises(InputError, match=r"reduce its time step, simulator.dt, which is 8.0"):
        dataclasses.replace(small, simulator=wild, cache=str(tmp_path), frames=60).open()
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="train >= 1"):
        Simulated(train=0)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(rolling.data.simulated.Simulated, "_simulate", full)
    with pytest.raises(InputError, match="disk is full"):
        dataclasses.replace(small, cache=str(tmp_path), seed=3).open()
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        dataclasses.replace(small, cache=str(tmp_path / "file")).open()


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("ROLLING_CACHE", str(tmp_path))
    assert cache.folder() == tmp_path
    assert cache.folder(str(tmp_path / "own")) == tmp_path / "own"
    monkeypatch.delenv("ROLLING_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "rolling-diffusion"


def test_equal_parameters_have_equal_keys():
    assert cache.key(Simulated()) == cache.key(Simulated())
    others = [Simulated(seed=1), Simulated(simulator=KuramotoSivashinsky()), Simulated(frames=111)]
    assert len({cache.key(value) for value in [Simulated(), *others]}) == 4
