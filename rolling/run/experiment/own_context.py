"""Training on context that the network made itself: what a rollout shows it, and the data do not."""

import dataclasses
from functools import partial

import einops
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from rolling.array_types import Frames
from rolling.common.errors import InputError
from rolling.denoisers import Condition
from rolling.losses import denoising_loss, diffused, frame_weights
from rolling.noise import expand
from rolling.run.experiment.objectives import Denoising, LossInputs
from rolling.sampling.guidance import Denoisers
from rolling.sampling.own_rollout import States, own_rollout
from rolling.sampling.sampler import Sampler
from rolling.windows import SampledTimes, Window, check_share, in_context, training_frames


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
        check_share("objective.share", self.share)
        if self.cycles < 1:
            raise InputError(f"objective.cycles must be a whole number of at least 1, not {self.cycles}")

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
        return window.size + self.cycles * window.stride

    def past(self, sampling):
        # All that a rollout keeps, as those that are shown change while the window moves.
        return tuple(range(sampling.memory.frames(sampling.window), 0, -1))

    def loss(self, inputs, params, frozen, batch, key):
        own_key, count_key, times_key, noise_key, dropout_key = jax.random.split(key, 5)
        recipe, window, size = inputs.recipe, inputs.recipe.window, inputs.recipe.window.size
        condition = inputs.condition(batch, dropout_key)

        count = self._counts(count_key, len(batch["x"]))
        own, memory = self._rolled(inputs, params, batch["x"], condition, count, own_key)
        begin = count * window.stride
        x = cut(batch["x"], begin, size)
        condition = condition.map(frames=lambda part: cut(part, begin, size), sequences=lambda part: part)
        condition = dataclasses.replace(condition, memory=memory)
        context, made = in_context(window, (1, size)), (count > 0)[:, None]

        times = window.sample_times(times_key, len(x))
        if self.whole:
            times = jax.tree.map(partial(jnp.where, made), first_times(window, len(x)), times)
        logsnr = recipe.schedule.logsnr(times.tau)
        z = diffused(jnp.where(expand(context & made, x), own, x), logsnr, noise_key, recipe.noise)
        if self.whole:
            z = jnp.where(expand(made & ~context, z), own, z)
        denoise = inputs.denoiser(params, dropout_key)
        weights = frame_weights(inputs.weighting, recipe.schedule, times)
        return denoising_loss(
            lambda z, logsnr: denoise(z, logsnr, condition),
            x,
            z,
            logsnr,
            weights,
            mask=inputs.mask,
            scales=self.scales,
        )

    def _clips(self, batch: int) -> int:
        """How many clips of a batch are rolled: the first ones, as a batch is in random order."""
        return min(batch, max(1, round(self.share * batch))) if self.share > 0 else 0

    def _counts(self, key: Key[Array, ""], batch: int) -> Int[Array, " batch"]:
        """Cycles that each clip is rolled."""
        cycles = jax.random.randint(key, (batch,), 1, self.cycles + 1)
        return jnp.where(jnp.arange(batch) < self._clips(batch), cycles, 0)

    def _rolled(
        self, inputs: LossInputs, params, x: Frames, condition: Condition, count, key
    ) -> tuple[Frames, Array | None]:
        """The window of each clip after its cycles, and the old frames that the network sees beside it."""
        rolled, size, memory = self._clips(len(x)), inputs.recipe.window.size, inputs.recipe.memory
        past = None if condition.memory is None else _frames(condition.memory, x.shape[-1])
        true = States(x[:, :size], memory.shown(past))
        if rolled == 0:
            return true
        sampler = Sampler(dataclasses.replace(inputs.recipe.recipe, guidance=(), truncate_tail=False))
        network = Denoisers(inputs.denoiser(jax.lax.stop_gradient(params), None), units=inputs.units)
        those = condition.map(frames=lambda part: part[:rolled], sequences=lambda part: part[:rolled])
        before = None if past is None else past[:rolled]
        states = own_rollout(sampler, network, x[:rolled], key, those, self.cycles, before)

        def chosen(own, true):
            return jnp.concatenate([own[count[:rolled], jnp.arange(rolled)], true[rolled:]])

        return jax.tree.map(chosen, states, true)


def _frames(memory: Array, channels: int) -> Frames:
    return einops.rearrange(memory, "b h w (t c) -> b t h w c", c=channels)


def cut(part: Array, first: Int[Array, " batch"], frames: int) -> Array:
    """`frames` frames of `part [batch, time, ...]`, of each sequence from its own `first` on."""
    return jax.vmap(lambda p, start: jax.lax.dynamic_slice_in_dim(p, start, frames))(part, first)


def first_times(window: Window, batch: int) -> SampledTimes:
    """The clocks with which a cycle begins."""
    one = jnp.ones(batch)
    return SampledTimes(*jax.jvp(window.cycle, (one,), (one,)))
