"""The protocol of a window, and training times from its clocks; kinds of windows have files of their own."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from rolling.common.errors import InputError

LocalTimes = Float[Array, "*batch window"]


class SampledTimes(NamedTuple):
    """Clocks to train on: `tau`, and `rate = dtau / dt`, which is 0 for frames outside the sweep."""

    tau: Float[Array, "batch window"]
    rate: Float[Array, "batch window"]


@runtime_checkable
class Window(Protocol):
    """`size > context >= 0`; after a cycle the frames `context .. context + stride - 1` are finished.

    The clocks of the context are the levels at which it is shown: 0 for clean frames.
    """

    @property
    def size(self) -> int: ...

    @property
    def context(self) -> int: ...

    @property
    def stride(self) -> int: ...

    def warmup(self, t: Float[Array, "*batch"]) -> LocalTimes:
        """From pure noise at `t = 1` to the state at the end of a cycle, `cycle(0)`."""
        ...

    def cycle(self, t: Float[Array, "*batch"]) -> LocalTimes:
        """After the context, `cycle(1)` is `cycle(0)` shifted left by `stride`, with noise on the right."""
        ...

    def sample_times(self, key: Key[Array, ""], batch: int) -> SampledTimes:
        """Clocks to train on."""
        ...


@runtime_checkable
class ShowsHistories(Protocol):
    """A window whose training shows the context in other ways than a rollout does, too."""

    def shows(self, kept: int, level: float) -> bool:
        """Whether the last `kept` frames of the context are shown at local time `level`, the others as
        noise."""
        ...


def shows_history(window: Window, kept: int, level: float) -> bool:
    """`ShowsHistories.shows`, where any other window shows all of the context, clean."""
    if isinstance(window, ShowsHistories):
        return window.shows(kept, level)
    return kept == window.context and level == 0


def moving_frames(window: Window) -> int:
    """Frames whose clocks run in a cycle: those behind the context, but for those that a window only looks
    ahead at."""
    with jax.ensure_compile_time_eval():
        end, begin = window.cycle(jnp.asarray([0.0, 1.0]))[:, window.context :]
        return int((end < begin).sum())


def warmup_steps(window: Window, cycle_steps: int) -> int:
    """Steps of a warm-up in which a frame gets as many as in the cycles: `N (W - n)` for rolling.

    With fewer, the error of the warm-up dominates that of the rollout.
    """
    return max(1, round(cycle_steps * moving_frames(window) / window.stride))


def training_frames(window: Window) -> int:
    """Frames of a training clip: the number of clocks in `sample_times`. Nothing is computed."""
    return jax.eval_shape(lambda key: window.sample_times(key, 1), jax.random.key(0)).tau.shape[1]


def stratified(key: Key[Array, ""], batch: int) -> Float[Array, " batch"]:
    """Times of a batch (arXiv 2107.00630, app. I.1): each uniform in [0, 1), together evenly spread."""
    return (jax.random.uniform(key) + jnp.arange(batch) / batch) % 1.0


def sweep_times(window: Window, key: Key[Array, ""], batch: int, warmup_share: float) -> SampledTimes:
    """Clocks at a random `t ~ U(0, 1)`: of the warm-up with probability `warmup_share`, or of the cycle."""
    time_key, phase_key = jax.random.split(key)
    t = stratified(time_key, batch)
    one = jnp.ones_like(t)
    warm_tau, warm_rate = jax.jvp(window.warmup, (t,), (one,))
    tau, rate = jax.jvp(window.cycle, (t,), (one,))
    warm = jax.random.uniform(phase_key, (batch, 1)) < warmup_share
    return SampledTimes(jnp.where(warm, warm_tau, tau), jnp.where(warm, warm_rate, rate))


def check_frames(size: int, context: int) -> None:
    """Raises `InputError` unless there is a frame after the context."""
    if context < 0 or size <= context:
        raise InputError(
            f"a window of {size} frames cannot hold {context} of context: choose 0 <= context < size"
        )


def check_share(name: str, share: float) -> None:
    """Raises `InputError` unless `share` is a probability; `name` begins its sentence."""
    if not 0 <= share <= 1:
        raise InputError(f"{name} is a probability: choose one between 0 and 1, not {share}")


def rounded(tau: LocalTimes) -> LocalTimes:
    """Clocks that differ only by rounding, made equal: 0 and 1 are met exactly, however a compiler rounds,
    and no frame seems to move by a single bit."""
    grain = 4 * jnp.finfo(tau.dtype).eps
    return jnp.round(tau / grain) * grain


def per_frame(t: Float[Array, "*batch"], values: np.ndarray) -> LocalTimes:
    """`values [window]`, repeated for every `t` and in its precision."""
    return jnp.broadcast_to(jnp.asarray(values, t.dtype), (*t.shape, len(values)))


def in_context(window: Window, shape: tuple[int, ...]) -> Bool[Array, "*batch frames"]:
    """Whether a frame belongs to the context: the last axis of `shape` counts frames."""
    return jnp.broadcast_to(jnp.arange(shape[-1]) < window.context, shape)
