"""Moments and climatology against numpy's over everything at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rolling.data.statistics
from rolling.common.errors import InputError
from rolling.data.arrays import Arrays
from rolling.data.statistics import Statistics, measure
from rolling.geometry import Axis
from rolling.layout import Layout, Variable

RNG = np.random.default_rng(0)


def layout(**changes):
    settings = {
        "variables": (Variable(name="a"), Variable(name="b")),
        "axes": (Axis(name="y", values=tuple(range(4))), Axis(name="x", values=tuple(range(5)))),
    }
    return Layout(**settings | changes)


def hourly(mask=None):
    """Two sequences with a daily cycle and a mean far larger than their spread."""
    found = layout(step=6.0, time_units="hours", phase="hour_of_day")
    origins = np.array(["2020-01-01T00", "2020-01-10T12"], "datetime64[ns]")
    frames = []
    for length in (30, 23):
        values = RNG.normal(size=(length, 4, 5, 2)).astype(np.float32) * [2, 0.5] + [1e5, -3]
        if mask is not None:
            values = np.where(mask, values, np.nan)
        frames.append(values.astype(np.float32))
    return Arrays(layout=found, frames=frames, origins=origins, mask=mask)


@pytest.mark.parametrize("masked", [False, True])
def test_one_pass_gives_the_moments_of_all_frames(masked, monkeypatch):
    monkeypatch.setattr(rolling.data.statistics, "BLOCK_VALUES", 7 * 4 * 5 * 2)
    mask = RNG.uniform(size=(4, 5, 2)) < 0.7 if masked else None
    sequences = hourly(mask)
    result = measure(sequences)
    together = np.concatenate(sequences.frames).astype(np.float64)
    np.testing.assert_allclose(result.mean, np.nanmean(together, (0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(result.std, np.nanstd(together, (0, 1, 2)), rtol=1e-5)
    assert result.climatology.shape == (24, 4, 5, 2) and result.climatology.dtype == np.float32
    times = np.concatenate([sequences.times(i, 0, sequences.length(i)) for i in range(2)])
    at_noon = together[times.astype("datetime64[h]").astype(int) % 24 == 12]
    np.testing.assert_allclose(result.climatology[12], at_noon.mean(0), rtol=1e-6)
    # No frame was ever at one o'clock: the mean over all hours stands for it.
    np.testing.assert_allclose(result.climatology[1], together.mean(0), rtol=1e-6)
    shown = result.climatology_at(sequences.layout, times[:5])
    np.testing.assert_array_equal(shown, result.climatology[[0, 6, 12, 18, 0]])


def test_normalise_and_denormalise_are_inverse_with_and_without_jit():
    mask = RNG.uniform(size=(4, 5, 2)) < 0.7
    sequences = hourly(mask)
    statistics = measure(sequences)
    x = sequences.read(0, 0, 9)
    for normalise, denormalise, of in (
        (statistics.normalise, statistics.denormalise, np.asarray),
        (statistics.normalise, statistics.denormalise, jnp.asarray),
        (jax.jit(statistics.normalise), jax.jit(statistics.denormalise), jnp.asarray),
    ):
        z = normalise(of(x))
        assert z.dtype == np.float32 and type(z) is type(of(x))
        np.testing.assert_array_equal(np.asarray(z)[:, ~mask], 0)
        assert abs(np.asarray(z)[:, mask].std() - 1) < 0.2
        np.testing.assert_allclose(denormalise(z), x, rtol=1e-6)
        np.testing.assert_array_equal(normalise(of(x)[None, :3])[0], z[:3])


def test_arrays_and_back():
    for mask in (None, np.ones((4, 5, 2), bool)):
        statistics = measure(hourly(mask))
        again = Statistics.from_arrays(statistics.to_arrays())
        assert again.to_arrays().keys() == statistics.to_arrays().keys()
        for name, value in again.to_arrays().items():
            np.testing.assert_array_equal(value, getattr(statistics, name))


def test_what_has_no_scale():
    still = np.zeros((6, 4, 5, 2), np.float32)
    still[..., 0] = RNG.normal(size=(6, 4, 5))
    with pytest.raises(InputError, match="b has the same value, 0,"):
        measure(Arrays(layout=layout(), frames=[still]))
    with pytest.raises(InputError, match="no frames"):
        measure(Arrays(layout=layout(), frames=[still[:0]]))
    still[2, 1, 1, 0] = np.nan
    with pytest.raises(InputError, match="a holds NaN"):
        measure(Arrays(layout=layout(), frames=[still]))
