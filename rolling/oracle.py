"""The linear-Gaussian sequence, for which every denoiser is known: the proof of everything but the network.

Let `x ~ N(0, K)` be an autoregressive process in time. For any clocks, with `A = diag(alpha)` and
`S = diag(sigma)`, the exact denoiser is `D(z) = K A (A K A + S^2)^-1 z`: linear, so that a sampler is a
linear map of all the noise that it draws. The map itself is rolled out, by the very loop that rolls out
networks: channel `c` of a frame is its coefficient of the `c`-th noise variable. The covariance of the
result is then compared with `K` without any sampling error.
"""

import dataclasses
from collections.abc import Callable

import einops
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rolling.common.errors import InputError
from rolling.denoisers import Denoiser
from rolling.losses import Elbo, frame_weights
from rolling.noise import Cosine, NoiseSchedule, alpha_sigma
from rolling.noise.prior import CONTEXT, FRESH, RESTART, covariance
from rolling.sampling.recipe import Sampling
from rolling.sampling.rollout import Rollout
from rolling.sampling.sampler import Sampler
from rolling.windows import Rolling, SampledTimes, Window, warmup_steps

UNCLIPPED = Cosine(minimum=-np.inf, maximum=np.inf)


def autoregressive_covariance(coefficients: tuple[float, ...], frames: int) -> np.ndarray:
    """`K [frames, frames]` of `x_i = sum_j a_j x_{i-j} + noise`, stationary, with variance 1.

    AR(1) has `K_ij = a^|i-j|`. Raises `InputError` where the process is not stationary.
    """
    a = np.asarray(coefficients, dtype=float)
    order = len(a)
    # The process is stationary where all roots of z^p - a_1 z^(p-1) - ... - a_p lie in the unit circle.
    if order == 0 or np.abs(np.roots([1.0, *-a])).max(initial=0.0) >= 1:
        raise InputError(f"the autoregressive coefficients {tuple(coefficients)} give no stationary process")
    # Yule-Walker: rho_k = sum_j a_j rho_|k-j| for k = 1 .. order, with rho_0 = 1.
    system, right = np.eye(order), np.zeros(order)
    for k in range(1, order + 1):
        for j in range(1, order + 1):
            lag = abs(k - j)
            if lag == 0:
                right[k - 1] += a[j - 1]
            else:
                system[k - 1, lag - 1] -= a[j - 1]
    rho = [1.0, *np.linalg.solve(system, right)]
    while len(rho) < frames:
        rho.append(float(np.dot(a, rho[-1 : -order - 1 : -1])))
    return np.asarray(rho)[np.abs(np.subtract.outer(np.arange(frames), np.arange(frames)))]


def exact_denoiser(
    covariance: Float[Array, "window window"], noise: Float[Array, "window window"] | None = None
) -> Denoiser:
    """`D(z) = K A (A K A + S C S)^-1 z` for frames `[batch, window, ...]` and clocks `[1 or batch, window]`.

    `C` is the covariance of the noise, the identity where none is given. Clean frames (`S = 0`) condition,
    frames of pure noise (`A = 0`) drop out by themselves.
    """
    k = covariance[None]
    c = jnp.eye(len(covariance))[None] if noise is None else noise[None]

    def denoise(z, logsnr, condition=None):
        alpha, sigma = alpha_sigma(logsnr)
        noisy = alpha[:, :, None] * k * alpha[:, None, :] + sigma[:, :, None] * c * sigma[:, None, :]
        flat = z.reshape(*z.shape[:2], -1)
        solved = jnp.linalg.solve(jnp.broadcast_to(noisy, (z.shape[0], *noisy.shape[1:])), flat)
        return ((k * alpha[:, None, :]) @ solved).reshape(z.shape)

    return denoise


def told(denoiser: Denoiser, old: int) -> Denoiser:
    """A denoiser of the `old` frames of `Condition.memory`, which are clean, and of those of the window after
    them, as one of the window alone."""

    def denoise(z, logsnr, condition):
        known = einops.rearrange(condition.memory, "b ... (t c) -> b t ... c", t=old)
        clean = jnp.full((len(logsnr), old), jnp.inf, logsnr.dtype)
        frames, clocks = jnp.concatenate([known, z], axis=1), jnp.concatenate([clean, logsnr], axis=1)
        return denoiser(frames, clocks, condition)[:, old:]

    return denoise


@dataclasses.dataclass(frozen=True)
class Basis:
    """Noise whose draws are unit vectors: one channel for each variable that a rollout may draw.

    The first `given` channels carry the given frames; then come, for each of the frames `-before ..
    frames - 1`, its fresh noise, the noise that it is shown with as context, and those of stochastic solvers
    and of restarts. A frame lives for at most `lifetime` consecutive steps and `restarts` restarts, so that
    their numbers modulo these tell its draws apart.
    """

    given: int
    before: int
    frames: int
    lifetime: int
    restarts: int = 0
    others: int = 0
    """Channels behind these, of other bases."""

    @property
    def kinds(self) -> int:
        """Noise variables of a frame."""
        return 2 + self.lifetime + self.restarts

    @property
    def channels(self) -> int:
        return self.given + (self.before + self.frames) * self.kinds + self.others

    def __call__(self, key, frame, fold, shape, dtype):
        index = self.given + (frame + self.before) * self.kinds + self._kind(fold)
        return jax.nn.one_hot(index, self.channels, dtype=dtype)[None, :, None, None, :]

    def _kind(self, fold):
        if isinstance(fold, int):
            return {FRESH: 0, CONTEXT: 1}[fold]
        step, restart = fold % max(self.lifetime, 1), (RESTART - fold) % max(self.restarts, 1)
        return 2 + jnp.where(fold > 0, step, self.lifetime + restart)


