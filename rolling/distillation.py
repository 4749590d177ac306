"""Few-step distillation on windows: one call for a whole *segment* of every frame's local time.

A sampler with `k` calls per frame divides a cycle into `k stride` steps, and the warm-up into as many steps
per unit of local time. Each step is a segment: with equal steps a frame passes through
`S = k (size - context)` of them, and at any moment every frame of the window is in a segment of its own. A
student is trained to predict an `x` that leads from anywhere in a segment to its end in one step, so that one
call per segment is as good as the teacher's many. Frames whose clock does not move are left unchanged.

Multistep consistency models: Heek, Hoogeboom and Salimans, arXiv 2403.06807. Moment matching: Salimans et
al., arXiv 2406.04103. Both have one clock for all; here each frame has its own.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from rolling.array_types import Clocks, Frames
from rolling.losses import Weighting, frame_weights, weighted_mean
from rolling.noise import NoiseSchedule, alpha_sigma, diffuse, eps_from_x, expand
from rolling.solvers import Ancestral, Step, first_order, step_between
from rolling.windows import SampledTimes, Window, rounded, stratified, warmup_steps

Denoise = Callable[[Frames, Clocks], Frames]
Places = Callable[[Float[Array, "*batch"]], tuple[Float[Array, "*batch"], Float[Array, "*batch"]]]


class Segments(NamedTuple):
    """Where each frame is in its segment: clocks `t`, cleaner clocks `s`, and those at the segment's end."""

    t: Float[Array, "batch time"]
    s: Float[Array, "batch time"]
    end: Float[Array, "batch time"]
    rate: Float[Array, "batch time"]
    """`dtau / dt` between `t` and the end: 0 for frames that do not move."""


def small_steps(count: int) -> Places:
    """`t` on a grid of `count` small steps per segment, its beginning included, and `s` one step later."""

    def places(share):
        left = jnp.minimum(jnp.floor(share * count), count - 1)
        return (left + 1) / count, left / count

    return places


def whole_segment(share: Float[Array, "*batch"]) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """`t` at the beginning of a segment, where a sampler calls the student, and `s` anywhere in it."""
    return jnp.ones_like(share), share


