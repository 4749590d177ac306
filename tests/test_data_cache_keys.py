"""Names in the cache stay what they were: nothing that took hours is made again because a class has moved."""

import dataclasses
import os

import numpy as np
import pytest
import xarray as xr

from rolling.data import cache
from rolling.data.clips.collections import (
    UCF101,
    ArrayFiles,
    BairPushing,
    FrameFolders,
    Kinetics,
    SomethingSomething,
    Tfds,
    Videos,
)
from rolling.data.clips.protocol import Picture
from rolling.data.clips.source import Clips
from rolling.data.gridded.source import Gridded
from rolling.data.moving_shapes import MovingShapes
from rolling.data.simulated import Simulated
from rolling.physics.simulators import Kolmogorov, KuramotoSivashinsky

# Computed at commit f933af7, when keys held the modules of that time.
KEYS = (
    (Simulated(simulator=Kolmogorov()), "a7a511c79cb61dbc"),
    (Simulated(simulator=KuramotoSivashinsky()), "eb4048ae44e3631e"),
    (Simulated(simulator=MovingShapes()), "219bdbb980327672"),
    (Gridded(path="era5.nc", features=None), "23ee6cba9acd6ba2"),  # as surveys are named
    (Picture(), "551a10cdcd2a9f86"),
    (ArrayFiles(), "ee68494f84014601"),
    (Videos(), "6cc7afdd4e8e3aeb"),
    (FrameFolders(), "8ad3b981db50abeb"),
    (Kinetics(), "10071f72a3fe1fdc"),
    (SomethingSomething(), "1cb53f053a5a6e72"),
    (Tfds(), "d5b9e4f936fca71a"),
    (BairPushing(), "c27fef6c5fec0054"),
    (UCF101(), "584ed870867ae123"),
)


@pytest.mark.parametrize(("value", "name"), KEYS, ids=lambda value: type(value).__name__)
def test_keys_are_those_of_before(value, name):
    assert cache.key((value, 1)) == name


def test_every_class_with_a_former_module_is_pinned():
    simulators = [value.simulator for value, _ in KEYS if isinstance(value, Simulated)]
    pinned = {type(value).__name__ for value in (*(value for value, _ in KEYS), *simulators)}
    assert pinned == set(cache.FORMER_MODULES)


def test_a_prepared_store_is_found_under_its_former_name(tmp_path):
    file, place = tmp_path / "clips.npy", tmp_path / "cache"
    np.save(file, (np.arange(4 * 3 * 8 * 8) % 256).astype(np.uint8).reshape(4, 3, 8, 8))
    os.utime(file, ns=(10**18, 10**18))
    clips = Clips(path=str(file), collection=ArrayFiles(axes="n t h w"), cache=str(place), workers=0)
    former = dataclasses.replace(clips, holdout_by="names")  # the split of that time
    former.open()
    assert [folder.name for folder in place.iterdir()] == ["arrayfiles-195583327a11bca7"]
    clips.open()
    assert len(list(place.iterdir())) == 2


def test_a_survey_is_that_of_any_functions_of_time(tmp_path, monkeypatch):
    monkeypatch.setenv("ROLLING_CACHE", str(tmp_path / "cache"))
    times = np.datetime64("2020-01-01T00", "ns") + np.arange(60) * np.timedelta64(6, "h")
    values = np.random.default_rng(0).standard_normal((60, 4, 5)).astype(np.float32)
    axes = {"time": times, "lat": np.arange(4.0), "lon": np.arange(5.0)}
    xr.DataArray(values, axes, tuple(axes), "t2m").to_netcdf(tmp_path / "a.nc")
    for features in (("auto",), None, ("day_of_year",)):
        Gridded(path=str(tmp_path / "a.nc"), features=features, in_memory=0).open()
    assert len(list((tmp_path / "cache").glob("survey-*"))) == 1


def test_a_class_of_ours_keeps_its_key_wherever_it_is_defined():
    made = [dataclasses.make_dataclass("Tides", [("depth", int)], frozen=True) for _ in range(3)]
    for kind, module in zip(made, ("rolling.data.tides", "rolling.physics.waves.tides", "mine"), strict=True):
        kind.__module__ = module
    ours, moved, theirs = (cache.key(kind(10)) for kind in made)
    assert ours == moved != theirs
