"""The benchmark of Otness et al.: flows with obstacles and spring meshes, in one npz file for each run."""

import itertools
import json

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.simulations import npz_arrays
from rolling.data.simulations.archives import NnBenchmark
from rolling.data.simulations.covariates import constants_of
from rolling.data.simulations.known_archives import KNOWN
from tests import archive_files
from tests.archive_files import coded
from tests.test_simulations import check_frames, opened

SPACE = {"x": 6, "y": 4}
STEP = 0.08


def flow(folder, count, first, *, frames=9, step=STEP, velocities=(1.0, 1.5, 1.25)):
    """A run of flows; trajectory `at` has the values of `first + at`, and obstacles of its own."""
    arrays, listed = {"vertices": places()}, []
    for at in range(count):
        name = f"traj_{at:05}"
        arrays |= {
            f"{name}_solutions": flat(frames, first + at, 0, 1),
            f"{name}_pressures": flat(frames, first + at, 2)[..., 0],
            f"{name}_grads": flat(frames, first + at, 8, 9),
            f"{name}_t": step * np.arange(1, frames + 1),
            f"{name}_masks": np.stack([fixed(), obstacle(first + at)], axis=-1).reshape(24, 2),
        }
        keys = {"p": "solutions", "q": "pressures", "dpdt": "grads", "t": "t", "extra_fixed_mask": "masks"}
        listed.append(
            {
                "name": name,
                "num_time_steps": frames,
                "time_step_size": step,
                "in_velocity": velocities[at % 3],
                "viscosity": 0.001,
                "field_keys": {key: f"{name}_{member}" for key, member in keys.items()}
                | {"vertices": "vertices"},
            }
        )
    return write(folder, "navier-stokes", arrays, listed)


def springs(folder, count, first, *, frames=9, edges=True, space=SPACE):
    """A run of spring meshes, in which neighbours along x, y and the diagonals hold each other."""
    arrays, listed = {}, []
    for at in range(count):
        name = f"traj_{at:05}"
        arrays |= {
            f"{name}_p": flat(frames, first + at, 0, 1, space=space),
            f"{name}_q": flat(frames, first + at, 2, 3, space=space),
            f"{name}_edge_indices": neighbours(space),
            f"{name}_fixed_mask": np.arange(space["x"] * space["y"]) % space["y"] == space["y"] - 1,
        }
        keys = ("p", "q", "fixed_mask", *(["edge_indices"] if edges else []))
        said = {"name": name, "time_step_size": 0.1, "field_keys": {key: f"{name}_{key}" for key in keys}}
        listed.append(said)
    return write(folder, "spring-mesh", arrays, listed)


