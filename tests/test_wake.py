"""The wake of an obstacle against exact solutions and measurements, and the obstacle as a constant field."""

import dataclasses
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.configs.wake import experiment as preset
from rolling.data.conditions import conditioning
from rolling.data.simulated import Simulated
from rolling.physics.flow import velocities
from rolling.physics.flow_past_a_cylinder import Wake
from rolling.physics.parameter_ranges import read_ranges
from rolling.physics.simulators import Simulator, WithConstants, roll, start
from rolling.run.experiment.options import parse
from rolling.run.experiment.registry import alternatives
from tests import compilation

pytestmark = pytest.mark.slow

ONE = Wake(smallest=1.0, largest=1.0)
REYNOLDS = (30.0, 80.0, 100.0, 140.0)


def williamson(reynolds):
    """The Strouhal number of a cylinder without walls, measured: doi 10.1017/S0022112089002429."""
    return 0.2175 - 5.1064 / reynolds


def behind(wake, states, frames):
    """`[batch, time]`: the velocity across the flow, three diameters behind the obstacles."""
    told, found = np.asarray(jax.vmap(wake.constants)(states))[..., 0], []
    for field, series in zip(told, np.asarray(frames), strict=True):
        spacing = wake.height / wake.resolution
        row, centre = field.sum(1).argmax(), (field.sum(0) @ np.arange(field.shape[1])) / field.sum()
        found.append(series[:, row, round(centre + 3 / spacing), 1])
    return np.stack(found)


def strouhal(signal, interval):
    """Of an obstacle of diameter 1: one over the mean time between zeros where the signal rises."""
    rises = np.flatnonzero((signal[:-1] < 0) & (signal[1:] >= 0))
    times = rises + signal[rises] / (signal[rises] - signal[rises + 1])
    return (len(times) - 1) / (times[-1] - times[0]) / interval


def shed(wake, *, time, viscosities=(0.01,), seed=0):
    """States and the last half of the frames, of one obstacle at each viscosity."""
    count = len(viscosities)
    states = jnp.stack([wake.initial(jax.random.key(seed))] * count)
    values = {"viscosity": jnp.asarray(viscosities)}
    half = round(time / wake.interval / 2)
    forward = jax.jit(partial(roll, wake, frames=half), compiler_options=compilation.thoroughly())
    states, _ = forward(states, parameters=values)
    return forward(states, parameters=values)


@pytest.fixture(scope="module")
def wakes():
    return shed(ONE, time=80.0, viscosities=[1 / number for number in REYNOLDS])


def test_eddies_without_an_obstacle_go_with_the_flow_and_decay_exactly():
    """Taylor's vortices, of one wavelength, and steps of fourth order."""
    wake = Wake(height=2 * math.pi, resolution=16, grid=32, viscosity=0.05, interval=2.0)
    y, x = (2 * math.pi / 32 * np.arange(count) for count in wake.box)
    k, m = 2 * math.pi / (2.5 * 2 * math.pi) * 3, 2.0  # three waves in the length of the box
    errors = []

    def vortices(t):
        fade = 0.5 * math.exp(-0.05 * (k**2 + m**2) * t)
        u = 1 + fade * m * np.cos(k * (x - t))[None] * np.cos(m * y)[:, None]
        return np.stack([u, fade * k * np.sin(k * (x - t))[None] * np.sin(m * y)[:, None], 0 * u])

    with jax.enable_x64(True):
        for dt in (0.04, 0.02, 0.01):
            other = dataclasses.replace(wake, dt=dt)
            stepper = other.stepper()
            found = other.advance(stepper._replace(fringe=0 * stepper.fringe), jnp.asarray(vortices(0.0)))
            errors.append(np.abs(found - vortices(2.0)).max())
    assert errors[-1] < 1e-7 and (np.log2(np.divide(errors[:-1], errors[1:])) > 3.8).all(), errors


