"""Training times that do not depend on how the clocks run."""

import dataclasses

import jax
import jax.numpy as jnp

from rolling.windows.protocol import SampledTimes, Window, check_share
from rolling.windows.rolling import Rolling
from rolling.windows.wrapper import Wrapper


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndependentTimes(Wrapper):
    """Diffusion forcing's training times (arXiv 2407.01392): `tau_k ~ U(0, 1)`, independent for each frame.

    Sampling runs the clocks of `inner`, whichever window that is: a network trained this way suits them all.
    With probability `clean_share` the context frames of a training clip are shown clean, as in a rollout.
    With `random_history` the first `m` of them are, `m` uniform on `0 .. context` (arXiv 2502.06764), and
    `clean_share` is not used.

    `monotone` sorts the times of a clip: a later frame is never cleaner than an earlier one, as in `Rolling`
    and `Pyramid`.
    """

    inner: Window = dataclasses.field(default_factory=Rolling)
    """The window whose clocks a rollout runs."""
    clean_share: float = 0.5
    """Probability with which the context of a clip is clean."""
    monotone: bool = False
    """Sort the times of a clip, so that no frame is cleaner than an earlier one."""
    random_history: bool = False
    """Show a random number of context frames clean, in place of all by `clean_share`."""

    def __post_init__(self):
        self.check_clips()
        check_share("the clean_share of independent times", self.clean_share)

    def sample_times(self, key, batch):
        tau_key, clean_key = jax.random.split(key)
        tau = jax.random.uniform(tau_key, (batch, self.size))
        if self.monotone:
            tau = jnp.sort(tau, axis=1)
        chance = jax.random.uniform(clean_key, (batch, 1))
        if self.random_history:
            clean = jnp.floor(chance * (self.context + 1))
        else:
            clean = jnp.where(chance < self.clean_share, self.context, 0)
        given = jnp.arange(self.size)[None] < clean
        return SampledTimes(jnp.where(given, 0.0, tau), jnp.where(given, 0.0, 1.0))

    def shows(self, kept, level):
        return True
