"""Multistep solvers against closed forms and a scalar sampler; histories that belong to their frames."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from rolling.noise import Cosine, alpha_sigma
from rolling.oracle import UNCLIPPED
from rolling.solvers import Ancestral, Ddim, Deis, DpmSolverPlusPlus, DpmSolverPlusPlus2S, Heun, UniPC
from rolling.solvers.exponential import node_weights
from tests.solver_tools import MULTISTEP, a_step, normal, trajectory

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("double")]


def integral(nodes, h, rate):
    """The weights of Lagrange's polynomials by other means."""

    def weight(i):
        others = np.delete(nodes, i)
        basis = lambda tau: np.prod((tau - others) / (nodes[i] - others))  # noqa: E731
        kernel = lambda tau: rate * np.exp(rate * (tau - h)) * basis(tau)  # noqa: E731
        return quad(kernel, 0, h, epsabs=1e-13, epsrel=1e-12)[0]

    return [weight(i) for i in range(len(nodes))]


@pytest.mark.parametrize("rate", [1.0, 1.4, 2.0, -1.0])
def test_weights_are_the_integrals_of_lagranges_polynomials(rate):
    """Each frame with its own nodes, step and number of nodes; steps from 1e-3 to 4."""
    nodes = np.asarray([[0, 0.4, -0.7, -1.9], [0, -0.3, -0.5, -np.inf], [0, 1e-3, -np.inf, -np.inf]])
    counted, h = np.isfinite(nodes), np.asarray([0.4, 4.0, 1e-3])
    found = node_weights(jnp.asarray(nodes)[None], jnp.asarray(counted)[None], jnp.asarray(h)[None], rate)[0]
    for i in range(3):
        expected = integral(nodes[i][counted[i]], h[i], rate)
        np.testing.assert_allclose(found[i][counted[i]], expected, rtol=1e-10, atol=1e-15)
        np.testing.assert_array_equal(found[i][~counted[i]], 0.0)


def test_2m_by_hand():
    """`(sigma_s / sigma_t) z + alpha_s ((1 - e^-h) x + (h - 1 + e^-h) (x - x_prev) / h_prev)`."""
    z, x, before = normal(0), normal(1), normal(2)
    step = a_step(tau_t=(0.9, 0.8, 0.5, 0.3, 0.2), tau_s=(0.8, 0.4, 0.3, 0.1, 0.1))
    h_before = jnp.asarray([[0.5, 1.0, 0.2, 0.3, 2.0]] * 2)
    history = DpmSolverPlusPlus().init(z).push(before, step.logsnr_t - 2 * h_before)
    moved, history = DpmSolverPlusPlus().step(lambda *_: x, z, history, step, None)
    h = (step.logsnr_s - step.logsnr_t) / 2
    (_, sigma_t), (alpha_s, sigma_s) = map(alpha_sigma, (step.logsnr_t, step.logsnr_s))
    ratio, of_x, of_slope = (
        np.asarray(part)[..., None, None, None]
        for part in (sigma_s / sigma_t, -alpha_s * np.expm1(-h), alpha_s * (h - 1 + np.exp(-h)) / h_before)
    )
    np.testing.assert_allclose(moved, ratio * z + of_x * x + of_slope * (x - before), rtol=1e-11)
    np.testing.assert_array_equal(history.values[0], x)
    np.testing.assert_array_equal(history.logsnr, np.broadcast_to(step.logsnr_t[..., None], (2, 5, 1)))


