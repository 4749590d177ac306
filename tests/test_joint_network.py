"""The joint U-ViT: one modality is the video U-ViT, and what several see of each other."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rolling.common.errors import InputError
from rolling.denoisers import Architecture, Condition, Inputs, functional
from rolling.run.experiment import codec
from rolling.video.uvit import JointUViT, Tower, VideoUViT
from rolling.video.uvit.joint_places import Grid, joint_places
from tests.test_uvit import disturb, edited, largest

pytestmark = pytest.mark.slow

SMALL = VideoUViT(patch=1, channels=(8, 16), blocks=(1, 1), heads=2, embedding=16)
FLAT = dataclasses.replace(SMALL, channels=(16,), blocks=(1,))
FIELD = Inputs(space=(8, 4), channels=2, boundaries=("periodic", "periodic"), every=4)
SOUND = Inputs(space=(6,), channels=1)
RING = Inputs(space=(16,), channels=1, boundaries=("periodic",))
ACTION = Inputs(space=(1,), channels=3)
TICKS = 8


@functools.cache
def built(parts, **settings):
    """`apply, params` of a network of `(name, tower, inputs)`, its settings changed in all towers."""
    towers = tuple(Tower(name=name, network=dataclasses.replace(net, **settings)) for name, net, _ in parts)
    inputs = {name: own for name, _, own in parts}
    apply, params = functional(JointUViT(towers=towers).build(inputs, nnx.Rngs(0)))
    return jax.jit(apply), params


BOTH = (("field", SMALL, FIELD), ("sound", SMALL, SOUND))


def sample(parts=BOTH, batch=2):
    """Frames and clocks of each modality."""
    rng = np.random.default_rng(0)
    normal = functools.partial(rng.standard_normal, dtype=np.float32)
    times = {name: TICKS // own.every for name, _, own in parts}
    z = {name: normal((batch, times[name], *own.space, own.channels)) for name, _, own in parts}
    return z, {name: 3 * normal((batch, time)) for name, time in times.items()}


def moved(frames, where, by=1.0):
    return edited(frames, where, frames[where] + by)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "skips": True,
            "causal": True,
            "dropout": 0.5,
            "remat": True,
            "channels": (8, 8, 16),
            "blocks": (1,) * 3,
        },
    ],
)
def test_one_tower_is_the_video_network_to_the_bit(settings):
    network = dataclasses.replace(SMALL, **settings)
    inputs = dataclasses.replace(FIELD, every=1, labels=3, tokens=5, vectors=2)
    alone, params = functional(network.build(inputs, nnx.Rngs(0)))
    one = JointUViT(towers=(Tower(name="field", network=network),))
    joint, same = functional(one.build({"field": inputs}, nnx.Rngs(0)))
    assert set(same) == {"towers"} and set(same["towers"]) == {"field"}
    jax.tree.map(np.testing.assert_array_equal, same["towers"]["field"], params)
    params = disturb(params)
    z, logsnr = (part["field"] for part in sample((("field", SMALL, inputs),)))
    normal = np.random.default_rng(1).standard_normal
    shared = Condition(label=jnp.array([0, 2]), tokens=jnp.asarray(normal((2, 3, 5)), jnp.float32))
    vectors = jnp.asarray(normal((2, TICKS, 2)), jnp.float32)
    told = dataclasses.replace(shared, of={"field": Condition(vectors=vectors)})
    key = jax.random.key(1)
    expected = jax.jit(alone)(
        params, z, logsnr, dataclasses.replace(shared, vectors=vectors), dropout_key=key
    )
    out = jax.jit(joint)(
        {"towers": {"field": params}}, {"field": z}, {"field": logsnr}, told, dropout_key=key
    )
    assert largest(expected) > 0.1
    np.testing.assert_array_equal(out["field"], expected)


def test_two_single_cells_are_the_cells_of_a_video_network():
    """The tested network is the truth: two modalities of one cell each, with the same parameters, are a grid
    of two cells, if convolutions keep to their cell and no head asks where a token lies."""
    cells = dataclasses.replace(FLAT, boundary=("zero",), blocks=(2,))
    alone, params = functional(cells.build(Inputs(space=(2,), channels=3), nnx.Rngs(0)))
    params = disturb(params)
    for layer in (params["stem"], params["out"]):
        layer["kernel"] = layer["kernel"] * np.array([0, 1, 0], np.float32)[:, None, None]
    pair = np.tile(np.arange(8) % 4 < 2, (2, 2, 1)).astype(np.float32)  # of four pairs, two turn in space
    for block in params["level"]["before"].values():
        block["attention"]["gain"] = block["attention"]["gain"] * pair
    joint, fresh = built((("a", cells, ACTION), ("b", cells, ACTION)))
    finer = {name: part for name, part in params.items() if name != "level"}
    assert set(fresh["towers"]["b"]) == set(finer)
    z, logsnr = (part["a"] for part in sample((("a", cells, dataclasses.replace(ACTION, space=(2,))),)))
    expected = jax.jit(alone)(params, z, logsnr)
    assert largest(expected) > 0.1
    out = joint(
        {"towers": {"a": params, "b": finer}, "marks": fresh["marks"]},
        {"a": z[:, :, :1], "b": z[:, :, 1:]},
        {"a": logsnr, "b": logsnr},
    )
    np.testing.assert_allclose(np.concatenate([out["a"], out["b"]], 2), expected, atol=1e-5)


def test_shapes_of_lines_planes_volumes_and_vectors_at_their_rates():
    """By shapes alone, in bfloat16."""
    volume = Inputs(space=(5, 4, 3), channels=1, every=8)
    half = {"dtype": "bfloat16"}
    parts = (*BOTH, ("volume", SMALL, volume), ("action", FLAT, ACTION))
    towers = tuple(Tower(name=name, network=dataclasses.replace(net, **half)) for name, net, _ in parts)
    inputs = {name: own for name, _, own in parts}
    z, logsnr = sample(parts)

    def call():
        apply, params = functional(JointUViT(towers=towers).build(inputs, nnx.Rngs(0)))
        return params, apply(params, z, logsnr)

    params, out = jax.eval_shape(call)
    assert {name: (each.shape, each.dtype) for name, each in out.items()} == {
        name: (each.shape, jnp.float32) for name, each in z.items()
    }
    assert isinstance(JointUViT(towers=towers), Architecture)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))


def test_at_first_each_modality_is_alone_and_then_they_see_each_other():
    apply, params = built(BOTH)
    z, logsnr = sample()
    fresh = {**params, "towers": {n: {**p, "out": disturb(p["out"])} for n, p in params["towers"].items()}}
    for parameters, seen in ((fresh, False), (disturb(params), True)):
        out = apply(parameters, z, logsnr)
        for name, other in (("field", "sound"), ("sound", "field")):
            assert largest(out[name]) > 0.1
            changed = apply(parameters, {**z, name: moved(z[name], np.s_[:, 1])}, logsnr)
            differs = largest(changed[other] - out[other], tuple(range(2, out[other].ndim))).min() > 1e-4
            assert differs == seen and (changed[other] != out[other]).any() == seen
            clocks = {**logsnr, name: moved(logsnr[name], np.s_[:, 1], 5.0)}
            changed = apply(parameters, z, clocks)
            assert (largest(changed[other] - out[other]) > 1e-4) == seen


def test_a_causal_network_hides_later_ticks_of_all_modalities():
    apply, params = built(BOTH, causal=True)
    params = disturb(params)
    z, logsnr = sample()
    out = apply(params, z, logsnr)
    ticks = {"field": np.array([3, 7]), "sound": np.arange(8)}
    for name, tick in (("field", 3), ("field", 7), ("sound", 2), ("sound", 3), ("sound", 6)):
        frame = np.s_[:, list(ticks[name]).index(tick)]
        changed = apply(
            params, {**z, name: moved(z[name], frame)}, {**logsnr, name: moved(logsnr[name], frame)}
        )
        for other, at in ticks.items():
            differs = np.any(np.asarray(changed[other] != out[other]), (0, *range(2, out[other].ndim)))
            np.testing.assert_array_equal(differs, at >= tick)


def test_the_order_of_towers_does_not_matter():
    """But for the coarsest level, whose parameters are with the first one."""
    forward, params = built(BOTH)
    backward, other = built(BOTH[::-1])
    params = disturb(params)
    field, sound = (params["towers"][name] for name in ("field", "sound"))
    fine, coarsest = {**field["level"]}, field["level"]["inner"]
    del fine["inner"]
    turned = {
        "towers": {
            "field": {**field, "level": fine},
            "sound": {**sound, "level": {**sound["level"], "inner": coarsest}},
        },
        "marks": params["marks"],
    }
    assert jax.tree.structure(turned) == jax.tree.structure(other)
    z, logsnr = sample()
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, atol=1e-5),
        backward(turned, z, logsnr),
        forward(params, z, logsnr),
    )


def rolled(z, **shifts):
    return {name: np.roll(each, *shifts.get(name, (0, 2))) for name, each in z.items()}


def assert_commutes(parts, **shifts):
    apply, params = built(parts)
    z, logsnr = sample(parts)
    params = disturb(params)
    out, expected = apply(params, rolled(z, **shifts), logsnr), rolled(apply(params, z, logsnr), **shifts)
    for name in z:
        np.testing.assert_allclose(out[name], expected[name], atol=2e-5)


@pytest.mark.parametrize(("shift", "axis"), [(2, 2), (2, 3)])
def test_a_vector_does_not_see_where_a_periodic_field_is(shift, axis):
    assert_commutes((("field", SMALL, FIELD), ("action", FLAT, ACTION)), field=(shift, axis))


def test_periodic_fields_turn_together():
    """Coarse and fine grids of the same circle, of 2 and 8 tokens: shifts of both alike are symmetries."""
    coarse = dataclasses.replace(RING, space=(4,), every=4)
    parts = (("slow", SMALL, coarse), ("fast", SMALL, RING))
    assert_commutes(parts, slow=(2, 2), fast=(8, 2))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_commutes(parts, slow=(2, 2))


def test_places_are_ticks_at_the_same_frequencies():
    """For one to three axes of space, and heads of any size: the same tick is the same angle, and the rest of
    a place is the tower's own."""
    for dim in (8, 20):
        grids = [
            Grid(tuple(every * (j + 1) - 1 for j in range(24 // every)), (2,) * axes, (False,) * axes)
            for axes, every in ((1, 1), (2, 4), (3, 6))
        ]
        fast, slow, slower = joint_places(grids, dim, causal=True)
        at_tick = lambda places, tick: places.angles[np.flatnonzero(places.ticks == tick)[0]]  # noqa: E731
        for tick in (11, 23):
            np.testing.assert_array_equal(at_tick(fast, tick), at_tick(slow, tick))
            np.testing.assert_array_equal(at_tick(fast, tick), at_tick(slower, tick))
        one = at_tick(fast, 1)
        assert one[0] == 1 and all(places.shown is None for places in (fast, slow, slower))
        assert {places.angles.shape[1] for places in (fast, slow, slower)} == {dim // 2}


def test_pairs_of_a_periodic_axis_are_left_out_of_a_single_token():
    field, vector = joint_places([Grid((3,), (4, 4), (True, False)), Grid((0, 3), (1,), (False,))], 16, False)
    np.testing.assert_array_equal(vector.shown, [[1, 1, 1, 1, 0, 0, 1, 1]] * 2)
    np.testing.assert_array_equal(field.shown, 1)


def test_what_belongs_to_all_and_what_to_one():
    parts = tuple(
        (name, SMALL, dataclasses.replace(own, labels=3, tokens=5, vectors=vectors))
        for (name, _, own), vectors in zip(BOTH, (2, 0), strict=True)
    )
    apply, params = built(parts)
    params = disturb(params)
    z, logsnr = sample(parts)
    told = Condition(
        label=jnp.array([0, 2]),
        tokens=jnp.ones((2, 3, 5)),
        of={"field": Condition(vectors=jnp.ones((2, 2, 2)))},
    )
    out = apply(params, z, logsnr, told)
    for part, other in (
        ("label", jnp.array([1, 1])),
        ("tokens", -told.tokens),
        ("tokens", None),
        ("of", {"field": Condition(vectors=-jnp.ones((2, 2, 2)))}),
    ):
        changed = apply(params, z, logsnr, dataclasses.replace(told, **{part: other}))
        assert all(largest(changed[name] - out[name]) > 1e-4 for name in z), part
    with pytest.raises(InputError, match="'field': the network was built for 2 vectors and was given 0"):
        apply(params, z, logsnr)
    with pytest.raises(InputError, match="vectors belong to one modality"):
        apply(params, z, logsnr, dataclasses.replace(told, vectors=jnp.ones((2, 2, 2))))
    with pytest.raises(InputError, match="a label, which belongs to all"):
        apply(params, z, logsnr, Condition(of={"sound": Condition(label=jnp.array([0, 2]))}))
    with pytest.raises(InputError, match="is of 'text', too"):
        apply(params, z, logsnr, Condition(of={"text": Condition()}))


def test_gradients_reach_every_parameter_and_dropout_every_modality():
    apply, params = built(BOTH, dropout=0.5)
    params = disturb(params)
    z, logsnr = sample()

    def loss(params):
        return sum(jnp.mean(jnp.square(each)) for each in apply(params, z, logsnr).values())

    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(params)):
        assert np.isfinite(leaf).all() and largest(leaf) > 0, jax.tree_util.keystr(path)
    plain, first, again, other = (
        apply(params, z, logsnr, dropout_key=key and jax.random.key(key)) for key in (None, 1, 1, 2)
    )
    jax.tree.map(np.testing.assert_array_equal, first, again)
    for name in z:
        assert largest(first[name] - plain[name]) > 0 and largest(first[name] - other[name]) > 0


def towers(*networks, names="abc"):
    return JointUViT(
        towers=tuple(Tower(name=n, network=net) for n, net in zip(names, networks, strict=False))
    )


def changed(**settings):
    return dataclasses.replace(SMALL, **settings)


BAD_SETTINGS = {
    "none": (lambda: JointUViT(), "no tower: give one"),
    "twice": (lambda: towers(SMALL, SMALL, names="aa"), "two towers are named 'a'"),
    "widths": (
        lambda: towers(SMALL, changed(channels=(8, 32))),
        "last channels are 16 and 32: make them equal",
    ),
    "blocks": (lambda: towers(SMALL, changed(blocks=(1, 2))), "last blocks are 1 and 2"),
    "heads": (lambda: towers(SMALL, SMALL, changed(heads=4)), "'a' and 'c'.*heads are 2 and 4"),
    "convolutions": (lambda: towers(SMALL, changed(transformer_levels=0)), "tower 'b' is no transformer"),
    "factorised": (lambda: towers(changed(attention="factorised")), "tower 'a' is factorised"),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_bad_settings(name):
    build, message = BAD_SETTINGS[name]
    with pytest.raises(InputError, match=message):
        build()


BAD_INPUTS = {
    "one": (FIELD, "of several modalities.*choose video_uvit"),
    "missing": ({"a": FIELD}, "the inputs lack b"),
    "unknown": ({"a": FIELD, "b": SOUND, "c": SOUND}, "the inputs are also of c"),
    "labels": ({"a": FIELD, "b": dataclasses.replace(SOUND, labels=2)}, "a, b have 0, 2 labels"),
    "patch": (
        {"a": FIELD, "b": ACTION},
        "of the modality 'b': the grid of 1 cells is smaller than one patch",
    ),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_inputs(name):
    inputs, message = BAD_INPUTS[name]
    with pytest.raises(InputError, match=message):
        towers(SMALL, changed(patch=2)).build(inputs, nnx.Rngs(0))


def test_bad_arrays():
    apply, params = built(BOTH)
    z, logsnr = sample()
    for frames, clocks, message in (
        ({"field": z["field"]}, logsnr, "the frames lack sound"),
        (z | {"text": z["sound"]}, logsnr, "the frames are also of text"),
        (z, {"sound": logsnr["sound"]}, "the clocks lack field"),
        (z["field"], logsnr, "the frames are one array"),
        (z | {"sound": z["sound"][:, :7]}, logsnr, "those of field 8, those of sound 7: give frames of"),
        (z | {"sound": z["sound"][:1]}, logsnr, "batches of different sizes"),
        (z | {"sound": z["field"]}, logsnr, "span the same ticks"),
        (z | {"sound": z["sound"][..., None]}, logsnr, r"'sound': the network was built for frames"),
    ):
        with pytest.raises(InputError, match=message):
            apply(params, frames, clocks)


def test_is_written_and_read_by_short_names():
    settings = towers(SMALL, FLAT, names=("field", "action"))
    written = codec.encode(settings)
    assert written["type"] == "network.joint_uvit" and written["towers"][0]["type"] == "tower"
    assert codec.decode(written) == settings
