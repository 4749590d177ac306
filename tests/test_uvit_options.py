"""The options of the video U-ViT: skips, rematerialisation, tokens, sizes; images and longer windows."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rolling.denoisers import NO_LABEL, Inputs, functional
from rolling.video.uvit import attention as attentions, model_sizes
from rolling.video.uvit.attention import TokenAttention
from rolling.video.uvit.blocks import BlockInputs, Keys
from rolling.video.uvit.network import Level, VideoUViT
from tests.test_uvit import EVERYTHING, SQUARE, disturb, everything, largest, network, replaced, sample

pytestmark = pytest.mark.slow
SOME = {"channels": (8, 16), "blocks": (1, 1), "heads": 2, "embedding": 16}


def changed(params, change, *names):
    """Parameters with `change` made to those whose path has all the names."""

    def of(path, leaf):
        keys = [str(key.key) for key in path]
        return change(leaf) if all(name in keys for name in names) else leaf

    return jax.tree_util.tree_map_with_path(of, params)


def without_time(params):
    """The layers of time are zero: gates of the clocks, and outputs of the attention over time."""
    params = changed(params, np.zeros_like, "mix", "gate")
    return changed(params, np.zeros_like, "time_attention", "out")


def shared(image, video):
    """A video network's parameters, with those of an image network wherever it has them."""
    if not isinstance(video, dict):
        return image
    return {name: shared(image[name], part) if name in image else part for name, part in video.items()}


def frame_by_frame(apply, params, z, logsnr):
    batch, time = logsnr.shape
    frames = apply(params, z.reshape(batch * time, 1, *z.shape[2:]), logsnr.reshape(-1, 1))
    return np.asarray(frames).reshape(z.shape)


@pytest.mark.parametrize("skips", [False, True])
def test_an_image_network_is_a_video_network_whose_layers_of_time_are_zero(skips):
    """To the last bit: the image network, here of a level of convolutions and one of transformers, knows
    single frames only, and no attention over time."""
    image, params = network(skips=skips)
    video, more = network(attention="factorised", skips=skips)
    z, logsnr = sample()
    out = video(without_time(shared(params, more)), z, logsnr)
    assert largest(out) > 0.1
    np.testing.assert_array_equal(out, frame_by_frame(image, params, z, logsnr))


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_a_window_of_one_frame_is_an_image(attention):
    """Nothing of the layers of time acts on it but the value that an attention gives to its only frame."""
    apply, params = network(attention=attention)
    z, logsnr = sample(time=1)
    out = apply(params, z, logsnr)
    gates = changed(params, np.zeros_like, "mix", "gate")
    queries = changed(gates, np.ones_like, "time_attention", "gain")
    np.testing.assert_allclose(apply(queries, z, logsnr), out, atol=1e-5)


def test_frames_of_joint_attention_see_each_other_whatever_the_gates():
    apply, params = network()
    z, logsnr = sample()
    out = apply(without_time(params), z, logsnr)
    assert largest(out - frame_by_frame(apply, params, z, logsnr)) > 1e-3


class Add(nnx.Module):
    def __init__(self, value):
        self.value = value

    def __call__(self, h, told):
        return h + self.value


def test_skips_join_each_block_with_its_partner():
    """`(h, partner) -> partner` shows which one it is, `h + partner` that both arrive."""
    config = VideoUViT(**SOME | {"blocks": (2, 1), "skips": True}, boundary=("edge", "edge"))
    level = Level(config, 0, 0, nnx.Rngs(0))
    level.up.kernel[...] = jnp.zeros_like(level.up.kernel[...])
    level.before, level.after = (nnx.List([Add(x) for x in values]) for values in ((1.0, 10.0), (1e2, 1e3)))
    h, told = jnp.zeros((1, 2, 4, 4, 8)), BlockInputs(jnp.zeros((1, 2, 16)), None, Keys(None))
    one, none = jnp.eye(8), jnp.zeros((8, 8))
    for kernel, expected in (((none, one), 1 + 1e3), ((one, one), (11 + 1e2) + 1 + 1e3)):
        for join in level.joins:
            join.kernel[...] = jnp.concatenate(kernel)
        np.testing.assert_array_equal(level(h, told), expected)
    for join in level.joins[1:]:
        join.kernel[...] = jnp.concatenate([one, none])
    level.joins[0].kernel[...] = jnp.concatenate([none, one])
    np.testing.assert_array_equal(level(h, told), 11 + 1e2 + 1e3)


