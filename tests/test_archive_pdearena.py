"""PDEArena: smoke, the Kuramoto-Sivashinsky equation and Maxwell's equations read exactly, with their parts,
steps, parameters and boundaries. The miniatures are written from what is published of the files alone."""

import h5py
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.data.simulations.archives import PDEArena, PDEBench
from rolling.data.simulations.known_archives import archive_at
from tests import archive_files
from tests.archive_files import coded
from tests.test_archive_pdebench import check_part, instead, number, without
from tests.test_simulations import opened

PLANE = {"x": 6, "y": 4}
BOX = {"x": 6, "y": 4, "z": 3}


def smoke(
    folder,
    files=(("train", 0, 3, 0.2), ("train", 3, 2, 0.4), ("valid", 5, 2, 0.3), ("test", 7, 2, 0.5)),
    frames=14,
):
    """Files of smoke in a box of 12 by 6: their parts, the first simulations, counts and buoyancies."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, first, count, buoyancy in files:
        with h5py.File(folder / f"NavierStokes2D_{part}_100_{buoyancy:.5f}_{count}.h5", "w") as held:
            group = held.create_group(part)
            for channel, name in enumerate(("u", "vx", "vy")):
                group[name] = coded(count, frames, PLANE, channel, first=first)
            # As published: the first and the last frame lie further apart than steps of dt.
            group["t"] = np.tile(np.linspace(18, 102, frames), (count, 1))
            group["dt"] = np.full(count, 6.0)
            for letter, side in (("x", 12.0), ("y", 6.0)):
                cells = PLANE[letter]
                group[letter] = np.tile(np.linspace(0, side, cells), (count, 1))
                group[f"d{letter}"] = np.full(count, side / (cells - 1))
            group["buo_y"] = np.full(count, buoyancy)


def line(folder, varied=True, viscous=True, longer=1):
    """Files of the Kuramoto-Sivashinsky equation, the test part with longer simulations."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, first, count, frames in (("train", 0, 3, 12), ("valid", 3, 2, 12), ("test", 5, 2, 20)):
        frames *= longer
        with h5py.File(folder / f"KS_{part}_mini.h5", "w") as held:
            group = held.create_group(part)
            group[f"pde_{frames}-6"] = coded(count, frames, {"x": 6}, first=first).astype(np.float32)
            places = np.arange(first, first + count) * varied
            group["dt"] = (0.2 + 0.01 * places).astype(np.float32)
            group["dx"] = (0.25 + 0.02 * places).astype(np.float32)
            if viscous:
                group["v"] = 0.5 + 0.1 * places


