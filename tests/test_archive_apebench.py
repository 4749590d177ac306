"""APEBench: the arrays of a scenario and its settings."""

import json
import math
import os

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.simulations.archives import APEBench
from rolling.data.simulations.known_archives import KNOWN, archive_at
from rolling.data.simulations.stored_arrays import NpyArray
from tests import archive_files
from tests.archive_files import coded
from tests.test_simulations import check_frames, opened

SIZES = {1: {"x": 6}, 2: {"x": 6, "y": 4}, 3: {"x": 4, "y": 3, "z": 2}}
NAME = "2d_phy_kolm_flow"


def scenario(folder, dims=2, name=NAME, channels=2, info=None, tested=12):
    """3 trajectories of 9 frames to train on and 2 of 12 to test on, which follow in number."""
    folder.mkdir(parents=True, exist_ok=True)
    space = SIZES[dims]
    for part, count, frames, first in (("train", 3, 9, 0), ("test", 2, tested, 3)):
        values = [coded(count, frames, space, channel, first=first) for channel in range(channels)]
        np.save(folder / f"{name}_{part}.npy", np.stack(values, axis=2).astype(np.float32))
    told = {"num_spatial_dims": dims, "num_points": 6, "num_channels": channels, "vlim": [-1.0, 1.0]}
    said = {"name": name, "info": told | (info or {})}
    (folder / f"{name}.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_all_frames_of_one_to_three_axes(tmp_path, dims):
    split = opened(scenario(tmp_path, dims, info={"domain_extent": 2 * math.pi, "dt": 0.01}))
    train, test = split.train, split.test
    names = ["z", "y", "x"][-dims:]
    assert [(a.name, len(a), a.boundary) for a in train.layout.axes] == [
        (name, SIZES[dims][name], "periodic") for name in names
    ]
    assert train.layout.step == 0.01 and train.layout.names == ("u_0", "u_1")
    np.testing.assert_allclose(
        train.layout.x.values, 2 * math.pi * np.arange(len(train.layout.x)) / len(train.layout.x)
    )
    assert (len(train), len(test), split.validation) == (3, 2, None)
    for part, index, trajectory in ((train, 0, 0), (train, 1, 1), (train, 2, 2), (test, 0, 3), (test, 1, 4)):
        check_frames(part, index, trajectory, (0, 1), SIZES[dims])
    assert (train.length(0), test.length(0)) == (9, 12) and split.train.layout.parameters == ()
    assert [test.name(i) for i in (0, 1)] == [f"{NAME}_test.npy[0]", f"{NAME}_test.npy[1]"]


def test_scenarios_without_units_have_a_domain_of_length_one_and_steps_of_one(tmp_path):
    name = "1d_diff_adv__num_spatial_dims=1, gammas=(0.0, 0.5)"
    train = opened(scenario(tmp_path, 1, name=name, channels=1)).train
    assert train.layout.names == ("u",) and train.layout.step == 1.0
    np.testing.assert_allclose(train.layout.x.values, np.arange(6) / 6)


def test_one_of_several_scenarios_is_named_by_its_file(tmp_path):
    scenario(tmp_path, 1, name="1d_diff_adv")
    scenario(tmp_path, 2)
    with pytest.raises(
        InputError, match=r"holds 2 scenarios \(1d_diff_adv, 2d_phy_kolm_flow\): give the file"
    ):
        opened(tmp_path)
    for ending in ("_train.npy", "_test.npy", ".json"):
        split = opened(tmp_path / f"{NAME}{ending}")
        assert (len(split.train), len(split.test)) == (3, 2) and split.train.layout.space == (4, 6)


def test_arrays_are_mapped_and_read_in_part(tmp_path):
    scenario(tmp_path)
    (piece,) = APEBench().trajectories(tmp_path)[0].pieces
    assert isinstance(piece.array, NpyArray)
    file = tmp_path / f"{NAME}_train.npy"
    with open(file, "r+b") as array:  # behind the first trajectory, where nothing is read
        array.seek(-8, os.SEEK_END)
        array.write(b"\xff" * 8)
    assert np.isfinite(piece.read(0, 9, (4, 6))).all()


def test_it_is_found_by_looking(tmp_path):
    folder = scenario(tmp_path / "ape")
    assert [type(kind) for kind in KNOWN if kind.lies_in(folder)] == [APEBench]
    assert isinstance(archive_at(folder / f"{NAME}_train.npy"), APEBench)
    archive_files.the_well(tmp_path / "well")
    clips = tmp_path / "clips"
    clips.mkdir()
    np.save(clips / "a_train.npy", np.zeros((2, 3)))
    np.save(clips / "b_train.npy", np.zeros((2, 3)))
    (clips / "b.json").write_text('{"info": "of another kind"}')
    for place in (
        tmp_path / "well",
        tmp_path / "none",
        tmp_path,
        clips,
        clips / "a_train.npy",
        clips / "b.json",
    ):
        assert not APEBench().lies_in(place)
    with pytest.raises(InputError, match=r"there is no NAME\.json beside a NAME_train\.npy in"):
        APEBench().trajectories(tmp_path)


DAMAGES = {
    ".json cannot be read": lambda json_file, array: json_file.write_bytes(b"\xff{"),
    "does not say that `num_spatial_dims` is 1, 2 or 3": lambda json_file, array: json_file.write_text(
        '{"name": "a", "info": {"num_spatial_dims": [2]}}'
    ),
    "'dt' of .* is no number above 0: repair it": lambda json_file, array: json_file.write_text(
        '{"info": {"num_spatial_dims": 2, "dt": "long"}}'
    ),
    "'domain_extent' of .* is no number above 0": lambda json_file, array: json_file.write_text(
        '{"info": {"num_spatial_dims": 2, "domain_extent": -1}}'
    ),
    "holds an array of 4 axes, and .* tells 5": lambda json_file, array: np.save(
        array, np.zeros((3, 9, 2, 6))
    ),
    "_train.npy cannot be read .*it is damaged, cut short": lambda json_file, array: array.write_bytes(
        array.read_bytes()[:400]
    ),
    "_train.npy cannot be read .*Python objects": lambda json_file, array: np.save(
        array, np.full((3, 9, 2, 6, 4), None, object)
    ),
    "u_1 is not finite in frame 5 of .*_train.npy\\[0\\]": lambda json_file, array: np.save(
        array, np.where(np.arange(3 * 9 * 2 * 24) == 5 * 48 + 24, np.nan, 1.0).reshape(3, 9, 2, 6, 4)
    ),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_damage_is_told_in_one_sentence(tmp_path, message):
    folder = scenario(tmp_path)
    DAMAGES[message](folder / f"{NAME}.json", folder / f"{NAME}_train.npy")
    with pytest.raises(InputError, match=message):
        opened(folder, archive=APEBench()).train.read(0, 0, 9)
