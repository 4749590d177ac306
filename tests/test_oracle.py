"""Every window with every solver on the linear-Gaussian sequence, without sampling error."""

import dataclasses

import jax
import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.noise import Cosine
from rolling.oracle import Oracle, autoregressive_covariance, exact_denoiser
from rolling.solvers import Ancestral, Ddim, DpmSolverPlusPlus
from rolling.windows import FullSequence, Rolling

AR2 = (1.6, -0.8)


def error(**changes) -> float:
    return Oracle(**changes).max_covariance_error()


def test_covariance_of_an_autoregressive_process():
    lags = np.abs(np.subtract.outer(np.arange(7), np.arange(7)))
    np.testing.assert_allclose(autoregressive_covariance((0.9,), 7), 0.9**lags, rtol=1e-13)
    # AR(2): rho_1 = a / (1 - b), then the recursion; checked against a long simulation, too.
    rho = [1.0, 1.6 / 1.8]
    while len(rho) < 7:
        rho.append(1.6 * rho[-1] - 0.8 * rho[-2])
    np.testing.assert_allclose(autoregressive_covariance(AR2, 7), np.asarray(rho)[lags], rtol=1e-12)
    noise, x = np.random.default_rng(0).normal(size=200_000), [0.0, 0.0]
    for value in noise:
        x.append(1.6 * x[-1] - 0.8 * x[-2] + value)
    x = np.asarray(x[1000:])
    sample = [np.mean(x[k:] * x[: len(x) - k]) / np.var(x) for k in range(7)]
    np.testing.assert_allclose(sample, rho, atol=0.02)


def test_the_exact_denoiser_is_the_conditional_mean():
    """Against the regression of `x` on `z`; clean frames condition, frames of pure noise drop out."""
    with jax.enable_x64(True):
        covariance, rng = autoregressive_covariance((0.9,), 4), np.random.default_rng(0)
        logsnr, z = np.asarray([[np.inf, 1.0, -2.0, -np.inf]]), rng.normal(size=(1, 4, 2, 1, 1))
        found = exact_denoiser(jax.numpy.asarray(covariance))(jax.numpy.asarray(z), jax.numpy.asarray(logsnr))
        alpha, sigma = np.sqrt(1 / (1 + np.exp(-logsnr[0]))), np.sqrt(1 / (1 + np.exp(logsnr[0])))
    joint = alpha[:, None] * covariance * alpha + np.diag(sigma**2)
    gain = np.linalg.solve(joint[:3, :3], (covariance * alpha)[:, :3].T).T
    np.testing.assert_allclose(found[0, :, :, 0, 0], gain @ z[0, :3, :, 0, 0], rtol=1e-10)
    np.testing.assert_allclose(found[0, 0], z[0, 0], rtol=1e-10)


@pytest.mark.parametrize(("calls", "value"), [(8, 0.0606), (32, 0.0155), (128, 0.00390)])
def test_reference_values(calls, value):
    """AR(1), a = 0.9, W = 6, n = 1, unclipped cosine, DDIM, 40 frames: first-order fall."""
    assert error(calls_per_frame=calls) == pytest.approx(value, rel=2e-3)


@pytest.mark.slow
def test_a_bias_remains_without_context():
    """The clean past is forgotten: the error stops falling near 0.039."""
    errors = [error(window=Rolling(size=6, context=0), calls_per_frame=calls) for calls in (128, 512)]
    assert errors[1] == pytest.approx(0.039, abs=5e-4)
    assert errors[0] - errors[1] < 0.04 * errors[1]


def test_a_process_of_second_order_needs_two_frames_of_context():
    def at(context, calls):
        return error(window=Rolling(size=6, context=context), calls_per_frame=calls, correlation=AR2)

    assert at(1, 128) == pytest.approx(0.110, abs=1e-3)  # 0.115 at 32 calls: it does not fall
    assert at(2, 32) == pytest.approx(0.0213, rel=1e-2)
    assert at(2, 128) == pytest.approx(0.0213 / 4, rel=2e-2)


def test_history_crosses_a_shift_with_its_frame():
    """One call for each frame: there are earlier predictions only in the history that came along."""
    setting = {"window": Rolling(size=24, context=1), "calls_per_frame": 1}
    first = error(**setting, solver=Ddim())
    second = error(**setting, solver=DpmSolverPlusPlus())
    assert first == pytest.approx(0.1241, abs=5e-4)
    assert second == pytest.approx(0.0290, abs=2e-4)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forgetful(DpmSolverPlusPlus):
    """2M that drops its history after every step."""

    def step(self, denoise, z, history, step, noise):
        return super().step(denoise, z, history, step, noise)[0], self.init(z)


@pytest.mark.slow
def test_2m_without_its_history_is_ddim():
    setting = {"window": Rolling(size=8, context=1), "calls_per_frame": 1, "frames": 12}
    forgetful = Oracle(**setting, solver=Forgetful()).coefficients()
    np.testing.assert_allclose(forgetful, Oracle(**setting).coefficients(), atol=1e-12)


def test_ancestral_is_ddim_with_eta_one():
    """The same linear map of the same noise, in a rollout with a stochastic solver."""
    setting = {"window": Rolling(size=4, context=1), "calls_per_frame": 2, "frames": 8}
    first = Oracle(**setting, solver=Ancestral()).coefficients()
    second = Oracle(**setting, solver=Ddim(eta=1.0)).coefficients()
    np.testing.assert_allclose(first, second, atol=1e-12)
    assert np.abs(first).max() > 0.1


@pytest.mark.parametrize("solver", [Ddim(), DpmSolverPlusPlus()], ids=repr)
def test_chunks_without_context_are_exact_and_independent(solver):
    oracle = Oracle(window=FullSequence(size=4, context=0), solver=solver, calls_per_frame=64, frames=8)
    z = oracle.coefficients()
    covariance = z @ z.T
    for block in (covariance[:4, :4], covariance[4:, 4:]):
        np.testing.assert_allclose(block, autoregressive_covariance((0.9,), 4), atol=0.02)
    np.testing.assert_array_equal(covariance[:4, 4:], 0.0)


@pytest.mark.slow
def test_a_clipped_schedule_costs_its_last_noise():
    """Clipping at logsnr 4 leaves alpha^2 = 0.982 of the signal, and DDIM keeps what noise there is."""
    settings = {"calls_per_frame": 32, "solver": DpmSolverPlusPlus()}
    unclipped, mild, hard = (
        error(**settings, schedule=Cosine(minimum=low, maximum=high))
        for low, high in ((-np.inf, np.inf), (-15.0, 15.0), (-15.0, 4.0))
    )
    assert mild == pytest.approx(unclipped, abs=2e-3)
    assert hard > 5 * unclipped


def test_the_number_of_frames_does_not_change_them():
    short, long = (Oracle(calls_per_frame=4, frames=frames).coefficients() for frames in (7, 23))
    np.testing.assert_allclose(short @ short.T, (long @ long.T)[:8, :8], atol=1e-12)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: error(correlation=(1.0,)), "no stationary process"),
        (lambda: error(correlation=(1.6, 0.8)), "no stationary process"),
        (lambda: error(correlation=()), "no stationary process"),
        (lambda: error(calls_per_frame=0), "choose a whole multiple of 1"),
        (lambda: error(frames=0), "at least one frame"),
    ],
)
def test_bad_parameters(build, words):
    with pytest.raises(InputError, match=words):
        build()