def test_a_flow_in_a_body_comes_to_rest_in_the_time_of_its_permeability():
    """`u = 1 + a cos(m y)` in a body everywhere and a fringe that is even: `a` decays, the mean is held."""
    wake = dataclasses.replace(ONE, permeability=0.5, dt=0.01, interval=1.0)
    m, y = 2 * math.pi / 6.0 * 2, 6.0 / 48 * np.arange(48)
    flow = np.broadcast_to(np.cos(m * y)[:, None], wake.box)
    state = np.stack([1 + flow, 0 * flow, 1 + 0 * flow])
    with jax.enable_x64(True):
        stepper = wake.stepper()
        found = wake.advance(stepper._replace(fringe=0 * stepper.fringe + 0.7), jnp.asarray(state))
    fade = math.exp(-(1 / 0.5 + 0.7 + 0.01 * m**2))
    np.testing.assert_allclose(found[0], 1 + fade * flow, atol=1e-8)
    np.testing.assert_allclose(found[1], 0, atol=1e-12)


def test_flows_have_no_divergence_hold_their_mean_and_rest_in_the_obstacle(wakes):
    states, frames = (np.asarray(part, np.float64) for part in wakes)
    height, length = ONE.box
    ky, kx = np.fft.fftfreq(height, ONE.spacing), np.fft.rfftfreq(length, ONE.spacing)
    u, v = np.moveaxis(np.fft.rfft2(states[:, :2]), 1, 0)
    divergence = np.fft.irfft2(2j * np.pi * (kx * u + ky[:, None] * v), s=ONE.box)
    vorticity = np.fft.irfft2(2j * np.pi * (kx * v - ky[:, None] * u), s=ONE.box)
    assert np.abs(divergence).max() < 1e-5 * np.abs(vorticity).max()
    np.testing.assert_allclose(states[:, :2].mean((2, 3)), [[1, 0]] * len(states), atol=1e-5)
    speed, inside = np.hypot(states[:, 0], states[:, 1]), states[:, 2] == 1
    assert np.sqrt((speed[inside] ** 2).mean()) < 0.04 and inside.sum() > 4 * 35
    assert speed.max() < 2  # which the longest time step is for
    # The inflow is uniform to some per cent, and the same at all times.
    inflow = frames[:, :, :, 0]
    assert np.abs(inflow - [1, 0]).max() < 0.1 and inflow.std((0, 1, 2)).max() < 0.04


def test_eddies_are_shed_from_a_reynolds_number_on_and_sooner_with_it(wakes):
    """At 30 the wake comes to rest (eddies are shed from 47 on). From 80 on the Strouhal number is that of a
    cylinder without walls, or higher by up to a fifth, by which the obstacle makes the flow beside it
    faster."""
    steady, *unsteady = behind(ONE, *wakes)
    windows = steady.reshape(-1, 20).std(axis=1)
    assert (np.diff(windows) < 0).all() and windows[-1] < 0.02
    assert all(0.4 < series.std() < 1.0 for series in unsteady)
    found = np.array([strouhal(series, ONE.interval) for series in unsteady])
    higher = found / williamson(np.array(REYNOLDS[1:]))
    assert (np.diff(found) > 0).all() and higher.min() > 1 and higher.max() < 1.2, found


def test_far_from_its_images_an_obstacle_sheds_as_one_without_walls():
    """Twelve diameters between them: 8 % of the flow are blocked."""
    wake = dataclasses.replace(ONE, height=12.0, grid=96, resolution=64)
    (series,) = behind(wake, *shed(wake, time=64.0))
    assert strouhal(series, wake.interval) == pytest.approx(williamson(100.0), rel=0.05)


def test_shedding_hardly_depends_on_the_time_step_and_the_grid(wakes):
    expected = strouhal(behind(ONE, *wakes)[2], ONE.interval)
    for changed, tolerance in (({"dt": 0.02}, 0.005), ({"grid": 64}, 0.06)):
        wake = dataclasses.replace(ONE, **changed)
        (series,) = behind(wake, *shed(wake, time=56.0))
        assert strouhal(series, wake.interval) == pytest.approx(expected, rel=tolerance), changed


def test_obstacles_lie_in_the_frames_and_have_their_area():
    wake = Wake()
    states = start(wake, jax.random.split(jax.random.key(1), 100))
    told = np.asarray(jax.vmap(wake.constants)(states))[..., 0]
    assert told.shape == (100, 32, 64) and told.min() == 0 and told.max() == 1
    diameters = np.sqrt(4 / np.pi * told.sum((1, 2))) * 6.0 / 32
    assert 0.79 < diameters.min() < 0.85 and 1.15 < diameters.max() < 1.21
    x = told.sum(1) @ (6.0 / 32 * np.arange(64)) / told.sum((1, 2))
    assert 1.99 < x.min() < 2.1 and 2.9 < x.max() < 3.01
    assert (told.max(2).mean(0) > 0.1).all()  # at all heights
    assert isinstance(wake, Simulator) and isinstance(wake, WithConstants)
    y, x = wake.layout.axes
    assert (y.boundary, x.boundary, len(velocities(wake.layout))) == ("periodic", "open", 1)


