"""Windows: how the clocks of the frames run. A method of sequence generation is a choice of one of these.

A window of `size` frames begins with `context` clean ones. One *cycle* sweeps the global time `t` from 1
to 0, after which the `stride` frames behind the context are finished: they leave, and as many frames of
pure noise enter on the right. A *warm-up* sweep leads from pure noise to the state in which the first
frames are finished. Both map `t` to one local time `tau` per frame, and training draws its clocks from
the very same two functions, so that what is trained is what is sampled.
"""

import dataclasses
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from rolling.errors import InputError

LocalTimes = Float[Array, "*batch window"]


class SampledTimes(NamedTuple):
    """Clocks to train on: `tau` and its speed `rate = dtau / dt`, 0 for frames outside the sweep."""

    tau: Float[Array, "batch window"]
    rate: Float[Array, "batch window"]


@runtime_checkable
class Window(Protocol):
    """`size > context >= 0`; after a cycle the frames `context .. context + stride - 1` are finished."""

    @property
    def size(self) -> int: ...

    @property
    def context(self) -> int: ...

    @property
    def stride(self) -> int: ...

    def warmup(self, t: Float[Array, "*batch"]) -> LocalTimes:
        """From pure noise at `t = 1` to the state at the end of a cycle, `cycle(0)`."""

    def cycle(self, t: Float[Array, "*batch"]) -> LocalTimes:
        """At `t = 1` this is `cycle(0)`, shifted left by `stride`, with noise on the right."""

    def sample_times(self, key: Key[Array, ""], batch: int) -> SampledTimes:
        """Clocks to train on."""


def warmup_steps(window: Window, cycle_steps: int) -> int:
    """Steps of the warm-up that give a frame as many as it gets in the cycles: `N (W - n)` for rolling.

    With fewer the error of the warm-up dominates that of the rollout.
    """
    return max(1, round(cycle_steps * (window.size - window.context) / window.stride))


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


def _check_frames(size: int, context: int) -> None:
    if context < 0 or size <= context:
        raise InputError(
            f"a window of {size} frames cannot hold {context} of context: choose 0 <= context < size"
        )


def _check_share(name: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise InputError(f"{name} is a probability: choose one between 0 and 1, not {share}")


def _places(window: Window, t: Float[Array, "*batch"]) -> LocalTimes:
    """`k - n` for the frames `k` of a window, once for every `t`."""
    return jnp.broadcast_to(jnp.arange(window.size, dtype=t.dtype) - window.context, (*t.shape, window.size))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rolling:
    """Rolling diffusion (arXiv 2402.09470): `tau_k(t) = clip((k - n + t) / (W - n), 0, 1)`.

    Neighbours are `1 / (W - n)` apart and the hand-over is seamless: `cycle_k(0) = cycle_{k-1}(1)`. The
    warm-up, `clip((k - n) / (W - n) + t, 0, 1)`, is a share `warmup_share` of the training times.
    """

    size: int = 8
    context: int = 2
    warmup_share: float = 0.1

    def __post_init__(self):
        _check_frames(self.size, self.context)
        _check_share("a window's warmup_share", self.warmup_share)

    @property
    def stride(self) -> int:
        return 1

    def cycle(self, t):
        places = _places(self, t)
        return jnp.clip((places + t[..., None]) / (self.size - self.context), 0.0, 1.0)

    def warmup(self, t):
        places = _places(self, t)
        tau = jnp.clip(places / (self.size - self.context) + t[..., None], 0.0, 1.0)
        return jnp.where(places < 0, 0.0, tau)

    def sample_times(self, key, batch):
        return sweep_times(self, key, batch, self.warmup_share)


class _OneClock:
    """`tau_k = t` for all frames behind the context, which are finished together."""

    size: int
    context: int

    @property
    def stride(self) -> int:
        return self.size - self.context

    def cycle(self, t):
        return jnp.where(_places(self, t) < 0, 0.0, t[..., None])

    def warmup(self, t):
        return self.cycle(t)

    def sample_times(self, key, batch):
        return sweep_times(self, key, batch, 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FullSequence(_OneClock):
    """Standard diffusion, chunk by chunk.

    The last `context` frames of a chunk are the context of the next one; with `context = 0` the chunks
    are independent of each other.
    """

    size: int = 8
    context: int = 2

    def __post_init__(self):
        _check_frames(self.size, self.context)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Autoregressive(_OneClock):
    """One frame at a time, given `context` clean ones (as ACDM and GenCast do)."""

    context: int = 2

    def __post_init__(self):
        _check_frames(self.size, self.context)

    @property
    def size(self) -> int:
        return self.context + 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndependentTimes:
    """Diffusion forcing's training times (arXiv 2407.01392): `tau_k ~ U(0, 1)`, each frame on its own.

    Sampling runs the clocks of `roll`, whichever that is: a network trained like this suits them all. With
    probability `clean_share` the context frames of a training clip are shown clean, as they are in a
    rollout.
    """

    roll: Window = dataclasses.field(default_factory=Rolling)
    clean_share: float = 0.5

    def __post_init__(self):
        _check_share("the clean_share of independent times", self.clean_share)

    @property
    def size(self) -> int:
        return self.roll.size

    @property
    def context(self) -> int:
        return self.roll.context

    @property
    def stride(self) -> int:
        return self.roll.stride

    def cycle(self, t):
        return self.roll.cycle(t)

    def warmup(self, t):
        return self.roll.warmup(t)

    def sample_times(self, key, batch):
        tau_key, clean_key = jax.random.split(key)
        tau = jax.random.uniform(tau_key, (batch, self.size))
        clean = jax.random.uniform(clean_key, (batch, 1)) < self.clean_share
        given = clean & (_places(self, tau[:, 0]) < 0)
        return SampledTimes(jnp.where(given, 0.0, tau), jnp.where(given, 0.0, 1.0))