def maxwell(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for part, first, count in (("train", 0, 2), ("valid", 2, 1), ("test", 3, 2)):
        with h5py.File(folder / f"Maxwell3D_{part}_100.h5", "w") as held:
            group = held.create_group(part)
            for place, name in enumerate(("d_field", "h_field")):
                parts = [coded(count, 12, BOX, 3 * place + channel, first=first) for channel in range(3)]
                group[name] = np.stack(parts, -1)


def test_smoke(tmp_path):
    smoke(tmp_path)
    assert archive_at(tmp_path) == PDEArena()
    split = opened(tmp_path)
    layout = split.train.layout
    assert [(a.name, len(a), a.boundary) for a in layout.axes] == [("y", 4, "wall"), ("x", 6, "wall")]
    # Cells fill the box: the first centre lies half a cell from the wall.
    np.testing.assert_allclose(layout.x.values, [1, 3, 5, 7, 9, 11])
    np.testing.assert_allclose(layout.y.values, [0.75, 2.25, 3.75, 5.25])
    assert layout.names == ("u", "vx", "vy") and layout.step == 6.0
    np.testing.assert_array_equal(split.train.times(0, 0, 3), [0, 6, 12])
    for part, found in ((split.train, (0, 1, 2, 3, 4)), (split.validation, (5, 6)), (split.test, (7, 8))):
        check_part(part, found, (0, 1, 2), PLANE)
    assert [p.name for p in layout.parameters] == ["buo_y"]
    assert number(split.train, "buo_y") == [0.2, 0.2, 0.2, 0.4, 0.4]
    shown = [split.train.conditioning(i, 0, 2)["parameters"][0, 0] for i in range(5)]
    np.testing.assert_allclose(shown, (np.array([0.2, 0.2, 0.2, 0.4, 0.4]) - 0.28) / 0.0979796, rtol=1e-5)


def test_spacings_and_steps_that_differ_are_parameters(tmp_path):
    line(tmp_path)
    assert archive_at(tmp_path) == PDEArena()
    split = opened(tmp_path)
    layout = split.train.layout
    assert [(a.name, len(a), a.boundary) for a in layout.axes] == [("x", 6, "periodic")]
    assert layout.x.values == (0, 1, 2, 3, 4, 5) and layout.step == 1.0 and layout.names == ("u",)
    for part, found in ((split.train, (0, 1, 2)), (split.validation, (3, 4)), (split.test, (5, 6))):
        check_part(part, found, (0,), {"x": 6})
    assert {p.name for p in layout.parameters} == {"v", "dx", "time_step"}
    np.testing.assert_allclose(number(split.train, "v"), [0.5, 0.6, 0.7])
    np.testing.assert_allclose(number(split.test, "dx"), [0.35, 0.37], rtol=1e-6)
    np.testing.assert_allclose(number(split.validation, "time_step"), [0.23, 0.24], rtol=1e-6)
    assert (split.train.length(0), split.test.length(1)) == (12, 20)


def test_spacings_and_steps_that_are_alike_are_those_of_the_grid(tmp_path):
    line(tmp_path, varied=False, viscous=False)
    layout = opened(tmp_path).train.layout
    np.testing.assert_allclose(layout.x.values, 0.25 * np.arange(6))
    assert layout.step == pytest.approx(0.2) and layout.parameters == ()
    assert PDEArena().trajectories(tmp_path)[0].parameters == ()
    four = opened(tmp_path, every=4).train
    assert four.length(0) == 3 and four.layout.step == pytest.approx(0.8)


def test_maxwell(tmp_path):
    maxwell(tmp_path)
    assert archive_at(tmp_path) == PDEArena()
    split = opened(tmp_path)
    layout = split.train.layout
    assert [(a.name, len(a), a.boundary, a.spacing) for a in layout.axes] == [
        ("z", 3, "open", 1.0),
        ("y", 4, "open", 1.0),
        ("x", 6, "open", 1.0),
    ]
    assert layout.step == 1.0
    assert layout.names == tuple(f"{f}_field_{c}" for f in "dh" for c in "xyz")
    for part, found in ((split.train, (0, 1)), (split.validation, (2,)), (split.test, (3, 4))):
        check_part(part, found, range(6), BOX)


def nothing(held):
    """Moves the group of the part away."""
    held.move("train", "other")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("train/dt"), "no array of numbers /train/dt"),
        (without("train/dy"), "no array of numbers /train/dy"),
        (instead("train/dx", np.zeros(3)), "dx of .* is not above 0 throughout"),
        (instead("train/dt", [6.0, np.nan, 6.0]), "dt of .* is not above 0 throughout"),
        (instead("train/dt", [6.0]), r"/train/dt of .* has the shape \(1,\)"),
        (instead("train/buo_y", [0.2]), r"/train/buo_y of .* has the shape \(1,\)"),
        (instead("train/buo_y", [0.2, np.inf, 0.2]), "buo_y of .* is not finite"),
        (instead("train/vx", np.zeros((3, 14, 4, 6))), r"axes \(b: 3, t: 14, x: 6, y: 4\) were expected"),
        (instead("train/u", np.zeros((3, 14, 4))), r"/train/u of .* has the shape \(3, 14, 4\)"),
        (instead("train/u", ["words"]), "no array of numbers /train/u"),
        (nothing, "no group train, valid or test with arrays of PDEArena"),
    ],
)
def test_files_that_are_refused(tmp_path, change, sentence):
    smoke(tmp_path)
    with h5py.File(tmp_path / "NavierStokes2D_train_100_0.20000_3.h5", "a") as held:
        change(held)
    with pytest.raises(InputError, match=sentence) as found:
        opened(tmp_path)
    assert "\n" not in str(found.value)


def test_sets_that_do_not_belong_together_are_refused(tmp_path):
    smoke(tmp_path)
    line(tmp_path)
    with pytest.raises(InputError, match="give the folder of those that belong together"):
        opened(tmp_path)


def test_each_layout_is_claimed_by_its_own_archive(tmp_path):
    archive_files.the_well(tmp_path / "well")
    assert not PDEArena().lies_in(tmp_path / "well")
    for write in (smoke, line, maxwell):
        write(tmp_path / write.__name__)
        assert PDEArena().lies_in(tmp_path / write.__name__)
        assert not PDEBench().lies_in(tmp_path / write.__name__)
    with h5py.File(tmp_path / "other.h5", "w") as held:
        held["train"] = [1.0]
    assert not PDEArena().lies_in(tmp_path / "other.h5")
    assert not PDEArena().lies_in(tmp_path / "nowhere")
    file = tmp_path / "smoke" / "NavierStokes2D_train_100_0.20000_3.h5"
    file.write_bytes(file.read_bytes()[:3000])
    assert not PDEArena().lies_in(file)
    with pytest.raises(InputError, match="damaged, cut short"):
        PDEArena().trajectories(tmp_path / "smoke")
