"""Networks that are shown how far cells are from the ends of axes: exact values, and what may not change."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rolling.common.errors import InputError
from rolling.denoisers import Condition, Inputs, functional
from rolling.run import load
from rolling.run.cli import main
from rolling.video.uvit.conditioning import distances, stack
from rolling.video.uvit.network import VideoUViT
from tests import archive_files
from tests.test_uvit import SMALL, disturb

TRAINED = (
    "--network.channels 8 --network.blocks 1 --network.heads 2 --network.embedding 16 --window.size 4"
    " --training.steps 4 --training.batch 4 --forecast.frames 2 --forecast.starts 2 --forecast.members 1"
)
BOX = Inputs(space=(8, 16), channels=1, boundaries=("wall", "periodic"))


def network(inputs, **settings):
    return functional(VideoUViT(**SMALL, **settings).build(inputs, nnx.Rngs(0)))


def test_a_wall_has_the_distance_in_cells():
    """Of five rows, half a cell to the wall and on, up to two cells."""
    found = np.asarray(distances((5, 3), ("zero", "periodic"), 2))
    assert found.shape == (5, 3, 2) and found.dtype == np.float32
    for column in range(3):
        np.testing.assert_array_equal(found[:, column, 0], [0.25, 0.75, 1, 1, 1])
        np.testing.assert_array_equal(found[:, column, 1], [1, 1, 1, 0.75, 0.25])


@pytest.mark.parametrize(
    ("boundary", "channels"),
    [
        (("periodic",), 0),
        (("periodic", "periodic"), 0),
        (("zero", "edge"), 4),
        (("pole", "periodic"), 2),
        (("edge", "periodic", "zero"), 4),
    ],
)
def test_every_axis_that_is_not_periodic_has_two_channels(boundary, channels):
    space = (3, 4, 5)[: len(boundary)]
    found = np.asarray(distances(space, boundary, 10))
    assert found.shape == (*space, channels)
    assert distances(space, boundary, 0).shape == (*space, 0)
    ends = [axis for axis, kind in enumerate(boundary) if kind != "periodic"]
    for place, axis in enumerate(ends):
        here = np.moveaxis(found, axis, 0).reshape(space[axis], -1, channels)
        for cell, (first, last) in enumerate(here[..., 2 * place : 2 * place + 2].mean(axis=1)):
            np.testing.assert_allclose(
                [first, last], [(cell + 0.5) / 10, (space[axis] - cell - 0.5) / 10], 1e-6
            )
        assert np.ptp(here[..., 2 * place], axis=1).max() == 0


def test_they_stand_behind_what_is_known_of_each_cell():
    z = np.random.default_rng(0).standard_normal((2, 3, 8, 16, 1)).astype(np.float32)
    known = Condition(static=jnp.ones((8, 16, 2)))
    found = np.asarray(stack(z, known, ("zero", "periodic"), 4))
    assert found.shape == (2, 3, 8, 16, 1 + 2 + 2)
    np.testing.assert_array_equal(found[..., :1], z)
    np.testing.assert_array_equal(found[1, 2, ..., 3:], distances((8, 16), ("zero", "periodic"), 4))


def test_a_torus_has_none_and_without_the_option_nothing_changes():
    """The same parameters and the same bits."""
    torus = Inputs(space=(8, 16), channels=1, boundaries=("periodic", "periodic"))
    z = np.random.default_rng(1).standard_normal((2, 3, 8, 16, 1)).astype(np.float32)
    for inputs, settings in ((torus, {"end_distance": 4}), (BOX, {"end_distance": 0})):
        (apply, params), (plain, same) = network(inputs, **settings), network(inputs)
        assert jax.tree.all(jax.tree.map(np.array_equal, params, same))
        outputs = [jax.jit(f)(disturb(params), z, np.zeros((2, 3), np.float32)) for f in (apply, plain)]
        np.testing.assert_array_equal(*outputs)


def test_a_box_has_a_larger_stem_only_and_any_size_is_taken():
    apply, params = network(BOX, end_distance=4)
    _, plain = network(BOX)
    shapes, before = (jax.tree.map(np.shape, tree) for tree in (params, plain))
    assert shapes.pop("stem")["kernel"] == (3, 3, 4 * 3, 8) != before.pop("stem")["kernel"] == (3, 3, 4, 8)
    assert shapes == before
    z = np.random.default_rng(2).standard_normal((1, 3, 7, 20, 1)).astype(np.float32)
    found = jax.jit(apply)(disturb(params), z, np.zeros((1, 3), np.float32))
    assert found.shape == z.shape and np.isfinite(found).all()


def test_it_is_not_negative():
    with pytest.raises(InputError, match=r"end_distance is -1: give the cells up to which .*, or 0 for none"):
        VideoUViT(end_distance=-1)


@pytest.mark.slow
def test_trainings_with_it_and_without(tmp_path):
    """On an archive with walls along y; of a run of before, which does not name it, nothing is asked."""
    archive_files.the_well(tmp_path / "well", vectors=False)
    words = ["--folder", str(tmp_path), "--source.path", str(tmp_path / "well"), *TRAINED.split()]
    kernels = []
    for name, more in (("without", []), ("shown", ["--network.end-distance", "3"])):
        assert main(["train", "simulations", "--name", name, *words, *more]) == 0
        file = tmp_path / name / "experiment.json"
        former = json.loads(file.read_text(encoding="utf-8"))
        if former["network"]["end_distance"] == 0:
            del former["network"]["end_distance"]
            file.write_text(json.dumps(former), encoding="utf-8")
        assert main(["rollout", str(tmp_path / name)]) == 0
        kernels.append(np.shape(load(tmp_path / name).params["stem"]["kernel"]))
    assert kernels[1][2] - kernels[0][2] == 4 * 2  # two distances of each of the four cells of a patch
