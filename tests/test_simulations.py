"""Archives of simulations: frames read exactly, with parts, parameters, constants and boundaries."""

import dataclasses
from typing import Any

import h5py
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.simulations import Simulations
from rolling.data.source import Source
from rolling.data.statistics import measure
from tests import archive_files
from tests.archive_files import expected


def opened(path, **settings):
    return Simulations(path=str(path), **settings).open()


def check_frames(sequences, index, trajectory, channels, space):
    """All frames of a sequence, and some in its middle, are those of a trajectory."""
    for start, stop in ((0, sequences.length(index)), (3, 7), (5, 5)):
        frames = sequences.read(index, start, stop)
        truth = np.stack([expected(trajectory, start, stop, space, c) for c in channels], axis=-1)
        assert frames.shape == truth.shape and frames.dtype == np.float32
        np.testing.assert_array_equal(frames, truth.astype(np.float32))


@pytest.mark.parametrize("tiled", [False, True])
def test_the_well(tmp_path, tiled):
    archive_files.the_well(tmp_path, tensor=True, tiled=tiled)
    split = opened(tmp_path, variables=("density", "velocity_x", "velocity_y", "D_xy", "D_yy"))
    layout = split.train.layout
    assert [(a.name, len(a), a.boundary) for a in layout.axes] == [("y", 4, "wall"), ("x", 6, "periodic")]
    assert layout.step == 0.5 and layout.names == ("density", "velocity_x", "velocity_y", "D_xy", "D_yy")
    assert split.validation is not None
    assert (len(split.train), len(split.validation), len(split.test)) == (6, 2, 4)
    for part, trajectories in ((split.train, (0, 1, 2, 3, 4, 5)), (split.test, (8, 9, 10, 11))):
        for index, trajectory in enumerate(trajectories):
            check_frames(part, index, trajectory, (1, 3, 4, 6, 7), {"x": 6, "y": 4})
    whole = opened(tmp_path).train
    assert whole.layout.names[:2] == ("density", "profile")
    profile = expected(3, 0, 12, {"x": 6, "y": 1}, 2).astype(np.float32)
    np.testing.assert_array_equal(whole.read(3, 0, 12)[..., 1], np.broadcast_to(profile, (12, 4, 6)))


def test_parameters_and_constants_condition_the_network(tmp_path):
    archive_files.the_well(tmp_path)
    split = opened(tmp_path)
    (number,), (mask,) = split.train.layout.parameters, split.train.layout.constants
    assert (number.name, mask.name) == ("Re", "mask")
    told = [split.train.conditioning(i, 2, 5) for i in range(6)]
    shown = np.stack([each["parameters"] for each in told])
    assert shown.shape == (6, 3, 1) and shown.dtype == np.float32
    np.testing.assert_allclose([shown[:, 0].mean(), shown[:, 0].std()], [0, 1], atol=1e-6)
    constant = told[0]["constants"]
    truth = (expected(0, 0, 1, {"x": 6, "y": 4})[0] > 20).astype(float)
    np.testing.assert_allclose(constant[..., 0], (truth - truth.mean()) / truth.std(), rtol=1e-6)
    assert opened(tmp_path, constants=False, parameters=("none",)).train.conditioning(0, 0, 2) == {}


def test_a_parameter_over_a_decade_is_shown_as_its_logarithm(tmp_path):
    archive_files.the_well(tmp_path, numbers=(1.0, 10.0, 100.0))
    train = opened(tmp_path).train
    shown = [train.conditioning(i, 0, 1)["parameters"][0, 0] for i in (0, 2, 4)]
    np.testing.assert_allclose(shown, np.array([-1, 0, 1]) * np.sqrt(1.5), rtol=1e-6)
    with pytest.raises(InputError, match="Re must be above 0, not -1"):
        train.layout.parameters[0].scaled(-1.0)
    np.testing.assert_allclose(train.layout.parameters[0].unscaled(np.array(shown)), [1, 10, 100], rtol=1e-5)


def test_a_parameter_that_is_the_same_throughout_the_training_is_left_out_and_said(tmp_path):
    archive_files.the_well(tmp_path, numbers=(7.0, 7.0, 7.0))
    split = opened(tmp_path)
    assert split.train.layout.parameters == () and "parameters" not in split.train.conditioning(0, 0, 1)
    assert "The parameter Re is 7 in all of the training part and is left out." in split.notices


def test_frames_and_cells_are_thinned(tmp_path):
    archive_files.the_well(tmp_path)
    split = opened(tmp_path, variables=("density",), skip=1, every=3, coarsen=2)
    train = split.train
    assert train.length(0) == 4 and train.layout.step == 1.5 and train.layout.space == (2, 3)
    truth = expected(0, 0, 12, {"x": 6, "y": 4}, 1)[1::3].reshape(4, 2, 2, 3, 2).mean((2, 4))
    np.testing.assert_allclose(train.read(0, 0, 4)[..., 0], truth, rtol=1e-6)
    np.testing.assert_allclose(train.times(0, 1, 6), 0.5 * np.arange(4, 19, 3), rtol=1e-6)
    np.testing.assert_allclose(train.layout.x.values, [1 / 6, 3 / 6, 5 / 6])
    assert train.conditioning(0, 0, 1)["constants"].shape == (2, 3, 1)
    with pytest.raises(InputError, match="coarsen = 4 does not divide the 6 cells"):
        opened(tmp_path, coarsen=4)


