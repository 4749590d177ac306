"""RealPDEBench: measured and simulated flows, in one file or in a file for each trajectory."""

import h5py
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.simulations.archives import RealPDEBench
from rolling.data.simulations.covariates import values_of
from rolling.data.simulations.known_archives import archive_at
from rolling.data.simulations.stored_arrays import open_hdf5
from tests import archive_files
from tests.archive_files import coded, expected
from tests.test_simulations import check_frames, opened

ROWS_LAST, COLUMNS_LAST = {"x": 6, "y": 4}, {"y": 4, "x": 6}
REYNOLDS = (1800.0, 3600.0, 12000.0)


def flow(group, *, place, frames, space, channels=("u", "v"), offset=0):
    """A field for each of the channels, of which the k-th has the values of channel `offset + k`."""
    for k, name in enumerate(channels):
        group[name] = coded(1, frames, space, offset + k, first=place)[0].astype(np.float32)


def one_file(file, *, branches=("real_data", "sim_data")):
    """A data set in one file, in which fields are `[t, x, y]`: three trajectories of 12, 13 and 14 frames in
    each branch, simulations with the values of channels 5 to 7."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as held:
        for branch in branches:
            simulated = branch == "sim_data"
            for place, number in enumerate(REYNOLDS):
                group = held.create_group(f"{branch}/trajectory_{place + 1:03d}")
                channels, offset = (("p", "u", "v"), 5) if simulated else (("u", "v"), 0)
                flow(group, place=place, frames=12 + place, space=ROWS_LAST, channels=channels, offset=offset)
                about = group.create_group("metadata")
                about.attrs.update(reynolds_number=number, facility="tunnel", method=b"PIV")


def coordinates(held, kind, space=COLUMNS_LAST, frames=12):
    """x and y with cells of 0.5 and 0.25, y falling, along one axis or for every cell, perhaps of every
    frame."""
    lines = {"x": 0.5 * np.arange(space["x"]), "y": 1 - 0.25 * np.arange(space["y"])}
    grids = dict(zip(space, np.meshgrid(*(lines[name] for name in space), indexing="ij"), strict=True))
    for name in "xy":
        held[name] = {
            "lines": lines[name],
            "grids": grids[name],
            "every": np.broadcast_to(grids[name], (frames, *grids[name].shape)),
        }[kind]


def one_file_each(folder, *, names=("3750_0.h5", "5025_10.h5", "26700_5.h5"), kind="grids", scalars=True):
    """Files in `real` and `numerical`, in which fields are `[t, y, x]` and simulations have a pressure."""
    for branch, channels, offset in (("real", ("u", "v"), 0), ("numerical", ("p", "u", "v"), 5)):
        for place, name in enumerate(names):
            file = folder / branch / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with h5py.File(file, "w") as held:
                group = held.create_group("measured_data")
                flow(group, place=place, frames=12, space=COLUMNS_LAST, channels=channels, offset=offset)
                held["t"] = 1.0 + 0.0025 * np.arange(12)
                held["vo"] = np.zeros((12, 4, 6))
                if kind:
                    coordinates(held, kind)
                if scalars:
                    held["re"], held["aoa"] = REYNOLDS[place], np.array([5.0 * place])


def test_one_file(tmp_path):
    one_file(tmp_path / "cylinder_dataset.h5")
    split = opened(tmp_path)
    layout = split.train.layout
    assert layout.names == ("u", "v") and layout.step == 1.0
    assert [(a.name, len(a), a.boundary, a.spacing) for a in layout.axes] == [
        ("y", 4, "open", 1.0),
        ("x", 6, "open", 1.0),
    ]
    assert (len(split.train), len(split.test)) == (2, 1)
    for part, index, trajectory in ((split.train, 0, 0), (split.train, 1, 1), (split.test, 0, 2)):
        assert part.length(index) == 12 + trajectory
        check_frames(part, index, trajectory, (0, 1), ROWS_LAST)
    assert split.train.name(1) == "cylinder_dataset.h5/real_data/trajectory_002"
    assert [c.name for c in layout.parameters] == ["reynolds_number"]


def test_simulations_have_a_pressure_which_comes_last(tmp_path):
    one_file(tmp_path / "cylinder_dataset.h5")
    split = opened(tmp_path, archive=RealPDEBench(branch="simulated"))
    assert split.train.layout.names == ("u", "v", "p")
    check_frames(split.train, 1, 1, (6, 7, 5), ROWS_LAST)
    one_file_each(tmp_path / "foil")
    split = opened(tmp_path / "foil", archive=RealPDEBench(branch="simulated"))
    check_frames(split.test, 0, 2, (6, 7, 5), COLUMNS_LAST)


def test_the_only_branch_is_read(tmp_path):
    one_file(tmp_path / "simulated.h5", branches=("sim_data",))
    one_file_each(tmp_path / "foil")
    for place, count in ((tmp_path / "simulated.h5", 3), (tmp_path / "foil" / "numerical", 3)):
        found = RealPDEBench().trajectories(place)
        assert len(found) == count and [v.name for v in found[0].variables] == ["u", "v", "p"]


@pytest.mark.parametrize("kind", ["lines", "grids", "every", None])
def test_one_file_for_each_trajectory(tmp_path, kind):
    one_file_each(tmp_path, kind=kind)
    split = opened(tmp_path)
    layout = split.train.layout
    assert layout.names == ("u", "v") and layout.step == pytest.approx(0.0025)
    y, x = layout.axes
    assert (y.name, x.name, y.boundary, x.boundary) == ("y", "x", "open", "open")
    assert y.values == ((1.0, 0.75, 0.5, 0.25) if kind else (0.5, 1.5, 2.5, 3.5))
    assert x.values == ((0.0, 0.5, 1.0, 1.5, 2.0, 2.5) if kind else (0.5, 1.5, 2.5, 3.5, 4.5, 5.5))
    assert (len(split.train), len(split.test)) == (2, 1)
    assert [split.train.name(i) for i in range(2)] == ["real/3750_0.h5", "real/5025_10.h5"]
    np.testing.assert_allclose(split.train.times(0, 0, 2), [1.0, 1.0025])
    for part, index, trajectory in ((split.train, 0, 0), (split.train, 1, 1), (split.test, 0, 2)):
        check_frames(part, index, trajectory, (0, 1), COLUMNS_LAST)


@pytest.mark.parametrize("kind", ["lines", "grids"])
def test_coordinates_say_which_axis_is_x(tmp_path, kind):
    with h5py.File(tmp_path / "1800.h5", "w") as held:
        flow(held.create_group("measured_data"), place=3, frames=5, space=ROWS_LAST)
        coordinates(held, kind, space=ROWS_LAST)
    (found,) = RealPDEBench().trajectories(tmp_path)
    assert [(a.name, len(a)) for a in found.axes] == [("y", 4), ("x", 6)]
    frames = found.pieces[1].read(0, 5, (4, 6))[..., 0]
    np.testing.assert_array_equal(frames, expected(3, 0, 5, ROWS_LAST, 1).astype(np.float32))


def test_fields_may_lie_at_the_root_of_a_file_with_its_numbers(tmp_path):
    with h5py.File(tmp_path / "3750_0.h5", "w") as held:
        flow(held, place=2, frames=5, space=COLUMNS_LAST)
        held["re"], held["aoa"] = 3750.0, 0.0
    assert isinstance(archive_at(tmp_path), RealPDEBench)
    (found,) = RealPDEBench().trajectories(tmp_path)
    np.testing.assert_array_equal(
        found.pieces[0].read(1, 5, (4, 6))[..., 0], expected(2, 1, 5, COLUMNS_LAST).astype(np.float32)
    )


def test_parameters(tmp_path):
    def told(place, **settings):
        return [dict(each.parameters) for each in RealPDEBench(**settings).trajectories(place)]

    one_file(tmp_path / "one" / "cylinder_dataset.h5")
    assert told(tmp_path / "one") == [{"reynolds_number": number} for number in REYNOLDS]
    one_file_each(tmp_path / "foil")
    expected_numbers = [{"re": number, "aoa": 5.0 * i} for i, number in enumerate(REYNOLDS)]
    assert told(tmp_path / "foil") == expected_numbers == told(tmp_path / "foil", branch="simulated")
    names = ("1781_0.5.h5", "1781_1.4.h5", "2625_0.5.h5")
    one_file_each(tmp_path / "controlled_cylinder", names=names, scalars=False)
    assert told(tmp_path / "controlled_cylinder") == [
        {"reynolds_number": number, "control_frequency": frequency}
        for number, frequency in ((1781, 0.5), (1781, 1.4), (2625, 0.5))
    ]
    one_file_each(tmp_path / "of_my_own", names=names, scalars=False)
    assert told(tmp_path / "of_my_own")[1] == {"reynolds_number": 1781, "parameter_2": 1.4}
    one_file_each(tmp_path / "fsi", names=("3272_18.2_0.8_1.h5",), scalars=False)
    assert told(tmp_path / "fsi" / "real") == [
        {"reynolds_number": 3272, "mass_ratio": 18.2, "damping_ratio": 0.8}
    ]
    found = RealPDEBench().trajectories(tmp_path / "one")
    np.testing.assert_array_equal(values_of(found[2], "reynolds_number", 0, 2), [12000.0] * 2)


def test_folders_name_the_parts(tmp_path):
    one_file_each(tmp_path / "train")
    one_file_each(tmp_path / "test", names=("4000_0.h5",))
    split = opened(tmp_path)
    assert (len(split.train), len(split.test)) == (3, 1)


def test_is_found_and_claims_no_others(tmp_path):
    one_file(tmp_path / "one" / "cylinder_dataset.h5")
    one_file_each(tmp_path / "foil")
    for place in ("one", "one/cylinder_dataset.h5", "foil", "foil/numerical"):
        assert isinstance(archive_at(tmp_path / place), RealPDEBench)
    archive_files.the_well(tmp_path / "well")
    with h5py.File(tmp_path / "plain.h5", "w") as held:  # of no project that is known
        flow(held, place=0, frames=5, space=COLUMNS_LAST)
    with h5py.File(tmp_path / "flame.h5", "w") as held:  # combustion has other fields
        held["measured_data"] = np.zeros((5, 4, 6, 15))
    whole = (tmp_path / "one" / "cylinder_dataset.h5").read_bytes()
    (tmp_path / "broken.h5").write_bytes(whole[: len(whole) // 3])
    for name in ("well", "plain.h5", "flame.h5", "broken.h5", "nothing"):
        assert not RealPDEBench().lies_in(tmp_path / name)


def no_flow(file):
    with h5py.File(file, "w") as held:
        held["measured_data"] = np.zeros((5, 4, 6, 15))


def without_axes(file):
    with h5py.File(file, "w") as held:
        held["measured_data/u"], held["measured_data/v"] = np.zeros((2, 5))


def unlike(file):
    with h5py.File(file, "w") as held:
        held["measured_data/u"], held["measured_data/v"] = np.zeros((5, 4, 6)), np.zeros((5, 6, 4))


def odd_coordinate(file):
    with h5py.File(file, "w") as held:
        flow(held.create_group("measured_data"), place=0, frames=5, space=COLUMNS_LAST)
        held["x"] = np.arange(7.0)


def folded_coordinate(file):
    with h5py.File(file, "w") as held:
        flow(held.create_group("measured_data"), place=0, frames=5, space=COLUMNS_LAST)
        held["y"] = np.zeros((4, 6))


def uneven_times(file):
    with h5py.File(file, "w") as held:
        flow(held.create_group("measured_data"), place=0, frames=5, space=COLUMNS_LAST)
        held["t"] = [0.0, 1.0, 2.0, 4.0, 5.0]


def words(file):
    with h5py.File(file, "w") as held:
        held["measured_data/u"], held["measured_data/v"] = ["a"], ["b"]


def cut_short(file):
    one_file(file)
    file.write_bytes(file.read_bytes()[:3000])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda file: None, "no HDF5 file in"),
        (no_flow, "holds no velocities u and v where RealPDEBench has them"),
        (without_axes, r"u of .* has the shape \(5,\), not one of time and two axes"),
        (unlike, r"/measured_data/v of .* has the shape \(5, 6, 4\)"),
        (odd_coordinate, r"the coordinate x of .* has the shape \(7,\), and the fields have \(5, 4, 6\)"),
        (folded_coordinate, "the coordinate y of .* neither rises nor falls"),
        (uneven_times, "are not evenly spaced"),
        (words, "has no array of numbers /measured_data/u"),
        (cut_short, "damaged, cut short or of another kind"),
    ],
)
def test_malformed_files_are_refused(tmp_path, make, match):
    make(tmp_path / "1800.h5")
    with pytest.raises(InputError, match=match):
        RealPDEBench().trajectories(tmp_path)


def test_only_headers_are_read(tmp_path):
    """A file of a terabyte is opened, as no field of it is read."""
    with h5py.File(tmp_path / "1800.h5", "w") as held:
        for name in "uv":
            held.create_dataset(f"measured_data/{name}", (10**6, 512, 512), np.float32, chunks=(1, 512, 512))
    (found,) = RealPDEBench().trajectories(tmp_path)
    assert (
        found.length == 10**6 and open_hdf5(tmp_path / "1800.h5")["measured_data/u"].id.get_num_chunks() == 0
    )
