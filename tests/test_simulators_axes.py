"""Simulators on a line and in a cube against exact solutions of their equations."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.physics.fourier_fields import truncate
from rolling.physics.front_on_a_line import KuramotoSivashinsky1D
from rolling.physics.simulators import Simulator, roll, simulate
from rolling.physics.turbulent_cube import Kolmogorov3D, solenoidal

pytestmark = pytest.mark.slow


def cube(cells):
    values = np.arange(cells) * 2 * math.pi / cells
    return np.meshgrid(values, values, values, indexing="ij")


def test_waves_on_a_line_grow_by_their_dispersion_relation(double):
    line = KuramotoSivashinsky1D(domain=32.0, viscosity=0.8, dt=0.05, interval=0.5)
    k = 2 * math.pi / 32 * np.array([2, 4, 7])[:, None]
    waves = 1e-6 * np.sin(k * np.arange(128) * 32 / 128)
    _, frames = roll(line, jnp.asarray(waves), 2)
    growth = np.exp((k**2 - 0.8 * k**4) * 1.0)
    np.testing.assert_allclose(frames[:, 1, :, 0], (growth * waves)[:, ::2], atol=1e-10)


def test_a_step_on_a_line_moves_with_the_slope(double):
    """Galilean invariance, which the sign and the factor of `u du/dx` decide: with a mean of `c` a wave moves
    by `c t` in the direction of x."""
    line = KuramotoSivashinsky1D(domain=32.0, resolution=128, dt=0.05, interval=1.0)
    x = np.arange(128) * 32 / 128
    hill = np.sin(2 * np.pi * 3 * x / 32)
    _, still = roll(line, jnp.asarray(hill)[None], 1)
    _, moved = roll(line, jnp.asarray(hill + 0.75)[None], 1)  # three cells in a time of one
    np.testing.assert_allclose(moved[0, 0, :, 0] - 0.75, np.roll(still[0, 0, :, 0], 3), atol=1e-5)


def test_a_beltrami_flow_in_a_cube_decays_exactly(double):
    """The flow of Arnold, Beltrami and Childress is its own curl: the Navier-Stokes equations are linear for
    it. Its three numbers tell the axes apart."""
    flow = Kolmogorov3D(resolution=16, grid=16, viscosity=0.05, drag=0.1, forcing=0.0, dt=0.05, interval=0.5)
    z, y, x = cube(16)
    a, b, c = 1.0, 0.7, 0.4
    parts = (
        a * np.sin(z) + c * np.cos(y),
        b * np.sin(x) + a * np.cos(z),
        c * np.sin(y) + b * np.cos(x),
    )
    beltrami = jnp.asarray(np.stack(parts))
    _, frames = roll(flow, beltrami[None], 4)
    decay = np.exp(-(0.05 + 0.1) * 0.5 * np.arange(1, 5))[:, None, None, None, None]
    np.testing.assert_allclose(frames[0], decay * np.moveaxis(np.stack(parts), 0, -1), atol=1e-12)


def test_the_force_in_a_cube_is_along_x_and_varies_along_y(double):
    flow = Kolmogorov3D(
        resolution=16, grid=16, viscosity=0.02, drag=0.3, mode=2, forcing=1.5, dt=0.05, interval=0.5
    )
    rate, (_, y, _) = 0.02 * 4 + 0.3, cube(16)
    _, frames = roll(flow, jnp.zeros((1, 3, 16, 16, 16)), 2)
    growth = (1 - np.exp(-rate * 1.0)) / rate
    np.testing.assert_allclose(frames[0, 1, ..., 0], 1.5 * growth * np.sin(2 * y), atol=1e-12)
    np.testing.assert_allclose(frames[0, 1, ..., 1:], 0, atol=1e-12)


def test_a_cube_begins_without_divergence(double):
    flow = Kolmogorov3D(resolution=16, grid=24)
    state = flow.initial(jax.random.key(0))
    assert state.shape == (3, 24, 24, 24) and flow.frame(state).shape == (16, 16, 16, 3)
    np.testing.assert_allclose(solenoidal(state), state, atol=1e-12)
    u, v, w = state
    waves = np.fft.fftfreq(24, 1 / 24)

    def along(field, axis):
        modes = np.moveaxis(np.fft.fft(field, axis=axis), axis, -1) * 1j * waves
        return np.moveaxis(np.fft.ifft(modes), -1, axis).real

    assert np.abs(along(u, 2) + along(v, 1) + along(w, 0)).max() < 1e-10 < np.abs(along(u, 2)).max()


def test_truncation_in_a_cube_keeps_resolved_waves_and_drops_the_others(double):
    (z, y, x), (z_coarse, y_coarse, x_coarse) = cube(24), cube(16)
    kept = lambda z, y, x: np.cos(7 * z - 3 * y + 5 * x) + 0.3  # noqa: E731
    field = kept(z, y, x) + np.cos(8 * z) + np.sin(9 * y) + np.cos(10 * x)
    found = truncate(jnp.fft.rfftn(field), 24, 16)
    np.testing.assert_allclose(found, kept(z_coarse, y_coarse, x_coarse), atol=1e-12)


@pytest.mark.parametrize(
    "simulator", [KuramotoSivashinsky1D(), Kolmogorov3D(resolution=8, grid=16, spin_up=4)]
)
def test_they_are_simulators(simulator):
    assert isinstance(simulator, Simulator)
    frames = simulate(simulator, jax.random.split(jax.random.key(1), 2), 3)
    assert frames.shape == (2, 3, *simulator.layout.shape) and np.isfinite(frames).all()
    assert (
        all(axis.periodic for axis in simulator.layout.axes) and simulator.layout.step == simulator.interval
    )


def test_a_line_that_is_too_coarse_for_its_viscosity():
    with pytest.raises(InputError, match=r"domain of 64.0 at a viscosity of 0.2: it needs at least 186"):
        KuramotoSivashinsky1D(viscosity=0.2)


def test_a_force_that_a_cube_does_not_resolve():
    with pytest.raises(InputError, match="the force of mode 11 is not resolved by a grid of 32 cells"):
        Kolmogorov3D(mode=11)