def _cycles(window: Window) -> int:
    """In which a frame is in the window, at most."""
    return -(-window.size // window.stride) + 1


def lifetime(recipe: Sampling) -> int:
    """Steps in which a frame is in the window, at most, with those of restarts; 0 where none draws noise."""
    if recipe.solver.noise == "none":
        return 0
    again = recipe.restart.times * recipe.restart.steps(recipe.cycle_steps)
    warmup = warmup_steps(recipe.window, recipe.cycle_steps)
    return warmup + again + _cycles(recipe.window) * (recipe.cycle_steps + again)


def check_emitted(frames: int) -> None:
    """Raises `InputError` where nothing is to be rolled out."""
    if frames < 1:
        raise InputError(f"the oracle rolls out at least one frame: choose frames >= 1, not {frames}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Oracle(Sampling):
    """A way of sampling, and the process that it is tried on.

    `correlation` holds the coefficients of the autoregressive process: one for AR(1), and so on; `frames`
    counts the emitted frames. With `--modalities 1,4` there are two processes at their own rates
    (`rolling.joint_oracle`).
    """

    window: Window = Rolling(size=6, context=1)
    schedule: NoiseSchedule = UNCLIPPED
    calls_per_frame: int | float = 8
    correlation: tuple[float, ...] = (0.9,)
    """Coefficients of the autoregressive process: one for AR(1), and so on."""
    frames: int = 40
    """Emitted frames whose covariance is compared."""

    def __post_init__(self):
        super().__post_init__()
        check_emitted(self.frames)

    def _basis(self) -> Basis:
        window = self.window
        return Basis(
            given=self.given_frames,
            before=self.noise.memory + window.size,
            frames=self.given_frames + self.frames + window.size + window.stride,
            lifetime=lifetime(self),
            restarts=(1 + _cycles(window)) * self.restart.times,
        )

    def coefficients(self, denoiser: Denoiser | None = None) -> np.ndarray:
        """`[given + frames, noise]`: given and emitted frames as linear maps of the noise, float64.

        The denoiser is the exact one, unless another that is linear in `z` is given.
        """
        basis, given = self._basis(), self.given_frames
        sampler = Sampler(self, basis)
        with jax.enable_x64(True):
            denoise = denoiser or self._exact()
            known = np.zeros((1, given, 1, 1, basis.channels))
            if given:
                past = autoregressive_covariance(self.correlation, given)
                known[0, :, 0, 0, :given] = np.linalg.cholesky(past)
            rollout = Rollout(sampler, lambda _: denoise)
            key = jax.random.split(jax.random.key(0), 1)
            chunks = rollout.chunks(None, jnp.asarray(known), key, self.frames)
            emitted = [np.asarray(chunk.frames)[0, :, 0, 0] for chunk in chunks]
        return np.concatenate([known[0, :, 0, 0], *emitted])

    def _exact(self) -> Denoiser:
        """The exact denoiser of what the network sees: the window, or a part of it, and old frames."""
        seen, ages = self.partition.frames(self.window), self.memory.ages
        noise = covariance(self.noise, seen)
        if not ages:
            return exact_denoiser(jnp.asarray(autoregressive_covariance(self.correlation, seen)), noise)
        kept, old = self.memory.frames(self.window), len(ages)
        places = [kept - before for before in self.memory.before(self.window)]
        places += range(kept, kept + seen)
        process = autoregressive_covariance(self.correlation, kept + seen)[np.ix_(places, places)]
        noise = jax.scipy.linalg.block_diag(jnp.eye(old, dtype=noise.dtype), noise)
        return told(exact_denoiser(jnp.asarray(process), noise), old)

    def errors(self) -> dict[str, float]:
        """What is printed of it."""
        return {"max_covariance_error": self.max_covariance_error()}

    def max_covariance_error(self, denoiser: Denoiser | None = None) -> float:
        """The largest `|Z Z^T - K|` over the given and the emitted frames, `Z` the coefficients."""
        z = self.coefficients(denoiser)
        return float(np.abs(z @ z.T - autoregressive_covariance(self.correlation, len(z))).max())


def elbo_along(
    clocks: Callable[[Float[Array, " time"]], Float[Array, "time window"]],
    schedule: NoiseSchedule,
    process: np.ndarray,
    nodes: int = 2000,
) -> float:
    """`int_0^1 sum_k w_k E |x_k - D_k|^2 dt` of the ELBO along a path of clocks, by the midpoint rule.

    With the exact denoiser it depends on the ends of the path only; `rolling.losses` supplies the weights.
    """
    with jax.enable_x64(True):
        t = (jnp.arange(nodes) + 0.5) / nodes
        tau, rate = jax.jvp(clocks, (t,), (jnp.ones_like(t),))
        alpha, sigma = alpha_sigma(schedule.logsnr(tau))
        k = jnp.asarray(process)[None]
        noisy = alpha[:, :, None] * k * alpha[:, None, :] + jax.vmap(jnp.diag)(sigma**2)
        gain = k * alpha[:, None, :]
        posterior = k - gain @ jnp.linalg.solve(noisy, jnp.swapaxes(gain, 1, 2))
        error = jnp.diagonal(posterior, axis1=1, axis2=2)
        return float(jnp.mean(jnp.sum(frame_weights(Elbo(), schedule, SampledTimes(tau, rate)) * error, 1)))