def write(folder, system, arrays, listed):
    folder.mkdir(parents=True)
    np.savez(folder / "trajectories.npz", **arrays)
    said = {"system": system, "system_args": {}, "metadata": {}, "trajectories": listed}
    (folder / "system_meta.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def flat(frames, trajectory, *channels, space=SPACE):
    """`[t, cell, channel]`, float64: cells column by column, from low to high y."""
    values = [coded(1, frames, space, channel, first=trajectory)[0] for channel in channels]
    return np.stack(values, axis=-1).reshape(frames, -1, len(channels))


def places():
    """`[cell, (x, y)]`, with a hundredth between neighbours."""
    return np.array([(0.01 * i, 0.01 * j) for i, j in itertools.product(range(6), range(4))])


def fixed():
    """`[x, y]`: the inflow and the walls."""
    mask = np.zeros((6, 4), bool)
    mask[0], mask[:, 0], mask[:, -1] = True, True, True
    return mask


def obstacle(trajectory):
    """`[x, y]`: one cell of its own."""
    mask = np.zeros((6, 4), bool)
    mask[1 + trajectory % 4, 1] = True
    return mask


def neighbours(space):
    """`[2, edge]`, both ways."""
    cells = list(itertools.product(range(space["x"]), range(space["y"])))
    pairs = [
        (a, b)
        for (a, one), (b, other) in itertools.permutations(enumerate(cells), 2)
        if max(abs(p - q) for p, q in zip(one, other, strict=True)) == 1
    ]
    return np.array(pairs).T


def flows(root):
    """As the project's own runs: a part to train on in two sizes, and several kinds of parts to test on."""
    home = root / "navier-stokes-multi" / "run" / "data_gen"
    flow(home / "ns-runs_train-navier-stokes-n2-t9-n0_00001", 2, 0)
    flow(home / "ns-runs_train-navier-stokes-n3-t9-n0_00001", 3, 0)
    flow(home / "ns-runs_val-navier-stokes-n1-t9-n0_00001", 1, 3)
    flow(home / "ns-runs_eval-cors1-navier-stokes-n2-t12-n0_tagcors1_00001", 2, 4, frames=12)
    flow(home / "ns-runs_eval-cors4-navier-stokes-n2-t7-n0_tagcors4_00001", 2, 6, frames=7, step=4 * STEP)
    flow(home / "ns-runs_eval-outdist-cors1-navier-stokes-n1-t9-n0_tagcors1_00001", 1, 8)
    return home


def read(path, work, **settings):
    return opened(path, cache=str(work / "cache"), **settings)


def test_flows_with_obstacles(tmp_path):
    flows(tmp_path / "data")
    split = read(tmp_path / "data", tmp_path)
    layout = split.train.layout
    assert layout.names == ("velocity_x", "velocity_y", "pressure") and layout.step == pytest.approx(STEP)
    assert [(a.name, len(a), a.boundary) for a in layout.axes] == [("y", 4, "wall"), ("x", 6, "open")]
    np.testing.assert_allclose(layout.x.values, 0.01 * np.arange(6))
    assert split.validation is not None
    assert (len(split.train), len(split.validation), len(split.test)) == (3, 1, 2)
    for part, trajectories in ((split.train, (0, 1, 2)), (split.validation, (3,)), (split.test, (4, 5))):
        for index, trajectory in enumerate(trajectories):
            check_frames(part, index, trajectory, (0, 1, 2), SPACE)
    assert (split.train.length(0), split.test.length(0)) == (9, 12)
    np.testing.assert_allclose(split.test.times(0, 0, 2), [STEP, 2 * STEP])
    assert split.test.name(1).endswith("ns-runs_eval-cors1-navier-stokes-n2-t12-n0_tagcors1_00001/traj_00001")


def test_parameters_and_masks_of_flows(tmp_path):
    home = flows(tmp_path / "data")
    found = NnBenchmark().trajectories(home)
    last = [each for each in found if each.split == "train"][-1]
    assert dict(last.parameters) == {"in_velocity": 1.25, "viscosity": 0.001}
    np.testing.assert_array_equal(constants_of(last, "obstacle_mask"), obstacle(2).T)
    np.testing.assert_array_equal(constants_of(last, "fixed_mask"), fixed().T)
    split = read(home, tmp_path)
    assert [c.name for c in split.train.layout.parameters] == ["in_velocity"]
    assert [c.name for c in split.train.layout.constants] == ["fixed_mask", "obstacle_mask"]
    assert "The parameter viscosity is 0.001 in all of the training part and is left out." in split.notices


def test_the_test_part_may_be_of_another_distribution(tmp_path):
    split = read(flows(tmp_path / "data"), tmp_path, archive=NnBenchmark(outdist=True))
    assert len(split.test) == 1 and len(split.train) == 3
    check_frames(split.test, 0, 8, (0, 1, 2), SPACE)


@pytest.mark.parametrize("edges", [True, False])
def test_spring_meshes(tmp_path, edges):
    space = SPACE if edges else {"x": 5, "y": 5}
    home = tmp_path / "spring-mesh"
    springs(home / "springmesh-10-perturball-runs_train-n2", 2, 0, edges=edges, space=space)
    springs(home / "springmesh-10-perturball-runs_eval-n1", 1, 2, edges=edges, space=space, frames=8)
    split = read(home, tmp_path)
    layout = split.train.layout
    assert layout.names == ("momentum_x", "momentum_y", "position_x", "position_y") and layout.step == 0.1
    assert [(a.name, len(a), a.boundary) for a in layout.axes] == [
        ("y", space["y"], "open"),
        ("x", space["x"], "open"),
    ]
    for part, index, trajectory in ((split.train, 0, 0), (split.train, 1, 1), (split.test, 0, 2)):
        check_frames(part, index, trajectory, (0, 1, 2, 3), space)
    assert [c.name for c in layout.constants] == ["fixed_mask"] and split.test.length(0) == 8


def test_a_run_alone_has_no_parts(tmp_path):
    split = read(flow(tmp_path / "data" / "ns-runs_train-n3", 3, 0), tmp_path)
    assert (len(split.train), len(split.test)) == (2, 1) and split.test.name(0) == "traj_00002"


def test_one_array_is_kept_at_a_time(tmp_path, monkeypatch):
    counts = []
    real = npz_arrays.unpacked
    monkeypatch.setattr(npz_arrays, "unpacked", lambda *given: counts.append(given[1]) or real(*given))
    (found,) = NnBenchmark().trajectories(flow(tmp_path / "a", 1, 0))
    for start in range(4):
        found.pieces[0].read(start, start + 1, (4, 6))
    assert counts == ["traj_00000_solutions"]
    found.pieces[1].read(0, 1, (4, 6))
    found.pieces[0].read(0, 1, (4, 6))
    assert counts == ["traj_00000_solutions", "traj_00000_pressures", "traj_00000_solutions"]


def test_it_is_found_by_looking(tmp_path):
    home = flows(tmp_path / "data")
    for place in (tmp_path / "data", home, next(home.iterdir())):
        assert [type(kind) for kind in KNOWN if kind.lies_in(place)] == [NnBenchmark]
    archive_files.the_well(tmp_path / "well")
    other = tmp_path / "other"
    other.mkdir()
    (other / "system_meta.json").write_text("{")
    assert not any(NnBenchmark().lies_in(place) for place in (tmp_path / "well", tmp_path / "none", other))
    np.savez(other / "trajectories.npz", a=np.zeros(2))
    assert not NnBenchmark().lies_in(other)
    (other / "system_meta.json").write_text('["system", "trajectories"]')
    assert not NnBenchmark().lies_in(other)


def change(folder, **arrays):
    """Puts arrays in the place of others."""
    with np.load(folder / "trajectories.npz") as held:
        kept = dict(held)
    np.savez(folder / "trajectories.npz", **(kept | arrays))


def tell(folder, change):
    file = folder / "system_meta.json"
    said = json.loads(file.read_text(encoding="utf-8"))
    change(said)
    file.write_text(json.dumps(said), encoding="utf-8")


DAMAGES = {
    "is a run of 'wave': navier-stokes and spring-mesh can be read": lambda run: tell(
        run, lambda said: said.update(system="wave")
    ),
    "lists no trajectories": lambda run: tell(run, lambda said: said.update(trajectories=[])),
    "does not tell where `p` and `q` of 'traj_00001' lie": lambda run: tell(
        run, lambda said: said["trajectories"][1]["field_keys"].pop("q")
    ),
    "trajectories.npz cannot be read .*absent": lambda run: tell(
        run, lambda said: said["trajectories"][0]["field_keys"].update(p="absent")
    ),
    "trajectories.npz cannot be read .*it is damaged, cut short": lambda run: (
        run / "trajectories.npz"
    ).write_bytes((run / "trajectories.npz").read_bytes()[:3000]),
    "system_meta.json cannot be read": lambda run: (run / "system_meta.json").write_text("{"),
    "have the shapes .* of which velocity_x, velocity_y, pressure cannot be made": lambda run: change(
        run, traj_00001_pressures=flat(9, 0, 1, 2)
    ),
    r"traj_00001_solutions of .* has the shape \(9, 20, 2\), and the grid 6 x 4 cells": lambda run: change(
        run, traj_00001_solutions=np.zeros((9, 20, 2))
    ),
    "traj_00000_masks of .* has the shape": lambda run: change(run, traj_00000_masks=np.ones((2, 24), bool)),
    r"traj_00000_t of .* has the shape \(4,\), and there are 9 frames": lambda run: change(
        run, traj_00000_t=np.arange(4.0)
    ),
    "the times of traj_00000_t of .* are not evenly spaced": lambda run: change(
        run, traj_00000_t=np.arange(9.0) ** 2
    ),
    "vertices of .* are not the places of 24 cells on a grid": lambda run: change(
        run, vertices=np.random.default_rng(0).random((24, 2))
    ),
    "vertices of .* are not the places of 24 cells": lambda run: change(run, vertices=np.zeros(3)),
    "cannot be read .*allow_pickle": lambda run: change(
        run, traj_00000_solutions=np.full((9, 24, 2), None, object)
    ),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_damage_is_told_in_one_sentence(tmp_path, message):
    run = flow(tmp_path / "data" / "train-n2", 2, 0)
    DAMAGES[message](run)
    with pytest.raises(InputError, match=message):
        read(run, tmp_path, archive=NnBenchmark())


def test_runs_of_two_systems_and_meshes_that_are_no_grid_are_refused(tmp_path):
    flow(tmp_path / "data" / "a-train", 1, 0)
    mesh = springs(tmp_path / "data" / "b-train", 1, 0)
    with pytest.raises(
        InputError, match="holds runs of navier-stokes and spring-mesh: give the folder of one"
    ):
        read(tmp_path / "data", tmp_path)
    change(mesh, traj_00000_edge_indices=np.stack([np.arange(4), np.arange(1, 5)]))
    with pytest.raises(InputError, match=r"the 24 masses of .* lie on no grid with 5 rows"):
        read(mesh, tmp_path)
    with pytest.raises(InputError, match=r"there is no system_meta\.json beside a trajectories\.npz in"):
        NnBenchmark().trajectories(tmp_path / "none")
