"""The video U-ViT: shapes, symmetries, causality, conditions, and what may not depend on what."""

import functools

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest
from flax import nnx

from rolling.common.errors import InputError
from rolling.denoisers import Architecture, Condition, Inputs, functional
from rolling.video.uvit.conditioning import clock_features
from rolling.video.uvit.layers import add_bias, convolve, convolve_by_halo, modulate
from rolling.video.uvit.network import VideoUViT

pytestmark = pytest.mark.slow

SMALL = {"channels": (8, 16), "blocks": (1, 1), "heads": 2, "embedding": 16}
PERIODIC = ("periodic", "periodic")
SQUARE = Inputs(space=(16, 16), channels=1, boundaries=PERIODIC)


@functools.cache
def built(inputs, settings):
    apply, params = functional(VideoUViT(**SMALL | dict(settings)).build(inputs, nnx.Rngs(0)))
    return jax.jit(apply), params


def network(inputs=SQUARE, disturbed=True, **settings):
    """`apply, params` of a small network, its zero-initialised layers disturbed so that they take part."""
    apply, params = built(inputs, tuple(settings.items()))
    return apply, disturb(params) if disturbed else dict(params)


def disturb(params, scale=0.1):
    rng = np.random.default_rng(9)
    return jax.tree.map(
        lambda p: np.asarray(p) + scale * rng.standard_normal(p.shape, dtype=np.float32), params
    )


def sample(height=16, width=16, channels=1, batch=2, time=4):
    """Frames and a clock for each; numpy, so that nothing is compiled to change them."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((batch, time, height, width, channels), dtype=np.float32)
    return z, 3 * rng.standard_normal((batch, time), dtype=np.float32)


def edited(array, where, value):
    array = array.copy()
    array[where] = value
    return array


def largest(difference, axis=None):
    return np.abs(np.asarray(difference)).max(axis)


def test_is_an_architecture_with_plain_parameters():
    assert isinstance(VideoUViT(), Architecture)
    _, params = network()
    assert type(params) is dict
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))


def test_default_network_has_about_a_million_parameters():
    inputs = Inputs(space=(32, 32), channels=1, boundaries=PERIODIC)
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
    inputs = Inputs(space=(size[0], size[1]), channels=2, boundaries=("open", "periodic"))
    apply, params = network(inputs, **settings)
    z, logsnr = sample(*size, channels=2, batch=1, time=2)
    out = apply(params, z, logsnr)
    assert out.shape == z.shape and out.dtype == jnp.float32
    assert np.isfinite(out).all()


@pytest.mark.parametrize(
    "boundary", [("periodic", "zero"), ("zero", "edge"), ("edge", "periodic"), ("periodic", "periodic")]
)
def test_convolution_continues_the_field_as_numpy_pads_it(boundary):
    x, kernel = sample(5, 6, 3)[0][0], sample(3, 3, 4, batch=1, time=3)[0][0].transpose(1, 2, 0, 3)
    mode = {"periodic": "wrap", "edge": "edge", "zero": "constant"}
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)), mode=mode[boundary[0]])
    padded = np.pad(padded, ((0, 0), (0, 0), (1, 1), (0, 0)), mode=mode[boundary[1]])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    expected = np.einsum("nyxcij,ijcd->nyxd", windows, kernel)
    for way in (convolve, convolve_by_halo):
        result = jax.jit(way, static_argnums=2)(x, kernel, boundary)
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_the_gradient_of_a_modulated_norm():
    """Written by hand for speed: checked against differences of the function itself."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    for activation in (False, True):
        function = functools.partial(modulate, activation=activation)
        jax.test_util.check_grads(
            function, (draw(2, 3, 4), draw(2, 1, 4), draw(2, 1, 4)), order=1, modes=["rev"], rtol=2e-2
        )


@pytest.mark.parametrize(
    "settings", [{}, {"attention": "factorised"}, {"channels": (8, 8, 16), "blocks": (1, 1, 1)}]
)
def test_rolling_a_periodic_axis_rolls_the_output(settings):
    apply, params = network(**settings)
    z, logsnr = sample()
    shift = VideoUViT(**{**SMALL, **settings}).multiple
    for axis in (2, 3):
        rolled = apply(params, np.roll(z, shift, axis), logsnr)
        np.testing.assert_allclose(rolled, np.roll(apply(params, z, logsnr), shift, axis), atol=1e-5)


