"""ACDM: each field of each frame in a file of its own, and the parts of the paper."""

import dataclasses
import json
import math

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.simulations.archives import ACDM
from rolling.data.simulations.covariates import constants_of, values_of
from rolling.data.simulations.gathered import gathered
from rolling.data.simulations.known_archives import KNOWN
from tests import archive_files
from tests.archive_files import coded, expected
from tests.test_simulations import check_frames, opened

SPACE = {"x": 6, "y": 4}
CHANNELS = {"velocity": (0, 1), "density": (2,), "velocityZ": (3,), "pressure": (4,)}
TRA, INC, ISO = (
    ("velocity", "density", "pressure"),
    ("velocity", "pressure"),
    ("velocity", "velocityZ", "pressure"),
)


def simulation(folder, number, place, *, frames=range(12), origin=0, fields=TRA, told=None, mask=True):
    """A folder `sim_NNNNNN`, in which frame `origin` has the values of frame 0 of trajectory `place`."""
    home = folder / f"sim_{number:06d}"
    (home / "src").mkdir(parents=True)
    count = max(frames) - origin + 1
    for field in fields:
        whole = np.stack([coded(1, count, SPACE, c, first=place)[0] for c in CHANNELS[field]], axis=1)
        for frame in frames:
            values = whole[frame - origin] if frame >= origin else -whole[0]
            np.savez(home / f"{field}_{frame:06d}.npz", values.astype(np.float32))
    if mask:
        np.savez_compressed(home / "obstacle_mask.npz", obstacle(place))
    (home / "src" / "description.json").write_text(json.dumps(told or {}), encoding="utf-8")
    return home


def obstacle(place):
    """`[x, y]`: 0 before a column that differs between trajectories, and in its first cell."""
    return (coded(1, 1, SPACE)[0, 0] > 10 * (place % 5)).astype(int)


def transonic(folder):
    """Two simulations to train on, of 12 and 9 frames, and two to test on, one of them from frame 500 on."""
    said = {"Reynolds Number": 10000.0, "Lift Coefficient": [0.5] * 12}
    simulation(folder, 3, 0, told=said | {"Mach Number": 0.53})
    simulation(folder, 20, 1, told=said | {"Mach Number": 0.70}, frames=range(9))
    simulation(folder, 14, 2, told=said | {"Mach Number": 0.64})
    simulation(folder, 0, 3, told=said | {"Mach Number": 0.50}, frames=range(498, 511), origin=500)
    return folder


def whole_transonic(folder):
    """All that the paper on transonic flow tests on, with as many frames as one of its sequences has, two of
    those for extrapolation, and two simulations to train on."""
    for place, number in enumerate((3, 20, 0, 1, 2, 16, 17, 18, 14, 15)):
        first, count = (500, 250 if place < 5 else 124) if 2 <= place < 8 else (0, 484 if place >= 8 else 24)
        told = {"Reynolds Number": 10000.0, "Mach Number": 0.5 + 0.01 * number}
        frames = range(first, first + count)
        simulation(folder, number, place, frames=frames, origin=first, told=told)


def whole_incompressible(folder):
    """The same of incompressible wakes."""
    for place, number in enumerate((10, 80, 0, 2, 4, 6, 8, 82, 84, 86, 88, 90)):
        first, count = (1000, 124) if place >= 2 else (800, 24)
        told = {"Reynolds Number": 100.0 + 10 * number, "Dt": 0.05}
        frames = range(first, first + count)
        simulation(folder, number, place, frames=frames, origin=first, fields=INC, told=told)


def read(path, work, **settings):
    return opened(path, cache=str(work / "cache"), **settings)


def test_transonic_flow(tmp_path):
    split = read(transonic(tmp_path / "128_tra"), tmp_path)
    train, test = split.train, split.test
    assert train.layout.names == ("velocity_x", "velocity_y", "density", "pressure")
    assert [(a.name, len(a), a.boundary) for a in train.layout.axes] == [("y", 4, "open"), ("x", 6, "open")]
    assert (train.layout.x.spacing, train.layout.y.spacing) == (2.0, 2.0) and train.layout.step == 1.0
    assert [(train.name(i), train.length(i)) for i in (0, 1)] == [("sim_000003", 12), ("sim_000020", 9)]
    assert [(test.name(i), test.length(i)) for i in (0, 1)] == [("sim_000000", 11), ("sim_000014", 12)]
    for part, index, trajectory in ((train, 0, 0), (train, 1, 1), (test, 0, 3), (test, 1, 2)):
        check_frames(part, index, trajectory, (0, 1, 2, 4), SPACE)
    np.testing.assert_array_equal(test.times(0, 0, 3), [500, 501, 502])
    assert (
        "The parameter Reynolds Number is 10000 in all of the training part and is left out." in split.notices
    )


