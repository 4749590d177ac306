"""The share of one modality that another explains: against least squares, a closed form, and chance."""

import dataclasses

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.geometry import Axis
from rolling.joint_layout import JointLayout, NamedLayout
from rolling.layout import Layout, Variable
from rolling.metrics.between_modalities import JointMetric
from rolling.metrics.explained_variance import ExplainedVariance

RNG = np.random.default_rng(0)


def layout(*space, step=1.0, variables=1):
    return Layout(
        variables=tuple(Variable(name=f"v{i}") for i in range(variables)),
        axes=tuple(Axis(name=f"x{i}", values=tuple(map(float, range(n)))) for i, n in enumerate(space)),
        step=step,
    )


def joint(**of):
    return JointLayout(modalities=tuple(NamedLayout(name=name, layout=one) for name, one in of.items()))


def scored(layout, *rollouts, **settings):
    metric = ExplainedVariance(**settings)
    state = metric.start(layout)
    for frames in rollouts:
        state = metric.update(state, frames)
    return {score.variable: score for score in metric.result(state)}


def test_it_is_a_joint_metric_of_two_modalities_or_more():
    assert isinstance(ExplainedVariance(), JointMetric)
    assert ExplainedVariance().start(joint(a=layout(3))) is None
    with pytest.raises(InputError, match="cells"):
        ExplainedVariance(cells=0)


def test_it_is_that_of_least_squares():
    """Of numpy, with a constant: 6 cells from 2 frames of 4 in a slot, two variables of very different
    scale."""
    of = joint(a=layout(4), b=layout(6, step=2.0, variables=2))
    a = RNG.normal(size=(80, 4, 1)) * 1e3 + 5e3
    mixed = a.reshape(40, 2, 4).mean(axis=1) @ RNG.normal(size=(4, 6)) / 1e3
    b = np.stack([mixed + RNG.normal(size=mixed.shape), 1e-4 * RNG.normal(size=mixed.shape)], axis=-1)
    found = scored(of, {"a": a[:50], "b": b[:25]}, {"a": a[50:], "b": b[25:]})

    def shares(target, regressors):
        design = np.column_stack([np.ones(len(target)), regressors])
        left = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
        return 1 - (left**2).sum() / ((target - target.mean(axis=0)) ** 2).sum()

    slots = a.reshape(40, 2, 4).mean(axis=1)
    expected = np.mean([shares(b[..., i], slots) for i in range(2)])
    np.testing.assert_allclose(found["b by a"].values, [expected], rtol=1e-9)
    np.testing.assert_allclose(found["a by b"].values, [shares(slots, b.reshape(40, 12))], rtol=1e-9)
    np.testing.assert_allclose(found["a by b"].coordinate, [2.0 * 25])  # of the longest rollout


def test_of_gaussians_it_is_their_correlation():
    """`b = rho a + sqrt(1 - rho^2) e`: `rho^2`, both ways; of different rollouts nothing but `p / n`."""
    of, rho = joint(a=layout(2), b=layout(2)), 0.6
    a, e = RNG.normal(size=(2, 4000, 2, 1))
    b = rho * a + np.sqrt(1 - rho**2) * e
    found = scored(of, {"a": a, "b": b}, stretch=4000)
    np.testing.assert_allclose([found["a by b"].values, found["b by a"].values], rho**2, atol=0.03)
    chance = scored(of, {"a": a, "b": np.roll(b, 7, axis=0)}, stretch=4000)
    assert chance["a by b"].values < 0.003


def test_blocks_are_means_of_cells_next_to_each_other():
    """A field that is constant in each quarter, by a line of four: all is explained; half of the variance is
    lost where cells within a block differ."""
    of = joint(field=layout(6, 4), line=layout(4))
    line = RNG.normal(size=(60, 4, 1))
    field = line.reshape(60, 2, 2, 1).repeat(3, axis=1).repeat(2, axis=2)
    found = scored(of, {"field": field, "line": line}, cells=4)
    np.testing.assert_allclose(found["field by line"].values[0], 1.0, rtol=1e-9)
    np.testing.assert_allclose(found["line by field"].values[0], 1.0, rtol=1e-9)
    one = scored(of, {"field": field, "line": line}, cells=1, stretch=60)
    np.testing.assert_allclose(one["line by field"].values, [1.0], rtol=1e-9)


def test_stretches_are_scored_apart_and_what_never_changes_has_no_score():
    of = joint(a=layout(1), b=layout(1))
    a = RNG.normal(size=(100, 1, 1))
    b = np.where(np.arange(100)[:, None, None] < 50, a, 3.0)
    found = scored(of, {"a": a, "b": b})
    np.testing.assert_allclose(found["b by a"].values[0], 1.0, rtol=1e-9)
    assert np.isnan(found["b by a"].values[1]) and found["a by b"].values[1] == pytest.approx(0, abs=1e-9)
    assert np.isnan(scored(of, {"a": a[:1], "b": b[:1]})["a by b"].values).all()


def test_missing_values_count_as_zero():
    of = joint(a=layout(2), b=layout(2))
    a = RNG.normal(size=(50, 2, 1))
    holes = np.where(RNG.random(a.shape) < 0.2, np.nan, a)
    one = scored(of, {"a": holes, "b": a})
    other = scored(of, {"a": np.nan_to_num(holes), "b": a})
    assert one["a by b"].values == other["a by b"].values
    assert dataclasses.asdict(one["a by b"])["units"] == "1"
