"""PDEBench: each layout of its files reads exactly, with parameters, boundaries and constants, and Darcy flow
is refused. The miniatures are written from what is published of the files alone."""

import h5py
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.simulations.archives import PDEBench
from rolling.data.simulations.covariates import constants_of, values_of
from rolling.data.simulations.known_archives import archive_at
from rolling.data.simulations.trajectories import UNSPECIFIED
from tests import archive_files
from tests.archive_files import coded, expected
from tests.test_simulations import check_frames, opened

SPACE = {"x": 6, "y": 4, "z": 3}
FLOW = ("density", "pressure", "Vx", "Vy", "Vz")
CENTRES = {letter: (np.arange(cells) + 0.5) / cells for letter, cells in SPACE.items()}


def scalar(file, count, first, more=1, **attributes):
    """A file of a scalar equation: 12 frames, and the times of some more."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as held:
        held["tensor"] = coded(count, 12, {"x": 6}, first=first).astype(np.float32)
        held["x-coordinate"] = CENTRES["x"].astype(np.float32)
        held["t-coordinate"] = np.arange(12 + more, dtype=np.float32) * 0.25
        held.attrs.update(attributes)


def flow(file, dimensions, count=2, first=0, **attributes):
    """A file of compressible flow."""
    file.parent.mkdir(parents=True, exist_ok=True)
    space = {letter: SPACE[letter] for letter in "xyz"[:dimensions]}
    with h5py.File(file, "w") as held:
        for channel, name in enumerate(FLOW[: 2 + dimensions]):
            held[name] = coded(count, 12, space, channel, first=first).astype(np.float32)
        for letter in space:
            held[f"{letter}-coordinate"] = CENTRES[letter]
        held["t-coordinate"] = [*np.arange(12) * 0.05, 9.0]  # the last one is of no frame
        held.attrs.update(attributes)


def groups(file, space, channels, lengths=(12, 12, 9)):
    """A file with a group for each simulation; `space` in the order of the arrays."""
    with h5py.File(file, "w") as held:
        for at, length in enumerate(lengths):
            parts = [coded(1, length, space, channel, first=at)[0] for channel in range(channels)]
            group = held.create_group(f"{at:04d}")
            group.attrs["config"] = "sim:\n  seed: 1\n"
            group.create_dataset("data", data=np.stack(parts, -1).astype(np.float32), compression="lzf")
            for letter in sorted(space):
                group[f"grid/{letter}"] = 2 * CENTRES[letter].astype(np.float32) - 1
            group["grid/t"] = np.arange(length, dtype=np.float32) * 0.05


def incompressible(file, count=2, first=0):
    with h5py.File(file, "w") as held:
        space = {"x": 6, "y": 4}
        parts = [coded(count, 12, space, channel, first=first) for channel in (0, 1, 2)]
        held["velocity"] = np.stack(parts[:2], -1).astype(np.float32)
        held["particles"] = parts[2][..., None].astype(np.float32)
        force = [coded(count, 1, space, channel, first=first)[:, 0] for channel in (3, 4)]
        held["force"] = np.stack(force, -1).astype(np.float32)
        held["t"] = np.tile(np.arange(12, dtype=np.float32) * 0.005, (count, 1))
        held.attrs["latestIndex"] = 11


def check_part(part, found, channels, space):
    """The trajectories of a part are these, in this order."""
    assert len(part) == len(found)
    for index, trajectory in enumerate(found):
        check_frames(part, index, trajectory, channels, space)


def number(part, name):
    """A parameter of each trajectory of a part."""
    return [float(values_of(trajectory, name, 0, 1)[0]) for trajectory in part.trajectories]


def constant(part, index, name):
    return constants_of(part.trajectories[index], name)


def test_scalar_equations(tmp_path):
    for file, count, first, said in (
        ("1D_Advection_Sols_beta0.1.hdf5", 3, 0, {"beta": 0.1}),
        ("1D_Advection_Sols_beta1.0.hdf5", 2, 3, {"beta": 1.0}),
        ("1D_Advection_Sols_beta4.0.hdf5", 3, 5, {}),  # from its name
    ):
        scalar(tmp_path / "Train" / file, count, first, more=first % 2, **said)
    assert archive_at(tmp_path) == PDEBench()
    split = opened(tmp_path, test_fraction=0.25)
    layout = split.train.layout
    assert [(a.name, len(a), a.boundary) for a in layout.axes] == [("x", 6, "periodic")]
    np.testing.assert_allclose(layout.x.values, CENTRES["x"], rtol=1e-6)
    assert layout.step == 0.25 and layout.names == ("tensor",) and split.train.length(0) == 12
    # Files take turns, so that the last trajectories are those of each file.
    assert split.validation is None
    check_part(split.train, (0, 3, 5, 1, 6, 4), (0,), {"x": 6})
    check_part(split.test, (2, 7), (0,), {"x": 6})
    assert number(split.train, "beta") == [0.1, 1.0, 4.0, 0.1, 4.0, 1.0]
    assert number(split.test, "beta") == [0.1, 4.0]
    assert [p.name for p in layout.parameters] == ["beta"]
    np.testing.assert_allclose(split.train.times(1, 2, 4), [0.5, 0.75])


def test_two_parameters_of_reaction_and_diffusion(tmp_path):
    scalar(tmp_path / "ReacDiff_Nu0.5_Rho1.0.hdf5", 2, 0, Nu=0.5, rho=1.0)
    scalar(tmp_path / "ReacDiff_Nu2.0_Rho10.0.hdf5", 2, 2)
    said = [dict(t.parameters) for t in PDEBench().trajectories(tmp_path)]
    assert said == [{"Nu": 0.5, "rho": 1.0}, {"Nu": 2.0, "rho": 10.0}] * 2


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("boundary", ["periodic", "trans"])
def test_compressible_flow(tmp_path, dimensions, boundary):
    mach = "" if dimensions == 1 else "_M0.1"
    size = "_128" if dimensions == 2 else ""
    file = f"{dimensions}D_CFD_Rand{mach}_Eta0.01_Zeta0.1_{boundary}{size}_Train.hdf5"
    flow(tmp_path / file, dimensions)
    flow(tmp_path / file.replace("Eta0.01", "Eta1e-08"), dimensions, first=2)
    split = opened(tmp_path / file)
    ours = "zyx"[3 - dimensions :]
    ends = "periodic" if boundary == "periodic" else "open"
    assert [(a.name, len(a), a.boundary) for a in split.train.layout.axes] == [
        (letter, SPACE[letter], ends) for letter in ours
    ]
    for axis in split.train.layout.axes:
        np.testing.assert_array_equal(axis.values, CENTRES[axis.name])
    assert split.train.layout.names == FLOW[: 2 + dimensions]
    np.testing.assert_allclose(split.train.layout.step, 0.05)
    space = {letter: SPACE[letter] for letter in "xyz"[:dimensions]}
    check_part(split.train, (0,), range(2 + dimensions), space)
    check_part(split.test, (1,), range(2 + dimensions), space)
    whole = PDEBench().trajectories(tmp_path)
    assert [t.parameters[0] for t in whole] == [("eta", 0.01), ("eta", 1e-8)] * 2
    assert dict(whole[0].parameters) == {"eta": 0.01, "zeta": 0.1} | ({"M": 0.1} if mach else {})
    assert {t.split for t in whole} == {UNSPECIFIED}


def test_attributes_count_for_more_than_names(tmp_path):
    file = tmp_path / "2D_CFD_Turb_M1.0_Eta1.e-8_Zeta1.e-8_periodic_512_Train.hdf5"
    flow(file, 2, M=np.float32(0.5), eta=2e-8)
    assert dict(PDEBench().trajectories(file)[0].parameters) == {"eta": 2e-8, "zeta": 1e-8, "M": 0.5}


def test_a_mach_number_without_its_point_is_not_guessed(tmp_path):
    flow(tmp_path / "KH_M01_dk1_Re1e3.hdf5", 2)
    (trajectory, _) = PDEBench().trajectories(tmp_path)
    assert trajectory.parameters == () and {a.boundary for a in trajectory.axes} == {"open"}


@pytest.mark.parametrize(
    ("name", "channels", "boundary"),
    [
        ("2D_diff-react_NA_NA", ("activator", "inhibitor"), "wall"),
        ("2D_rdb_NA_NA", ("depth",), "open"),
        ("1D_diff-sorp_NA_NA", ("concentration",), "open"),
        ("mine", ("data_0", "data_1", "data_2"), "open"),
    ],
)
@pytest.mark.parametrize("order", ["xy", "yx"])
def test_numbered_groups(tmp_path, name, channels, boundary, order):
    letters = order if "1D" not in name else "x"
    space = {letter: SPACE[letter] for letter in letters}
    groups(tmp_path / f"{name}.h5", space, len(channels))
    assert archive_at(tmp_path) == PDEBench()
    split = opened(tmp_path)
    layout = split.train.layout
    ours = [letter for letter in "yx" if letter in letters]
    assert [(a.name, len(a), a.boundary) for a in layout.axes] == [(n, SPACE[n], boundary) for n in ours]
    np.testing.assert_allclose(layout.x.values, 2 * CENTRES["x"] - 1, rtol=1e-6)
    assert layout.names == channels
    np.testing.assert_allclose(layout.step, 0.05)
    check_part(split.train, (0, 1), range(len(channels)), space)
    check_part(split.test, (2,), range(len(channels)), space)
    assert split.test.length(0) == 9 and split.test.name(0) == f"{name}.h5[0002]"


def test_incompressible_flow(tmp_path):
    for at in (0, 2, 10):  # in the order of their numbers
        incompressible(tmp_path / f"ns_incom_inhom_2d_512-{at}.h5", first=at)
    assert archive_at(tmp_path) == PDEBench()
    split = opened(tmp_path, test_fraction=0.5)
    layout = split.train.layout
    assert [(a.name, len(a), a.boundary) for a in layout.axes] == [("y", 4, "wall"), ("x", 6, "wall")]
    np.testing.assert_allclose(layout.x.values, (np.arange(6) + 0.5) / 6)
    assert layout.y.spacing == pytest.approx(layout.x.spacing)
    assert layout.names == ("velocity_x", "velocity_y", "particles")
    np.testing.assert_allclose(layout.step, 0.005, rtol=1e-6)
    for part, found in ((split.train, (0, 2, 10)), (split.test, (1, 3, 11))):
        check_part(part, found, (0, 1, 2), {"x": 6, "y": 4})
        for index, trajectory in enumerate(found):
            for channel, name in ((3, "force_x"), (4, "force_y")):
                truth = expected(trajectory, 0, 1, {"x": 6, "y": 4}, channel)[0].astype(np.float32)
                np.testing.assert_array_equal(constant(part, index, name), truth)
    assert [c.name for c in layout.constants] == ["force_x", "force_y"]


def test_darcy_flow_is_refused_as_it_has_no_time(tmp_path):
    with h5py.File(tmp_path / "2D_DarcyFlow_beta1.0_Train.hdf5", "w") as held:
        held["tensor"], held["nu"] = np.zeros((3, 1, 6, 4)), np.zeros((3, 6, 4))
        held["x-coordinate"], held["y-coordinate"] = CENTRES["x"], CENTRES["y"]
    assert archive_at(tmp_path) == PDEBench()
    with pytest.raises(InputError, match=r"2D_DarcyFlow.* holds solutions of Darcy flow, which have no time"):
        opened(tmp_path)


def without(name):
    def change(held):
        del held[name]

    return change


def instead(name, values):
    def change(held):
        del held[name]
        held[name] = values

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("y-coordinate"), "no array of numbers /y-coordinate"),
        (without("t-coordinate"), "no array of numbers /t-coordinate"),
        (without("Vy"), "no array of numbers /Vy"),
        (instead("density", ["a", "b"]), "no array of numbers /density"),
        (instead("density", 1.0), r"has the shape \(\)"),
        (instead("density", np.zeros((2, 12))), r"has the shape \(2, 12\)"),
        (instead("density", np.zeros((0, 12, 6, 4))), r"is empty, of shape \(0, 12, 6, 4\)"),
        (instead("pressure", np.zeros((2, 12, 4, 6))), r"axes \(b: 2, t: 12, x: 6, y: 4\) were expected"),
        (instead("x-coordinate", [0.0, 1, 3, 2, 4, 5]), "coordinate x of .* neither rises nor falls"),
        (instead("x-coordinate", np.arange(7.0)), r"axes \(b: 2, t: 12, x: 7, y: 4\) were expected"),
        (instead("t-coordinate", np.arange(14.0)), r"12 frames, and times of shape \(14,\)"),
        (instead("t-coordinate", np.arange(12.0) ** 2), "not evenly spaced"),
        (instead("t-coordinate", np.full(12, np.nan)), "not evenly spaced"),
    ],
)
def test_files_of_arrays_that_are_refused(tmp_path, change, sentence):
    flow(tmp_path / "2D_CFD.hdf5", 2)
    with h5py.File(tmp_path / "2D_CFD.hdf5", "a") as held:
        change(held)
    with pytest.raises(InputError, match=sentence) as found:
        opened(tmp_path)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("0001/data"), "no array of numbers /0001/data"),
        (without("0002/grid/t"), "no array of numbers /0002/grid/t"),
        (without("0000/grid/x"), "no array of numbers /0000/grid/x"),
        (instead("0001", 3.0), "no array of numbers /0001/data"),
        (instead("0001/data", np.zeros((12, 6, 5, 2))), r"axes \(t, x: 6, y: 4, c\) were expected"),
        (instead("0001/grid/t", np.arange(3.0)), r"0001 of .* has 12 frames, and times of shape \(3,\)"),
    ],
)
def test_files_of_groups_that_are_refused(tmp_path, change, sentence):
    groups(tmp_path / "2D_diff-react_NA_NA.h5", {"x": 6, "y": 4}, 2)
    with h5py.File(tmp_path / "2D_diff-react_NA_NA.h5", "a") as held:
        change(held)
    with pytest.raises(InputError, match=sentence):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("force"), "no array of numbers /force"),
        (instead("velocity", np.zeros((2, 12, 6, 4))), r"has the shape \(2, 12, 6, 4\)"),
        (instead("particles", np.zeros((2, 12, 6, 4, 2))), "c: 1"),
        (instead("t", np.zeros((2, 12))), "times of simulation 0 of .* are not evenly spaced"),
        (instead("t", np.zeros(12)), r"has the shape \(12,\)"),
    ],
)
def test_files_of_incompressible_flow_that_are_refused(tmp_path, change, sentence):
    incompressible(tmp_path / "ns.h5")
    with h5py.File(tmp_path / "ns.h5", "a") as held:
        change(held)
    with pytest.raises(InputError, match=sentence):
        opened(tmp_path)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    flow(tmp_path / "1D_CFD_Rand_Eta0.1_Zeta0.1_periodic_Train.hdf5", 1)
    scalar(tmp_path / "1D_Burgers_Sols_Nu0.01.hdf5", 2, 0, Nu=0.01)
    with pytest.raises(InputError, match="give the folder of those that belong together"):
        opened(tmp_path)
    with h5py.File(tmp_path / "notes.h5", "w") as held:
        held["words"] = [1.0]
    with pytest.raises(InputError, match=r"notes.h5 is laid out like no file of PDEBench"):
        opened(tmp_path)


def test_other_layouts_and_damaged_files_are_not_claimed(tmp_path):
    archive_files.the_well(tmp_path / "well")
    assert not PDEBench().lies_in(tmp_path / "well")
    assert not PDEBench().lies_in(tmp_path / "nowhere")
    flow(tmp_path / "files" / "a.hdf5", 1)
    content = (tmp_path / "files" / "a.hdf5").read_bytes()
    damaged = tmp_path / "files" / "b.hdf5"
    # The name of the second link, of 40 bytes each, is said to lie beyond the end of all names.
    link = content.index(b"SNOD") + 8 + 40
    nameless = content[:link] + (10**6).to_bytes(8, "little") + content[link + 8 :]
    for kept in (b"", b"no HDF5", content[: len(content) // 2], nameless):
        damaged.write_bytes(kept)
        assert not PDEBench().lies_in(damaged)
        with pytest.raises(InputError, match=r"b.hdf5 cannot be read .* damaged, cut short"):
            PDEBench().trajectories(damaged.parent)
