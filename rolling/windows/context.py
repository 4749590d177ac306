"""Windows that change how the context is shown: slightly noisy, as noisy as the new frame, or not at all.

Context that is shown at a level is diffused to that level, in training and in a rollout. It has `rate = 0`:
no loss is taken on it. Where such windows are nested, the outermost one decides.
"""

import dataclasses

import jax
import jax.numpy as jnp

from rolling.common.errors import InputError
from rolling.windows.protocol import SampledTimes, Window, check_share, in_context
from rolling.windows.rolling import Rolling
from rolling.windows.warped import Warped
from rolling.windows.wrapper import Wrapper

CLEAN = 0.1
"""Share of the clips whose context is clean where its level is drawn."""


class _ContextAtLevel(Warped):
    """`tau_k = level(tau)` for the context frames of `inner`, `level` a function of its clocks."""

    def _level(self, tau):
        raise NotImplementedError

    def warp(self, tau):
        return jnp.where(in_context(self, tau.shape), self._level(tau), tau)

    def sample_times(self, key, batch):
        tau, rate = self.inner.sample_times(key, batch)
        return SampledTimes(self.warp(tau), jnp.where(in_context(self, tau.shape), 0.0, rate))


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoisyContext(_ContextAtLevel):
    """`tau_k = level` for the context of `inner`: a little noise hides the flaws of frames that the network
    made itself and stabilises long rollouts. The presets use 0.05.

    A level is a local time, and what it hides is the schedule's: `sigma^2` at 0.1 is 0.024 for the plain
    cosine, 0.18 for that of pictures (`resolution=96`). A frame keeps one draw of noise for as long as it is
    context, as the frames that it has led to depend on it: on the oracle with an exact denoiser the variance
    then stays that of the data at every level, and the price is memory.

    With `most`, training shows the context of each clip at a level of its own, uniform in [0, most], and one
    clip in ten clean, so that the level of a rollout can be chosen later, as in GameNGen (arXiv 2408.14837).
    """

    inner: Window = dataclasses.field(default_factory=Rolling)
    """The window whose context is noised."""
    level: float = 0.1
    """Local time of the context: 0 clean, 1 pure noise."""
    most: float | None = None
    """Highest level in training; none: `level` itself, always."""

    def __post_init__(self):
        self.check_clips()
        if not 0 <= self.level <= (1 if self.most is None else self.most) <= 1:
            raise InputError(
                "the level of a noisy context is a local time: choose one between 0 and 1, and no higher than"
                f" the most that training shows, not {self.level} with most {self.most}"
            )

    def _level(self, tau):
        return jnp.asarray(self.level, tau.dtype)

    def sample_times(self, key, batch):
        if self.most is None:
            return super().sample_times(key, batch)
        inner_key, level_key, clean_key = jax.random.split(key, 3)
        tau, rate = self.inner.sample_times(inner_key, batch)
        level = jax.random.uniform(level_key, (batch, 1), tau.dtype, maxval=self.most)
        level = jnp.where(jax.random.bernoulli(clean_key, CLEAN, (batch, 1)), 0, level)
        context = in_context(self, tau.shape)
        return SampledTimes(jnp.where(context, level, tau), jnp.where(context, 0.0, rate))


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlignedContext(_ContextAtLevel):
    """`tau_k(t) = tau_n(t)` for the context of `inner`: the clock of the first new frame, as in ACDM (arXiv
    2309.01745), which noises its conditioning to the level of the frame.

    The context says nothing while the frame is noise, so the distribution of a rollout stays far from exact
    with any number of steps: on the oracle (AR(1), 0.9, one frame of context) the error is 0.6 to 0.7."""

    inner: Window = dataclasses.field(default_factory=Rolling)
    """The window around whose context it acts."""

    def __post_init__(self):
        self.check_clips()

    def _level(self, tau):
        return tau[..., self.context, None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class HistoryDropout(Wrapper):
    """In training, the context of a clip is shown as pure noise with probability `drop`, at one common
    `tau ~ U(0, 1)` with probability `noise`, with its first `m` frames as pure noise with probability
    `front`, `m` uniform on `1 .. context`, and otherwise as `inner` shows it.

    History guidance needs this (arXiv 2502.06764): a history at `tau = 1` is no history. The clocks of a
    rollout are those of `inner`. `noise > 0` also trains for guidance by a partly noised history, `front > 0`
    for guidance by the last frames of it.
    """

    inner: Window = dataclasses.field(default_factory=Rolling)
    """The window whose context is dropped."""
    drop: float = 0.1
    """Probability of a context of pure noise."""
    noise: float = 0.0
    """Probability of a context at a random noise level."""
    front: float = 0.0
    """Probability of a context whose first frames are pure noise."""

    def __post_init__(self):
        self.check_clips()
        check_share("the drop of the history", self.drop)
        check_share("the noise of the history", self.noise)
        check_share("the front of the history", self.front)
        check_share("the sum of drop, noise and front of the history", self.drop + self.noise + self.front)

    def sample_times(self, key, batch):
        inner_key, chance_key, level_key = jax.random.split(key, 3)
        tau, rate = self.inner.sample_times(inner_key, batch)
        chance = jax.random.uniform(chance_key, (batch, 1))
        uniform = jax.random.uniform(level_key, (batch, 1))
        whole = self.drop + self.noise
        level = jnp.where((chance >= self.drop) & (chance < whole), uniform, 1.0)
        # Of a context that is noised in front, the first m frames; of any other, all.
        m = jnp.where(chance < whole, self.context, 1 + jnp.floor(uniform * self.context))
        changed = (
            in_context(self, tau.shape) & (jnp.arange(tau.shape[1])[None] < m) & (chance < whole + self.front)
        )
        return SampledTimes(jnp.where(changed, level, tau), jnp.where(changed, 0.0, rate))

    def shows(self, kept, level):
        if kept == 0:
            return self.drop > 0 or self.front > 0
        if level > 0:
            return kept == self.context and self.noise > 0
        return kept == self.context or self.front > 0
