"""One step, and the flow map of many: orders of convergence, closed forms, the scalar sampler."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rolling.denoisers import NOTHING
from rolling.errors import InputError
from rolling.noise import Cosine, Edm, FlowMatching, LinearBeta, alpha_sigma
from rolling.oracle import UNCLIPPED, autoregressive_covariance, draws_noise, exact_denoiser
from rolling.sampler import Carry, Sampler
from rolling.solvers import Ancestral, Ddim, DpmSolverPlusPlus2M, Solver, step_between
from rolling.windows import FullSequence, Rolling

pytestmark = pytest.mark.usefixtures("quick_compilation")
SOLVERS = [
    Ddim(),
    Ddim(eta=0.5),
    Ddim(eta=1.0),
    Ancestral(),
    Ancestral(interpolation=0.3),
    DpmSolverPlusPlus2M(),
]
every_solver = pytest.mark.parametrize("solver", SOLVERS, ids=repr)
SHAPE = (2, 5, 3, 2, 1)


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def normal(seed: int, shape=SHAPE):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def a_step(tau_t=(1.0, 0.9, 0.5, 0.3, 0.2), tau_s=(0.8, 0.4, 0.3, 0.1, 0.0), schedule=UNCLIPPED):
    return step_between(schedule, jnp.asarray([tau_t]), jnp.asarray([tau_s]))


def flow_map(solver, steps: int) -> np.ndarray:
    """The linear map of a sweep of the rolling clocks from `t = 0.97` to `t = 0.03`, for AR(1)."""
    window = Rolling(size=6, context=1)
    denoise = exact_denoiser(jnp.asarray(autoregressive_covariance((0.9,), window.size)))
    tau = window.cycle(jnp.linspace(0.97, 0.03, steps + 1))[:, None]
    z = jnp.eye(window.size)[None, :, None, None, :]

    def advance(state, step):
        moved = solver.step(denoise, *state, step, lambda draw: z)
        return jax.tree.map(step.hold, moved, state), None

    start = (z, solver.init(z))
    plan = step_between(UNCLIPPED, tau[:-1], tau[1:])
    return np.asarray(jax.jit(lambda start, plan: jax.lax.scan(advance, start, plan)[0][0])(start, plan))


@pytest.fixture(scope="module")
def exact_flow():
    with jax.enable_x64(True):
        return flow_map(DpmSolverPlusPlus2M(), 10_000)


@pytest.mark.parametrize(("solver", "order"), [(Ddim(), 1.0), (DpmSolverPlusPlus2M(), 2.0)])
def test_order_of_convergence(solver, order, exact_flow):
    coarse, fine = (np.abs(flow_map(solver, steps) - exact_flow).max() for steps in (64, 128))
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.15)


@every_solver
@pytest.mark.parametrize(
    "schedule", [Cosine(), UNCLIPPED, Edm(), Edm(rho=-10.0), FlowMatching(epsilon=0.0), LinearBeta()]
)
def test_the_true_denoiser_is_followed_to_the_frame(solver, schedule):
    """With `D = x` every solver ends at `x`, up to the noise that the schedule leaves there."""
    assert isinstance(solver, Solver)
    x = normal(0)
    left = np.asarray(alpha_sigma(schedule.logsnr(jnp.asarray(0.0)))[1])
    z, history = normal(1), solver.init(x)
    tau = np.linspace(1, 0, 9)[:, None, None] * np.ones((1, 1, 5))
    for i in range(8):
        step = step_between(schedule, jnp.asarray(tau[i]), jnp.asarray(tau[i + 1]))
        z, history = solver.step(lambda *_: x, z, history, step, lambda _, i=i: normal(2 + i))
    assert np.abs(z - x).max() <= 6 * left + 1e-12


def moments(solver, step):
    """Coefficients of `(z, x, noise)` in a step of a solver without history: `[3, time]`."""
    unit, nothing = jnp.ones((1, 5, 1, 1, 1)), jnp.zeros((1, 5, 1, 1, 1))

    def run(z, x, noise):
        return solver.step(lambda *_: x, z, solver.init(z), step, lambda _: noise)[0]

    cases = np.eye(3)
    return np.stack([np.ravel(run(*(unit * c if c else nothing for c in case))) for case in cases])


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_keeps_the_marginals(eta):
    """`z_s` has the mean `alpha_s x` and the variance `sigma_s^2`, of which `eta^2 r sigma_s^2` is new."""
    step = a_step()
    (alpha_t, sigma_t), (alpha_s, sigma_s) = map(alpha_sigma, (step.logsnr_t[0], step.logsnr_s[0]))
    of_z, of_x, of_noise = moments(Ddim(eta=eta), step)
    np.testing.assert_allclose(of_z * alpha_t + of_x, alpha_s, rtol=1e-12)
    np.testing.assert_allclose((of_z * sigma_t) ** 2 + of_noise**2, sigma_s**2, rtol=1e-12)
    r = 1 - (alpha_t * sigma_s / (sigma_t * alpha_s)) ** 2
    np.testing.assert_allclose(of_noise**2, eta**2 * r * sigma_s**2, rtol=1e-10)


def test_ancestral_is_ddim_with_eta_one():
    step = a_step()
    np.testing.assert_allclose(
        moments(Ancestral(), step), moments(Ddim(eta=1.0), step), rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("g", [0.0, 0.3, 1.0])
def test_ancestral_variance_is_interpolated_in_the_logarithm(g):
    step = a_step()
    (alpha_t, sigma_t), (alpha_s, sigma_s) = map(alpha_sigma, (step.logsnr_t[0], step.logsnr_s[0]))
    lower = sigma_s**2 - (alpha_t * sigma_s**2 / (sigma_t * alpha_s)) ** 2
    upper = sigma_t**2 - (alpha_t * sigma_s / alpha_s) ** 2
    expected = np.where(step.last[0], 0.0, lower ** (1 - g) * upper**g)
    np.testing.assert_allclose(moments(Ancestral(interpolation=g), step)[2] ** 2, expected, rtol=1e-10)


def test_ancestral_draws_nothing_in_the_last_step_of_a_clipped_schedule():
    of_noise = moments(Ancestral(interpolation=1.0), a_step(schedule=Cosine()))[2]
    assert of_noise[-1] == 0.0 and (of_noise[:-1] > 0).all()


def test_2m_is_of_first_order_for_fresh_frames_and_in_the_last_step():
    solver, z, step = DpmSolverPlusPlus2M(), normal(0), a_step()
    denoise = lambda z, logsnr: jnp.tanh(z)  # noqa: E731
    first = Ddim().step(denoise, z, (), step, None)[0]
    fresh, history = solver.step(denoise, z, solver.init(z), step, None)
    np.testing.assert_allclose(fresh, first, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(history.x, denoise(z, None))
    np.testing.assert_array_equal(history.h, np.broadcast_to((step.logsnr_s - step.logsnr_t) / 2, SHAPE[:2]))
    seen = history._replace(x=normal(1), h=jnp.full(SHAPE[:2], 0.7))
    second = solver.step(denoise, z, seen, step, None)[0]
    np.testing.assert_allclose(second[:, -1], first[:, -1], rtol=1e-12)
    assert (np.abs(second - first)[:, 1:-1] > 1e-4).all()


def test_2m_by_hand():
    """`z_s = (sigma_s / sigma_t) z - alpha_s expm1(-h) (x + (x - x_prev) / (2 r0))`, `r0 = h_prev / h`."""
    solver, z, x, before = DpmSolverPlusPlus2M(), normal(0), normal(1), normal(2)
    step = a_step(tau_t=(0.9, 0.8, 0.5, 0.3, 0.2), tau_s=(0.8, 0.4, 0.3, 0.1, 0.1))
    h_before = jnp.asarray([[0.5, 1.0, 0.2, 0.3, 2.0]] * 2)
    history = solver.init(z)._replace(x=before, h=h_before)
    moved = solver.step(lambda *_: x, z, history, step, None)[0]
    h = (step.logsnr_s - step.logsnr_t) / 2
    (_, sigma_t), (alpha_s, sigma_s) = map(alpha_sigma, (step.logsnr_t, step.logsnr_s))
    slope, ratio, gain = (
        np.asarray(part)[..., None, None, None]
        for part in (h / (2 * h_before), sigma_s / sigma_t, -alpha_s * np.expm1(-h))
    )
    np.testing.assert_allclose(moved, ratio * z + gain * (x + slope * (x - before)), rtol=1e-12)


@every_solver
def test_frames_that_stand_still_keep_their_bits(solver):
    """At both ends of an unclipped schedule, too, where the solver itself divides by zero."""
    tau_t, tau_s = (1.0, 1.0, 0.5, 0.5, 0.0), (1.0, 0.7, 0.5, 0.2, 0.0)
    step, z = a_step(tau_t, tau_s), normal(0)
    state = (z, jax.tree.map(lambda part: part + 0.25, solver.init(z)))
    moved = solver.step(lambda z, logsnr: jnp.tanh(z), *state, step, lambda draw: normal(draw + 3))
    held = jax.tree.map(step.hold, moved, state)
    assert step.moving.tolist() == [[False, True, False, True, False]]
    for new, old in zip(jax.tree.leaves(held), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(new[:, ::2], old[:, ::2])
        assert np.isfinite(new[:, 3]).all() and not np.isnan(new).any()
    assert (held[0][:, 1::2] != z[:, 1::2]).all()


def scalar_sampler(solver, z, schedule, steps, noise):
    """The sampler of a textbook, with one noise level and a formula for each of three solvers."""
    grid = jnp.asarray(1 - np.arange(steps + 1) / steps, z.dtype)
    x_before = h_before = None
    for i in range(steps):
        logsnr_t, logsnr_s = schedule.logsnr(grid[i]), schedule.logsnr(grid[i + 1])
        (alpha_t, sigma_t), (alpha_s, sigma_s) = alpha_sigma(logsnr_t), alpha_sigma(logsnr_s)
        x = jnp.tanh(z)
        if isinstance(solver, DpmSolverPlusPlus2M):
            h = (logsnr_s - logsnr_t) / 2
            second = i > 0 and i < steps - 1
            data = x + (h / (2 * h_before)) * (x - x_before) if second else x + 0.0
            z, x_before, h_before = sigma_s / sigma_t * z - alpha_s * jnp.expm1(-h) * data, x, h
        elif isinstance(solver, Ancestral):
            r = -jnp.expm1(logsnr_t - logsnr_s)
            mean = alpha_t * sigma_s**2 / (sigma_t**2 * alpha_s) * z + alpha_s * r * x
            z = mean + (jnp.sqrt(r * sigma_s**2) if i < steps - 1 else 0.0) * noise(i)
        else:
            z = alpha_s * x + sigma_s * ((z - alpha_t * x) / sigma_t)
    return z


def through_the_loop(solver, schedule, z, draws):
    """`z` swept from noise to data by the real loop, in 8 steps of equal clocks."""
    sampler = Sampler(
        window=FullSequence(size=4, context=0),
        schedule=schedule,
        solver=solver,
        calls_per_frame=2,
        generator=lambda key, frame, fold, shape, dtype: draws[fold - 1],
    )
    zero = jnp.zeros((), jnp.int32)
    key = jax.random.split(jax.random.key(0), len(z))
    carry = Carry(z=z, history=solver.init(z), first=zero, step=zero, key=key)
    return sampler.cycle(lambda z, logsnr, condition: jnp.tanh(z), carry, NOTHING).z


@pytest.mark.parametrize("solver", [Ddim(), Ancestral(), DpmSolverPlusPlus2M()], ids=repr)
@pytest.mark.parametrize("schedule", [Cosine(), UNCLIPPED], ids=["clipped", "unclipped"])
def test_equal_clocks_are_the_scalar_sampler_to_the_bit(solver, schedule):
    """Operation by operation, in single precision. A compiler contracts products and sums as it likes, and
    differently in differently shaped programs: compiled, the two agree to its rounding only."""
    with jax.enable_x64(False):
        z, draws = normal(0)[:, :4].astype(jnp.float32), jnp.stack([normal(10 + i)[:, :4] for i in range(8)])
        draws = draws.astype(jnp.float32)
        expected = scalar_sampler(solver, z, schedule, 8, draws.__getitem__)
        with jax.disable_jit():
            eager = through_the_loop(solver, schedule, z, draws)
        compiled = jax.jit(lambda z, draws: through_the_loop(solver, schedule, z, draws))(z, draws)
    assert eager.dtype == jnp.float32
    np.testing.assert_array_equal(eager, expected)
    np.testing.assert_allclose(compiled, expected, atol=2e-6)


def test_which_solvers_draw_noise():
    assert [draws_noise(solver) for solver in SOLVERS] == [False, True, True, True, True, False]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Ddim(eta=-0.1), "eta lies between 0 and 1"),
        (lambda: Ddim(eta=1.1), "eta lies between 0 and 1"),
        (lambda: Ancestral(interpolation=2.0), "interpolated in"),
    ],
)
def test_bad_parameters(build, words):
    with pytest.raises(InputError, match=words):
        build()