class Textbook:
    """One noise level, plain numbers, each formula as its paper has it; weights by adaptive quadrature."""

    def __init__(self, logsnr, denoise):
        self.lam = logsnr / 2
        self.alpha, self.sigma = (np.asarray(part) for part in alpha_sigma(jnp.asarray(logsnr)))
        self.denoise = denoise

    def integrate(self, i, j, nodes, values, rate):
        """`int rate e^{rate (lambda - lambda_j)} p dlambda` from `lambda_i` to `lambda_j`."""
        weights = integral(self.lam[nodes] - self.lam[i], self.lam[j] - self.lam[i], rate)
        return sum(w * values[n] for w, n in zip(weights, nodes, strict=True))

    def exponential(self, z, i, j, nodes, x):
        return self.sigma[j] / self.sigma[i] * z + self.alpha[j] * self.integrate(i, j, nodes, x, 1.0)

    def nodes(self, i, order):
        return [n for n in range(i, max(i - order, -1), -1) if np.isfinite(self.lam[n])]

    def first(self, i):
        return i == len(self.lam) - 2 or not np.isfinite(self.lam[i])

    def step(self, solver, z, i, x, start):
        order = getattr(solver, "order", 1)
        if isinstance(solver, UniPC):
            past = [n for n in range(i - 1, max(i - 1 - order, -1), -1) if np.isfinite(self.lam[n])]
            if i > 0 and past and past[0] == i - 1:
                z = self.exponential(start[i - 1], i - 1, i, [i, *past], x)
        start[i] = z
        alpha_s, sigma_s, sigma_t = self.alpha[i + 1], self.sigma[i + 1], self.sigma[i]
        eps = (z - self.alpha[i] * x[i]) / sigma_t
        if self.first(i):
            return alpha_s * x[i] + sigma_s * eps
        if isinstance(solver, Deis):
            past = {n: (start[n] - self.alpha[n] * x[n]) / self.sigma[n] for n in self.nodes(i, order)}
            moved = self.integrate(i, i + 1, self.nodes(i, order), past, -1.0)
            return alpha_s / self.alpha[i] * z + sigma_s * moved
        if isinstance(solver, Heun):
            # In EDM's own coordinates.
            rho_t, rho_s = sigma_t / self.alpha[i], sigma_s / alpha_s
            slope = (z / self.alpha[i] - x[i]) / rho_t
            euler = z / self.alpha[i] + (rho_s - rho_t) * slope
            there = (euler - self.denoise(alpha_s * euler)) / rho_s
            return alpha_s * (z / self.alpha[i] + (rho_s - rho_t) * (slope + there) / 2)
        if isinstance(solver, DpmSolverPlusPlus2S):
            h = self.lam[i + 1] - self.lam[i]
            alpha_m, sigma_m = (float(part) for part in alpha_sigma(jnp.asarray(self.lam[i : i + 2].sum())))
            middle = sigma_m / sigma_t * z - alpha_m * np.expm1(-h / 2) * x[i]
            return sigma_s / sigma_t * z - alpha_s * np.expm1(-h) * self.denoise(middle)
        return self.exponential(z, i, i + 1, self.nodes(i, order), x)

    def sampled(self, solver, z):
        start, x = {}, {}
        for i in range(len(self.lam) - 1):
            x[i] = self.denoise(z)
            z = self.step(solver, z, i, x, start)
        return z


def bounded(z, logsnr=None):
    return jnp.tanh(z)


@pytest.mark.parametrize(
    "solver",
    [DpmSolverPlusPlus(order=3), Deis(), UniPC(), UniPC(order=3), Heun(), DpmSolverPlusPlus2S()],
    ids=repr,
)
@pytest.mark.parametrize("schedule", [Cosine(), UNCLIPPED], ids=["clipped", "unclipped"])
def test_equal_clocks_are_the_scalar_sampler(solver, schedule):
    grid = jnp.linspace(1.0, 0.0, 8)
    z = normal(0)[:1]
    book = Textbook(np.asarray(schedule.logsnr(grid)), np.tanh)
    expected = book.sampled(solver, np.asarray(z))
    tau = jnp.broadcast_to(grid[:, None, None], (8, 1, 5))
    found = trajectory(solver, bounded, schedule, z, tau, jnp.zeros((7, *z.shape)))[-1]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("solver", MULTISTEP, ids=repr)
def test_a_history_belongs_to_its_frame(solver):
    """Frames with and without a history side by side: each goes on as it would alone, to the bit."""
    z, history = normal(0), solver.init(normal(0))
    levels = [0.9, 0.8, 0.65, 0.5]
    for i, (high, low) in enumerate(itertools.pairwise(levels)):
        step = a_step([high] * 5, [low] * 5)
        z, history = solver.step(bounded, z, history, step, lambda _, i=i: normal(5 + i))
    step, fresh = a_step([0.5] * 5, [0.3] * 5), solver.init(z)
    own = jnp.asarray([True, False, True, False, False])

    def choose(old, new):
        return jnp.where(own.reshape(1, 5, *[1] * (old.ndim - 2)), old, new)

    def moved(history):
        return np.asarray(solver.step(bounded, z, history, step, lambda _: normal(9))[0])

    mixed, seasoned, new = moved(jax.tree.map(choose, history, fresh)), moved(history), moved(fresh)
    np.testing.assert_array_equal(mixed[:, own], seasoned[:, own])
    np.testing.assert_array_equal(mixed[:, ~own], new[:, ~own])
    assert (np.abs(seasoned - new) > 1e-6).mean() > 0.9


def test_a_fresh_frame_and_the_last_step_are_of_first_order():
    z, step = normal(0), a_step()
    first = Ddim().step(bounded, z, (), step, None)[0]
    sde = Ancestral().step(bounded, z, (), step, lambda _: normal(3))[0]
    for solver in (DpmSolverPlusPlus(order=4), DpmSolverPlusPlus(eta=1.0), Deis(), UniPC(corrector=False)):
        expected = sde if getattr(solver, "eta", 0) else first
        fresh, _ = solver.step(bounded, z, solver.init(z), step, lambda _: normal(3))
        np.testing.assert_allclose(fresh, expected, rtol=1e-12, atol=1e-13)
        seen = jax.tree.map(
            lambda part: jnp.full_like(part, -4.0) if part.ndim == 3 else normal(1), solver.init(z)
        )
        later, _ = solver.step(bounded, z, seen, step, lambda _: normal(3))
        np.testing.assert_allclose(later[:, [0, -1]], expected[:, [0, -1]], rtol=1e-12, atol=1e-13)
        assert (np.abs(later - expected)[:, 1:-1] > 1e-6).all()
