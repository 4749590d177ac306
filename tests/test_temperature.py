"""Noise multiplied by a number: what superposition says of a linear denoiser, and what a rollout keeps."""

import dataclasses

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.noise.prior import CONTEXT, Correlated
from rolling.oracle import Oracle
from rolling.sampling import Restart
from rolling.solvers import Ancestral, Heun, UniPC
from rolling.windows import Autoregressive, FullSequence, NoisyContext, Rolling

WINDOW = Rolling(size=4, context=1)


@pytest.mark.parametrize(
    "way",
    [
        {"solver": UniPC(order=2)},
        {"solver": Ancestral()},
        {"solver": Heun(churn=0.4), "window": Autoregressive(context=1)},
        {"noise": Correlated(), "window": FullSequence(size=4, context=1)},
        {"restart": Restart(times=1)},
        {"window": NoisyContext(inner=WINDOW, level=0.4)},
    ],
    ids=["UniPC", "Ancestral", "Heun", "correlated", "restart", "noisy context"],
)
def test_deviations_are_multiplied_and_the_mean_stays(way):
    """Frames are a linear map of what is given, of the noise they are made of, and of that which the context
    is shown with: only the second is multiplied."""
    plain = Oracle(**{"window": WINDOW} | way, calls_per_frame=4, frames=5)
    columns = plain._basis()
    shown = columns.given + columns.kinds * np.arange(columns.before + columns.frames)
    shown += columns._kind(CONTEXT)
    kept = np.append(np.arange(columns.given), shown)
    before, after = (way.coefficients() for way in (plain, dataclasses.replace(plain, temperature=1.7)))
    expected = 1.7 * before
    expected[:, kept] = before[:, kept]
    np.testing.assert_allclose(after, expected, atol=1e-12)
    assert np.abs(after - before).max() > 0.05


def test_without_noise_every_member_is_the_mean():
    frozen = Oracle(window=WINDOW, solver=UniPC(order=2), temperature=0.0, calls_per_frame=32, frames=5)
    z = frozen.coefficients()
    assert (z[:, frozen.given_frames :] == 0).all()
    np.testing.assert_allclose(z[:, 0], 0.9 ** np.arange(6), atol=2e-3)  # AR(1) from its given frame


@pytest.mark.parametrize("temperature", [-0.1, float("inf"), float("nan")])
def test_what_is_no_temperature_is_refused(temperature):
    with pytest.raises(InputError, match="temperature"):
        Oracle(temperature=temperature)
