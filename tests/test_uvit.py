"""The video U-ViT: shapes, symmetries, causality, conditions, and what may not depend on what."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rolling.denoisers import Architecture, Condition, Inputs, functional
from rolling.errors import InputError
from video.layers import clock_features, convolve
from video.uvit import VideoUViT

SMALL = {"channels": (8, 16), "blocks": (1, 1), "heads": 2, "embedding": 16}
PERIODIC = (True, True)
SQUARE = Inputs(height=16, width=16, channels=1, periodic=PERIODIC)


@pytest.fixture(autouse=True, scope="module")
def quick_compilation():
    """These tests compile much and compute little."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@functools.cache
def built(inputs, settings):
    apply, params = functional(VideoUViT(**SMALL | dict(settings)).build(inputs, nnx.Rngs(0)))
    return jax.jit(apply), params


def network(inputs=SQUARE, disturbed=True, **settings):
    """`apply, params` of a small network, its zero-initialised layers disturbed so that they take part."""
    apply, params = built(inputs, tuple(settings.items()))
    return apply, disturb(params) if disturbed else dict(params)


def disturb(params, scale=0.1):
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(9), len(leaves))
    noisy = [p + scale * jax.random.normal(k, p.shape) for p, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, noisy)


def sample(height=16, width=16, channels=1, batch=2, time=4, seed=0):
    z, clocks = jax.random.split(jax.random.key(seed))
    shape = (batch, time, height, width, channels)
    return jax.random.normal(z, shape), 3 * jax.random.normal(clocks, (batch, time))


def test_is_an_architecture_with_plain_parameters():
    assert isinstance(VideoUViT(), Architecture)
    _, params = network()
    assert type(params) is dict
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))


def test_default_network_has_about_a_million_parameters():
    inputs = Inputs(height=32, width=32, channels=1, periodic=PERIODIC)
    count = parameters(VideoUViT(), inputs)
    assert 0.8e6 < count < 2.5e6


def parameters(architecture, inputs):
    shapes = jax.eval_shape(lambda: functional(architecture.build(inputs, nnx.Rngs(0)))[1])
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


@pytest.mark.parametrize(
    ("size", "settings"),
    [
        ((33, 49), {"transformer_levels": 0}),
        ((33, 49), {"attention": "factorised"}),
        ((3, 50), {"transformer_levels": 2}),
        ((92, 75), {"patch": 4}),
        ((721, 1440), {"patch": 16}),
    ],
)
def test_any_grid(size, settings):
    inputs = Inputs(height=size[0], width=size[1], channels=2, periodic=(False, True))
    apply, params = network(inputs, **settings)
    z, logsnr = sample(*size, channels=2, batch=1, time=2)
    out = apply(params, z, logsnr)
    assert out.shape == z.shape and out.dtype == jnp.float32
    assert bool(jnp.isfinite(out).all())


@pytest.mark.parametrize("boundary", ["periodic", "edge", "zero"])
def test_convolution_continues_the_field_as_numpy_pads_it(boundary):
    x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 3, 4))
    mode = {"periodic": "wrap", "edge": "edge", "zero": "constant"}
    for boundaries in ((boundary, "zero"), ("edge", boundary), ("periodic", boundary)):
        padded = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)), mode=mode[boundaries[0]])
        padded = np.pad(padded, ((0, 0), (0, 0), (1, 1), (0, 0)), mode=mode[boundaries[1]])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        expected = np.einsum("nyxcij,ijcd->nyxd", windows, kernel)
        np.testing.assert_allclose(convolve(x, kernel, boundaries), expected, atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{}, {"attention": "factorised"}, {"channels": (8, 8, 16), "blocks": (1, 1, 1)}]
)
def test_rolling_a_periodic_axis_rolls_the_output(settings):
    apply, params = network(**settings)
    z, logsnr = sample()
    shift = VideoUViT(**{**SMALL, **settings}).multiple
    for axis in (2, 3):
        rolled = apply(params, jnp.roll(z, shift, axis), logsnr)
        np.testing.assert_allclose(rolled, jnp.roll(apply(params, z, logsnr), shift, axis), atol=1e-5)