def test_with_skips_gradients_reach_every_parameter():
    apply, params = network(skips=True, attention="factorised")
    z, logsnr = sample()
    gradient = jax.jit(jax.grad(lambda p: jnp.mean(jnp.square(apply(p, z, logsnr)))))(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all() and largest(leaf) > 0, jax.tree_util.keystr(path)


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_only_distances_in_time_matter(attention, monkeypatch):
    """All positions moved by 1000, as if the window lay elsewhere: the same output."""
    plain = attentions.rotary_angles
    outputs = []
    for start in (0, 1000):
        moved = lambda positions, *rest, start=start: plain(positions + start, *rest)  # noqa: E731
        monkeypatch.setattr(attentions, "rotary_angles", moved)
        apply, params = functional(VideoUViT(**SOME, attention=attention).build(SQUARE, nnx.Rngs(0)))
        outputs.append(jax.jit(apply)(disturb(params), *sample()))
    np.testing.assert_allclose(outputs[1], outputs[0], atol=2e-4)


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_a_longer_window_begins_like_a_shorter_one(attention):
    """Parameters know no length; a causal network says the same of the first frames in any window."""
    apply, params = network(attention=attention, causal=True)
    z, logsnr = sample(time=24)
    out = apply(params, z, logsnr)
    assert out.shape == z.shape and np.isfinite(out).all()
    np.testing.assert_allclose(out[:, :4], apply(params, z[:, :4], logsnr[:, :4]), atol=1e-5)


def loss_of(apply):
    return lambda p, z, logsnr: jnp.mean(jnp.square(apply(p, z, logsnr, dropout_key=jax.random.key(1)) - z))


def test_rematerialisation_changes_no_value_and_no_gradient():
    found = []
    for remat in (False, True):
        apply, params = network(remat=remat, dropout=0.5, attention="factorised", skips=True)
        found.append(jax.jit(jax.value_and_grad(loss_of(apply)))(params, *sample()))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), *found)


def abstract(settings, inputs=SQUARE):
    """`apply` and the shapes of its parameters."""
    return functional(nnx.eval_shape(lambda: VideoUViT(**settings).build(inputs, nnx.Rngs(0))))


