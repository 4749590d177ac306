"""I3D: the original's own numbers, plain numpy at other lengths, and the checkpoint's names and offsets."""

import hashlib
import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from rolling.common.errors import InputError
from rolling.metrics.weights import git_hash
from rolling.video.metrics.i3d import SCOPE
from rolling.video.metrics.i3d_weights import I3D_WEIGHTS, filled, shapes, tensors

pytestmark = pytest.mark.slow

GIVEN = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "i3d"
FIXTURE, MANIFEST = GIVEN / "i3d_random_weight_fixture.npz", GIVEN / "i3d_tensor_manifest.json"


@pytest.fixture(scope="module")
def weights():
    """Random weights, drawn as those of the numbers that the original was asked for."""
    rng, values = np.random.RandomState(0), {}
    for name, shape in shapes().items():
        if name.endswith("/w"):
            value = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
        elif name.endswith("/moving_variance"):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = 0.1 * rng.standard_normal(shape)
        values[name] = value.astype(np.float32)
    return values


@pytest.fixture(scope="module")
def network(weights):
    graph, state = filled(weights)
    run = jax.jit(lambda state, clips: nnx.merge(graph, state)(clips))
    return lambda clips: np.asarray(run(state, clips))


def clips_of(frames, side):
    return np.random.RandomState(1 + frames).uniform(-1, 1, (1, frames, side, side, 3)).astype(np.float32)


# Of the 400 logits that the original inference graph gives for these weights and clips.
NORMS = {10: 98.183685, 16: 119.19384}
FIRST = [-7.0475492, -6.0414076, 0.14732862, -5.272647]


@pytest.mark.parametrize("frames", [10, 16])
def test_logits_are_those_of_the_original_graph(network, frames):
    (found,) = network(clips_of(frames, 224))
    assert found.shape == (400,) and np.linalg.norm(found) == pytest.approx(NORMS[frames], rel=1e-5)
    within = 1e-5 * np.abs(found).max()
    if frames == 16:
        np.testing.assert_allclose(found[:4], FIRST, rtol=0, atol=within)
    if FIXTURE.exists():
        with np.load(FIXTURE) as expected:
            np.testing.assert_allclose(found, expected[f"T{frames}"][0], rtol=0, atol=within)