def test_an_edge_is_not_periodic():
    apply, params = network(boundary=("edge", "zero"))
    z, logsnr = sample()
    out, shift = apply(params, z, logsnr), VideoUViT(**SMALL).multiple
    for axis in (2, 3):
        rolled = apply(params, jnp.roll(z, shift, axis), logsnr)
        assert float(jnp.abs(rolled - jnp.roll(out, shift, axis)).max()) > 1e-3


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_at_first_every_frame_is_an_image(attention):
    """With all but the output layer as built, a frame's output depends on no other frame."""
    apply, params = network(disturbed=False, attention=attention)
    z, logsnr = sample()
    np.testing.assert_array_equal(apply(params, z, logsnr), 0)
    params["out"] = disturb(params["out"])
    out = apply(params, z, logsnr)
    assert float(jnp.abs(out).max()) > 0.1
    np.testing.assert_allclose(out[:, 1:2], apply(params, z[:, 1:2], logsnr[:, 1:2]), atol=1e-5)


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_causal_output_does_not_see_later_frames(attention):
    apply, params = network(attention=attention, causal=True, transformer_levels=1)
    z, logsnr = sample(time=5)
    out = apply(params, z, logsnr)
    for k in range(4):
        other, clocks = z.at[:, k + 1 :].set(7.0), logsnr.at[:, k + 1 :].set(-9.0)
        np.testing.assert_array_equal(apply(params, other, clocks)[:, : k + 1], out[:, : k + 1])
        assert bool((apply(params, other, clocks)[:, k + 1 :] != out[:, k + 1 :]).any())


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_without_causality_all_frames_see_each_other(attention):
    apply, params = network(attention=attention)
    z, logsnr = sample()
    out = apply(params, z, logsnr)
    changed = apply(params, z.at[:, 2].add(1.0), logsnr)
    assert bool((jnp.abs(changed - out).max((0, 2, 3, 4)) > 1e-4).all())


def test_every_clock_matters_and_none_is_too_large():
    apply, params = network()
    z, logsnr = sample()
    out = apply(params, z, logsnr)
    for k in range(4):
        assert float(jnp.abs(apply(params, z, logsnr.at[:, k].add(1.0)) - out)[:, k].max()) > 1e-4
    for extreme in (15.0, -15.0, jnp.inf, -jnp.inf):
        assert bool(jnp.isfinite(apply(params, z, jnp.full((1, 4), extreme))).all())
    features = clock_features(jnp.array([[-15.0, -10.0, 0.0, 10.0, 15.0, jnp.inf]]), 32)
    distances = jnp.abs(features[0, 1:] - features[0, :-1]).max(-1)
    assert bool((distances > 0.3).all())


def test_gradients_are_finite_at_infinite_clocks():
    apply, params = network()
    z, _ = sample()
    logsnr = jnp.array([[jnp.inf, 3.0, -3.0, -jnp.inf]])
    gradient = jax.grad(lambda p: jnp.mean(jnp.square(apply(p, z, logsnr))))(params)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradient))


EVERYTHING = Inputs(
    height=10, width=14, channels=2, labels=3, tokens=5, vectors=4, fields=2, static=1, periodic=(False, True)
)


def everything(batch=2, time=4):
    key = functools.partial(jax.random.fold_in, jax.random.key(3))
    return Condition(
        label=jnp.array([0, 2]),
        tokens=jax.random.normal(key(0), (batch, 6, 5)),
        vectors=jax.random.normal(key(1), (batch, time, 4)),
        fields=jax.random.normal(key(2), (batch, time, 10, 14, 2)),
        static=jax.random.normal(key(3), (10, 14, 1)),
    )


def replaced(condition, **parts):
    return Condition(**{**vars(condition), **parts})


def test_each_condition_changes_the_output():
    apply, params = network(EVERYTHING)
    z, logsnr = sample(10, 14, 2)
    condition = everything()
    out = apply(params, z, logsnr, condition)
    others = {
        "label": jnp.array([1, 1]),
        "tokens": -condition.tokens,
        "vectors": -condition.vectors,
        "fields": -condition.fields,
        "static": -condition.static,
    }
    for name, other in others.items():
        changed = apply(params, z, logsnr, replaced(condition, **{name: other}))
        assert float(jnp.abs(changed - out).max()) > 1e-4, name
    for name in ("label", "tokens"):
        changed = apply(params, z, logsnr, replaced(condition, **{name: None}))
        assert float(jnp.abs(changed - out).max()) > 1e-4, name


