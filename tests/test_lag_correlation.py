"""The correlation of frames some steps apart against numpy's over all pairs, both ways round."""

import itertools

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.data.arrays import Arrays
from rolling.data.lag_correlation import lag_correlation
from rolling.data.source import Split
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.run.report.data_summary import summary

LAYOUT = Layout(
    variables=tuple(Variable(name=name) for name in ("slow", "fast", "still")),
    axes=(Axis(name="y", values=(0.0, 1.0, 2.0)), Axis(name="x", values=(0.0, 1.0))),
)


def sequences(*lengths, mask=None):
    rng, frames = np.random.default_rng(0), []
    for length in lengths:
        eps = rng.normal(size=(length, *LAYOUT.shape))
        for i in range(1, length):
            eps[i] = [0.99, 0.5, 1.0] * eps[i - 1] + np.sqrt([1 - 0.99**2, 0.75, 0.0]) * eps[i]
        x = 1e4 + eps * [1.0, 30.0, 0.0]
        frames.append(np.where(True if mask is None else mask, x, np.nan).astype(np.float32))
    return Arrays(layout=LAYOUT, frames=frames, mask=mask)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("lags", [1, 3])
def test_it_is_the_correlation_of_all_pairs(masked, lags):
    mask = np.ones(LAYOUT.shape, bool)
    mask[1, 1, 0] = not masked
    part = sequences(20, 1, 30, mask=mask if masked else None)
    found = lag_correlation(part, lags)
    assert found.shape == (lags, 3) and (found[:, 2] == 0).all() and found[0, 0] > 0.8 > found[0, 1] > 0.3
    for channel, lag in itertools.product((0, 1), range(1, lags + 1)):
        cells = [np.asarray(x, np.float64)[:, mask[..., channel], channel] for x in part.frames]
        starts = [range(len(x) - lags) for x in cells]  # of all clips of so many frames
        a = np.concatenate([x[i] for x, some in zip(cells, starts, strict=True) for i in some])
        b = np.concatenate([x[i + lag] for x, some in zip(cells, starts, strict=True) for i in some])
        expected = np.corrcoef(np.concatenate([a, b]), np.concatenate([b, a]))[0, 1]
        assert found[lag - 1, channel] == pytest.approx(expected, rel=1e-6)


def test_without_a_frame_that_follows_there_is_none():
    part = sequences(1, 1)
    with pytest.raises(InputError, match="too few frames"):
        lag_correlation(part, 1)
    assert "correlation" not in summary(Split(train=part, test=sequences(9)), debug)


def test_rolling_prepare_tells_it():
    part = sequences(20, 30)
    ((slow, fast, still),) = lag_correlation(part, 1)
    said = summary(Split(train=part, test=sequences(9)), debug)
    values = f"slow {slow:.3f}, fast {fast:.3f}, still {still:.3f}"
    assert f"correlation of a frame with the next one: {values}\n" in f"{said}\n"