def test_a_source_tells_the_network_of_each_obstacle(tmp_path):
    wake = Wake(resolution=16, grid=32, dt=0.05, permeability=0.025, spin_up=4.0)
    given = {"train": 5, "frames": 2, "test": 3, "test_frames": 3, "vary": ("viscosity=0.01:0.02",)}
    source = Simulated(simulator=wake, cache=str(tmp_path), **given)
    split = source.open()
    assert split.train.layout == source.layout() == split.test.layout
    (told,) = source.layout().constants
    assert told.name == "obstacle" and [p.name for p in source.layout().parameters] == ["viscosity"]
    for part in (split.train, split.test):
        shown = np.stack([conditioning(part, i, 0, 2)["constants"] for i in range(len(part))])
        assert shown.shape == (len(part), 16, 32, 1) and shown.dtype == np.float32
        inside = shown[..., 0] * told.std + told.mean > 0.99
        speed = np.stack(
            [np.hypot(*np.moveaxis(part.read(i, 0, 2), -1, 0)).mean(0) for i in range(len(part))]
        )
        # The flow is at rest in the obstacle of its own trajectory, and seldom in those of others.
        within = np.array([[each[where].mean() for where in inside] for each in speed])
        assert np.diag(within).max() < 0.1 and np.mean(within < 0.1) < 1.5 / len(part), within
    of_training = [split.train.conditioning(i, 0, 1)["constants"] for i in range(5)]
    np.testing.assert_allclose([np.mean(of_training), np.std(of_training)], [0, 1], atol=1e-5)
    withheld = dataclasses.replace(source, tell=False).open().train
    assert withheld.layout == wake.layout and withheld.conditioning(0, 0, 1) == {}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Wake(viscosity=0.001), "layers around the obstacle .* must be at least 0.005"),
        (lambda: read_ranges(Wake(), ["viscosity=0.001:0.01"]), "must be at least 0.005"),
        (lambda: Wake(viscosity=math.nan), "viscosity must be a finite number above 0"),
        (lambda: Wake(resolution=31), "simulator.resolution of Wake must be even, not 31"),
        (lambda: Wake(resolution=64), "cannot show 64 cells of a simulation on 48"),
        (lambda: Wake(smallest=0.3), "diameters from 0.3 to 1.2 .* between 0.5, four cells"),
        (lambda: Wake(smallest=1.3), "from 1.3 to 1.2 do not suit Wake"),
        (lambda: Wake(largest=4.0), "and 3, half of the height"),
        (
            lambda: Wake(permeability=0.01),
            "0.04 is too long for Wake at a permeability of 0.01 and",
        ),
        (lambda: Wake(dt=0.1, permeability=0.2), "0.1 is too long for Wake on a grid of 48 cells"),
        (lambda: Wake(viscosity=0.2), "0.04 is too long for Wake at .* a viscosity of 0.2"),
        (lambda: Wake(interval=0.41), "whole number"),
        (lambda: Wake(spin_up=-1.0), "spin_up must be a finite number of at least 0"),
    ],
)
def test_bad_settings(make, words):
    with pytest.raises(InputError, match=words) as refusal:
        make()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "limits",
    [{"dt": 0.05, "permeability": 0.0203}, {"dt": 0.08, "permeability": 0.2}, {"viscosity": 0.033}],
)
def test_the_longest_time_steps_are_stable(limits):
    wake = Wake(**({"interval": 4 * limits.get("dt", 0.04)} | limits))
    states, _ = roll(wake, start(wake, jax.random.split(jax.random.key(0), 2)), 60)
    assert np.isfinite(states).all() and np.abs(states[:, :2]).max() < 2


def test_it_is_an_option_of_the_command_line():
    assert alternatives(Simulator)["wake"] is Wake
    source = parse(preset, ["--source.simulator.height", "5"], "rolling").source
    assert source.simulator == Wake(height=5.0)
    with pytest.raises(InputError, match=r"must be at least 0\.005"):
        parse(preset, ["--source.simulator.viscosity", "0.001"], "rolling")
