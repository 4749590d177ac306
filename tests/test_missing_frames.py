"""Frames that are missing: what is read of them, what statistics and losses make of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.configs.lorenz96 import experiment as preset
from rolling.data.arrays import Arrays
from rolling.data.joint_statistics import JointStatistics
from rolling.data.lag_correlation import lag_correlation
from rolling.data.pipeline import clips
from rolling.data.set_apart import Place, ranges
from rolling.data.source import SequencesBase, Split, WithGaps, has_gaps, present
from rolling.data.statistics import measure
from rolling.data.together import NamedSource, Together
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.run import model
from rolling.run.training.step import loss_inputs, make_gradient
from rolling.run.training.trainer import measured
from rolling.windows import Rolling
from tests.run_tools import thin_towers

RING = Axis(name="x", values=tuple(range(4)), boundary="periodic")


def layout(step):
    return Layout(variables=(Variable(name="a"),), axes=(RING,), step=step)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Gappy(Arrays):
    """Arrays of which the frames of `there` are there."""

    there: list

    def read(self, index, start, stop):
        return np.where(self.there[index][start:stop, None, None], super().read(index, start, stop), 0.0)

    def present(self, index, start, stop):
        return self.there[index][start:stop]


def made(step, lengths, there=None, seed=0):
    rng = np.random.default_rng(seed)
    frames = [rng.normal(3.0, 2.0, (n, 4, 1)).cumsum(0).astype(np.float32) for n in lengths]
    if there is None:
        return Arrays(layout=layout(step), frames=frames)
    return Gappy(layout=layout(step), frames=frames, there=[np.array(t, bool) for t in there])


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    train: SequencesBase
    test: SequencesBase

    def open(self):
        return Split(train=self.train, test=self.test)


def joined(slow, fast, test_slow=None, test_fast=None):
    parts = {
        "slow": Given(train=slow, test=test_slow or slow),
        "fast": Given(train=fast, test=test_fast or fast),
    }
    return Together(parts=tuple(NamedSource(name=name, source=part) for name, part in parts.items()))


ALL, NONE = [True] * 16, [False] * 16
SOME = [True] * 6 + [False] * 3 + [True] * 7


def test_the_protocol():
    plain, gappy = made(1.0, [16]), made(1.0, [16], [SOME])
    assert isinstance(gappy, WithGaps) and not isinstance(plain, WithGaps)
    assert has_gaps(gappy) and not has_gaps(plain) and not has_gaps(made(1.0, [16], [ALL]))
    assert present(plain, 0, 3, 9).tolist() == [True] * 6
    assert present(gappy, 0, 4, 10).tolist() == SOME[4:10]
    part = ranges(gappy, [Place(0, 4, 12)])
    assert isinstance(part, WithGaps) and present(part, 0, 1, 5).tolist() == SOME[5:9]
    assert not isinstance(ranges(plain, [Place(0, 0, 4)]), WithGaps)


def test_statistics_are_those_of_the_frames_that_are_there():
    gappy = made(1.0, [16, 16], [SOME, NONE])
    values = gappy.frames[0][np.array(SOME)].astype(np.float64)
    found = measure(gappy)
    np.testing.assert_allclose(found.mean, values.mean(), rtol=1e-6)
    np.testing.assert_allclose(found.std, values.std(), rtol=1e-5)
    np.testing.assert_allclose(found.climatology[0], values.mean(0), rtol=1e-5)
    with pytest.raises(InputError, match="all frames of a are missing in the training part"):
        measure(made(1.0, [16], [NONE]))


def test_the_correlation_is_that_of_pairs_that_are_there():
    gappy = made(1.0, [16, 16], [SOME, NONE])
    x, there = gappy.frames[0].astype(np.float64), np.array(SOME)
    # With frames apart as far as a clip is long, pairs are those of its first frame.
    for lag, found in enumerate(lag_correlation(gappy, 3)[:, 0], start=1):
        starts = [s for s in range(13) if there[s] and there[s + lag]]
        a, b = x[starts].ravel(), x[np.add(starts, lag)].ravel()
        mean = np.concatenate([a, b]).mean()
        expected = 2 * ((a - mean) * (b - mean)).sum() / (((a - mean) ** 2).sum() + ((b - mean) ** 2).sum())
        assert found == pytest.approx(expected, rel=1e-6)


def batch_of(sequences):
    statistics = JointStatistics({name: measure(part) for name, part in sequences.parts.items()})
    return next(clips(sequences, statistics, frames=8, batch=12, seed=0, threads=0)), statistics


def test_batches_say_what_is_there_only_where_something_is_missing():
    slow, tests = made(4.0, [4, 4]), (made(4.0, [4]), made(1.0, [16]))
    batch, _ = batch_of(joined(slow, made(1.0, [16, 16])).open().train)
    assert set(batch) == {"x", "of"}
    whole, _ = batch_of(joined(slow, made(1.0, [16, 16], [ALL, ALL])).open().train)
    assert set(whole) == {"x", "of"}
    jax.tree.map(np.testing.assert_array_equal, whole, batch)
    batch, statistics = batch_of(joined(slow, made(1.0, [16, 16], [SOME, NONE]), *tests).open().train)
    assert set(batch["present"]) == {"fast"} and batch["present"]["fast"].shape == (12, 8)
    there, own = batch["present"]["fast"], statistics.of["fast"]
    assert {tuple(row) for row in there.tolist()} == {
        tuple([False] * 8),
        *(tuple(SOME[s : s + 8]) for s in (0, 4, 8)),
    }
    np.testing.assert_allclose(batch["x"]["fast"][~there], (-own.mean / own.std).item(), rtol=1e-6)


def test_one_modality_with_gaps_is_refused():
    gappy = made(1.0, [16], [SOME])
    with pytest.raises(InputError, match="frames of a are missing, and of one modality all are needed: join"):
        clips(gappy, measure(gappy), frames=4, batch=2, seed=0)


def test_what_is_missing_is_left_out_of_the_test_part():
    slow, fast = made(4.0, [4, 4, 4]), made(1.0, [16, 16, 16], [ALL, SOME, NONE])
    split = joined(slow, fast).open()
    assert len(split.train) == 3 and len(split.test) == 1
    np.testing.assert_array_equal(split.test.read(0, 0, 16)["fast"], fast.frames[0])
    assert split.notices == (
        "Of the test part, 2 of 3 joined sequences are left out, as frames of fast are missing in them.",
    )
    with pytest.raises(InputError, match="frames of fast are missing in all 2 joined sequences of the test"):
        joined(slow, fast, made(4.0, [4, 4]), made(1.0, [16, 16], [SOME, NONE])).open()


def small():
    window = Rolling(size=8, context=4, block=4)
    return dataclasses.replace(preset, network=thin_towers(preset.network, patch=1), window=window, laws=())


@pytest.fixture(scope="module")
def gradient():
    """Of the loss of a batch, at parameters that are not those of the start."""
    experiment = small()
    tests = made(4.0, [4]), made(1.0, [16])
    sequences = joined(made(4.0, [4, 4]), made(1.0, [16, 16], [SOME, NONE]), *tests).open().train
    batch, _ = batch_of(sequences)
    statistics = measured(experiment, sequences)
    apply, params = model.build(experiment, sequences.layout, statistics.mask)
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: leaf + 0.05 * rng.normal(size=leaf.shape).astype(leaf.dtype), params)
    units = model.units_of(sequences.layout, statistics)
    past = model.past_of(experiment, sequences.layout, statistics)
    take = jax.jit(make_gradient(experiment, loss_inputs(experiment, apply, units, past)))
    batch = jax.tree.map(jnp.asarray, batch)
    return batch, lambda changed: take(params, None, changed, jax.random.key(0), None)


@pytest.mark.parametrize("filling", [1e3, np.nan])
def test_gradients_do_not_depend_on_what_is_missing(gradient, filling):
    batch, take = gradient
    (loss, _), found = take(batch)
    there = batch["present"]["fast"][..., None, None]
    other = batch | {"x": batch["x"] | {"fast": jnp.where(there, batch["x"]["fast"], filling)}}
    (again, _), same = take(other)
    assert np.isfinite(loss) and loss == again
    jax.tree.map(np.testing.assert_array_equal, found, same)
    # And on what is there they do.
    other = batch | {"x": batch["x"] | {"fast": jnp.where(there, batch["x"]["fast"] + 1, 0.0)}}
    assert take(other)[0][0] != loss


def test_a_batch_without_one_modality_trains_the_other(gradient):
    batch, take = gradient
    (loss, _), found = take(batch | {"present": {"fast": jnp.zeros((12, 8), bool)}})
    assert np.isfinite(loss) and loss > 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    # What a tower makes of the level that both share: nothing is learned of the frames that are missing.
    slow, fast = (jax.tree.leaves(found["towers"][name]["out"]) for name in ("slow", "fast"))
    assert any(leaf.any() for leaf in slow)
    assert fast and not any(leaf.any() for leaf in fast)
