"""The plain loss of several modalities."""

import dataclasses
from typing import cast

import jax
import jax.numpy as jnp

from rolling.common.checks import check_finite
from rolling.common.errors import InputError
from rolling.joint_layout import JointLayout
from rolling.losses import LossOf, Weighting, joint_loss
from rolling.run.experiment.objectives import LossInputs, ObjectiveBase
from rolling.sampling.joint_recipe import JointSampling
from rolling.windows import Tasks, missing


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModalityLoss:
    """In what the loss of one modality differs."""

    name: str
    """Of which one this is said."""
    weighting: Weighting | None = None
    """Weights of the noise levels; None: the experiment's."""
    weight: float = 1.0
    """Of its loss among the others', beside the number of ticks to a frame."""

    def __post_init__(self):
        check_finite(f"the loss of {self.name}", self, "weight", above=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JointDenoising(ObjectiveBase):
    """`sum_m weight_m every_m L_m`, with one call of the network for all: `L_m` is the diffusion loss of a
    modality at the clocks that the tasks draw, see `rolling.losses.joint_loss`.

    Frames that are missing, see `rolling.data.source.WithGaps`, are pure noise of which no loss is taken.

    A loss is a mean over frames. Times the ticks to a frame, a frame of a slow modality counts for as long
    as it lasts, and the sum does not depend on how finely time is counted. `L_m` is logged as `loss_NAME`.
    """

    tasks: Tasks = Tasks()
    """Which modalities run together, and which stand, in training: the laws that the network can be asked
    for."""
    modalities: tuple[ModalityLoss, ...] = ()
    """In what the losses of some differ."""

    def check(self, sampling):
        if not isinstance(sampling, JointSampling):
            raise InputError("JointDenoising trains several modalities, and here is one: choose denoising")

    def check_layout(self, layout: JointLayout) -> None:
        """Raises `InputError` for modalities that are not there, or too few."""
        self.tasks.check(layout.of)
        for part in self.modalities:
            if part.name not in layout.of:
                known = ", ".join(layout.of)
                raise InputError(f"objective.modalities names {part.name}: choose among {known}")

    def losses(self, inputs: LossInputs) -> dict[str, LossOf]:
        """How the loss of each modality is weighted."""
        layout, own = inputs.units.layout, {part.name: part for part in self.modalities}
        parts, found = cast(JointSampling, inputs.recipe).sampler(layout).parts, {}
        for name, every in layout.every.items():
            part = own.get(name, ModalityLoss(name=name))
            found[name] = LossOf(
                schedule=parts[name].recipe.schedule,
                weighting=part.weighting or inputs.weighting,
                noise=parts[name].recipe.noise,
                mask=inputs.mask_of(name),
                weight=part.weight * every,
            )
        return found

    def loss(self, inputs, params, frozen, batch, key):
        return self.loss_and_figures(inputs, params, frozen, batch, key, None)[0]

    def loss_and_figures(self, inputs, params, frozen, batch, key, state):
        times_key, noise_key, dropout_key = jax.random.split(key, 3)
        x, every = dict(batch["x"]), inputs.units.layout.every
        count = len(next(iter(x.values())))
        times = self.tasks.sample_times(inputs.recipe.window, every, times_key, count)
        for name, there in batch.get("present", {}).items():
            times[name] = missing(times[name], there)
            # At the end of a clipped schedule a trace of the frame is left in the noise.
            x[name] = jnp.where(there.reshape(*there.shape, *[1] * (x[name].ndim - 2)), x[name], 0.0)
        total, parts = joint_loss(
            inputs.bind(params, batch, dropout_key), x, times, noise_key, self.losses(inputs)
        )
        return total, (state, {f"loss_{name}": part for name, part in parts.items()})