def test_parameters_and_obstacles(tmp_path):
    folder = transonic(tmp_path / "128_tra")
    found = {each.name: each for each in ACDM().trajectories(folder)}
    assert [dict(each.parameters)["Mach Number"] for each in found.values()] == [0.50, 0.53, 0.64, 0.70]
    assert set(dict(found["sim_000003"].parameters)) == {"Reynolds Number", "Mach Number"}
    np.testing.assert_array_equal(constants_of(found["sim_000014"], "obstacle_mask"), obstacle(2).T)
    train = read(folder, tmp_path).train
    assert [c.name for c in train.layout.parameters] == ["Mach Number"]
    assert [c.name for c in train.layout.constants] == ["obstacle_mask"]
    shown = [train.conditioning(i, 0, 2)["parameters"][0, 0] for i in (0, 1)]
    np.testing.assert_allclose(shown, [-1, 1], rtol=1e-5)


def test_incompressible_flow_with_a_reynolds_number_that_changes(tmp_path):
    said = {"Dt": 0.05}
    place = tmp_path / "sets"
    for number, trajectory in ((10, 0), (80, 1)):
        told = said | {"Reynolds Number": 1000.0 - 10 * number}
        frames = range(798, 810)
        simulation(place / "128_inc", number, trajectory, frames=frames, origin=800, fields=INC, told=told)
    for number in (9, 81):  # of no part
        simulation(place / "128_inc", number, 7, frames=range(2), fields=INC, told=said)
    told = said | {"Reynolds Number": 180.0}
    simulation(place / "128_inc", 82, 2, frames=range(998, 1152), origin=1000, fields=INC, told=told)
    numbers = np.linspace(200, 900, 800).tolist()
    told = said | {"Reynolds Number": numbers}
    simulation(place / "128_reyVar", 0, 3, frames=range(299, 308), origin=300, fields=INC, told=told)

    split = read(place, tmp_path)
    train, test = split.train, split.test
    assert [train.name(i) for i in range(len(train))] == ["128_inc/sim_000010", "128_inc/sim_000080"]
    assert [test.name(i) for i in range(len(test))] == ["128_inc/sim_000082", "128_reyVar/sim_000000"]
    assert (train.length(0), test.length(0), test.length(1)) == (10, 150, 8)
    assert [axis.boundary for axis in train.layout.axes] == ["wall", "open"] and train.layout.step == 0.05
    assert train.layout.x.spacing == pytest.approx(4 / 6)
    for part, index, trajectory in ((train, 0, 0), (train, 1, 1), (test, 0, 2), (test, 1, 3)):
        check_frames(part, index, trajectory, (0, 1, 4), SPACE)
    np.testing.assert_allclose(train.times(0, 0, 2), [40, 40.05])
    changing = ACDM().trajectories(place)[-1]
    np.testing.assert_allclose(values_of(changing, "Reynolds Number", 2, 5), numbers[302:305], rtol=1e-6)
    (scale,) = train.layout.parameters
    shown = test.conditioning(1, 2, 5)["parameters"][:, 0]
    np.testing.assert_allclose(shown, scale.scaled(np.array(numbers[302:305])), rtol=1e-5)
    np.testing.assert_allclose(scale.unscaled(shown), numbers[302:305], rtol=1e-5)


def test_slices_of_isotropic_turbulence(tmp_path):
    folder = tmp_path / "128_iso"
    for number, trajectory, first in ((199, 0, 0), (351, 1, 0), (200, 2, 500), (350, 3, 500), (201, 4, 0)):
        frames, told = range(first, first + 9), {"Z Slice": number + 1}
        simulation(folder, number, trajectory, frames=frames, origin=first, fields=ISO, told=told, mask=False)
    split = read(folder, tmp_path)
    assert split.train.layout.names == ("velocity_x", "velocity_y", "velocityZ", "pressure")
    assert split.train.layout.constants == () and split.train.layout.x.spacing == pytest.approx(math.pi / 12)
    assert (len(split.train), len(split.test)) == (2, 2)
    assert [c.name for c in split.train.layout.parameters] == ["Z Slice"]
    for part, index, trajectory in (
        (split.train, 0, 0),
        (split.train, 1, 1),
        (split.test, 0, 2),
        (split.test, 1, 3),
    ):
        check_frames(part, index, trajectory, (0, 1, 3, 4), SPACE)


def test_a_part_may_be_named_or_all_simulations_taken(tmp_path):
    folder = transonic(tmp_path / "mine")
    found = ACDM().trajectories(folder)
    assert {each.split for each in found} == {""} and [each.length for each in found] == [13, 12, 12, 9]
    assert found[0].axes[1].spacing == 1.0
    parts = [each.split for each in ACDM(part="tra").trajectories(folder)]
    assert parts == ["test", "train", "test", "train"]
    same = folder.rename(tmp_path / "128_tra")
    assert [each.split for each in ACDM(part="").trajectories(same)] == [""] * 4
    split = read(same, tmp_path, archive=ACDM(part=""))
    assert (len(split.train), len(split.test)) == (3, 1) and split.train.layout.names[2] == "density"
    with pytest.raises(
        InputError, match=r"source\.archive\.part is 'air': choose one of tra, inc, reyVar, iso"
    ):
        ACDM(part="air")