def test_statistics_are_those_of_all_frames_or_of_some(tmp_path):
    archive_files.the_well(tmp_path)
    train = opened(tmp_path, variables=("density",), sample=0).train
    frames = np.concatenate([train.read(i, 0, 12) for i in range(6)])
    np.testing.assert_allclose(measure(train).mean, frames.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(measure(train).std, frames.std((0, 1, 2)), rtol=1e-5)
    some = measure(opened(tmp_path, variables=("density",), sample=32).train)
    ends = np.concatenate([train.read(0, 0, 12), train.read(5, 0, 12)])
    np.testing.assert_allclose(some.mean, ends.mean((0, 1, 2)), rtol=1e-6)


def test_a_source_is_a_part_of_experiments():
    assert isinstance(Simulations(path="x"), Source)
    assert dataclasses.replace(Simulations(), every=2) != Simulations()


def test_trajectories_that_do_not_belong_together_are_refused(tmp_path):
    for name in ("longer", "elsewhere"):
        archive_files.the_well(tmp_path / name)
    file = tmp_path / "longer" / "data" / "train" / "s_Re_200.hdf5"
    with h5py.File(file, "a") as held:
        del held["dimensions/x"]
        held["dimensions/x"] = (np.arange(6) + 0.5) / 2
    reason = r"axes of .*Re_100.* x of 6 cells from 0.08333 to 0.9167.* from 0.25 to"
    with pytest.raises(InputError, match=reason):
        opened(tmp_path / "longer")
    other = tmp_path / "elsewhere" / "data"
    (other / "train" / "s_Re_200.hdf5").rename(other / "s_Re_200.hdf5")
    with pytest.raises(InputError, match=r"s_Re_200.hdf5\[0\] is in no part, and others are"):
        opened(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"variables": ("w",)}, "no variable 'w' in .*: there are density, profile"),
        ({"parameters": ("Ma",)}, "no parameter 'Ma': there are Re"),
        ({"periodic": ("z",)}, "no axis 'z' in .*: there are y, x"),
        ({"skip": 12}, "has no frame after source.skip = 12"),
        ({"skip": -1}, "source.skip must be a finite number of at least 0"),
        ({"every": 0}, "source.every must be"),
        ({"test_fraction": 1.0}, "source.test_fraction is a share between 0 and 1"),
    ],
)
def test_settings_that_cannot_be(tmp_path, settings, reason):
    archive_files.the_well(tmp_path, vectors=False)
    with pytest.raises(InputError, match=reason):
        opened(tmp_path, **settings)


def field_names(held):
    del held["t0_fields"].attrs["field_names"]


def wrong_shape(held):
    values = held["t0_fields/density"][..., :3]
    attributes = dict(held["t0_fields/density"].attrs)
    del held["t0_fields/density"]
    held["t0_fields/density"] = values
    held["t0_fields/density"].attrs.update(attributes)


def not_finite(held):
    held["t0_fields/density"][1, 4, 2, 1] = np.nan


def uneven_times(held):
    held["dimensions/time"][-1] = 17.0


def not_finite_mask(held):
    held["t0_fields/mask"][0, 0] = np.inf


def folded_axis(held):
    held["dimensions/x"][2] = 0.0


def no_time(held):
    del held["dimensions/time"]


def elsewhere(held):
    del held["t0_fields/density"]
    held["t0_fields/density"] = h5py.ExternalLink("/etc/passwd", "x")


def too_many(held):
    held.attrs["n_trajectories"] = 3


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (field_names, "field_names.* damaged, cut short or of another kind"),
        (wrong_shape, r"density of .* has the shape .* does not fit the axes"),
        (not_finite, r"density is not finite in frame 4 of data/train/s_Re_200.hdf5\[1\]: repair it"),
        (uneven_times, "times of .* are not evenly spaced"),
        (not_finite_mask, r"constant field mask of .* not finite: give --source.no-constants"),
        (folded_axis, "coordinate x of .* neither rises nor falls"),
        (no_time, "s_Re_200.hdf5 cannot be read"),
        (elsewhere, "external link"),
        (too_many, r"s_Re_200.hdf5\[2\] should have 12 frames"),
    ],
)
def test_damage_is_told_in_a_sentence(tmp_path, damage, reason):
    archive_files.the_well(tmp_path, vectors=False)
    with h5py.File(tmp_path / "data" / "train" / "s_Re_200.hdf5", "a") as held:
        damage(held)
    with pytest.raises(InputError, match=reason):
        measure(opened(tmp_path).train)


