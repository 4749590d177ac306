"""One step of every solver: the protocol, masks, marginals, closed forms."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.noise import Cosine, Edm, FlowMatching, alpha_sigma, flow_from_x
from rolling.oracle import UNCLIPPED
from rolling.run.experiment import codec
from rolling.solvers import (
    Ancestral,
    Ddim,
    Deis,
    DpmSolverPlusPlus,
    Heun,
    Solver,
    TimeShift,
    UniPC,
    step_between,
)
from tests.solver_tools import (
    MULTISTEP,
    SHAPE,
    SOLVERS,
    TWO_CALLS,
    a_step,
    draws_noise,
    moments,
    normal,
    trajectory,
)

hypothesis = pytest.importorskip("hypothesis")
given, st = hypothesis.given, hypothesis.strategies
every_solver = pytest.mark.parametrize("solver", SOLVERS, ids=repr)

pytestmark = pytest.mark.usefixtures("double")


@pytest.mark.slow
@every_solver
def test_a_step_calls_the_network_as_often_as_it_says(solver):
    assert isinstance(solver, Solver)
    calls, z = [], normal(0)

    def denoise(z, logsnr):
        calls.append((z.shape, logsnr.shape[1]))
        return jnp.tanh(z)

    moved, history = solver.step(denoise, z, solver.init(z), a_step(), lambda draw: normal(draw))
    assert calls == [(SHAPE, SHAPE[1])] * solver.calls
    assert moved.shape == z.shape and np.isfinite(moved).all()
    shapes = [part.shape for part in jax.tree.leaves(solver.init(z))]
    assert [part.shape for part in jax.tree.leaves(history)] == shapes
    assert all(shape[:2] == SHAPE[:2] for shape in shapes), "a history is not beside its frames"


SCHEDULES = [
    (UNCLIPPED, jnp.float32),
    (Cosine(), jnp.float64),
    (Edm(rho=-10.0), jnp.float64),
    (FlowMatching(epsilon=0.0), jnp.float64),
]


@pytest.mark.parametrize(
    ("solver", "schedule", "dtype"),
    [(solver, UNCLIPPED, jnp.float64) for solver in SOLVERS]
    + [(solver, *rest) for solver in SOLVERS[1::5] for rest in SCHEDULES],
)
def test_the_true_denoiser_is_followed_to_the_frame(solver, schedule, dtype):
    """With `D = x` every solver ends at `x`, up to the noise that the schedule leaves there."""
    x = normal(0).astype(dtype)
    left = np.asarray(alpha_sigma(schedule.logsnr(jnp.asarray(0.0)))[1])
    tau = jnp.asarray(np.linspace(1, 0, 6)[:, None, None] * np.ones((1, 1, 5)), dtype)
    noise = normal(2, (5, *SHAPE)).astype(dtype)
    z, history = normal(1).astype(dtype), solver.init(x)
    plan = step_between(schedule, tau[:-1], tau[1:])
    for i in range(5):
        step = jax.tree.map(lambda part, i=i: part[i], plan)
        z, history = solver.step(lambda *_: x, z, history, step, lambda _, i=i: noise[i])
    assert z.dtype == dtype and all(part.dtype == dtype for part in jax.tree.leaves(history))
    assert np.abs(z - x).max() <= 6 * left + (1e-12 if dtype == jnp.float64 else 1e-5)


@every_solver
def test_frames_that_stand_still_keep_their_bits(solver):
    """At both ends of an unclipped schedule, too, where the solver itself divides by zero."""
    tau_t, tau_s = (1.0, 1.0, 0.5, 0.5, 0.0), (1.0, 0.7, 0.5, 0.2, 0.0)
    step, z = a_step(tau_t, tau_s), normal(0)
    state = (z, jax.tree.map(lambda part: part + 0.25, solver.init(z)))
    shown = []

    def denoise(z, logsnr):
        shown.append((z, logsnr))
        return jnp.tanh(z)

    moved = solver.step(denoise, *state, step, lambda draw: normal(draw + 3))
    held = jax.tree.map(step.hold, moved, state)
    assert step.moving.tolist() == [[False, True, False, True, False]]
    for new, old in zip(jax.tree.leaves(held), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(new[:, ::2], old[:, ::2])
        assert not np.isnan(new).any()
    assert np.isfinite(held[0][:, 3]).all()
    assert (held[0][:, 1::2] != z[:, 1::2]).all()
    for seen, clock in shown:
        np.testing.assert_array_equal(seen[:, ::2], z[:, ::2])
        np.testing.assert_array_equal(clock[0, ::2], step.logsnr_t[0, ::2])


TRUE_X = 0.3
FALLS = st.lists(st.lists(st.integers(0, 5), min_size=6, max_size=6), min_size=3, max_size=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "solver", [*MULTISTEP[1:5:2], *TWO_CALLS[1:], TimeShift(solver=UniPC(order=4), variance=0.3)], ids=repr
)
@given(start=st.lists(st.integers(0, 16), min_size=3, max_size=3), falls=FALLS)
def test_any_monotone_clocks(solver, start, falls):
    """Finite throughout; a frame whose clock stands keeps its bits, one that arrives is `x` for `D = x`."""
    # A fixture that changes with every example is none for hypothesis.
    with jax.enable_x64(True):
        fallen = np.concatenate([np.zeros((3, 1)), np.cumsum(falls, axis=1)], axis=1)
        tau = np.maximum(np.asarray(start)[:, None] - fallen, 0).T[:, None] / 16
        z, noise = normal(0, (1, 3, 2, 1, 1)), normal(1, (6, 1, 3, 2, 1, 1))
        z = jnp.where(jnp.asarray(tau[0] == 0)[..., None, None, None], TRUE_X, z)
        path = np.asarray(trajectory(solver, the_true_denoiser, UNCLIPPED, z, jnp.asarray(tau), noise))
        bent = np.asarray(trajectory(solver, a_bent_denoiser, UNCLIPPED, z, jnp.asarray(tau), noise))
    assert np.isfinite(path).all() and np.isfinite(bent).all()
    for run in (path, bent):
        steps = np.concatenate([np.asarray(z)[None], run])
        stands = tau[1:] == tau[:-1]
        np.testing.assert_array_equal(steps[1:][stands], steps[:-1][stands])
    np.testing.assert_allclose(path[tau[1:] == 0], TRUE_X, atol=1e-10)


def the_true_denoiser(z, logsnr):
    return jnp.full_like(z, TRUE_X)


def a_bent_denoiser(z, logsnr):
    return jnp.tanh(z + jnp.roll(z, 1, axis=1)) * jax.nn.sigmoid(logsnr)[..., None, None, None]


def ends(step):
    return (*alpha_sigma(step.logsnr_t[0]), *alpha_sigma(step.logsnr_s[0]))


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_keeps_the_marginals(eta):
    """`z_s` has the mean `alpha_s x` and the variance `sigma_s^2`, of which `eta^2 r sigma_s^2` is new."""
    step = a_step()
    alpha_t, sigma_t, alpha_s, sigma_s = ends(step)
    of_z, of_x, of_noise = moments(Ddim(eta=eta), step)
    np.testing.assert_allclose(of_z * alpha_t + of_x, alpha_s, rtol=1e-12)
    np.testing.assert_allclose((of_z * sigma_t) ** 2 + of_noise**2, sigma_s**2, rtol=1e-12)
    r = 1 - (alpha_t * sigma_s / (sigma_t * alpha_s)) ** 2
    np.testing.assert_allclose(of_noise**2, eta**2 * r * sigma_s**2, rtol=1e-10)


@pytest.mark.parametrize(("eta", "order"), [(0.0, 3), (0.4, 1), (1.0, 2)])
def test_dpm_solver_keeps_the_marginals(eta, order):
    """With a constant x, whatever the order; `1 - e^{-2 eta h}` of the variance is new."""
    step = a_step()
    alpha_t, sigma_t, alpha_s, sigma_s = ends(step)
    of_z, of_x, of_noise = moments(DpmSolverPlusPlus(order=order, eta=eta), step)
    np.testing.assert_allclose(of_z * alpha_t + of_x, alpha_s, rtol=1e-12)
    np.testing.assert_allclose((of_z * sigma_t) ** 2 + of_noise**2, sigma_s**2, rtol=1e-12)
    snr_ratio = (alpha_t * sigma_s / (sigma_t * alpha_s)) ** 2
    new = 1 - snr_ratio**eta if eta else np.zeros(5)
    np.testing.assert_allclose(of_noise**2, new * sigma_s**2, rtol=1e-10)


@pytest.mark.parametrize("same", [Ddim(eta=1.0), DpmSolverPlusPlus(order=1, eta=1.0)], ids=repr)
def test_ancestral_is_the_sde_at_first_order(same):
    step = a_step()
    np.testing.assert_allclose(moments(Ancestral(), step), moments(same, step), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("same", [DpmSolverPlusPlus(order=1), Deis(order=1), UniPC(order=1)], ids=repr)
def test_ddim_is_every_multistep_ode_solver_at_first_order(same):
    step = a_step()
    np.testing.assert_array_equal(moments(Ddim(), step), moments(same, step))


@pytest.mark.parametrize("g", [0.0, 0.3, 1.0])
def test_ancestral_variance_is_interpolated_in_the_logarithm(g):
    step = a_step()
    alpha_t, sigma_t, alpha_s, sigma_s = ends(step)
    lower = sigma_s**2 - (alpha_t * sigma_s**2 / (sigma_t * alpha_s)) ** 2
    upper = sigma_t**2 - (alpha_t * sigma_s / alpha_s) ** 2
    expected = np.where(step.last[0], 0.0, lower ** (1 - g) * upper**g)
    np.testing.assert_allclose(moments(Ancestral(interpolation=g), step)[2] ** 2, expected, rtol=1e-10)


@pytest.mark.parametrize(
    "solver", [Ancestral(interpolation=1.0), DpmSolverPlusPlus(eta=0.5), DpmSolverPlusPlus(eta=1.0)], ids=repr
)
def test_nothing_is_drawn_in_the_last_step_of_a_clipped_schedule(solver):
    of_noise = moments(solver, a_step(schedule=Cosine()))[2]
    assert of_noise[-1] == 0.0 and (of_noise[:-1] > 0).all()


def test_ddim_is_eulers_method_for_flow_matching():
    """`z_s = z_t + (t_s - t_t) u` in the coordinates `z / (alpha + sigma)`, `t = sigma / (alpha + sigma)`."""
    step, z, x = a_step(schedule=FlowMatching(epsilon=0.0)), normal(0), normal(1)
    alpha_t, sigma_t, alpha_s, sigma_s = (np.asarray(part)[None, :, None, None, None] for part in ends(step))
    u = flow_from_x(z, x, step.logsnr_t)
    time = sigma_s / (alpha_s + sigma_s) - sigma_t / (alpha_t + sigma_t)
    euler = (z / (alpha_t + sigma_t) + time * u) * (alpha_s + sigma_s)
    moved = Ddim().step(lambda *_: x, z, (), step, None)[0]
    np.testing.assert_allclose(moved, euler, rtol=1e-11, atol=1e-14)


def test_churn_takes_a_frame_back_to_a_higher_noise_level():
    """`rho` grows by `1 + churn`, the noise by `noise_scale` beyond the marginals, only in the interval."""
    step, scale = a_step(), 1.1
    low, high = float(step.logsnr_t[0, 1]) - 0.1, float(step.logsnr_t[0, 3]) + 0.1
    solver = Heun(churn=0.4, churn_low=low, churn_high=high, noise_scale=scale)
    shown = []
    z, noise = normal(0), normal(1)
    solver.step(lambda z, clock: shown.append((z, clock)) or z, z, (), step, lambda _: noise)
    seen, clock = shown[0]
    back = np.asarray([0, 1, 1, 1, 0], bool)
    np.testing.assert_allclose(clock[0], step.logsnr_t[0] - 2 * np.log(1.4) * back, rtol=1e-14)
    np.testing.assert_array_equal(seen[:, ~back], z[:, ~back])
    (alpha_t, sigma_t), (alpha, sigma) = alpha_sigma(step.logsnr_t[0]), alpha_sigma(clock[0])
    # EDM's own coordinates: z / alpha is given the variance that separates the two levels.
    added = scale * np.sqrt((sigma / alpha) ** 2 - (sigma_t / alpha_t) ** 2)
    edm = z / alpha_t[None, :, None, None, None] + added[None, :, None, None, None] * noise
    expected = alpha[None, :, None, None, None] * edm
    np.testing.assert_allclose(seen[:, back], expected[:, back], rtol=1e-9)


@every_solver
def test_experiments_know_a_solver_by_its_short_name(solver):
    encoded = codec.encode(solver)
    kind, name = encoded["type"].split(".")
    assert kind == "solver" and name.replace("_", "") == type(solver).__name__.lower()
    assert codec.decode(json.loads(json.dumps(encoded, allow_nan=False))) == solver


def test_which_solvers_draw_noise():
    noisy = [solver for solver in SOLVERS if draws_noise(solver)]
    assert noisy == [solver for solver in SOLVERS if solver.noise != "none"]
    assert noisy == [s for s in SOLVERS if getattr(s, "eta", 0) or isinstance(s, Ancestral)] + [
        s for s in SOLVERS if getattr(s, "churn", 0)
    ]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Ddim(eta=-0.1), "eta lies between 0 and 1"),
        (lambda: Ddim(eta=1.1), "eta lies between 0 and 1"),
        (lambda: Ancestral(interpolation=2.0), "interpolated in"),
        (lambda: DpmSolverPlusPlus(order=0), "order is a whole number from 1 to 4"),
        (lambda: DpmSolverPlusPlus(order=5), "order is a whole number from 1 to 4"),
        (lambda: DpmSolverPlusPlus(eta=1.5), "eta lies between 0 and 1"),
        (lambda: UniPC(order=5), "UniPC's order is a whole number"),
        (lambda: Deis(order=0), "DEIS's order is a whole number"),
        (lambda: Heun(churn=-0.1), "churn lies between 0 and sqrt"),
        (lambda: Heun(churn=0.5), "churn lies between 0 and sqrt"),
        (lambda: Heun(churn_low=1.0, churn_high=0.0), "must lie below its churn_high"),
        (lambda: Heun(noise_scale=0.0), "noise_scale is a positive number"),
        (lambda: TimeShift(variance=0.3, reach=-1.0), "reach in logsnr is finite and not negative"),
        (lambda: TimeShift(variance=0.3, reach=float("inf")), "reach in logsnr is finite and not negative"),
        (lambda: TimeShift(variance=0.3, low=0.0), "the least slope, is positive"),
        (lambda: TimeShift(variance=1.0), "cannot tell the noise level of frames of mean square 1.0"),
    ],
)
def test_bad_parameters(build, words):
    with pytest.raises(InputError, match=words):
        build()