def test_a_copy_is_made_again_for_other_frames(tmp_path):
    (found,) = ACDM(part="").trajectories(simulation(tmp_path / "a" / "b", 3, 0).parent)
    copies = []
    for first in (0, 2):
        pieces = tuple(dataclasses.replace(piece, first=first) for piece in found.pieces)
        moved = dataclasses.replace(found, length=8, pieces=pieces)
        (copy,) = gathered([moved], tmp_path / "a", str(tmp_path / "cache"))
        copies.append(copy.pieces[0].read(0, 8, (4, 6))[..., 0])
    np.testing.assert_array_equal(copies[1], expected(0, 2, 10, SPACE, 0).astype(np.float32))
    assert not np.array_equal(*copies)


def test_it_is_found_by_looking(tmp_path):
    folder = transonic(tmp_path / "sets" / "128_tra")
    for place in (folder, folder.parent):
        assert [type(kind) for kind in KNOWN if kind.lies_in(place)] == [ACDM]
    archive_files.the_well(tmp_path / "well")
    assert not any(ACDM().lies_in(place) for place in (tmp_path / "well", tmp_path / "none", tmp_path))
    (tmp_path / "videos" / "sim_000000").mkdir(parents=True)
    assert not ACDM().lies_in(tmp_path / "videos")
    assert not ACDM().lies_in(folder / "sim_000003" / "velocity_000000.npz")


def _save(home, values, **names):
    np.savez(home / "pressure_000005.npz", *values, **names)


DAMAGES = {
    "holds no pressure_000005.npz, and its frames from 0 on are read": lambda home: (
        home / "pressure_000005.npz"
    ).unlink(),
    "pressure_000005.npz cannot be read .*it is damaged, cut short": lambda home: (
        home / "pressure_000005.npz"
    ).write_bytes((home / "pressure_000005.npz").read_bytes()[:200]),
    r"pressure_000005.npz holds an array of shape \(1, 4, 6\), and the first": lambda home: _save(
        home, [np.zeros((1, 4, 6), np.float32)]
    ),
    "pressure_000005.npz cannot be read .*allow_pickle": lambda home: _save(
        home, [np.full((1, 6, 4), None, object)]
    ),
    "pressure_000005.npz is an array of complex128, not of real numbers": lambda home: _save(
        home, [np.ones((1, 6, 4), complex)]
    ),
    "pressure_000005.npz cannot be read .*arr_0": lambda home: _save(home, [], other=np.zeros((1, 6, 4))),
    r"obstacle_mask.npz holds an array of shape \(4, 6\), not \(6, 4\)": lambda home: np.savez(
        home / "obstacle_mask.npz", np.ones((4, 6))
    ),
    "description.json cannot be read": lambda home: (home / "src" / "description.json").write_text("{"),
    "description.json holds no JSON object": lambda home: (home / "src" / "description.json").write_text(
        "[]"
    ),
    "'Mach Number' of .* is neither a number nor a list": lambda home: (
        home / "src" / "description.json"
    ).write_text('{"Mach Number": "fast"}'),
    "'Mach Number' of .* is neither .* each of 6 frames": lambda home: (
        home / "src" / "description.json"
    ).write_text('{"Mach Number": [0.5, 0.5]}'),
    "'Dt' of .* is no number above 0": lambda home: (home / "src" / "description.json").write_text(
        '{"Dt": 0}'
    ),
    "the frames of pressure in .* have the shape": lambda home: [
        np.savez(home / f"pressure_{i:06d}.npz", np.zeros((1, 6, 5))) for i in range(6)
    ],
    "sim_000014 holds no velocity_000000.npz and so on": lambda home: [
        file.unlink() for file in home.glob("velocity_*")
    ],
}


@pytest.mark.parametrize("message", DAMAGES)
def test_damage_is_told_in_one_sentence(tmp_path, message):
    folder = simulation(tmp_path / "128_tra", 3, 0, frames=range(2)).parent
    DAMAGES[message](simulation(folder, 14, 1, frames=range(6)))
    with pytest.raises(InputError, match=message):
        read(folder, tmp_path)


def test_a_part_that_is_not_there_is_told(tmp_path):
    folder = simulation(tmp_path / "128_tra", 0, 0).parent
    with pytest.raises(
        InputError, match=r"holds no velocity_000500.npz, and its frames from 500 on are read"
    ):
        ACDM().trajectories(folder)
    folder = simulation(tmp_path / "128_reyVar", 0, 0, frames=range(300, 303), origin=300, fields=INC).parent
    with pytest.raises(InputError, match="has no training part: give the folder that holds all parts"):
        read(folder, tmp_path)