def test_an_edge_is_not_periodic():
    apply, params = network(boundary=("edge", "zero"))
    z, logsnr = sample()
    out, shift = apply(params, z, logsnr), VideoUViT(**SMALL).multiple
    for axis in (2, 3):
        rolled = apply(params, np.roll(z, shift, axis), logsnr)
        assert largest(rolled - np.roll(out, shift, axis)) > 1e-3


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_at_first_every_frame_is_an_image(attention):
    """With all but the output layer as built, a frame's output depends on no other frame."""
    apply, params = network(disturbed=False, attention=attention)
    z, logsnr = sample()
    np.testing.assert_array_equal(apply(params, z, logsnr), 0)
    params["out"] = disturb(params["out"])
    out = apply(params, z, logsnr)
    assert largest(out) > 0.1
    np.testing.assert_allclose(out[:, 1:2], apply(params, z[:, 1:2], logsnr[:, 1:2]), atol=1e-5)


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_causal_output_does_not_see_later_frames(attention):
    apply, params = network(attention=attention, causal=True, transformer_levels=1)
    z, logsnr = sample(time=5)
    out = np.asarray(apply(params, z, logsnr))
    for k in range(4):
        later = np.s_[:, k + 1 :]
        changed = np.asarray(apply(params, edited(z, later, 7.0), edited(logsnr, later, -9.0)))
        np.testing.assert_array_equal(changed[:, : k + 1], out[:, : k + 1])
        assert (changed[later] != out[later]).any()


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_without_causality_all_frames_see_each_other(attention):
    apply, params = network(attention=attention)
    z, logsnr = sample()
    out = apply(params, z, logsnr)
    changed = apply(params, edited(z, np.s_[:, 2], 1.0), logsnr)
    assert (largest(changed - out, (0, 2, 3, 4)) > 1e-4).all()


def test_every_clock_matters_and_none_is_too_large():
    apply, params = network()
    z, logsnr = sample()
    out = apply(params, z, logsnr)
    for k in range(4):
        changed = apply(params, z, edited(logsnr, np.s_[:, k], 5.0))
        assert largest((changed - out)[:, k]) > 1e-4
    for extreme in (15.0, -15.0, np.inf, -np.inf):
        assert np.isfinite(apply(params, z, np.full_like(logsnr, extreme))).all()
    features = np.asarray(clock_features(jnp.array([[-15.0, -10.0, 0.0, 10.0, 15.0, jnp.inf]]), 32))
    assert (largest(features[0, 1:] - features[0, :-1], -1) > 0.3).all()


def test_gradients_are_finite_at_infinite_clocks():
    apply, params = network()
    z, _ = sample()
    logsnr = np.array([[np.inf, 3.0, -3.0, -np.inf]] * 2, np.float32)
    gradient = jax.jit(jax.grad(lambda p: jnp.mean(jnp.square(apply(p, z, logsnr)))))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


EVERYTHING = Inputs(
    space=(10, 14),
    channels=2,
    labels=3,
    tokens=5,
    vectors=4,
    fields=2,
    static=1,
    constants=3,
    reference=2,
    memory=4,
    boundaries=("open", "periodic"),
)


def everything(batch=2, time=4):
    normal = functools.partial(np.random.default_rng(3).standard_normal, dtype=np.float32)
    parts = {
        "label": np.array([0, 2]),
        "tokens": normal((batch, 6, 5)),
        "vectors": normal((batch, time, 4)),
        "fields": normal((batch, time, 10, 14, 2)),
        "static": normal((10, 14, 1)),
        "constants": normal((batch, 10, 14, 3)),
        "reference": normal((batch, 10, 14, 2)),
        "memory": normal((batch, 10, 14, 4)),
    }
    return Condition(**jax.tree.map(jnp.asarray, parts))


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
        "constants": -condition.constants,
        "reference": -condition.reference,
        "memory": -condition.memory,
    }
    for name, other in others.items():
        changed = apply(params, z, logsnr, replaced(condition, **{name: other}))
        assert largest(changed - out) > 1e-4, name
    for name in ("label", "tokens"):
        changed = apply(params, z, logsnr, replaced(condition, **{name: None}))
        assert largest(changed - out) > 1e-4, name


