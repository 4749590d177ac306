"""Training on context with errors that the network made earlier, without a rollout in the loop."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float16, Int, Key

from rolling.array_types import Frames
from rolling.common.checks import check_least
from rolling.common.errors import InputError
from rolling.losses import diffused, frame_weights, multiscale_loss
from rolling.noise import expand
from rolling.run.experiment.objectives import Denoising, LossInputs
from rolling.windows import SampledTimes, check_share, in_context, training_frames

DRAW = 2**16
"""Folded into a step's key for what is drawn for the bank: all else is drawn as in `Denoising`. `split` gives
the keys of small folds, which others take."""
SCALES = 0.5, 1.5
"""Between which an error is scaled when it is shown."""


class Bank(NamedTuple):
    errors: Float16[Array, "level slot *space channel"]
    written: Int[Array, " level"]
    """How many errors each level has taken in."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ErrorBank(Denoising):
    """The diffusion loss on context that is wrong as the network itself is: in a share of the clips

        c -> c + u e,    u ~ U(0.5, 1.5),    e = x^ - x  from the bank,

    with the true frames as targets, so that the network learns to undo its errors before they add up. It is
    the error recycling of Stable Video Infinity (arXiv 2510.09212), here for the context only. A step costs
    no more network calls than plain training, where a rollout in the loop (`OwnContext`) costs some.

    `e` is the error of an earlier prediction, of another clip as a rule, of a frame that was nearly clean.
    One error with one factor is for all frames of a clip's context: what drifts is what a rollout hands on
    from frame to frame, and errors that differ would average out. What is shown obeys the experiment's
    constraints, as the frames of a rollout do, and cells without data stay 0.

    The bank, `[levels, slots, *space, channel]` in half precision, is the state of this objective.
    Its levels are equal parts of the clocks at which `logsnr` exceeds `nearly_clean`, so that errors of
    little noise and of more noise are drawn alike. At each step (with accumulation: at each part) every level
    takes in one error at random of those that fall into it, if there is any, in place of one of its own at
    random once it is full. They come from clips with clean and with wrong context alike, from predictions
    with dropout by the parameters of that step. Until every level has seen `begin` errors, this is
    `Denoising`, with the same draws.
    """

    share: float = 0.7
    """Probability with which the context of a clip is shown with an error; the rest is clean."""
    levels: int = 8
    """Parts of the range of nearly clean clocks."""
    slots: int = 32
    """Errors kept for each level."""
    begin: int = 64
    """Errors that each level has taken in before any is shown, at least `slots`: with twice as many, those of
    the untrained network have mostly gone."""
    nearly_clean: float = 2.0
    """The logsnr above which the error of a prediction is kept."""

    def __post_init__(self):
        super().__post_init__()
        check_share("objective.share", self.share)
        check_least("objective", self, "levels", "slots", least=1)
        check_least("objective", self, "begin")
        if not math.isfinite(self.nearly_clean):
            raise InputError(f"objective.nearly_clean is a finite logsnr, not {self.nearly_clean}")

    def check(self, sampling):
        window = sampling.window
        if window.context == 0:
            raise InputError(
                "an error bank spoils the context that training shows, and this window has none: choose a"
                " window with context, or another objective"
            )
        if training_frames(window) != window.size:
            raise InputError(
                "an error bank spoils the context of the window that is trained, and"
                f" {type(window).__name__} is trained on clips of another size than its own"
            )
        if not float(sampling.schedule.tau(jnp.asarray(self.nearly_clean))) > 0:
            raise InputError(
                f"no frame of this schedule ever has a logsnr above {self.nearly_clean:g}: lower"
                " objective.nearly_clean"
            )

    def init(self, inputs):
        shape = (self.levels, self.slots, *inputs.units.layout.shape)
        return Bank(jnp.zeros(shape, jnp.float16), jnp.zeros(self.levels, jnp.int32))

    def loss_and_state(self, inputs, params, frozen, batch, key, state):
        times_key, noise_key, dropout_key = jax.random.split(key, 3)
        show_key, keep_key = jax.random.split(jax.random.fold_in(key, DRAW))
        x, recipe = batch["x"], inputs.recipe
        times = recipe.window.sample_times(times_key, len(x))
        logsnr = recipe.schedule.logsnr(times.tau)
        z = diffused(self.shown(inputs, x, state, show_key), logsnr, noise_key, recipe.noise)
        error = inputs.bind(params, batch, dropout_key)(z, logsnr) - x
        weights = frame_weights(inputs.weighting, recipe.schedule, times)
        loss = multiscale_loss(error, weights, mask=inputs.mask, scales=self.scales)
        found = jax.lax.stop_gradient(error)
        if inputs.mask is not None:
            found = found * inputs.mask[None, None]
        return loss, self.kept(state, found, self.level_of(inputs, times), keep_key)

    def shown(self, inputs: LossInputs, x: Frames, bank: Bank, key: Key[Array, ""]) -> Frames:
        """The clips, some of them with an error on their context."""
        chance_key, which_key, scale_key = jax.random.split(key, 3)
        batch, context = len(x), inputs.recipe.window.context
        which = jax.random.randint(which_key, (batch,), 0, self.levels * self.slots)
        scale = jax.random.uniform(scale_key, (batch,), x.dtype, *SCALES)
        errors = bank.errors[which // self.slots, which % self.slots].astype(x.dtype)
        wrong = x[:, :context] + (expand(scale, errors) * errors)[:, None]
        for part in inputs.recipe.constraints:
            wrong = part.constrain(wrong, x[:, :context], inputs.units)
        begun = (bank.written >= max(self.begin, self.slots)).all()
        spoiled = jax.random.bernoulli(chance_key, self.share, (batch, *[1] * (x.ndim - 1))) & begun
        return x.at[:, :context].set(jnp.where(spoiled, wrong, x[:, :context]))

    def level_of(self, inputs: LossInputs, times: SampledTimes) -> Int[Array, "batch time"]:
        """The level to which the prediction of each frame belongs; `levels` for none."""
        recipe = inputs.recipe
        end = jnp.minimum(recipe.schedule.tau(jnp.asarray(self.nearly_clean)), 1.0)
        predicted = (times.rate > 0) & ~in_context(recipe.window, times.tau.shape)
        level = jnp.floor(self.levels * times.tau / end).astype(jnp.int32)
        return jnp.where(predicted & (times.tau > 0), jnp.clip(level, 0, self.levels), self.levels)

    def kept(self, bank: Bank, errors: Frames, level: Int[Array, "batch time"], key: Key[Array, ""]) -> Bank:
        """The bank with one more error in each level into which some fall."""
        choice_key, slot_key = jax.random.split(key)
        levels = jnp.arange(self.levels)
        mine = level.reshape(1, -1) == levels[:, None]
        chosen = jnp.argmax(jnp.where(mine, jax.random.uniform(choice_key, mine.shape), -1.0), axis=1)
        new = errors[chosen // level.shape[1], chosen % level.shape[1]].astype(bank.errors.dtype)
        random = jax.random.randint(slot_key, (self.levels,), 0, self.slots)
        slot = jnp.where(bank.written < self.slots, bank.written, random)
        any_new = mine.any(axis=1)
        old = bank.errors[levels, slot]
        return Bank(
            bank.errors.at[levels, slot].set(jnp.where(expand(any_new, new), new, old)),
            bank.written + any_new,
        )
