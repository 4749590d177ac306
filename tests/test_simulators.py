"""Simulators against exact solutions of their equations."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.physics.simulators import (
    Kolmogorov,
    KuramotoSivashinsky,
    Simulator,
    chunks,
    roll,
    simulate,
    start,
    truncate,
    velocity,
)

pytestmark = pytest.mark.slow


def grid(cells, domain=2 * math.pi):
    values = np.arange(cells) * domain / cells
    return values[:, None], values[None, :]


def test_taylor_green_vortices_decay_exactly(double):
    flow = Kolmogorov(resolution=32, grid=32, viscosity=0.05, drag=0.1, forcing=0.0, dt=0.05, interval=0.5)
    y, x = grid(32)
    vortices = np.cos(2 * y) * np.cos(2 * x)
    _, frames = roll(flow, vortices[None], 4)
    times = 0.5 * np.arange(1, 5)
    expected = np.exp(-(0.05 * 8 + 0.1) * times)[:, None, None] * vortices
    np.testing.assert_allclose(frames[0, ..., 0], expected, atol=1e-13)


def test_laminar_flow_spins_up_exactly_and_moves_along_x(double):
    flow = Kolmogorov(
        resolution=32, grid=32, viscosity=0.02, drag=0.3, mode=4, forcing=1.5, dt=0.05, interval=0.5
    )
    rate = 0.02 * 16 + 0.3
    y, _ = grid(32)
    growth = (1 - np.exp(-rate * 0.5 * np.arange(1, 5)))[:, None, None] / rate
    _, frames = roll(flow, jnp.zeros((1, 32, 32)), 4)
    expected = -4 * 1.5 * growth * np.cos(4 * y) * np.ones((32, 32))
    np.testing.assert_allclose(frames[0, ..., 0], expected, atol=1e-13)
    _, frames = roll(dataclasses.replace(flow, fields="velocity"), jnp.zeros((1, 32, 32)), 4)
    np.testing.assert_allclose(
        frames[0, ..., 0], 1.5 * growth * np.sin(4 * y) * np.ones((32, 32)), atol=1e-13
    )
    np.testing.assert_allclose(frames[0, ..., 1], 0, atol=1e-13)


def test_a_shear_carries_a_weak_wave_downstream(double):
    """The sign of the advection: `dw/dt = -U dw/dx - v dW/dy`, for `U = a sin y`, at time 0."""
    flow = Kolmogorov(
        resolution=64, grid=64, viscosity=0.0, drag=0.0, forcing=0.0, dt=1e-3, interval=1e-3, spin_up=0
    )
    y, x = grid(64)
    shear, amplitude, k = 0.7, 1e-4, 3
    wave = amplitude * np.sin(k * x) * np.ones_like(y)
    state = -shear * np.cos(y) + wave
    _, frames = roll(flow, state[None], 1)
    v = -amplitude * np.cos(k * x) / k  # dpsi/dx of psi = -wave / k^2
    expected = -shear * np.sin(y) * amplitude * k * np.cos(k * x) - v * shear * np.sin(y)
    change = (frames[0, 0, ..., 0] - state) / 1e-3
    np.testing.assert_allclose(change, expected, atol=2e-3 * amplitude * k * shear)


def test_truncation_keeps_resolved_waves_and_drops_the_others(double):
    for fine, coarse in ((48, 32), (32, 31), (33, 20), (32, 32)):
        y, x = grid(fine)
        low, high = (coarse - 1) // 2, fine // 2 - (fine == coarse)
        field = 1 + np.cos(low * y + 0.3) + np.sin(2 * y - low * x) + np.cos(high * x - y) * (fine > coarse)
        y, x = grid(coarse)
        expected = 1 + np.cos(low * y + 0.3) + np.sin(2 * y - low * x)
        result = truncate(jnp.fft.rfft2(field), fine, coarse)
        np.testing.assert_allclose(result, expected, atol=1e-12)


def test_velocity_has_the_given_curl_and_no_divergence(double):
    vorticity = jax.random.normal(jax.random.key(1), (31, 31))
    spectrum = jnp.fft.rfft2(vorticity - vorticity.mean())
    u, v = velocity(spectrum)
    ky, kx = jnp.fft.fftfreq(31, 1 / 31)[:, None], jnp.fft.rfftfreq(31, 1 / 31)[None]
    np.testing.assert_allclose(1j * kx * v - 1j * ky * u, spectrum, atol=1e-10)
    np.testing.assert_allclose(kx * u + ky * v, 0, atol=1e-10)


def test_energy_budget(double):
    """dE/dt = forcing <u sin(mode y)> - 2 drag E - viscosity <w^2>, for `E = <u^2 + v^2> / 2`."""
    flow = Kolmogorov(resolution=48, grid=48, dt=0.002, interval=0.002, fields="velocity")
    state = 2 * start(flow, jax.random.split(jax.random.key(0), 1))[0]
    _, block = roll(flow, state[None], 2)
    frames = [flow.frame(state), block[0, 0], block[0, 1]]
    energy = [0.5 * jnp.mean(jnp.sum(frame**2, -1)) for frame in frames]
    middle, _ = roll(flow, state[None], 1)
    y, _ = grid(48)
    budget = (
        np.mean(frames[1][..., 0] * np.sin(4 * y)) - 2 * 0.1 * energy[1] - 0.01 * jnp.mean(middle[0] ** 2)
    )
    np.testing.assert_allclose((energy[2] - energy[0]) / 0.004, budget, rtol=1e-5)


def test_kuramoto_sivashinsky_grows_by_its_dispersion_relation(double):
    front = KuramotoSivashinsky(resolution=32, grid=32, domain=20.0, dt=0.05, interval=0.5)
    y, x = grid(32, 20.0)
    q = 2 * math.pi / 20
    wave = 1e-7 * np.cos(2 * q * x) * np.cos(q * y)
    _, frames = roll(front, wave[None], 3)
    rate = (4 + 1) * q**2 - (16 + 1) * q**4
    expected = np.exp(rate * 0.5 * np.arange(1, 4))[:, None, None] * wave
    np.testing.assert_allclose(frames[0, ..., 0], expected, atol=1e-13)


@pytest.mark.parametrize("simulator", [Kolmogorov(), KuramotoSivashinsky()], ids=lambda s: type(s).__name__)
def test_frames_come_from_the_steady_state(simulator):
    assert isinstance(simulator, Simulator)
    keys = jax.random.split(jax.random.key(3), 4)
    frames = np.asarray(simulate(simulator, keys, 45))
    assert frames.shape == (4, 45, *simulator.layout.shape) and frames.dtype == np.float32
    assert np.isfinite(frames).all()
    early, late = frames[:, :15].std(), frames[:, -15:].std()
    assert 0.8 < early / late < 1.25
    assert abs(frames.mean()) < 1e-3 * frames.std()


def test_chunks_drop_the_spin_up_and_cut_the_last():
    flow = Kolmogorov(resolution=16, grid=24, spin_up=2.0)
    keys = jax.random.split(jax.random.key(0), 2)
    blocks = list(chunks(flow, keys, 7, chunk=5))
    assert flow.spin_up_frames == 5
    assert [block if block is None else block.shape[1] for block in blocks] == [None, 5, 2]
    states, _ = roll(flow, start(flow, keys), 5)
    states, first = roll(flow, states, 5)
    np.testing.assert_array_equal(blocks[1], first)
    np.testing.assert_array_equal(blocks[2], roll(flow, states, 5)[1][:, :2])


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Kolmogorov(resolution=64), "grid"),
        (lambda: Kolmogorov(interval=0.41), "whole number"),
        (lambda: Kolmogorov(mode=20), "mode 20"),
        (lambda: Kolmogorov(viscosity=-1.0), "viscosity"),
        (lambda: Kolmogorov(dt=0.0), "dt must be a finite number above 0"),
        (lambda: Kolmogorov(dt=math.nan), "dt must be a finite number above 0, not nan"),
        (lambda: Kolmogorov(forcing=math.inf), "forcing must be a finite number, not inf"),
        (lambda: KuramotoSivashinsky(domain=math.inf), "domain must be a finite number above 0"),
        (lambda: KuramotoSivashinsky(spin_up=math.nan), "spin_up must be a finite number"),
        (lambda: KuramotoSivashinsky(domain=32.0), "domain of 32"),
    ],
)
def test_bad_numbers(make, words):
    with pytest.raises(InputError, match=words):
        make()
