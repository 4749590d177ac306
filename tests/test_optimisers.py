"""`Muon` against the implementation of optax, which orthogonalises one matrix at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import optax.contrib

from rolling.run.experiment.optimisers import Muon

SHAPES = {"a": (3, 3, 8, 16), "b": (16, 48), "c": (48, 16), "d": (16, 48), "bias": (16,), "square": (5, 5)}


def draws(seed: int) -> dict[str, jax.Array]:
    keys = jax.random.split(jax.random.key(seed), len(SHAPES))
    return {name: jax.random.normal(key, SHAPES[name]) for name, key in zip(SHAPES, keys, strict=True)}


def as_matrix(leaf):
    if leaf.ndim < 2:
        return None
    return optax.contrib.MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), (leaf.ndim - 1,))


def test_steps_and_state_are_those_of_optax():
    ours = Muon(peak=0.1, beta=0.9, weight_decay=0.03, adam_ratio=0.3)
    rate = lambda step: 0.1 / (1 + step)  # noqa: E731
    here = ours.transform(rate)
    there = optax.contrib.muon(
        rate,
        beta=0.9,
        weight_decay=0.03,
        adam_learning_rate=lambda step: 0.3 * rate(step),
        muon_weight_dimension_numbers=lambda params: jax.tree.map(as_matrix, params),
    )
    params, states = draws(0), (here.init(draws(0)), there.init(draws(0)))
    assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])
    for i in range(4):
        (a, first), (b, second) = (
            way.update(draws(i + 1), state, params) for way, state in zip((here, there), states, strict=True)
        )
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-6), a, b)
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7), first, second)
        states, params = (first, second), optax.apply_updates(params, b)


def test_singular_values_of_an_update_are_near_one():
    """Times the learning rate and the scale of the shape, and -1."""
    muon = Muon(peak=1.0, beta=0.0).transform(lambda step: 1.0)
    updates, _ = muon.update(draws(3), muon.init(draws(3)), draws(3))
    for name in ("b", "c", "d", "a"):
        x = np.asarray(updates[name]).reshape(-1, SHAPES[name][-1])
        singular = np.linalg.svd(x, compute_uv=False) / max(1, x.shape[1] / x.shape[0]) ** 0.5
        assert singular.min() > 0.6 and singular.max() < 1.3, name
    assert jnp.all(jnp.isfinite(updates["bias"]))
