"""One to three axes of space: layouts, layers, networks, losses, spectra, statistics and rollouts."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rolling.common.errors import InputError
from rolling.data.arrays import Arrays
from rolling.data.statistics import measure
from rolling.denoisers import Inputs, functional
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.losses import pooled, weighted_mean
from rolling.metrics.area import Domain
from rolling.metrics.frame_statistics import Frames, Gradient
from rolling.metrics.protocol import EvaluationSetup
from rolling.metrics.spectra import spectrum
from rolling.oracle import autoregressive_covariance, exact_denoiser
from rolling.physics.quantities import kinetic_spectra
from rolling.run.experiment import codec
from rolling.run.experiment.former import upgraded
from rolling.sampling import Rollout, Sampler, Sampling
from rolling.sampling.constraints import ConservedMean, Units
from rolling.solvers import UniPC
from rolling.video.uvit.layers import convolve, convolve_by_halo
from rolling.video.uvit.network import VideoUViT
from rolling.video.uvit.patches import from_patches, to_patches
from rolling.windows import Rolling

SPACES = [(11,), (5, 6), (4, 5, 6)]
SMALL = VideoUViT(channels=(8, 16), blocks=(1, 1), heads=2, embedding=16)


def layout(space=(4, 5, 6), names=("a", "b"), boundary="periodic", lengths=None) -> Layout:
    lengths = lengths or (2 * np.pi,) * len(space)
    axes = tuple(
        Axis(name=name, values=tuple(length * i / cells for i in range(cells)), boundary=boundary)
        for name, cells, length in zip("zyx"[-len(space) :], space, lengths, strict=True)
    )
    return Layout(variables=tuple(Variable(name=name) for name in names), axes=axes)


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_axes_by_name():
    line, volume = layout((7,)), layout()
    assert line.shape == (7, 2) and volume.shape == (4, 5, 6, 2) and volume.size == "4 x 5 x 6"
    assert [volume.x.name, volume.y.name, volume.z.name, line.x.name] == ["x", "y", "z", "x"]
    with pytest.raises(InputError, match="no axis y: theirs is x, in 1-D"):
        line.y  # noqa: B018
    with pytest.raises(InputError, match="no axis z"):
        layout((3, 4)).z  # noqa: B018
    with pytest.raises(InputError, match="one to three axes of space, not 4"):
        dataclasses.replace(volume, axes=(*volume.axes, line.x))
    with pytest.raises(InputError, match="boundary of the axis 'x' is 'round': choose one of periodic, open"):
        dataclasses.replace(line.x, boundary="round")


def test_widths_of_cells():
    even = Axis(name="x", values=(0.0, 1.0, 2.0))
    np.testing.assert_allclose(even.widths, [1, 1, 1])
    np.testing.assert_allclose(Axis(name="x", values=(4.0, 1.0, 0.0)).widths, [3, 2, 1])
    known = Axis(name="x", values=(0.1, 0.6), bounds=(0.0, 0.2, 0.2, 1.0))
    np.testing.assert_allclose(known.widths, [0.2, 0.8])
    assert Axis(name="x", values=(3.0,)).widths.tolist() == [1]


@pytest.mark.parametrize("periodic", [True, False])
def test_layouts_of_before_had_two_axes(periodic):
    now = layout((3, 4), boundary="periodic" if periodic else "open")
    document = codec.encode(now)
    axes = [
        {k: v for k, v in a.items() if k != "boundary"} | {"periodic": periodic} for a in document["axes"]
    ]
    before = {k: v for k, v in document.items() if k != "axes"} | {"y": axes[0], "x": axes[1]}
    assert codec.decode(upgraded(before)) == now == codec.decode(upgraded(document))


MIXED = [("edge", "zero", "periodic"), ("zero", "periodic", "edge"), ("periodic",) * 3, ("zero",) * 3]


@pytest.mark.parametrize("boundary", [("periodic",), ("edge",), ("zero",), *MIXED])
def test_convolution_continues_the_field_as_numpy_pads_it(boundary):
    """And so does its gradient: that of both ways of computing it, one of them by numpy's own padding."""
    axes = len(boundary)
    space = (4, 5, 6)[:axes]
    x, kernel = random(2, *space, 3), random(*[3] * axes, 3, 4)
    mode = {"periodic": "wrap", "edge": "edge", "zero": "constant"}
    padded = x
    for axis, kind in enumerate(boundary, start=1):
        padded = np.pad(padded, [(int(i == axis),) * 2 for i in range(axes + 2)], mode=mode[kind])
    expected = np.zeros((2, *space, 4))
    for tap in itertools.product(range(3), repeat=axes):
        part = padded[:, *(slice(i, i + cells) for i, cells in zip(tap, space, strict=True))]
        expected += part @ kernel[tap]
    gradients = []
    for way in (convolve, convolve_by_halo):
        result = jax.jit(way, static_argnums=2)(x, kernel, boundary)
        np.testing.assert_allclose(result, expected, atol=2e-5)
        loss = lambda x, kernel, way=way: jnp.sum(way(x, kernel, boundary) ** 2)  # noqa: E731
        gradients.append(jax.jit(jax.grad(loss, (0, 1)))(x, kernel))
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("space", [(8,), (4, 6), (2, 4, 6)])
def test_patches_are_blocks_of_cells(space):
    x = random(1, 2, *space, 3)
    patches = to_patches(jnp.asarray(x), 2)
    assert patches.shape == (1, 2, *(cells // 2 for cells in space), 2 ** len(space) * 3)
    first = x[(slice(None), slice(None), *[slice(0, 2)] * len(space))]
    np.testing.assert_array_equal(
        patches[(slice(None), slice(None), *[0] * len(space))], first.reshape(1, 2, -1)
    )
    np.testing.assert_array_equal(from_patches(patches, 2), x)


@functools.cache
def network(space, attention="joint"):
    inputs = Inputs(space=space, channels=2, boundaries=("periodic",) * len(space))
    config = dataclasses.replace(SMALL, attention=attention)
    apply, params = functional(config.build(inputs, nnx.Rngs(0)))
    rng = np.random.default_rng(9)
    disturbed = jax.tree.map(lambda p: p + 0.1 * rng.standard_normal(p.shape, dtype=np.float32), params)
    return jax.jit(apply), disturbed


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["joint", "factorised"])
@pytest.mark.parametrize("space", [(16,), (8, 8, 16)])
def test_rolling_a_periodic_axis_rolls_the_output(space, attention):
    apply, params = network(space, attention)
    z, logsnr = random(1, 3, *space, 2), random(1, 3)
    out = apply(params, z, logsnr)
    assert np.abs(out).max() > 0.1
    for axis in range(len(space)):
        rolled = apply(params, np.roll(z, 4, axis=2 + axis), logsnr)
        np.testing.assert_allclose(rolled, np.roll(out, 4, axis=2 + axis), atol=2e-4)
        other = apply(params, np.roll(z, 1, axis=2 + axis), logsnr)  # not a whole number of patches
        assert np.abs(other - np.roll(out, 1, axis=2 + axis)).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("space", [(7,), (3, 5, 9)])
def test_any_grid_and_frames_that_see_each_other(space):
    inputs = Inputs(space=space, channels=1, boundaries=("wall", "open", "periodic")[: len(space)])
    apply, params = functional(SMALL.build(inputs, nnx.Rngs(0)))
    params = jax.tree.map(lambda p: p + 0.1 * random(*p.shape), params)
    z, logsnr = random(1, 3, *space, 1), random(1, 3)
    out = jax.jit(apply)(params, z, logsnr)
    assert out.shape == z.shape and np.isfinite(out).all()
    moved = z.copy()
    moved[:, 0] += 1
    assert np.abs(jax.jit(apply)(params, moved, logsnr) - out)[:, 1:].max() > 1e-4


@pytest.mark.parametrize("space", SPACES)
def test_statistics_and_losses_are_those_of_the_cells_in_a_row(space):
    values = 3 + 2 * random(2, 9, *space, 2)
    mask = random(*space, 2) > -1
    frames, flat = layout(space), layout((int(np.prod(space)),))
    one = measure(Arrays(layout=frames, frames=np.where(mask, values, np.nan), mask=mask))
    row = np.where(mask, values, np.nan).reshape(2, 9, -1, 2)
    other = measure(Arrays(layout=flat, frames=row, mask=mask.reshape(-1, 2)))
    np.testing.assert_allclose(one.mean, np.nanmean(row, axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(one.std, np.nanstd(row, axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_array_equal(one.climatology.reshape(other.climatology.shape), other.climatology)
    normal = one.normalise(row.reshape(values.shape))
    assert (normal[:, :, ~mask] == 0).all()
    weights = random(2, 9) ** 2
    for cells in (None, mask.astype(np.float32)):
        found = weighted_mean(
            *map(jnp.asarray, (normal**2, weights)), None if cells is None else jnp.asarray(cells)
        )
        counted = np.ones((*space, 2)) if cells is None else cells
        per_frame = (normal**2 * counted).reshape(2, 9, -1).sum(-1) / counted.sum()
        np.testing.assert_allclose(found, (weights * per_frame).sum(1).mean(), rtol=1e-5)


def test_pooling_on_any_axes():
    x = random(2, 4, 6, 8, 3)
    expected = x.reshape(2, 2, 2, 3, 2, 4, 2, 3).mean((2, 4, 6))
    np.testing.assert_allclose(pooled(jnp.asarray(x), 2, 3), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="4 x 6 x 8 cells cannot be cut into pieces of 3 x 3 x 3"):
        pooled(jnp.asarray(x), 3, 3)


@pytest.mark.parametrize("boundary", ["periodic", "open"])
@pytest.mark.parametrize("space", SPACES)
def test_parseval(space, boundary):
    field = random(3, *space) + 2
    energy = spectrum(layout(space, boundary=boundary))(field)
    cells = tuple(range(1, len(space) + 1))
    np.testing.assert_allclose(energy.sum(-1), (field.astype(float) ** 2).mean(cells) / 2, rtol=1e-6)


def test_a_wave_in_a_box():
    """Three waves along z, two along y, none along x, of sides 1, 1 and 2: six and four in terms of the
    longest side, `sqrt(52) = 7.2`."""
    box = layout((16, 12, 20), lengths=(1.0, 1.0, 2.0))
    z, y, _ = np.meshgrid(*(axis.values for axis in box.axes), indexing="ij")
    energy = spectrum(box)(np.sin(2 * np.pi * (3 * z + 2 * y)))
    assert energy.argmax() == 7
    np.testing.assert_allclose([energy[7], energy.sum()], 0.25, rtol=1e-9)
    line = layout((32,))
    np.testing.assert_allclose(spectrum(line)(np.cos(5 * np.array(line.x.values)))[5], 0.25, rtol=1e-9)


@pytest.mark.parametrize("names", [("u", "v", "w"), ("velocity_x", "velocity_y", "velocity_z")])
def test_the_kinetic_energy_of_a_volume_has_three_components(names):
    """The sum of a spectrum is that energy whose flow is known: Parseval."""
    z, y, x = np.meshgrid(*(2 * np.pi * np.arange(n) / n for n in (8, 8, 8)), indexing="ij")
    flow = np.stack([2 * np.sin(y), np.cos(z), 3 * np.sin(2 * x)], axis=-1)
    (kinetic,) = kinetic_spectra(EvaluationSetup(layout=layout((8, 8, 8), names), leads=1, members=1))
    np.testing.assert_allclose(kinetic.of(flow)[:3], [0, (4 + 1) / 4, 9 / 4], atol=1e-9)
    assert kinetic_spectra(EvaluationSetup(layout=layout((8, 8, 8), names[:2]), leads=1, members=1)) == ()


def test_levels_over_the_sphere():
    """Weighted by the area of each level alike; the zonal spectrum is that of all levels."""
    y = Axis(name="latitude", values=(60.0, 0.0), units="degrees_north")
    x = Axis(name="longitude", values=tuple(np.arange(8) * 45.0), units="degrees_east", boundary="periodic")
    levels = Axis(name="level", values=(1000.0, 500.0, 250.0), units="hPa")
    sphere = Layout(variables=(Variable(name="t"),), axes=(levels, y, x))
    weights = sphere.area_weights()
    assert weights.shape == (3, 2, 8)
    np.testing.assert_allclose(weights[:, 0], 2 / 3)
    np.testing.assert_allclose(weights[:, 1], 4 / 3)
    wave = np.cos(2 * np.deg2rad(x.values))
    field = np.array([1.0, 2.0, 3.0])[:, None, None] * np.ones((3, 2, 1)) * wave
    np.testing.assert_allclose(spectrum(sphere)(field)[2], 14 / 3 / 4, rtol=1e-9)


def test_means_and_gradients_of_a_volume():
    box = layout((4, 5, 6), names=("a",), boundary="open")
    setup = EvaluationSetup(layout=box, leads=1, members=1)
    z, y, x = np.meshgrid(*map(np.arange, box.space), indexing="ij")
    field = (2.0 * z + 3.0 * y + 6.0 * x)[None, None, ..., None]
    np.testing.assert_allclose(Domain.of(setup).mean(field)[0, 0], field.mean())
    measure_ = Gradient().measure(setup)
    found = measure_.of(Frames(values=field, previous=field[:, 0]))
    np.testing.assert_allclose(found, 7)  # sqrt(4 + 9 + 36)


def test_a_conserved_mean_of_a_volume():
    units = Units.standard(layout((2, 3, 4), names=("a",)))
    x, context = jnp.asarray(random(2, 3, 2, 3, 4, 1)), jnp.asarray(random(2, 1, 2, 3, 4, 1))
    found = ConservedMean().constrain(x, context, units)
    np.testing.assert_allclose(
        found.mean((2, 3, 4)), np.broadcast_to(context.mean((2, 3, 4)), (2, 3, 1)), atol=1e-6
    )


@pytest.mark.parametrize("space", SPACES)
def test_a_rollout_does_not_depend_on_how_cells_lie(space):
    """Where the denoiser treats every cell by itself: the same numbers as those of the cells in a row."""
    sampling = Sampling(window=Rolling(size=4, context=1), solver=UniPC(order=2), calls_per_frame=2)
    exact = exact_denoiser(jnp.asarray(autoregressive_covariance((0.9,), 4), jnp.float32))
    rollout = Rollout(Sampler(sampling), lambda _: exact, cycles=3)
    given, keys = random(2, 1, *space, 1), jax.random.split(jax.random.key(0), 2)

    def rolled(frames):
        chunks = rollout.chunks(None, jnp.asarray(frames), keys, 5)
        return np.concatenate([chunk.frames for chunk in chunks], axis=1).reshape(2, 5, -1)

    found = rolled(given)
    assert found.std() > 0.5
    np.testing.assert_allclose(found, rolled(given.reshape(2, 1, -1, 1)), atol=1e-5)