class Plain:
    """The same network in numpy and float64, read off the paper's figure and the names of the tensors."""

    def __init__(self, weights):
        self.weights = {name.removeprefix(SCOPE + "/"): value for name, value in weights.items()}

    def windows(self, x, sides, strides, fill):
        """Every element of the windows of 'SAME', each with its place in the window."""
        axes = list(zip(x.shape[:3], sides, strides, strict=True))
        outs = [-(-n // s) for n, _, s in axes]
        pads = [max((o - 1) * s + k - n, 0) for o, (n, k, s) in zip(outs, axes, strict=True)]
        x = np.pad(x, [(p // 2, p - p // 2) for p in pads] + [(0, 0)], constant_values=fill)
        for place in np.ndindex(*sides):
            firsts = zip(place, outs, strides, strict=True)
            yield place, x[tuple(slice(i, i + (o - 1) * s + 1, s) for i, o, s in firsts)]

    def largest(self, x, sides, strides=(1, 1, 1)):
        return np.max([part for _, part in self.windows(x, sides, strides, -np.inf)], axis=0)

    def unit(self, x, name, stride=1):
        w = self.weights[f"{name}/conv_3d/w"].astype(np.float64)
        parts = self.windows(x, w.shape[:3], (stride,) * 3, 0.0)
        y = sum(part @ w[place] for place, part in parts)
        beta, mean, variance = (
            self.weights[f"{name}/batch_norm/{moment}"][0, 0, 0, 0]
            for moment in ("beta", "moving_mean", "moving_variance")
        )
        return np.maximum((y - mean) / np.sqrt(variance.astype(np.float64) + 0.001) + beta, 0)

    def mixed(self, x, name):
        third = "0a_3x3" if name == "Mixed_5b" else "0b_3x3"
        branches = []
        for i, chain in enumerate((["0a_1x1"], ["0a_1x1", "0b_3x3"], ["0a_1x1", third], ["0b_1x1"])):
            y = self.largest(x, (3, 3, 3)) if i == 3 else x
            for unit in chain:
                y = self.unit(y, f"{name}/Branch_{i}/Conv3d_{unit}")
            branches.append(y)
        return np.concatenate(branches, axis=-1)

    def logits(self, clip):
        x = self.largest(self.unit(clip, "Conv3d_1a_7x7", 2), (1, 3, 3), (1, 2, 2))
        x = self.unit(self.unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3")
        x = self.mixed(self.mixed(self.largest(x, (1, 3, 3), (1, 2, 2)), "Mixed_3b"), "Mixed_3c")
        x = self.largest(x, (3, 3, 3), (2, 2, 2))
        for letter in "bcdef":
            x = self.mixed(x, f"Mixed_4{letter}")
        x = self.mixed(self.mixed(self.largest(x, (2, 2, 2), (2, 2, 2)), "Mixed_5b"), "Mixed_5c")
        pairs = [x[i : i + 2].mean(axis=(0, 1, 2)) for i in range(len(x) - 1)]
        head = "Logits/Conv3d_0c_1x1/conv_3d"
        w, b = self.weights[f"{head}/w"][0, 0, 0], self.weights[f"{head}/b"]
        return np.mean([pair @ w + b for pair in pairs], axis=0)


@pytest.mark.parametrize(("frames", "side"), [(9, 32), (12, 37)])
def test_logits_are_those_of_plain_numpy(network, weights, frames, side):
    clips = clips_of(frames, side)
    expected = Plain(weights).logits(clips[0].astype(np.float64))
    np.testing.assert_allclose(network(clips)[0], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_too_few_frames_are_refused(network):
    with pytest.raises(InputError, match="at least 9 frames, not 8"):
        network(clips_of(8, 32))


def test_the_file_is_the_tensors_one_after_another(weights):
    """Sorted by name, without gaps; the offsets of a few are written out here."""
    known = shapes()
    assert len(known) == 230 and list(known) == sorted(known)
    assert known[f"{SCOPE}/Conv3d_1a_7x7/conv_3d/w"] == (7, 7, 7, 3, 64)
    assert known[f"{SCOPE}/Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w"] == (3, 3, 3, 32, 128)
    content = b"".join(weights[name].tobytes() for name in known)
    assert len(content) == I3D_WEIGHTS.size
    found = tensors(content)
    assert all(np.array_equal(found[name], weights[name]) for name in known)
    at = content[768 : 768 + 4 * 7 * 7 * 7 * 3 * 64]
    assert found[f"{SCOPE}/Conv3d_1a_7x7/conv_3d/w"].tobytes() == at
    with pytest.raises(InputError, match="take 50818176 bytes"):
        tensors(content[:-4])


def test_names_shapes_and_offsets_are_those_of_the_checkpoint():
    """A line for each tensor in the public checkpoint's own index, of which this is the SHA-256."""
    offset, lines = 0, []
    for name, shape in shapes().items():
        lines.append(f"{name} {shape} {offset}")
        offset += 4 * math.prod(shape)
    found = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert found == "f680590e604d8ab1652f05dd50af56a29bb7e4aad0ff3f475b0245e8d0b821e1"
    assert offset == I3D_WEIGHTS.size


@pytest.mark.skipif(not MANIFEST.exists(), reason=f"the index of the I3D checkpoint is not in {GIVEN}")
def test_the_index_of_the_checkpoint_line_by_line():
    offset, known = 0, shapes()
    manifest = json.loads(MANIFEST.read_text())
    assert list(known) == list(manifest)
    for name, entry in manifest.items():
        assert (known[name], offset) == (tuple(entry["shape"]), entry["offset"])
        offset += entry["size"]
    assert offset == I3D_WEIGHTS.size


def test_the_hash_is_gits():
    assert git_hash(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert git_hash(b"what") == hashlib.sha1(b"blob 4\x00what").hexdigest()
