"""The two-scale system of Lorenz against its equation written out, a solver of scipy's and its balances, and
its two parts as the same trajectories."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import rolling
from rolling.common.errors import InputError
from rolling.configs.kuramoto_sivashinsky_1d import experiment as preset
from rolling.data.simulated import Simulated
from rolling.physics.parameter_ranges import read_ranges
from rolling.physics.simulators import Simulator, roll, simulate, start
from rolling.physics.two_scales_on_a_ring import Lorenz96
from rolling.run.experiment.options import parse
from rolling.run.experiment.registry import alternatives

RING = Lorenz96(dt=0.005, spin_up=4.0)
SMALL = Lorenz96(slow=5, fast=3, forcing=12.0, coupling=0.8, time_ratio=7.0, amplitude_ratio=4.0)


def rates(ring, state):
    """`d state / dt` by the equation, one variable after the other."""
    s, K, J = ring, ring.slow, ring.fast
    X, Y = state[:K], state[K:]
    hcb = s.coupling * s.time_ratio / s.amplitude_ratio
    dX, dY = np.zeros(K), np.zeros(K * J)
    for k in range(K):
        dX[k] = -X[(k - 1) % K] * (X[(k - 2) % K] - X[(k + 1) % K]) - X[k] + s.forcing
        for j in range(J):
            at = k * J + j  # the fast ones are one ring
            before, after, second = (at - 1) % (K * J), (at + 1) % (K * J), (at + 2) % (K * J)
            dX[k] -= hcb * Y[at]
            dY[at] = -s.time_ratio * s.amplitude_ratio * Y[after] * (Y[second] - Y[before])
            dY[at] += -s.time_ratio * Y[at] + hcb * X[k]
    return np.concatenate([dX, dY])


@pytest.mark.parametrize("ring", [Lorenz96(), SMALL, dataclasses.replace(SMALL, slow=4, fast=1)])
def test_the_right_hand_side_is_that_of_the_equation(ring, double):
    for seed in range(3):
        state = np.random.default_rng(seed).normal(size=ring.slow * (1 + ring.fast)) * 3
        found = ring.change(ring.stepper(), jnp.asarray(state))
        np.testing.assert_allclose(found, rates(ring, state), rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("ring", [Lorenz96(), SMALL])
def test_energy_is_only_put_in_by_the_force_and_lost_by_friction(ring, double):
    """`d/dt (sum X^2 + sum Y^2) / 2 = F sum X - sum X^2 - c sum Y^2`: what moves along the ring keeps it, in
    each part by itself, and so does the exchange, in both together."""
    for seed in range(3):
        state = np.random.default_rng(seed).normal(size=ring.slow * (1 + ring.fast)) * 3
        x, y = np.split(state, [ring.slow])
        kept = state @ np.asarray(ring.change(ring.forcing, jnp.asarray(state)))
        budget = ring.forcing * x.sum() - (x**2).sum() - ring.time_ratio * (y**2).sum()
        np.testing.assert_allclose(kept, budget, rtol=1e-11)
        apart = dataclasses.replace(ring, coupling=0.0)
        dx, dy = np.split(np.asarray(apart.change(0.0, jnp.asarray(state))), [ring.slow])
        np.testing.assert_allclose(x @ dx, -(x**2).sum(), rtol=1e-11)
        np.testing.assert_allclose(y @ dy, -ring.time_ratio * (y**2).sum(), rtol=1e-11)


def test_steps_are_of_fourth_order_and_the_default_one_is_short_enough(double):
    """Against the solver of Dormand and Prince, of order 8, from the steady state."""
    state = np.asarray(roll(RING, start(RING, jax.random.split(jax.random.key(3), 1)), 20)[0][0])
    exact = solve_ivp(
        lambda _, now: rates(RING, now), (0, 0.05), state, method="DOP853", rtol=1e-11, atol=1e-12
    ).y[:, -1]
    errors = []
    for dt in (0.005, 0.0025, 0.00125, 0.000625):
        ring = Lorenz96(dt=dt, interval=0.05, spin_up=0.0)
        errors.append(np.abs(roll(ring, jnp.asarray(state)[None], 1)[0][0] - exact)[8:].max())
    assert (np.log2(np.divide(errors[:-1], errors[1:])) > 3.7).all(), errors
    assert Lorenz96().dt == 0.0025 and errors[1] < 0.01 * 0.35, errors


def read(part):
    return np.stack([part.read(i, 0, part.length(i))[..., 0] for i in range(len(part))])


@pytest.mark.parametrize("vary", [(), ("forcing=15:25",)])
def test_both_parts_are_of_the_same_trajectories_at_any_two_intervals(vary, tmp_path):
    """Frame i at intervals of 0.2 is frame 4 i + 3 at intervals of 0.05, to the bit, and both parts are of
    the states of one series."""

    def source(part, interval):
        ring = dataclasses.replace(RING, part=part, interval=interval)
        frames = round(2.4 / interval)
        lengths = {"train": 3, "frames": frames, "test": 2, "test_frames": frames - round(0.4 / interval)}
        return Simulated(simulator=ring, seed=5, vary=vary, cache=str(tmp_path), **lengths).open()

    for name in ("train", "test"):
        seen = {
            (part, every): read(getattr(source(part, every), name))
            for part in ("slow", "fast")
            for every in (0.05, 0.2)
        }
        for part in ("slow", "fast"):
            np.testing.assert_array_equal(seen[part, 0.2], seen[part, 0.05][:, 3::4])
            assert np.abs(np.diff(seen[part, 0.2], axis=1)).max() > 0.1
        if vary or name == "test":
            continue
        root = jax.random.fold_in(jax.random.key(5), 0)  # as the source has it, of its training part
        keys = jax.vmap(lambda i, root=root: jax.random.fold_in(root, i))(jnp.arange(3))
        states, _ = roll(dataclasses.replace(RING, interval=0.4), start(RING, keys), 10)
        for i in range(48):
            states, _ = roll(dataclasses.replace(RING, interval=0.05), states, 1)
            np.testing.assert_array_equal(seen["fast", 0.05][:, i], states[:, 8:])
            if i % 4 == 3:
                np.testing.assert_array_equal(seen["slow", 0.2][:, i // 4], states[:, :8])


def test_trajectories_have_forcings_of_their_own(double):
    states, values = start(RING, jax.random.split(jax.random.key(0), 3)), np.array([10.0, 18.0, 25.0])
    _, together = roll(RING, states, 2, {"forcing": jnp.asarray(values)})
    for index, value in enumerate(values):
        alone = dataclasses.replace(RING, forcing=value)
        expected = roll(alone, states[index : index + 1], 2)[1][0]
        np.testing.assert_allclose(together[index], expected, rtol=1e-6)


@pytest.fixture(scope="module")
def steady():
    """`[batch, time, 8]` at intervals of 0.2, and `[batch, time, 4, 8, 8]` of the four fast frames that end
    with each of these."""
    keys = jax.random.split(jax.random.key(0), 64)
    slow = np.asarray(simulate(RING, keys, 40))[..., 0]
    fast = np.asarray(simulate(dataclasses.replace(RING, part="fast", interval=0.05), keys, 160))[..., 0]
    return slow.astype(float), fast.reshape(64, 40, 4, 8, 8).astype(float)


def test_frames_are_of_the_steady_state(steady):
    """In the mean over time what the force puts in is lost by friction, and all places are alike."""
    slow, fast = steady
    put_in, lost = 20 * slow.mean(), (slow**2).mean() + 10 * 8 * (fast**2).mean()
    assert put_in == pytest.approx(lost, rel=0.03)
    # Other rounding makes other trajectories. Over many draws of 64 the three below deviate by 0.012, 0.10
    # and, at each place, 0.16: the bounds are five times that.
    early, late = slow[:, :10], slow[:, -10:]
    assert early.std() == pytest.approx(late.std(), rel=0.06)
    assert early.mean() == pytest.approx(late.mean(), abs=0.5)
    np.testing.assert_allclose(slow.mean((0, 1)), slow.mean(), atol=0.8)


def explained(inputs, target, held_out):
    """R2 of a linear regression in cases that it has not seen."""
    seen = ~held_out
    known = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    weights = np.linalg.lstsq(known[seen], target[seen], rcond=None)[0]
    error = target[held_out] - known[held_out] @ weights
    return 1 - (error**2).sum() / ((target[held_out] - target[held_out].mean()) ** 2).sum()


def test_the_fast_part_tells_of_the_slow_one_what_its_own_past_does_not(steady):
    """`X` one interval later, from `X` on the whole ring, and from the means of `Y` by sector between them,
    too. Every place of the ring is a case."""
    slow, fast = steady
    past, between, target, held_out = [], [], [], []
    for k in range(8):
        x, y = np.roll(slow, -k, axis=2), np.roll(fast.mean(-1), -k, axis=3)
        past.append(x[:, :-1].reshape(-1, 8))
        between.append(y[:, 1:].reshape(-1, 32))
        target.append(x[:, 1:, 0].ravel())
        held_out.append(np.repeat(np.arange(64) % 4 == 0, 39))
    past, between, target, held_out = map(np.concatenate, (past, between, target, held_out))
    own = explained(past, target, held_out)
    both = explained(np.concatenate([past, between], axis=1), target, held_out)
    assert 0.05 < own < 0.25 and both > own + 0.4, (own, both)


def test_places_on_the_ring():
    (slow,), (fast,) = (Lorenz96(slow=6, fast=4, part=part).layout.axes for part in ("slow", "fast"))
    assert (len(slow), len(fast)) == (6, 24) and slow.periodic and fast.periodic
    np.testing.assert_allclose(slow.values, [0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
    np.testing.assert_allclose(fast.values[:5], [0.125, 0.375, 0.625, 0.875, 1.125])
    np.testing.assert_allclose(np.reshape(fast.values, (6, 4)).mean(1), slow.values)
    for part, cells in (("slow", 6), ("fast", 24)):
        ring = Lorenz96(slow=6, fast=4, part=part, interval=0.05, dt=0.005, spin_up=0.5)
        assert isinstance(ring, Simulator) and ring.layout.step == 0.05 and ring.spin_up_frames == 10
        assert ring.layout.names == (part,) and ring.layout.grid.lengths() == (6.0,)
        frames = simulate(ring, jax.random.split(jax.random.key(0), 2), 3)
        assert frames.shape == (2, 3, *ring.layout.shape) == (2, 3, cells, 1) and np.isfinite(frames).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Lorenz96(part="both"), "simulator.part must be one of slow, fast, not 'both'"),
        (lambda: Lorenz96(slow=3), "slow must be a finite number of at least 4, not 3"),
        (lambda: Lorenz96(fast=0), "fast must be a finite number of at least 1, not 0"),
        (lambda: Lorenz96(forcing=math.nan), "forcing must be a finite number, not nan"),
        (lambda: Lorenz96(time_ratio=0.0), "time_ratio must be a finite number above 0"),
        (lambda: Lorenz96(amplitude_ratio=-1.0), "amplitude_ratio must be a finite number above 0"),
        (lambda: Lorenz96(interval=0.0), "interval must be a finite number above 0"),
        (
            lambda: Lorenz96(interval=0.201),
            r"interval between frames \(0.201\) that is a whole number of time",
        ),
        (lambda: Lorenz96(interval=0.001), "whole number of time steps"),
        (lambda: Lorenz96(spin_up=-1.0), "spin_up must be a finite number of at least 0"),
        (lambda: Lorenz96(spin_up=9.0), "multiple of 2, the time of 10 frames, not 9: take 10, or another"),
        (lambda: Lorenz96(spin_up=0.2), "multiple of 2, the time of 10 frames, not 0.2: take 2,"),
        (lambda: Lorenz96(dt=0.01), "0.01 is too long for Lorenz96 at a forcing of 20, .* at most 0.0059"),
        (
            lambda: read_ranges(Lorenz96(dt=0.005), ["forcing=10:50"]),
            "too long for Lorenz96 at a forcing of 50",
        ),
        (lambda: read_ranges(Lorenz96(), ["coupling=0:1"]), "it has forcing"),
    ],
)
def test_bad_settings(make, words):
    with pytest.raises(InputError, match=words) as refusal:
        make()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("interval", [0.05, 0.1, 0.15, 0.2, 0.3, 0.35, 0.7, 1.1])
def test_spin_ups_are_exact(interval):
    for blocks in (0, 1, 3, 7):
        ring = Lorenz96(interval=interval, spin_up=10 * blocks * interval)
        assert ring.spin_up_frames == 10 * blocks


@pytest.mark.parametrize(
    "settings",
    [
        {"dt": 0.0059},
        {"dt": 0.0023, "forcing": 100.0},
        {"dt": 0.0042, "coupling": 2.0},
        {"dt": 0.012, "time_ratio": 4.0},
        {"dt": 0.039, "coupling": 0.0},
        {"dt": 0.0085, "forcing": 0.0},
        {"dt": 0.0058, "amplitude_ratio": 2.0},
    ],
)
def test_the_longest_time_steps_are_stable(settings):
    ring = Lorenz96(**settings, interval=10 * settings["dt"], spin_up=0.0)
    states, _ = roll(ring, start(ring, jax.random.split(jax.random.key(0), 8)), round(1 / settings["dt"]))
    assert np.isfinite(states).all()
    with pytest.raises(InputError, match="too long for Lorenz96"):
        dataclasses.replace(ring, dt=1.1 * ring.dt, interval=1.1 * ring.interval)


def test_it_is_public_and_an_option_of_the_command_line():
    assert rolling.Lorenz96 is alternatives(Simulator)["lorenz96"] is Lorenz96
    words = "--source.simulator lorenz96 --source.simulator.dt 0.005 --source.simulator.interval 0.05"
    words += " --source.simulator.part fast --source.simulator.spin-up 10 --source.vary forcing=15:25"
    source = parse(preset, words.split(), "rolling").source
    assert source.simulator == Lorenz96(part="fast", dt=0.005, interval=0.05)
    with pytest.raises(InputError, match=r"a time step of 0\.1 is too long for Lorenz96"):
        parse(preset, ["--source.simulator", "lorenz96"], "rolling")