def test_a_frames_own_vector_stays_its_own_in_an_image():
    apply, params = network(EVERYTHING, disturbed=False)
    params["out"], params["embedder"] = disturb(params["out"]), disturb(params["embedder"])
    params["norm"] = disturb(params["norm"])
    z, logsnr = sample(10, 14, 2)
    condition = everything()
    out = apply(params, z, logsnr, condition)
    other = replaced(condition, vectors=condition.vectors.at[:, 2].set(1.0))
    changed = largest(apply(params, z, logsnr, other) - out, (0, 2, 3, 4))
    np.testing.assert_array_equal(changed > 1e-5, [False, False, True, False])


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_dropout_needs_a_key_and_repeats_with_it(attention):
    apply, params = network(attention=attention, dropout=0.5)
    z, logsnr = sample()
    call = functools.partial(apply, params, z, logsnr, Condition())
    plain, first = call(), call(dropout_key=jax.random.key(0))
    np.testing.assert_array_equal(plain, call())
    np.testing.assert_array_equal(first, call(dropout_key=jax.random.key(0)))
    assert largest(first - call(dropout_key=jax.random.key(1))) > 0
    assert largest(first - plain) > 0


def test_bfloat16_computes_nearly_the_same():
    z, logsnr = sample()
    outputs = {}
    for dtype in ("float32", "bfloat16"):
        apply, params = network(dtype=dtype)
        outputs[dtype] = apply(params, z, logsnr)
        assert outputs[dtype].dtype == jnp.float32
    error = np.std(outputs["bfloat16"] - outputs["float32"])
    assert 0 < error < 0.05 * np.std(outputs["float32"])


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
    inputs = Inputs(space=(64, 64), channels=1, boundaries=PERIODIC)
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
    "four boundaries": ({"boundary": ("edge",) * 4}, "for each axis of space"),
    "levels": ({"channels": (8, 16), "blocks": (1,)}, "one of each per level"),
    "no level": ({"channels": (), "blocks": ()}, "one of each per level"),
    "transformer levels": ({"transformer_levels": 3}, "number of levels, 2"),
    "patch": ({"patch": 0}, "positive"),
    "dropout": ({"dropout": 1.0}, "dropout < 1"),
    "one head": ({"heads": 1}, "2 or more"),
    "heads": ({"channels": (8, 18)}, "18 channels.*multiple of"),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_bad_settings(name):
    settings, message = BAD_SETTINGS[name]
    with pytest.raises(InputError, match=message):
        VideoUViT(**{**SMALL, **settings})


def test_a_grid_smaller_than_a_patch():
    with pytest.raises(InputError, match=r"3 x 50 cells.*4 x 4"):
        network(Inputs(space=(3, 50), channels=1), patch=4)


def test_a_boundary_for_every_axis():
    with pytest.raises(InputError, match=r"for 1 axes, and the frames have 2"):
        network(Inputs(space=(16, 16), channels=1), boundary=("edge",))


def test_a_condition_that_the_network_was_not_built_for():
    apply, params = network(EVERYTHING)
    z, logsnr = sample(10, 14, 2)
    for name in ("vectors", "fields", "static"):
        with pytest.raises(InputError, match=f"{name} and was given 0"):
            apply(params, z, logsnr, replaced(everything(), **{name: None}))
    with pytest.raises(InputError, match=r"fields have the shape.*the frames' grid"):
        apply(params, z[:, :, :8], logsnr, everything())
    with pytest.raises(InputError, match=r"channel|frames"):
        apply(params, z[..., :1], logsnr, everything())
    apply, params = network()
    z, logsnr = sample()
    with pytest.raises(InputError, match="without labels"):
        apply(params, z, logsnr, Condition(label=jnp.array([0, 1])))
    with pytest.raises(InputError, match="0 vectors and was given 3"):
        apply(params, z, logsnr, Condition(vectors=jnp.zeros((2, 4, 3))))


def test_derivatives_of_a_bias_are_those_of_a_sum():
    y, bias = jax.random.normal(jax.random.key(0), (6, 3)), jnp.arange(3.0)
    jax.test_util.check_grads(add_bias, (y, bias), order=2, modes=("fwd", "rev"), rtol=1e-2)
    rows = jax.random.normal(jax.random.key(1), (6, 3))
    gradient = jax.grad(lambda bias: jnp.sum(rows * add_bias(y, bias)))(bias)
    np.testing.assert_allclose(gradient, np.asarray(rows).sum(0), rtol=1e-5)