def test_a_file_that_is_cut_short_is_told(tmp_path):
    archive_files.the_well(tmp_path, vectors=False)
    file = tmp_path / "data" / "train" / "s_Re_200.hdf5"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"s_Re_200.hdf5 cannot be read .* cut short"):
        opened(tmp_path)


def test_a_folder_without_simulations_is_told(tmp_path):
    with pytest.raises(InputError, match="laid out like none of the archives that are known"):
        opened(tmp_path)
    with pytest.raises(InputError, match=r"there is no .*nowhere"):
        opened(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"give --source.path FOLDER"):
        opened("")


def test_an_archive_without_a_test_part_holds_out_what_it_would_validate_on(tmp_path):
    archive_files.the_well(tmp_path, vectors=False)
    for name in ("train/s_Re_100", "train/s_Re_200", "test/s_Re_100", "test/s_Re_400"):
        (tmp_path / "data" / f"{name}.hdf5").unlink()
    split = opened(tmp_path)
    assert split.validation is None and split.test.name(0) == "data/valid/s_Re_150.hdf5[0]"
    assert "There is no test part: the validation part is held out in its place." in split.notices
    (tmp_path / "data" / "valid" / "s_Re_150.hdf5").unlink()
    split = opened(tmp_path)  # two trajectories of the training part are left
    assert [split.train.name(0), split.test.name(0)] == [f"data/train/s_Re_400.hdf5[{i}]" for i in (0, 1)]


def test_of_one_trajectory_the_last_frames_are_held_out(tmp_path):
    archive_files.the_well(tmp_path / "all", vectors=False)
    file = tmp_path / "s_Re_400.hdf5"
    (tmp_path / "all" / "data" / "train" / "s_Re_400.hdf5").rename(file)
    with h5py.File(file, "a") as held:
        held.attrs["n_trajectories"] = 1
    split = opened(file, test_fraction=0.25)
    assert (split.train.length(0), split.test.length(0)) == (9, 3)
    truth = expected(4, 9, 12, {"x": 6, "y": 4}, 1).astype(np.float32)
    np.testing.assert_array_equal(split.test.read(0, 0, 3)[..., 0], truth)
    np.testing.assert_allclose(split.test.times(0, 0, 2), [4.5, 5.0])
    assert "There is one trajectory: its last frames are held out." in split.notices


def test_the_well_on_the_sphere(tmp_path):
    """theta is the angle from the north pole, phi the longitude, both in radians; r becomes levels."""
    theta, phi = (np.arange(4) + 0.5) * np.pi / 4, np.arange(6) * np.pi / 3
    values = archive_files.coded(1, 12, {"z": 2, "y": 4, "x": 6})
    for part in ("train", "test"):
        file = tmp_path / part / "planet.h5"
        file.parent.mkdir()
        with h5py.File(file, "w") as held:
            held.attrs.update(
                dataset_name="planet", grid_type="spherical", n_spatial_dims=3, n_trajectories=1
            )
            dimensions = held.create_group("dimensions")
            dimensions.attrs["spatial_dims"] = [b"log_r", b"theta", b"phi"]
            for name, cells in (
                ("log_r", [0.0, 1.0]),
                ("theta", theta),
                ("phi", phi),
                ("time", np.arange(12.0)),
            ):
                dimensions[name] = cells
            group = held.create_group("t0_fields")
            group.attrs["field_names"] = ["height"]
            group["height"] = values
    train = opened(tmp_path).train
    z, y, x = train.layout.axes
    assert [(axis.name, axis.boundary) for axis in (z, y, x)] == [
        ("log_r", "open"),
        ("latitude", "pole"),
        ("longitude", "periodic"),
    ]
    np.testing.assert_allclose(y.values, [67.5, 22.5, -22.5, -67.5])
    np.testing.assert_allclose(x.values, 60 * np.arange(6))
    assert train.layout.weighting == "the cosine of the latitude"
    np.testing.assert_array_equal(train.read(0, 0, 12)[..., 0], values[0].astype(np.float32))


def test_boundaries_of_the_well(tmp_path):
    """A wall on one side only, or on part of a side, is none for the axis; nothing said is open."""
    archive_files.the_well(tmp_path / "open", walls=False)
    assert opened(tmp_path / "open").train.layout.y.boundary == "open"
    assert opened(tmp_path / "open", periodic=("y",)).train.layout.y.periodic
    archive_files.the_well(tmp_path / "half")
    for file in (tmp_path / "half").rglob("*.hdf5"):
        with h5py.File(file, "a") as held:
            mask: Any = held["boundary_conditions/y_wall/mask"]
            mask[-1] = False
            del held["boundary_conditions/x_periodic"]
    layout = opened(tmp_path / "half").train.layout
    assert (layout.y.boundary, layout.x.boundary) == ("open", "open")
