"""Simulators of transients against exact solutions, and against their equations written out in numpy."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from rolling.common.errors import InputError
from rolling.configs.debug import experiment as debug
from rolling.physics.burgers_waves import Burgers
from rolling.physics.convection_rolls import SwiftHohenberg
from rolling.physics.flow import velocities, vorticities
from rolling.physics.parameter_ranges import read_ranges
from rolling.physics.reacting_spots import GrayScott
from rolling.physics.simulators import Simulator, roll, simulate, start
from rolling.physics.unforced_turbulence import DecayingTurbulence
from rolling.run.experiment.options import parse
from rolling.run.experiment.registry import alternatives, snake
from tests.test_simulators import grid

pytestmark = pytest.mark.slow

DECAY = DecayingTurbulence(resolution=32, grid=32, wavenumber=3.0, viscosity=0.02, dt=0.05, interval=0.5)
BURGERS = Burgers(resolution=32, grid=32, viscosity=0.1, dt=0.05, interval=0.5)
SPOTS = GrayScott(resolution=32, grid=32, interval=10.0)
ROLLS = SwiftHohenberg(resolution=32, grid=32, domain=20.0, dt=0.1, interval=1.0)
EVERY = (DECAY, BURGERS, SPOTS, ROLLS)
named = pytest.mark.parametrize("simulator", EVERY, ids=lambda s: type(s).__name__)


def side(simulator):
    return getattr(simulator, "domain", 2 * math.pi)


def last(simulator, *fields, frames=1):
    """What is shown of fields after some frames, `[y, x]` of each."""
    state = jnp.asarray(np.stack(np.broadcast_arrays(*fields)))
    return np.moveaxis(np.asarray(roll(simulator, state[None], frames)[1][0, -1]), -1, 0)


def along(field, axis, domain):
    """The derivative of a periodic field."""
    cells = field.shape[axis]
    k = 2 * np.pi / domain * np.fft.fftfreq(cells, 1 / cells)
    modes = np.moveaxis(np.fft.fft(field, axis=axis), axis, -1) * 1j * k
    return np.fft.ifft(np.moveaxis(modes, -1, axis), axis=axis).real


def laplacian(field, domain):
    return sum(along(along(field, axis, domain), axis, domain) for axis in (-2, -1))


def flow(vorticity):
    """`u, v` on a square of side 2 pi."""
    k = np.fft.fftfreq(len(vorticity), 1 / len(vorticity))
    square = k[:, None] ** 2 + k[None] ** 2
    psi = np.fft.ifft2(-np.fft.fft2(vorticity) / np.where(square == 0, np.inf, square)).real
    return -along(psi, 0, 2 * np.pi), along(psi, 1, 2 * np.pi)


def change(simulator, state):
    """`d state / dt` by the equation."""
    s, lap = simulator, laplacian(state, side(simulator))
    y, x = (along(state, axis, side(simulator)) for axis in (1, 2))
    if isinstance(s, DecayingTurbulence):
        u, v = flow(state[0])
        return s.viscosity * lap - u * x - v * y
    if isinstance(s, Burgers):
        return s.viscosity * lap - state[0] * x - state[1] * y
    if isinstance(s, SwiftHohenberg):
        again = laplacian(lap, s.domain)
        linear = s.reactivity * state - s.wavenumber**4 * state - 2 * s.wavenumber**2 * lap - again
        return linear - state**3
    u, v = state
    made = u * v**2
    return np.stack(
        [
            s.diffusion_u * lap[0] - made + s.feed * (1 - u),
            s.diffusion_v * lap[1] + made - (s.feed + s.kill) * v,
        ]
    )


@named
def test_fields_change_by_the_equation(simulator, double):
    """At time 0, for random waves without any symmetry, as central differences of two steps have it."""
    y, x = grid(32)
    rng = np.random.default_rng(0)
    count = len(simulator.layout.variables)
    state = np.zeros((count, 32, 32))
    for ky, kx in ((0, 1), (1, 0), (1, 2), (2, -1), (2, 1)):
        state += rng.normal(size=(count, 1, 1)) * np.cos(ky * y + kx * x + rng.uniform(0, 6))
    state = state / 12 + 0.5 if isinstance(simulator, GrayScott) else state / 3  # whose frames are positive
    if isinstance(simulator, SwiftHohenberg):  # whose coefficients are not to be taken for each other
        simulator = dataclasses.replace(simulator, reactivity=0.4, wavenumber=0.8)
    found = {}
    for dt in (1e-4, 2e-4):
        fine = dataclasses.replace(simulator, dt=dt, interval=dt)
        found[dt] = (last(fine, *state) - state) / dt
    expected = change(simulator, state)
    np.testing.assert_allclose(2 * found[1e-4] - found[2e-4], expected, atol=1e-5 * np.abs(expected).max())


@named
def test_trajectories_with_settings_of_their_own(simulator, double):
    """They are those of simulators with these settings."""
    key, name = jax.random.key(2), simulator.varying[-1]
    values = np.array([1.0, 1.2, 1.4]) * getattr(simulator, name)
    states = jnp.stack([simulator.initial(key)] * 3)
    _, together = roll(simulator, states, 2, {name: jnp.asarray(values)})
    for value, frames in zip(values, together, strict=True):
        alone = dataclasses.replace(simulator, **{name: value})
        np.testing.assert_allclose(roll(alone, states[:1], 2)[1][0], frames, rtol=1e-11, atol=1e-12)
    assert np.abs(np.diff(together, axis=0)).max() > 1e-3


@pytest.mark.parametrize(
    "simulator",
    [DecayingTurbulence(), Burgers(), GrayScott(), SwiftHohenberg()],
    ids=lambda s: type(s).__name__,
)
def test_they_are_simulators_whose_frames_begin_at_the_start(simulator):
    assert isinstance(simulator, Simulator) and simulator.spin_up_frames == 0
    keys = jax.random.split(jax.random.key(1), 2)
    frames = np.asarray(simulate(simulator, keys, 10))
    assert frames.shape == (2, 10, *simulator.layout.shape) and np.isfinite(frames).all()
    assert simulator.layout.is_torus and simulator.layout.step == simulator.interval
    np.testing.assert_array_equal(frames, roll(simulator, start(simulator, keys), 10)[1])
    # Frames differ from the next one, but not in most of what they show, and waves fade before they are cut.
    step, spread = np.diff(frames, axis=1).std((2, 3)), frames[:, :-1].std((2, 3))
    assert (step / spread)[:, 3:].min() > 0.04 and (step / spread)[:, 3:].max() < 0.5
    modes = np.abs(np.fft.fft2(frames, axes=(2, 3))).mean((0, 1, 4))
    k = np.abs(np.fft.fftfreq(32, 1 / 32))
    ring = np.rint(np.hypot(k[:, None], k[None]))
    assert modes[ring == 15].mean() < 0.05 * max(modes[ring == n].mean() for n in range(1, 8))


def test_vortices_of_one_wavelength_decay_exactly(double):
    y, x = grid(32)
    taylor_green = np.cos(2 * y) * np.cos(2 * x)
    expected = math.exp(-2 * 0.02 * 2**2 * 2.0) * taylor_green
    np.testing.assert_allclose(last(DECAY, taylor_green, frames=4)[0], expected, atol=1e-13)
    five = np.cos(3 * x + 4 * y) + 0.4 * np.sin(5 * x) + 0.7 * np.cos(4 * x - 3 * y + 1)
    np.testing.assert_allclose(last(DECAY, five, frames=4)[0], math.exp(-0.02 * 25 * 2.0) * five, atol=1e-12)


def test_energy_and_enstrophy_fall_as_viscosity_has_it(double):
    """`dE/dt = -2 nu Z` and `dZ/dt < 0`, for `E = <u^2 + v^2> / 2` and `Z = <w^2> / 2`."""
    turbulence = DecayingTurbulence(resolution=64, interval=0.02)
    states = start(turbulence, jax.random.split(jax.random.key(0), 2))
    frames = np.asarray(roll(turbulence, states, 40)[1][..., 0])
    for first, series in zip(states[:, 0], frames, strict=True):
        series = np.concatenate([first[None], series])
        energy = np.array([np.mean(np.square(flow(w))) for w in series])
        enstrophy = np.mean(series**2, (1, 2)) / 2
        assert energy[0] == pytest.approx(0.5) and (np.diff(energy) < 0).all()
        assert (np.diff(enstrophy) < 0).all()
        lost = 2 * 0.005 * 0.02 * (enstrophy.sum() - (enstrophy[0] + enstrophy[-1]) / 2)
        assert energy[0] - energy[-1] == pytest.approx(lost, rel=1e-4)


def test_the_first_eddies_have_the_energy_spectrum_of_their_source(double):
    turbulence = DecayingTurbulence(wavenumber=5.0)
    states = start(turbulence, jax.random.split(jax.random.key(0), 200))[:, 0]
    k = np.fft.fftfreq(64, 1 / 64)
    wave = np.hypot(k[:, None], k[None])
    power = np.mean(np.abs(np.fft.fft2(states)) ** 2, 0) / np.where(wave == 0, np.inf, wave) ** 2
    expected = wave**6 * np.exp(-3.5 * (wave / 5.0) ** 2)  # rings of waves are longer by k
    rings = [np.rint(wave) == n for n in range(1, 12)]
    ratio = np.array([power[ring].sum() / expected[ring].sum() for ring in rings])
    np.testing.assert_allclose(ratio / np.median(ratio), 1, atol=0.15)
    assert np.argmax([power[ring].mean() * n for n, ring in enumerate(rings, 1)]) + 1 == 5


def cole_hopf(t, viscosity, cells, waves):
    """`U = -2 nu grad log phi`, where `phi` solves the heat equation (Cole 1951, Hopf 1950)."""
    y, x = grid(cells)
    phi, px, py = 1.0, 0.0, 0.0
    for amplitude, kx, ky, phase in waves:
        size = amplitude * math.exp(-viscosity * (kx**2 + ky**2) * t)
        phi = phi + size * np.cos(kx * x + ky * y + phase)
        px = px - kx * size * np.sin(kx * x + ky * y + phase)
        py = py - ky * size * np.sin(kx * x + ky * y + phase)
    return tuple(np.broadcast_to(-2 * viscosity * part / phi, (cells, cells)) for part in (px, py))


@pytest.mark.parametrize(
    "waves",
    [
        [(0.8, 1, 0, 0.0)],
        [(0.8, 0, 1, 0.5)],
        [(0.6, 1, 2, 0.3)],
        [(0.4, 1, 0, 0.0), (0.25, 1, 2, 0.4), (0.2, 3, -1, 1.0)],
    ],
    ids=["along x", "along y", "aslant", "three"],
)
def test_burgers_waves_are_those_of_cole_and_hopf(waves, double):
    burgers = Burgers(resolution=96, grid=96, viscosity=0.2, dt=0.02, interval=0.4)
    found = last(burgers, *cole_hopf(0.0, 0.2, 96, waves), frames=3)
    np.testing.assert_allclose(found, cole_hopf(1.2, 0.2, 96, waves), atol=1e-8)


def test_time_steps_of_burgers_are_of_fourth_order(double):
    waves, errors = [(0.5, 1, 0, 0.0), (0.3, 1, 2, 0.4)], []
    exact = cole_hopf(1.6, 0.2, 64, waves)
    for dt in (0.4, 0.2, 0.1):
        burgers = Burgers(resolution=64, grid=64, viscosity=0.2, dt=dt, interval=1.6)
        errors.append(np.abs(last(burgers, *cole_hopf(0.0, 0.2, 64, waves)) - exact).max())
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert (orders > 3.5).all(), (errors, orders)


def test_velocities_of_burgers_stay_below_their_first(double):
    burgers = Burgers(resolution=64)
    states = start(burgers, jax.random.split(jax.random.key(3), 4))
    np.testing.assert_allclose(np.abs(states).max((1, 2, 3)), 1)
    largest = np.abs(roll(burgers, states, 12)[1]).max((2, 3, 4))
    assert largest.max() < 1 and (np.diff(largest, axis=1) < 1e-3).all()


def test_well_stirred_substances_react_as_the_ordinary_equations_say(double):
    feed, kill = SPOTS.feed, SPOTS.kill

    def rates(_, state):
        u, v = state
        return [-u * v**2 + feed * (1 - u), u * v**2 - (feed + kill) * v]

    exact = solve_ivp(rates, (0, 40), [0.6, 0.5], rtol=1e-11, atol=1e-13).y[:, -1]
    errors = []
    for dt in (4.0, 2.0, 1.0):
        stirred = dataclasses.replace(SPOTS, dt=dt, interval=40.0)
        found = last(stirred, np.full((32, 32), 0.6), np.full((32, 32), 0.5))
        np.testing.assert_allclose(found.std((1, 2)), 0, atol=1e-12)
        errors.append(np.abs(found.mean((1, 2)) - exact).max())
    assert errors[-1] < 1e-5 and (np.log2(np.divide(errors[:-1], errors[1:])) > 3.5).all(), errors


@pytest.mark.parametrize(("kx", "ky"), [(0, 0), (1, 0), (0, 2), (3, 1)])
def test_disturbances_of_the_state_without_v_fade_at_their_rates(kx, ky, double):
    """By `-feed - diffusion_u k^2` and `-(feed + kill) - diffusion_v k^2`."""
    y, x = grid(32)
    wave, square = np.cos(kx * x + ky * y), (2 * np.pi / 0.5) ** 2 * (kx**2 + ky**2)
    u, v = last(SPOTS, 1 - 1e-3 * wave, 1e-5 * (1 + wave), frames=2)
    fade = math.exp(-20 * (0.035 + 2e-5 * square))
    np.testing.assert_allclose(1 - u, 1e-3 * fade * wave, atol=1e-8)
    steady, fade = math.exp(-20 * 0.095), math.exp(-20 * (0.095 + 1e-5 * square))
    np.testing.assert_allclose(v, 1e-5 * (steady + fade * wave), atol=1e-9)


def test_spots_begin_and_stay_between_nothing_and_one():
    spots = GrayScott(spots=9)
    states = start(spots, jax.random.split(jax.random.key(0), 4))
    assert states[:, 0].min() >= 0.5 and states[:, 0].max() <= 1
    np.testing.assert_allclose(states[:, 1], (1 - states[:, 0]) / 2, atol=1e-6)
    assert all(0.24 < v.max() <= 0.25 and v.min() < 0.02 for v in states[:, 1])
    ends, frames = roll(spots, states, 40)
    assert frames.min() >= 0 and frames.max() < 1.001 and ends.min() > -1e-3
    assert (frames[:, -1, ..., 1].std((1, 2)) > 0.08).all()  # a pattern that covers the square
    # What was set to 0 was next to it.
    assert np.abs(spots.frame(ends[0]) - super(GrayScott, spots).frame(ends[0])).max() < 5e-3


@pytest.mark.parametrize(("kx", "ky"), [(1, 0), (0, 3), (2, 3), (3, -1), (4, 0)])
def test_rolls_grow_at_the_rate_of_their_wavenumber(kx, ky, double):
    rolls = dataclasses.replace(ROLLS, wavenumber=1.1, reactivity=0.25)
    y, x = grid(32)
    wave, square = np.cos(kx * x + ky * y + 0.3), (2 * np.pi / 20) ** 2 * (kx**2 + ky**2)
    growth = math.exp(3 * (0.25 - (1.1**2 - square) ** 2))
    np.testing.assert_allclose(last(rolls, 1e-5 * wave, frames=3)[0], 1e-5 * growth * wave, atol=1e-11)


@pytest.mark.parametrize("reactivity", [0.01, 0.04])
def test_weak_rolls_end_with_their_amplitude(reactivity, double):
    rolls = dataclasses.replace(ROLLS, reactivity=reactivity, domain=8 * math.pi, dt=1.0, interval=20.0)
    y, x = grid(32)
    wave = np.cos(4 * x) + 0 * y
    end = last(rolls, 0.1 * wave, frames=round(1 / reactivity))[0]
    assert end.max() == pytest.approx(2 * math.sqrt(reactivity / 3), rel=2e-3)


def test_uniform_fields_of_swift_and_hohenberg_and_the_order_of_steps(double):
    """`du/dt = a u - u^3` with `a = reactivity - wavenumber^4`, Bernoulli's equation."""
    a, u, t, errors = 0.4 - 0.5**4, 0.2, 16.0, []
    exact = math.sqrt(a / (1 + (a / u**2 - 1) * math.exp(-2 * a * t)))
    for dt in (2.0, 1.0, 0.5):
        uniform = dataclasses.replace(ROLLS, reactivity=0.4, wavenumber=0.5, dt=dt, interval=t)
        errors.append(np.abs(last(uniform, np.full((32, 32), u)) - exact).max())
    assert errors[-1] < 1e-5 and (np.log2(np.divide(errors[:-1], errors[1:])) > 3.5).all(), errors


