"""BubbleML: studies of boiling, one file for each simulation."""

import h5py
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.simulations.archives import BubbleML
from rolling.data.simulations.covariates import values_of
from rolling.data.simulations.known_archives import archive_at
from rolling.geometry import Axis
from tests import archive_files
from tests.archive_files import coded, expected
from tests.test_simulations import opened

SPACE = {"y": 4, "x": 6}
CHANNELS = ("temperature", "pressure", "velx", "vely", "dfun")
PHYSICS = {"ins_invreynolds": 0.0042, "mph_stefan": 0.5, "ht_prandtl": 8.4, "ins_gravy": -1.0}


def simulation(file, *, place=0, frames=40, step=1.0, space=SPACE, nan=(), told=PHYSICS, leave_out=()):
    """A file, whose k-th field has the values of channel k, and NaN in the cells `nan` of every field; with
    `step=None` it does not say the time between frames."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as held:
        for channel, name in enumerate(CHANNELS):
            field = coded(1, frames, space, channel, first=place)[0].astype(np.float32)
            for cell in nan:
                field[cell] = np.nan
            if name not in leave_out:
                held[name] = field
        grids = np.meshgrid(*(0.25 * (np.arange(size) + 0.5) for size in space.values()), indexing="ij")
        for name, grid in zip(space, grids, strict=True):
            held[name] = np.broadcast_to(grid, (frames, *grid.shape)).astype(np.float32)
        numbers = (
            told | ({} if step is None else {"plotfileintervaltime": step}) | {"xmin": -2.5, "bad": np.nan}
        )
        records = [(name.ljust(80).encode(), value) for name, value in numbers.items()]
        held["real-runtime-params"] = np.array(records, dtype=[("name", "S80"), ("value", "<f8")])
        held["int-runtime-params"] = np.array([(b"nblockx", 2)], dtype=[("name", "S80"), ("value", "<i4")])


def study(folder):
    """Three simulations with walls of different temperatures and different lengths, in numerical order."""
    for place, (wall, frames) in enumerate(((79, 40), (95, 43), (103, 38))):
        told = PHYSICS | {"mph_stefan": 0.5 + 0.01 * place}
        simulation(folder / f"Twall-{wall}.hdf5", place=place, frames=frames, told=told)


def test_frames_are_those_after_the_start_and_temperatures_in_degrees(tmp_path):
    study(tmp_path)
    split = opened(tmp_path)
    parts = [(split.train, 0, 0, 79, 10), (split.train, 1, 1, 95, 13), (split.test, 0, 2, 103, 8)]
    assert (len(split.train), len(split.test)) == (2, 1)
    for part, index, trajectory, wall, length in parts:
        assert part.length(index) == length
        for start, stop in ((0, length), (3, 7), (5, 5)):
            frames = part.read(index, start, stop)
            truth = np.stack(
                [expected(trajectory, 30 + start, 30 + stop, SPACE, c) for c in range(5)], axis=-1
            )
            truth = truth.astype(np.float32)
            truth[..., 0] *= np.float32(wall)
            np.testing.assert_array_equal(frames, truth)
    np.testing.assert_allclose(split.train.times(0, 0, 3), [30, 31, 32])


def test_layout(tmp_path):
    study(tmp_path)
    layout = opened(tmp_path).train.layout
    assert layout.names == CHANNELS and layout.step == 1.0
    y, x = layout.axes
    assert (y, x) == (
        Axis(name="y", values=(0.125, 0.375, 0.625, 0.875)),
        Axis(name="x", values=(0.125, 0.375, 0.625, 0.875, 1.125, 1.375), boundary="wall"),
    )
    assert [c.name for c in layout.parameters] == ["mph_stefan", "wall_temperature"]


@pytest.mark.parametrize(
    ("name", "walled"),
    [
        ("FlowBoiling-VelScale-FC72-2D/inletVelScale-0.5.hdf5", "y"),
        ("flow-boiling-gravity/gravX-0.1.hdf5", "y"),
        ("study/gravY-0.1.hdf5", "x"),
        ("pool-boiling-saturated/Twall-60.hdf5", "x"),
        ("single-bubble/bubble.hdf5", ""),
    ],
)
def test_walls_are_known_by_names(tmp_path, name, walled):
    simulation(tmp_path / name)
    (found,) = BubbleML().trajectories(tmp_path)
    assert [axis.name for axis in found.axes if axis.boundary == "wall"] == [*walled]
    assert all(axis.boundary in ("wall", "open") for axis in found.axes)


def test_missing_values_are_zero(tmp_path):
    simulation(tmp_path / "a" / "Twall-80.hdf5", nan=((31, 1, 2), (2, 0, 0)))
    simulation(tmp_path / "a" / "Twall-90.hdf5", place=1)
    frames = opened(tmp_path).train.read(0, 0, 10)
    truth = np.stack([expected(0, 30, 40, SPACE, c) for c in range(5)], axis=-1).astype(np.float32)
    truth[..., 0] *= np.float32(80)
    truth[1, 1, 2] = 0
    np.testing.assert_array_equal(frames, truth)


def test_parameters(tmp_path):
    study(tmp_path)
    found = BubbleML().trajectories(tmp_path)
    assert [dict(each.parameters) for each in found] == [
        PHYSICS | {"mph_stefan": 0.5 + 0.01 * place, "wall_temperature": wall}
        for place, wall in enumerate((79.0, 95.0, 103.0))
    ]
    np.testing.assert_array_equal(values_of(found[1], "wall_temperature", 2, 5), [95.0] * 3)


@pytest.mark.parametrize(
    ("folder", "step", "first"), [("a", 0.1, 300), ("a-0.1", None, 300), ("a", None, 30), ("a", 0.0, 30)]
)
def test_thirty_units_of_time_are_left_out_whatever_the_step(tmp_path, folder, step, first):
    simulation(tmp_path / folder / "gravY-0.1.hdf5", frames=first + 5, step=step, space={"y": 2, "x": 3})
    (found,) = BubbleML().trajectories(tmp_path)
    assert (found.length, found.step) == (5, 30 / first)
    assert found.origin == pytest.approx(30.0)
    frames = found.pieces[1].read(0, 2, (2, 3))[..., 0]
    np.testing.assert_array_equal(
        frames, expected(0, first, first + 2, {"y": 2, "x": 3}, 1).astype(np.float32)
    )
    (whole,) = BubbleML(unsteady=0).trajectories(tmp_path)
    assert (whole.length, whole.origin) == (first + 5, 0.0)


def test_folders_name_the_parts(tmp_path):
    for place, part in enumerate(("train", "val", "test")):
        simulation(tmp_path / part / f"Twall-{80 + place}.hdf5", place=place)
    assert [each.split for each in BubbleML().trajectories(tmp_path)] == ["test", "train", "validation"]


def test_is_found_and_claims_no_others(tmp_path):
    study(tmp_path / "mine")
    assert isinstance(archive_at(tmp_path / "mine"), BubbleML)
    assert isinstance(archive_at(tmp_path / "mine" / "Twall-79.hdf5"), BubbleML)
    archive_files.the_well(tmp_path / "well")
    simulation(tmp_path / "other" / "Twall-80.hdf5", leave_out=("dfun",))
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.hdf5").write_bytes((tmp_path / "mine" / "Twall-79.hdf5").read_bytes()[:3000])
    for name in ("well", "other", "empty", "broken.hdf5", "nothing"):
        assert not BubbleML().lies_in(tmp_path / name)


def changed(change):
    """A good file, changed afterwards."""

    def make(file):
        simulation(file)
        with h5py.File(file, "a") as held:
            change(held)

    return make


def replaced(name, values):
    def change(held):
        del held[name]
        held[name] = values

    return changed(change)


def cut_short(file):
    simulation(file)
    file.write_bytes(file.read_bytes()[:4000])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda file: None, "no HDF5 file in"),
        (
            lambda file: simulation(file, frames=30),
            "the 30 frames of .* are all within the first 30 units of time.* --source.archive.unsteady",
        ),
        (lambda file: simulation(file, leave_out=("velx",)), "has no array of numbers /velx"),
        (
            lambda file: simulation(file, space={"x": 4, "y": 6}),
            "the coordinate y of .* neither rises nor falls",
        ),
        (
            lambda file: simulation(file, space={"z": 2, "y": 4, "x": 6}),
            "only those over time, rows and columns can be read",
        ),
        (replaced("vely", np.zeros((40, 6, 4))), r"/vely of .* has the shape \(40, 6, 4\)"),
        (
            replaced("real-runtime-params", np.zeros(5)),
            "real-runtime-params of .* is no list of names and numbers",
        ),
        (replaced("dfun", h5py.ExternalLink("other.h5", "/dfun")), "external link"),
        (cut_short, "damaged, cut short or of another kind"),
    ],
)
def test_malformed_files_are_refused(tmp_path, make, match):
    make(tmp_path / "Twall-80.hdf5")
    with pytest.raises(InputError, match=match):
        BubbleML().trajectories(tmp_path)


def test_a_negative_time_is_refused():
    with pytest.raises(InputError, match=r"source\.archive\.unsteady must be a finite number"):
        BubbleML(unsteady=-1)
