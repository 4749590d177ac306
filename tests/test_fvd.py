"""FVD and KVD: pictures resized as the protocols do, the distances of the network's features, its file."""

import dataclasses
import os

import jax
import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage

from rolling.common.errors import InputError
from rolling.layout import video as pictures
from rolling.metrics.protocol import EvaluationSetup, Metric
from rolling.metrics.resizing import bilinear, centres, corners, ends
from rolling.metrics.weights import git_hash
from rolling.run.cli import main
from rolling.video.metrics import distances, fvd
from rolling.video.metrics.fvd import Fvd, I3dLogits, Kvd
from rolling.video.metrics.i3d_weights import I3D_WEIGHTS, shapes
from tests.test_distances import samples

pytestmark = pytest.mark.slow

HERE = bool(os.environ.get(I3D_WEIGHTS.variable))


@pytest.mark.parametrize(("source", "target"), [(64, 224), (300, 224), (224, 224), (1, 5)])
def test_pixels_at_their_centres_are_resized_as_jax_does(source, target):
    x = np.random.default_rng(0).uniform(0, 255, (source, 3)).astype(np.float32)
    expected = jax.image.resize(x, (target, 3), "bilinear", antialias=False)
    np.testing.assert_allclose(bilinear(source, target, centres) @ x, expected, rtol=0, atol=0.01)


@pytest.mark.parametrize(("source", "target"), [(64, 224), (300, 224), (5, 3)])
def test_pixels_at_their_corners_are_resized_as_tensorflow_1_did(source, target):
    """`in = out * scale`, between its floor and the next pixel, which at the edge is the same one."""
    x = np.random.default_rng(1).uniform(0, 255, source)
    expected = []
    for i in range(target):
        place = i * source / target
        low = int(place)
        high = min(low + 1, source - 1)
        expected.append(x[low] + (x[high] - x[low]) * (place - low))
    np.testing.assert_allclose(bilinear(source, target, corners) @ x, expected, rtol=1e-5)


@pytest.mark.parametrize(("source", "target"), [(55, 31), (12, 56), (7, 7)])
def test_pixels_at_the_ends_are_resized_as_scipy_does(source, target):
    x = np.random.default_rng(2).uniform(0, 255, source)
    expected = scipy.ndimage.zoom(x, target / source, order=1)
    np.testing.assert_allclose(bilinear(source, target, ends) @ x, expected, rtol=1e-5)