def size_of(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_blocks_are_no_programs_of_their_own():
    """Called ones would train thirty times slower on a CPU."""
    apply, shapes = abstract(SOME)
    text = jax.jit(jax.grad(loss_of(apply))).lower(shapes, *sample()).as_text()
    assert "convolution" in text and "run_block" not in text


def test_rematerialisation_keeps_little_for_the_gradient():
    """One array per block, beside the parameters."""
    kept, (z, logsnr) = [], sample(time=8)
    for remat in (False, True):
        apply, shapes = abstract(SOME | {"blocks": (3, 3), "remat": remat})
        loss = functools.partial(loss_of(apply), z=z, logsnr=logsnr)
        kept.append(size_of(jax.eval_shape(functools.partial(jax.vjp, loss), shapes)[1]))
    assert kept[1] < 0.3 * kept[0]


@pytest.mark.skipif(
    jax.default_backend() == "cpu", reason="on a CPU XLA orders the program so that nothing is saved"
)
def test_rematerialisation_saves_memory():
    temporary = []
    for remat in (False, True):
        apply, shapes = abstract(SOME | {"blocks": (4, 6), "attention": "factorised", "remat": remat})
        program = jax.jit(jax.grad(loss_of(apply))).lower(shapes, *sample(time=16, batch=8))
        temporary.append(program.compile().memory_analysis().temp_size_in_bytes)
    assert temporary[1] < 0.6 * temporary[0]


def token_only(params):
    """All as built, but what attends to tokens, and the output."""
    return {**changed(params, disturb, "token_attention"), "out": disturb(params["out"])}


def test_tokens_are_attended_to_cell_by_cell():
    apply, params = network(EVERYTHING, disturbed=False)
    z, logsnr = sample(10, 14, 2)
    told = everything()
    said = functools.partial(apply, token_only(params), z, logsnr)
    out, none = np.asarray(said(told)), np.asarray(said(replaced(told, tokens=None)))
    untold = apply({**params, "out": disturb(params["out"])}, z, logsnr, told)
    assert largest(out - untold) > 1e-3  # as built, the attention to tokens is zero
    assert np.std(out - none, axis=(2, 3)).min() > 1e-4  # each cell asks for itself
    shuffled = replaced(told, tokens=told.tokens[:, ::-1])
    np.testing.assert_allclose(said(shuffled), out, atol=1e-5)
    padded = replaced(told, tokens=jnp.pad(told.tokens, ((0, 0), (0, 3), (0, 0))))
    np.testing.assert_allclose(said(padded), out, atol=1e-5)
    nothing = replaced(told, tokens=jnp.zeros_like(told.tokens))
    np.testing.assert_allclose(said(nothing), none, atol=1e-6)


def test_the_attention_to_tokens_in_closed_form():
    """`sum_n e_n v_n / (1 + sum_n e_n)`, here with one head, against numpy."""
    layer = TokenAttention(8, 5, 1, nnx.Rngs(3))
    layer.out.kernel[...] = jnp.eye(8)
    rng = np.random.default_rng(1)
    x, tokens = (rng.standard_normal(s, dtype=np.float32) for s in ((2, 6, 8), (2, 4, 5)))
    tokens[1, 2:] = 0
    unit = lambda a: a / np.sqrt(np.mean(a**2, -1, keepdims=True))  # noqa: E731
    q = unit(x @ np.asarray(layer.q.kernel[...]))
    k, v = np.split(tokens @ np.asarray(layer.kv.kernel[...]), 2, axis=-1)
    for b, count in enumerate((4, 2)):
        e = np.exp(q[b] @ unit(k[b, :count]).T / np.sqrt(8))
        expected = e @ v[b, :count] / (1 + e.sum(1, keepdims=True))
        np.testing.assert_allclose(layer(x, tokens)[b], expected, atol=1e-5)


def test_no_label_is_any_label():
    """The label of classifier-free guidance's unconditional half is the same as none."""
    apply, params = network(EVERYTHING)
    z, logsnr = sample(10, 14, 2)
    told = everything()
    dropped = told.dropped()
    assert (dropped.label == NO_LABEL).all()
    none = apply(params, z, logsnr, replaced(told, label=None, tokens=None))
    np.testing.assert_allclose(apply(params, z, logsnr, dropped), none, atol=1e-6)
    half = told.dropped(jnp.array([True, False]))
    mixed = apply(params, z, logsnr, half)
    np.testing.assert_allclose(mixed[0], none[0], atol=1e-5)
    np.testing.assert_allclose(mixed[1], apply(params, z, logsnr, told)[1], atol=1e-5)


PARAMETERS = {
    "TINY": 1_322_972,
    "SMALL": 10_418_766,
    "BASE": 57_955_780,
    "LARGE": 307_759_684,
    "KINETICS": 1_202_514_496,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_sizes(name):
    """By shapes alone: nothing of 5 GiB is made."""
    inputs = Inputs(space=(64, 64), channels=3)
    apply, shapes = abstract(vars(getattr(model_sizes, name)), inputs)
    assert size_of(shapes) == PARAMETERS[name]
    z = jax.ShapeDtypeStruct((1, 16, 64, 64, 3), jnp.float32)
    out = jax.eval_shape(apply, shapes, z, jax.ShapeDtypeStruct((1, 16), jnp.float32))
    assert out.shape == z.shape and out.dtype == jnp.float32
