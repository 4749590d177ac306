"""Training on context that the network made itself: what a rollout shows it, and the data do not."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp

from rolling.common.errors import InputError
from rolling.losses import denoising_loss, diffused, frame_weights
from rolling.noise import expand
from rolling.run.experiment.objectives import Denoising, cut
from rolling.run.experiment.own_states import OwnStates
from rolling.windows import SampledTimes, Window, in_context, training_frames


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnContext(Denoising):
    """The diffusion loss, in a share of the clips after some cycles of the network's own rollout: its targets
    are the true frames, so that the network learns to undo its errors before they add up.

    A clip is longer by `cycles` cycles. The window is placed on its true beginning and rolled, as the
    experiment samples but without guidance and without gradient, `k ~ U{1 .. cycles}` cycles far. What the
    rollout has finished is the context then; with `whole`, the frames after it are those of the rollout, too,
    at the clocks with which a cycle begins, in place of true frames diffused to the clocks of the window.

    With one cycle this is the pushforward trick (Brandstetter et al., arXiv 2202.03376). The
    further the rollout, the less its frames and the true ones have to do with each other where the future is
    uncertain: on the oracle a context that is `k` frames old teaches the gain `a^(2 k + 1)` in place of `a`.
    """

    share: float = 0.5
    """Share of the clips of a batch that begin with frames of the network's own: whole clips, one or more."""
    cycles: int = 1
    """Largest number of cycles that are rolled."""
    whole: bool = False
    """Whether the noisy frames are the rollout's own, too, and not only the context."""

    def __post_init__(self):
        super().__post_init__()
        self._own.check("share")

    @property
    def _own(self) -> OwnStates:
        return OwnStates(self.share, self.cycles)

    def check(self, sampling):
        window = sampling.window
        if training_frames(window) != window.size:
            raise InputError(
                "training on one's own context rolls the window that is trained, and"
                f" {type(window).__name__} is trained on clips of another size than its own"
            )
        if self.whole and sampling.all_enter_at_once:
            raise InputError(
                f"objective.whole shows noisy frames of the rollout; {type(window).__name__} has none when"
                " a cycle begins, but pure noise: leave it out"
            )
        if window.context == 0 and not self.whole:
            raise InputError(
                "training on one's own context needs a window with context, or objective.whole: this window"
                " has no context"
            )

    def frames(self, window):
        return self._own.frames(window)

    def past(self, sampling):
        return self._own.past(sampling)

    def loss(self, inputs, params, frozen, batch, key):
        own_key, count_key, times_key, noise_key, dropout_key = jax.random.split(key, 5)
        recipe, window, size = inputs.recipe, inputs.recipe.window, inputs.recipe.window.size

        count = self._own.counts(count_key, len(batch["x"]))
        condition = inputs.condition(batch, dropout_key)
        own = self._own.rolled(inputs, params, batch["x"], condition, count, own_key)
        begin = count * window.stride
        x = cut(batch["x"], begin, size)
        context, made = in_context(window, (1, size)), (count > 0)[:, None]

        times = window.sample_times(times_key, len(x))
        if self.whole:
            times = jax.tree.map(partial(jnp.where, made), first_times(window, len(x)), times)
        logsnr = recipe.schedule.logsnr(times.tau)
        z = diffused(jnp.where(expand(context & made, x), own.frames, x), logsnr, noise_key, recipe.noise)
        if self.whole:
            z = jnp.where(expand(made & ~context, z), own.frames, z)
        weights = frame_weights(inputs.weighting, recipe.schedule, times)
        return denoising_loss(
            inputs.placed(begin, size, own.memory).bind(params, batch, dropout_key),
            x,
            z,
            logsnr,
            weights,
            mask=inputs.mask,
            scales=self.scales,
        )


def first_times(window: Window, batch: int) -> SampledTimes:
    """The clocks with which a cycle begins."""
    one = jnp.ones(batch)
    return SampledTimes(*jax.jvp(window.cycle, (one,), (one,)))