def test_the_functional_of_rolls_falls():
    """`<-reactivity u^2 / 2 + ((wavenumber^2 + lap) u)^2 / 2 + u^4 / 4>`."""
    rolls = SwiftHohenberg(resolution=64, interval=1.0)
    _, frames = roll(rolls, start(rolls, jax.random.split(jax.random.key(0), 2)), 40)
    u = np.asarray(frames[..., 0], np.float64)
    potential = (-0.3 * u**2 + (u + laplacian(u, 30.0)) ** 2) / 2 + u**4 / 4
    assert (np.diff(potential.mean((2, 3)), axis=1) < 0).all()


def test_long_intervals_do_not_let_rounding_errors_grow():
    rolls = dataclasses.replace(ROLLS, reactivity=0.9, interval=60.0)
    _, frames = roll(rolls, rolls.initial(jax.random.key(0))[None], 2)
    assert 0.5 < frames.std() < 1.0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DecayingTurbulence(viscosity=-1.0), "viscosity must be a finite number of at least 0"),
        (
            lambda: DecayingTurbulence(grid=16),
            "cannot show 32 cells of a simulation on 16",
        ),
        (lambda: DecayingTurbulence(wavenumber=11.0), "spectrum around 11.0 is not resolved by a grid of 64"),
        (lambda: DecayingTurbulence(wavenumber=math.nan), "spectrum around nan is not resolved"),
        (lambda: DecayingTurbulence(dt=0.1), "0.1 is too long for DecayingTurbulence on a grid of 64 cells"),
        (lambda: DecayingTurbulence(interval=0.21), "whole number"),
        (lambda: Burgers(viscosity=0.0), "viscosity must be a finite number above 0"),
        (lambda: Burgers(viscosity=0.01), "fronts at a viscosity of 0.01: it needs at least 150"),
        (lambda: Burgers(scale=20.0), "a scale of 20.0 is not resolved"),
        (lambda: Burgers(dt=math.inf), "dt must be a finite number above 0"),
        (lambda: GrayScott(feed=-0.01), "feed must be a finite number of at least 0"),
        (lambda: GrayScott(diffusion_u=0.0), "diffusion_u must be a finite number above 0"),
        (lambda: GrayScott(spots=0), "spots must be a finite number of at least 1"),
        (lambda: GrayScott(resolution=65), "cannot show 65 cells"),
        (lambda: SwiftHohenberg(reactivity=math.inf), "reactivity must be a finite number"),
        (lambda: SwiftHohenberg(wavenumber=0.0), "wavenumber must be a finite number above 0"),
        (lambda: SwiftHohenberg(domain=100.0), r"up to 19.8 waves along a side .* between 1 and 15"),
        (lambda: SwiftHohenberg(reactivity=2.0, dt=0.5), "too long for SwiftHohenberg at a reactivity of 2"),
        (lambda: read_ranges(Burgers(), ["viscosity=0.001:0.1"]), "needs at least 1500"),
        (lambda: read_ranges(GrayScott(), ["domain=1:2"]), "it has feed, kill"),
    ],
)
def test_bad_settings(make, words):
    with pytest.raises(InputError, match=words) as refusal:
        make()
    assert "\n" not in str(refusal.value)


def test_only_velocities_are_taken_for_velocities():
    assert [len(velocities(s.layout)) for s in EVERY] == [0, 1, 0, 0]
    assert [len(vorticities(s.layout)) for s in EVERY] == [1, 0, 0, 0]


def test_they_are_options_of_the_command_line():
    known = alternatives(Simulator)
    for simulator in EVERY:
        assert known[snake(type(simulator).__name__)] is type(simulator)
    assert {"decaying_turbulence", "burgers", "gray_scott", "swift_hohenberg"} <= known.keys()
    words = ["--source.simulator", "gray_scott", "--source.vary", "feed=0.03:0.04"]
    source = parse(debug, words, "rolling").source
    (told,) = source.layout().parameters
    assert isinstance(source.simulator, GrayScott)
    assert told.name == "feed" and not told.log