def segment_index(steps: int, u: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """Which of `steps` equal segments contains `u` in [0, 1): 0 is the last one that a sampler crosses."""
    return jnp.minimum(jnp.floor(u * steps), steps - 1)


def segments_at(
    clocks: Callable[[Float[Array, " batch"]], Float[Array, "batch time"]],
    steps: int,
    u: Float[Array, " batch"],
    places: Places,
) -> Segments:
    """The segment that contains the global time `u` in [0, 1), in a sweep of `steps` equal steps.

    `places` maps the share of the segment that is left at `u` to the shares left at `t` and `s`: 0 at its
    end.
    """

    def at(share):
        return rounded(clocks((segment + share) / steps))

    segment = segment_index(steps, u)
    of_t, of_s = places(u * steps - segment)
    t, end = at(of_t), at(jnp.zeros_like(of_t))
    return Segments(t, at(of_s), end, (t - end) * (steps / of_t)[:, None])


def sample_segments(
    window: Window,
    cycle_steps: int,
    places: Places,
    key: Key[Array, ""],
    batch: int,
    warmup_share: float = 0.1,
) -> Segments:
    """Segments of the warm-up with probability `warmup_share`, or of a cycle of `cycle_steps` steps."""
    time_key, phase_key = jax.random.split(key)
    u = stratified(time_key, batch)
    warm = jax.random.uniform(phase_key, (batch, 1)) < warmup_share
    return jax.tree.map(
        lambda one, other: jnp.where(warm, one, other),
        segments_at(window.warmup, warmup_steps(window, cycle_steps), u, places),
        segments_at(window.cycle, cycle_steps, u, places),
    )


def diffused_to(segments: Segments, x: Frames, key: Key[Array, ""], schedule: NoiseSchedule) -> Frames:
    """Clean frames diffused to the clocks `t`."""
    return diffuse(x, jax.random.normal(key, x.shape, x.dtype), schedule.logsnr(segments.t))


def ddim_step(z: Frames, x: Frames, step: Step) -> Frames:
    """`z_s = alpha_s x + (sigma_s / sigma_t)(z_t - alpha_t x)`; `z` itself for frames that do not move."""
    return step.hold(first_order.ddim(z, x, step.logsnr_t, step.logsnr_s), z)


def addim(z: Frames, x: Frames, step: Step, variance: Float[Array, "#batch #time"]) -> Frames:
    """Adjusted DDIM: `z_s = alpha_s x + sqrt(sigma_s^2 + zvar / mean(eps^2)) eps`.

    `zvar = (alpha_s - alpha_t sigma_s / sigma_t)^2 variance`, with the mean of `eps^2` over the cells of each
    frame (arXiv 2403.06807, sec. 4). `variance`, that of the data given `z_t` per cell, is what plain DDIM
    loses: with it, `E |z_s|^2` is exact for a step of any size where `x` and `eps` are orthogonal.
    """
    eps = eps_from_x(z, x, step.logsnr_t)
    alpha_s, sigma_s = alpha_sigma(expand(step.logsnr_s, z))
    lost = _weight_of_x(z, step) ** 2 * expand(variance, z)
    square = jnp.mean(eps**2, axis=(2, 3, 4), keepdims=True)
    return step.hold(alpha_s * x + jnp.sqrt(sigma_s**2 + lost / square) * eps, z)


def inverse_ddim(z: Frames, z_s: Frames, step: Step) -> Frames:
    """The `x` with which DDIM leads from `z` to `z_s`; meaningless for frames that do not move.

    `x = (z_s - (sigma_s / sigma_t) z_t) / (alpha_s - alpha_t sigma_s / sigma_t)`.
    """
    sigma_t, sigma_s = (alpha_sigma(expand(logsnr, z))[1] for logsnr in (step.logsnr_t, step.logsnr_s))
    return (z_s - sigma_s / sigma_t * z) / _weight_of_x(z, step)


def _weight_of_x(z: Frames, step: Step) -> Array:
    """`alpha_s - alpha_t sigma_s / sigma_t`, `[batch, time, 1, 1, 1]`."""
    alpha_t, sigma_t = alpha_sigma(expand(step.logsnr_t, z))
    alpha_s, sigma_s = alpha_sigma(expand(step.logsnr_s, z))
    return alpha_s - alpha_t * sigma_s / sigma_t


def renoise(z: Frames, x: Frames, step: Step, noise: Frames) -> Frames:
    """A draw from `q(z_s | z_t, x)`; `z` itself for frames that do not move."""
    return step.hold(Ancestral().step(lambda z, _: x, z, (), step, lambda _: noise)[0], z)


def consistency_target(
    student: Denoise,
    z: Frames,
    x: Frames,
    segments: Segments,
    schedule: NoiseSchedule,
    variance: Float[Array, "batch time"] | None = None,
) -> Frames:
    """The student's target at `z` and the clocks `t` (arXiv 2403.06807, alg. 1).

    A small step leads from `t` to `s`, with the teacher's `x` or with the data point itself (*consistency
    training*). DDIM with the student's prediction at `s` leads on to the segment's end. The target is the `x`
    that leads there from `t` in one step. `variance` makes the small step aDDIM. Frames that do not move keep
    the student's prediction.

    Where all maps are linear, the fixed point on the grid of `small_steps(n)` is the teacher's DDIM in `n`
    steps per segment, both with a teacher and with data.
    """
    small = step_between(schedule, segments.t, segments.s)
    z_s = ddim_step(z, x, small) if variance is None else addim(z, x, small, variance)
    predicted = student(z_s, small.logsnr_s)
    z_end = ddim_step(z_s, predicted, step_between(schedule, segments.s, segments.end))
    whole = step_between(schedule, segments.t, segments.end)
    return whole.hold(inverse_ddim(z, z_end, whole), predicted)


def consistency_loss(
    student: Denoise,
    target: Denoise,
    teacher: Denoise | None,
    x: Frames,
    z: Frames,
    segments: Segments,
    *,
    schedule: NoiseSchedule,
    weighting: Weighting,
    variance: float = 0.0,
    mask: Float[Array, "*space channel"] | None = None,
) -> Float[Array, ""]:
    """`sum_k w_k |x_k - target_k|^2` at noisy frames `z` with the clocks `t`: distillation from `teacher`, or
    consistency training without one.

    `target` is the student without dropout; no gradient passes through it. `variance` is the share of the
    teacher's measured `mean |x - x^|^2` that aDDIM returns to each frame; without a teacher none is lost.
    With a teacher and without `variance` the clean frames `x` have no part in it, and `z` may be anything.
    """
    logsnr = schedule.logsnr(segments.t)
    known, lost = x, None
    if teacher is not None:
        known = teacher(z, logsnr)
        lost = variance * jnp.mean((x - known) ** 2, axis=(2, 3, 4)) if variance else None
    wanted = jax.lax.stop_gradient(consistency_target(target, z, known, segments, schedule, lost))
    square = (student(z, logsnr) - wanted).astype(jnp.float32) ** 2
    # A little inside the segment: the infinite ends of an unclipped schedule have no weight.
    inside = segments.t + 1e-2 * (segments.end - segments.t)
    return weighted_mean(
        square, frame_weights(weighting, schedule, SampledTimes(inside, segments.rate)), mask
    )


def moment_matching_losses(
    student: Denoise,
    auxiliary: Denoise,
    teacher: Denoise,
    z: Frames,
    segments: Segments,
    key: Key[Array, ""],
    *,
    schedule: NoiseSchedule,
    weighting: Weighting,
    mask: Float[Array, "*space channel"] | None = None,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The losses of the auxiliary network and of the student (arXiv 2406.04103, alg. 2), at noisy frames
    `z_t` with the clocks `t`, of data or of a rollout.

    `x~ = student(z_t)` and `z_s ~ q(z_s | z_t, x~)`, with `s` in the segment that begins at `t`, per frame.
    The auxiliary's loss is `w (|x~ - aux(z_s)|^2 + |teacher(z_s) - aux(z_s)|^2)`, with its optimum half-way
    between the teacher and `E[x~ | z_s]`. The student's is `w x~ . (aux(z_s) - teacher(z_s))`, with a
    gradient that vanishes where both means agree. Each loss has a gradient for its own network only.
    """
    stop, step = jax.lax.stop_gradient, step_between(schedule, segments.t, segments.s)
    made = student(z, step.logsnr_t)
    noise = jax.random.normal(key, z.shape, z.dtype)
    z_s = stop(renoise(z, made, step, noise))
    wanted, found = stop(teacher(z_s, step.logsnr_s)), auxiliary(z_s, step.logsnr_s)
    errors = (stop(made) - found) ** 2 + (wanted - found) ** 2
    weights = frame_weights(weighting, schedule, SampledTimes(segments.s, segments.rate))
    return (
        weighted_mean(errors.astype(jnp.float32), weights, mask),
        weighted_mean((made * stop(found - wanted)).astype(jnp.float32), weights, mask),
    )
