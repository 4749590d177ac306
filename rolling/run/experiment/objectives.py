"""What a run trains, and with which loss: the protocol, and the plain diffusion loss."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from rolling.common.errors import InputError
from rolling.denoisers import Condition
from rolling.distillation import Denoise
from rolling.losses import Weighting, diffusion_loss
from rolling.sampling import Sampling
from rolling.windows import Window, training_frames

Params = Any
State = Any
Batch = dict[str, Any]
Figures = dict[str, Float[Array, ""]]
"""What is told of a loss beside it, by name."""


class LossInputs(NamedTuple):
    """What a loss takes from an experiment and its network."""

    denoiser: Callable[[Params, Key[Array, ""] | None], Any]
    """Maps parameters and a dropout key (None: no dropout) to the denoiser."""
    condition: Callable[[Batch, Key[Array, ""] | None], Condition]
    """What the network is conditioned on for a batch; with a dropout key some clips lose it."""
    recipe: Sampling
    weighting: Weighting
    units: Any
    """`Units`, or `JointUnits` of several modalities."""

    @property
    def mask(self) -> Float[Array, "*space channel"] | None:
        """1 where there are data; None: everywhere."""
        return _ones(self.units.mask)

    def mask_of(self, modality: str) -> Float[Array, "*space channel"] | None:
        """That of one of several modalities."""
        return _ones(self.units.mask[modality])

    def bind(self, params: Params, batch: Batch, key: Key[Array, ""] | None) -> Denoise:
        """`(z, logsnr) -> x` for a batch; `key` is that of the dropout."""
        denoise, condition = self.denoiser(params, key), self.condition(batch, key)
        return lambda z, logsnr: denoise(z, logsnr, condition)

    def placed(self, first: Int[Array, " batch"], frames: int, memory: Array | None) -> "LossInputs":
        """The same for windows of `frames` frames that begin at frame `first` of their clips, with these old
        frames beside them, as in `Condition.memory`."""

        def condition(batch, key):
            known = self.condition(batch, key).map(
                frames=lambda part: cut(part, first, frames), sequences=lambda part: part
            )
            return dataclasses.replace(known, memory=memory)

        return self._replace(condition=condition)


def _ones(mask: np.ndarray | None) -> Float[Array, "*space channel"] | None:
    return None if mask is None else jnp.asarray(mask, jnp.float32)


def cut(part: Array, first: Int[Array, " batch"], frames: int) -> Array:
    """`frames` frames of `part [batch, time, ...]`, of each sequence from its own `first` on."""
    return jax.vmap(lambda p, start: jax.lax.dynamic_slice_in_dim(p, start, frames))(part, first)


@runtime_checkable
class Objective(Protocol):
    """`teacher` is the folder of the run to learn from, empty where there is none.

    Its forecasting parameters are `frozen` in the loss and the initial values of what is trained.

    An objective may keep a *state* from one step to the next, any tree of arrays: `init` makes the first one,
    and `loss_and_state` takes it and returns the next, without a gradient. It is part of the training's state
    and of its checkpoints. Of a batch in accumulated parts, each part takes the state that the one before
    has left.
    """

    @property
    def teacher(self) -> str: ...

    @property
    def comparable(self) -> bool:
        """Whether the lower of two losses is that of the better parameters, as validation takes it."""
        ...

    def check(self, sampling: Sampling) -> None:
        """Raises `InputError` for a way of sampling that the loss does not support."""

    def frames(self, window: Window) -> int:
        """Frames of the clips that it trains on."""
        ...

    def past(self, sampling: Sampling) -> tuple[int, ...]:
        """How many frames before a clip's first one each of the old frames lies that come with it, as
        `batch["memory"] [batch, *space, old frames x channel]`."""
        ...

    def start(self, fresh: Params, teacher: Params | None) -> Params:
        """The initial trained parameters, from the network's fresh ones and the teacher's."""
        ...

    def forecasts(self, trained: Params) -> Params:
        """The parameters of the network that forecasts."""
        ...

    def loss(
        self, inputs: LossInputs, params: Params, frozen: Params, batch: Batch, key: Key[Array, ""]
    ) -> Float[Array, ""]:
        """The mean over a batch of clips `batch["x"] [batch, time, *space, channel]`; of an objective
        that keeps a state, without it."""
        ...

    def init(self, inputs: LossInputs) -> State:
        """The state before the first step; None where none is kept."""
        ...

    def loss_and_state(
        self,
        inputs: LossInputs,
        params: Params,
        frozen: Params,
        batch: Batch,
        key: Key[Array, ""],
        state: State,
    ) -> tuple[Float[Array, ""], State]:
        """What is trained on: the loss given a state, and the next state, of the same shapes and types."""
        ...

    def loss_and_figures(
        self,
        inputs: LossInputs,
        params: Params,
        frozen: Params,
        batch: Batch,
        key: Key[Array, ""],
        state: State,
    ) -> tuple[Float[Array, ""], tuple[State, Figures]]:
        """The same, and what else is to be logged of it: means over the batch, such as its terms."""
        ...


class ObjectiveBase:
    """No teacher, a loss to validate by, any way of sampling, one network that forecasts, no state, and a
    loss of which nothing else is logged."""

    teacher = ""
    comparable = True

    @property
    def suited(self) -> dict[str, Any]:
        """The fields of an experiment that go with this objective, for `rolling distill`."""
        return {}

    def check(self, sampling: Sampling) -> None:
        pass

    def frames(self, window: Window) -> int:
        return training_frames(window)

    def past(self, sampling: Sampling) -> tuple[int, ...]:
        return sampling.memory.before(sampling.window)

    def start(self, fresh: Params, teacher: Params | None) -> Params:
        return fresh

    def forecasts(self, trained: Params) -> Params:
        return trained

    def init(self, inputs: LossInputs) -> State:
        return None

    def loss_and_state(self, inputs, params, frozen, batch, key, state):
        return cast(Objective, self).loss(inputs, params, frozen, batch, key), state

    def loss_and_figures(self, inputs, params, frozen, batch, key, state):
        loss, state = self.loss_and_state(inputs, params, frozen, batch, key, state)
        return loss, (state, {})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Denoising(ObjectiveBase):
    """The diffusion loss of `rolling.losses` at the clocks that the window samples."""

    scales: tuple[int, ...] = ()
    """Factors by which frames are coarsened for additional terms of the loss (arXiv 2301.11093)."""

    def __post_init__(self):
        if any(factor < 2 for factor in self.scales) or len(set(self.scales)) < len(self.scales):
            raise InputError(f"objective.scales are different whole numbers from 2 on, not {self.scales}")

    def loss(self, inputs, params, frozen, batch, key):
        times_key, noise_key, dropout_key = jax.random.split(key, 3)
        x, recipe = batch["x"], inputs.recipe
        return diffusion_loss(
            inputs.bind(params, batch, dropout_key),
            x,
            recipe.window.sample_times(times_key, len(x)),
            noise_key,
            schedule=recipe.schedule,
            weighting=inputs.weighting,
            noise=recipe.noise,
            mask=inputs.mask,
            scales=self.scales,
        )