def test_a_frames_own_vector_stays_its_own_in_an_image():
    apply, params = network(EVERYTHING, disturbed=False)
    params["out"], params["embedder"] = disturb(params["out"]), disturb(params["embedder"])
    params["norm"] = disturb(params["norm"])
    z, logsnr = sample(10, 14, 2)
    condition = everything()
    out = apply(params, z, logsnr, condition)
    other = replaced(condition, vectors=condition.vectors.at[:, 2].add(1.0))
    changed = jnp.abs(apply(params, z, logsnr, other) - out).max((0, 2, 3, 4))
    np.testing.assert_array_equal(changed > 1e-5, [False, False, True, False])


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_dropout_needs_a_key_and_repeats_with_it(attention):
    apply, params = network(attention=attention, dropout=0.5)
    z, logsnr = sample()
    call = functools.partial(apply, params, z, logsnr, Condition())
    plain, first = call(), call(dropout_key=jax.random.key(0))
    np.testing.assert_array_equal(plain, call())
    np.testing.assert_array_equal(first, call(dropout_key=jax.random.key(0)))
    assert bool((first != call(dropout_key=jax.random.key(1))).any())
    assert bool((first != plain).any())


def test_bfloat16_computes_nearly_the_same():
    z, logsnr = sample()
    outputs = {}
    for dtype in ("float32", "bfloat16"):
        apply, params = network(dtype=dtype)
        outputs[dtype] = apply(params, z, logsnr)
        assert outputs[dtype].dtype == jnp.float32
    error = outputs["bfloat16"] - outputs["float32"]
    assert float(jnp.std(error)) < 0.05 * float(jnp.std(outputs["float32"]))
    assert float(jnp.std(error)) > 0


def test_the_length_of_the_window_is_free():
    apply, params = network()
    for time in (1, 7):
        z, logsnr = sample(time=time)
        assert apply(params, z, logsnr).shape == z.shape


def test_a_large_network_by_its_shapes():
    """20 to 40 million parameters on 64 x 64 frames in bfloat16; nothing is computed."""
    architecture = VideoUViT(
        channels=(128, 256, 512), blocks=(2, 2, 6), heads=8, dtype="bfloat16", embedding=256
    )
    inputs = Inputs(height=64, width=64, channels=1, periodic=PERIODIC)
    assert 20e6 < parameters(architecture, inputs) < 40e6

    def call():
        apply, params = functional(architecture.build(inputs, nnx.Rngs(0)))
        return apply(params, jnp.zeros((2, 8, 64, 64, 1)), jnp.zeros((2, 8)))

    out = jax.eval_shape(call)
    assert out.shape == (2, 8, 64, 64, 1) and out.dtype == jnp.float32


BAD_SETTINGS = {
    "attention": ({"attention": "spatial"}, "'spatial'.*joint, factorised"),
    "dtype": ({"dtype": "float16"}, "'float16'.*float32, bfloat16"),
    "boundary": ({"boundary": ("wrap", "edge")}, "periodic, edge, zero"),
    "one boundary": ({"boundary": ("edge",)}, "height and width"),
    "levels": ({"channels": (8, 16), "blocks": (1,)}, "one of each per level"),
    "no level": ({"channels": (), "blocks": ()}, "one of each per level"),
    "transformer levels": ({"transformer_levels": 3}, "number of levels, 2"),
    "patch": ({"patch": 0}, "positive"),
    "dropout": ({"dropout": 1.0}, "dropout < 1"),
    "heads": ({"channels": (8, 18)}, "18 channels.*multiple of"),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_bad_settings(name):
    settings, message = BAD_SETTINGS[name]
    with pytest.raises(InputError, match=message):
        VideoUViT(**{**SMALL, **settings})


def test_a_grid_smaller_than_a_patch():
    with pytest.raises(InputError, match=r"3 x 50 cells.*4 x 4"):
        network(Inputs(height=3, width=50, channels=1), patch=4)


def test_a_condition_that_the_network_was_not_built_for():
    apply, params = network(EVERYTHING)
    z, logsnr = sample(10, 14, 2)
    for name in ("vectors", "fields", "static"):
        with pytest.raises(InputError, match=f"{name} and was given 0"):
            apply(params, z, logsnr, replaced(everything(), **{name: None}))
    with pytest.raises(InputError, match=r"channel|frames"):
        apply(params, z[..., :1], logsnr, everything())
    apply, params = network()
    z, logsnr = sample()
    with pytest.raises(InputError, match="without labels"):
        apply(params, z, logsnr, Condition(label=jnp.array([0, 1])))
    with pytest.raises(InputError, match="0 vectors and was given 3"):
        apply(params, z, logsnr, Condition(vectors=jnp.zeros((2, 4, 3))))
