"""What lies beyond the poles of a sphere, against functions of a point in space: a latitude beyond 90 degrees
is a point on the other side, without a rule of padding."""

import itertools

import jax
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.denoisers import Inputs
from rolling.video.uvit.layers import convolve, convolve_by_halo
from rolling.video.uvit.network import VideoUViT, beyond
from rolling.video.uvit.patches import crop, pad
from tests.test_uvit import network

EAST = 16  # longitudes, all the way round
NORTH = 9


def on_the_sphere(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A smooth function of the point in space, at rows and columns of the grid, those outside it included."""
    latitude = np.pi / 2 - (rows[:, None] + 0.5) * np.pi / NORTH
    longitude = columns[None] * 2 * np.pi / EAST
    x, y = np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude)
    z = np.sin(latitude) + 0 * longitude
    return (x + 2 * y * z + 0.5 * z + x**3 * y).astype(np.float32)


@pytest.mark.parametrize("radii", [(), (5,)])
def test_a_convolution_sees_the_other_side(radii):
    """Of a plane of latitudes and longitudes, and of one with radii before them."""
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((*[3] * (2 + len(radii)), 1, 2)).astype(np.float32)
    wide = on_the_sphere(np.arange(-1, NORTH + 1), np.arange(-1, EAST + 1))
    for radius in radii:  # beyond the ends is nothing
        scales = np.pad(rng.standard_normal(radius).astype(np.float32), 1)
        wide = scales[:, None, None] * wide
    space = (*radii, NORTH, EAST)
    inner = wide[tuple(slice(1, -1) for _ in space)]
    expected = np.zeros((*space, 2))
    for tap in itertools.product(range(3), repeat=len(space)):
        part = wide[tuple(slice(i, i + cells) for i, cells in zip(tap, space, strict=True))]
        expected += part[..., None] @ kernel[tap]
    boundary = (*("zero" for _ in radii), "pole", "periodic")
    for way in (convolve, convolve_by_halo):
        found = jax.jit(way, static_argnums=2)(inner[None, ..., None], kernel, boundary)
        np.testing.assert_allclose(found[0], expected, atol=2e-5)


def test_padding_goes_over_the_poles():
    """Nine rows become twelve: one before and two after."""
    inner = on_the_sphere(np.arange(NORTH), np.arange(EAST))[None, None, ..., None]
    padded = pad(inner, 4, ("pole", "periodic"))
    np.testing.assert_allclose(
        padded[0, 0, ..., 0], on_the_sphere(np.arange(-1, NORTH + 2), np.arange(EAST)), atol=1e-6
    )
    np.testing.assert_array_equal(crop(padded, (NORTH, EAST)), inner)


def test_the_network_crosses_poles_where_longitudes_go_round():
    assert beyond(("pole", "periodic")) == ("pole", "periodic")
    assert beyond(("wall", "pole", "periodic")) == ("zero", "pole", "periodic")
    assert beyond(("pole", "open")) == ("edge", "edge")  # a sector
    assert beyond(("pole",)) == ("edge",)
    assert beyond(("open", "wall")) == ("edge", "zero")
    with pytest.raises(InputError, match=r"pole along the last axis.*longitudes"):
        VideoUViT(boundary=("periodic", "pole"))


def test_what_is_beyond_a_pole_reaches_the_output():
    """A change in one cell at the pole is seen half a turn away, beyond what an edge lets pass."""
    rng = np.random.default_rng(1)
    z = rng.standard_normal((1, 2, 16, 32, 1)).astype(np.float32)
    near = z.copy()
    near[:, :, 0, 0] += 1
    reached = {}
    for kind in ("pole", "open"):
        inputs = Inputs(space=(16, 32), channels=1, boundaries=(kind, "periodic"))
        apply, params = network(inputs)
        change = np.abs(apply(params, near, np.zeros((1, 2))) - apply(params, z, np.zeros((1, 2))))
        reached[kind] = float(change[:, :, 0, 16].max())
    assert reached["pole"] > 2 * reached["open"]
