"""What a window is, and the training times that follow from its clocks."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from rolling.common.errors import InputError

LocalTimes = Float[Array, "*batch window"]


class SampledTimes(NamedTuple):
    """Clocks to train on: `tau` and its speed `rate = dtau / dt`, 0 for frames outside the sweep."""

    tau: Float[Array, "batch window"]
    rate: Float[Array, "batch window"]


@runtime_checkable
class Window(Protocol):
    """`size > context >= 0`; after a cycle the frames `context .. context + stride - 1` are finished.

    The clocks of the context say at what level it is shown, 0 for clean frames.
    """

    @property
    def size(self) -> int: ...

    @property
    def context(self) -> int: ...

    @property
    def stride(self) -> int: ...

    def warmup(self, t: Float[Array, "*batch"]) -> LocalTimes:
        """From pure noise at `t = 1` to the state at the end of a cycle, `cycle(0)`."""

    def cycle(self, t: Float[Array, "*batch"]) -> LocalTimes:
        """Behind the context, at `t = 1` this is `cycle(0)`, shifted left by `stride`, with noise on the
        right."""

    def sample_times(self, key: Key[Array, ""], batch: int) -> SampledTimes:
        """Clocks to train on."""


def warmup_steps(window: Window, cycle_steps: int) -> int:
    """Steps of the warm-up that give a frame as many as it gets in the cycles: `N (W - n)` for rolling.

    With fewer the error of the warm-up dominates that of the rollout.
    """
    return max(1, round(cycle_steps * (window.size - window.context) / window.stride))


def training_frames(window: Window) -> int:
    """Frames of a training clip: those that `sample_times` gives a clock to. Nothing is computed."""
    return jax.eval_shape(lambda key: window.sample_times(key, 1), jax.random.key(0)).tau.shape[1]


def stratified(key: Key[Array, ""], batch: int) -> Float[Array, " batch"]:
    """Times of a batch (arXiv 2107.00630, app. I.1): each is uniform in [0, 1), together they spread."""
    return (jax.random.uniform(key) + jnp.arange(batch) / batch) % 1.0


def sweep_times(window: Window, key: Key[Array, ""], batch: int, warmup_share: float) -> SampledTimes:
    """Clocks of a random `t ~ U(0, 1)` of the warm-up, with probability `warmup_share`, or of the cycle."""
    time_key, phase_key = jax.random.split(key)
    t = stratified(time_key, batch)
    one = jnp.ones_like(t)
    warm_tau, warm_rate = jax.jvp(window.warmup, (t,), (one,))
    tau, rate = jax.jvp(window.cycle, (t,), (one,))
    warm = jax.random.uniform(phase_key, (batch, 1)) < warmup_share
    return SampledTimes(jnp.where(warm, warm_tau, tau), jnp.where(warm, warm_rate, rate))


def check_frames(size: int, context: int) -> None:
    """Raises `InputError` unless a frame is left behind the context."""
    if context < 0 or size <= context:
        raise InputError(
            f"a window of {size} frames cannot hold {context} of context: choose 0 <= context < size"
        )


def check_share(name: str, share: float) -> None:
    """Raises `InputError` for what is no probability; `name` begins its sentence."""
    if not 0 <= share <= 1:
        raise InputError(f"{name} is a probability: choose one between 0 and 1, not {share}")


def rounded(tau: LocalTimes) -> LocalTimes:
    """Clocks that differ by rounding are equal: 0 and 1 are met exactly, however a compiler rounds, and no
    frame seems to move by a single bit."""
    grain = 4 * jnp.finfo(tau.dtype).eps
    return jnp.round(tau / grain) * grain


def for_each(t: Float[Array, "*batch"], frames: np.ndarray) -> LocalTimes:
    """One number for each frame of a window, once for every `t` and in its precision."""
    return jnp.broadcast_to(jnp.asarray(frames, t.dtype), (*t.shape, len(frames)))


def in_context(window: Window, shape: tuple[int, ...]) -> Bool[Array, "*batch frames"]:
    """Whether a frame belongs to the context: its place along the last axis of a shape is a small one."""
    return jnp.broadcast_to(jnp.arange(shape[-1]) < window.context, shape)
