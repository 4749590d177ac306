"""The distribution of a rollout under every way to run the clocks, on the linear-Gaussian sequence."""

import numpy as np
import pytest

from rolling.oracle import Oracle
from rolling.windows import FullSequence, Pyramid, Rolling, Trapezoid

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "window",
    [
        Rolling(size=5, context=1, block=2),
        Pyramid(size=6, context=2, stagger=0.6),
        Pyramid(size=5, context=1, stagger=1.0),
        Pyramid(size=5, context=1, stagger=0.5, block=2),
        Trapezoid(size=5, context=1, stagger=0.5),
    ],
    ids=repr,
)
def test_the_distribution_is_reached_at_first_order(window):
    """AR(1) and context: with DDIM, 4 times the steps leave a quarter of the error."""
    coarse, fine = (
        Oracle(window=window, calls_per_frame=calls, frames=7).max_covariance_error() for calls in (16, 64)
    )
    assert 3.4 < coarse / fine < 4.6 and fine < 0.05


def test_a_pyramid_without_stagger_is_a_full_sequence():
    pyramid, full = (
        Oracle(window=window, calls_per_frame=4, frames=6).coefficients()
        for window in (Pyramid(size=4, context=1, stagger=0.0), FullSequence(size=4, context=1))
    )
    np.testing.assert_allclose(pyramid, full, atol=1e-12)