def test_the_two_kinds_differ_by_grey_levels():
    x = 255 * (np.arange(64) % 16 < 8)
    apart = np.abs((bilinear(64, 224, corners) - bilinear(64, 224, centres)) @ x)
    assert apart.max() > 5


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights that passes for the right one."""
    rng, parts = np.random.default_rng(0), []
    for name, shape in shapes().items():
        scale = np.sqrt(2 / np.prod(shape[:-1])) if name.endswith("/w") else 0.1
        value = rng.standard_normal(shape, np.float32) * scale
        parts.append((np.abs(value) + 0.5 if name.endswith("variance") else value).astype("<f4").tobytes())
    content, path = b"".join(parts), tmp_path_factory.mktemp("i3d") / "weights"
    path.write_bytes(content)
    fvd.network.cache_clear()
    yield path, dataclasses.replace(I3D_WEIGHTS, sha1=git_hash(content))
    fvd.network.cache_clear()


@pytest.fixture
def network(weights, monkeypatch):
    """The network of those weights, which looks at small pictures."""
    path, file = weights
    monkeypatch.setattr(fvd, "I3D_WEIGHTS", file)
    monkeypatch.setattr(fvd, "SIDE", 32)
    monkeypatch.setenv(I3D_WEIGHTS.variable, str(path))


def setup(leads=8):
    return EvaluationSetup(layout=pictures(2, 3), leads=leads, members=1)


def test_the_value_is_the_textbook_distance_of_the_features(network):
    """Both protocols; the trace of a root is the sum of the roots of the eigenvalues."""
    rng = np.random.default_rng(1)
    real, fake = rng.integers(0, 256, (2, 4, 9, 2, 3, 3)).astype(np.float32)
    for protocol, ddof in (("google", 1), ("styleganv", 0)):
        metric = Fvd(protocol=protocol, frames=9)
        space = metric.space(pictures(2, 3))
        a, b = (space(clips).astype(np.float64) for clips in (real, fake))
        assert a.shape == (4, 400)
        s, t = (np.cov(x, rowvar=False, ddof=ddof) for x in (a, b))
        roots = np.sqrt(np.sort(scipy.linalg.eigvals(s @ t).real)[-3:])  # four clips span three directions
        expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(s + t) - 2 * roots.sum()
        np.testing.assert_allclose(metric.between(a, b)[0].values, [expected], rtol=1e-6)


def test_grey_pictures_are_colour_of_one_value(network):
    grey = np.random.default_rng(2).integers(0, 256, (1, 9, 2, 3, 1)).astype(np.float32)
    space = I3dLogits(protocol="google")
    np.testing.assert_array_equal(space(grey), space(np.repeat(grey, 3, axis=-1)))


def test_forecasts_are_scored_by_both(network):
    for metric in (Fvd(frames=9), Kvd(frames=9)):
        assert isinstance(metric, Metric)
        state = metric.start(setup())
        for seed in range(4):
            for sample in samples(seed, setup(), (8,)):
                state = metric.update(state, sample)
        clips, half = metric.result(state)
        assert np.isfinite(clips.values).all() and np.isfinite(half.reference).all()


def test_without_the_file_they_are_left_out_and_say_so_once(monkeypatch, capsys):
    monkeypatch.delenv(I3D_WEIGHTS.variable, raising=False)
    distances.tell.cache_clear()
    assert Fvd().start(setup(16)) is None and Kvd().start(setup(16)) is None
    said = capsys.readouterr().err
    assert (
        said.count("\n") == 1
        and "left out" in said
        and I3D_WEIGHTS.option in said
        and I3D_WEIGHTS.variable in said
    )


def test_another_file_is_refused(tmp_path, monkeypatch):
    fvd.network.cache_clear()
    path = tmp_path / "model"
    monkeypatch.setenv(I3D_WEIGHTS.variable, str(path))
    for content, words in (
        (None, "cannot be read"),
        (b"no", "it has 2 bytes"),
        (bytes(I3D_WEIGHTS.size), "git hash"),
    ):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError, match=words):
            Fvd().start(setup(16))


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="google and styleganv"):
        Fvd(protocol="torch")
    with pytest.raises(InputError, match="at least 9 frames, not 8"):
        Kvd(frames=8)


def test_the_command_says_where_weights_are_and_verifies_them(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv(I3D_WEIGHTS.variable, raising=False)
    assert main(["weights", "i3d"]) == 0
    said = capsys.readouterr().out
    assert I3D_WEIGHTS.sha1 in said and "kinetics-i3d" in said and "no file is named" in said
    monkeypatch.setenv(I3D_WEIGHTS.variable, "")  # so that what the option sets is forgotten
    assert main(["weights", "i3d", "--metrics.i3d-weights", str(tmp_path / "none")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    for words in (["weights"], ["weights", "other"], ["weights", "i3d", "--metrics.i3d-weights"]):
        assert main(words) == 2


@pytest.mark.skipif(not HERE, reason=f"{I3D_WEIGHTS.variable} names no weights")
def test_black_against_white_is_what_others_found():
    """16 clips of 15 frames, black and white: about 131 in the authors' example."""
    black = np.zeros((16, 15, 64, 64, 3), np.float32)
    metric = Fvd(protocol="google", frames=15)
    space = metric.space(pictures(64, 64))
    value = metric.between(space(black), space(black + 255))[0].values
    np.testing.assert_allclose(value, [131], rtol=0.02)
