"""What a run trains, and with which loss: denoising, or doing in few steps what a teacher does in many."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from rolling.common.errors import InputError
from rolling.denoisers import Condition, Denoiser
from rolling.distillation import (
    Denoise,
    consistency_loss,
    moment_matching_losses,
    sample_segments,
    small_steps,
    whole_segment,
)
from rolling.losses import Weighting, XLoss, diffusion_loss
from rolling.sampling import Sampling
from rolling.sampling.constraints import Units
from rolling.solvers import Ancestral, Ddim
from rolling.windows import Window, check_share, training_frames

Params = Any
State = Any
Batch = dict[str, Any]


class LossInputs(NamedTuple):
    """What a loss takes from an experiment and its network."""

    denoiser: Callable[[Params, Key[Array, ""] | None], Denoiser]
    """Maps parameters and a dropout key (None: no dropout) to the denoiser."""
    condition: Callable[[Batch, Key[Array, ""] | None], Condition]
    """What the network is conditioned on for a batch; with a dropout key some clips lose it."""
    recipe: Sampling
    weighting: Weighting
    units: Units

    @property
    def mask(self) -> Float[Array, "height width channel"] | None:
        """1 where there are data; None: everywhere."""
        return None if self.units.mask is None else jnp.asarray(self.units.mask, jnp.float32)

    def bind(self, params: Params, batch: Batch, key: Key[Array, ""] | None) -> Denoise:
        """`(z, logsnr) -> x` for a batch; `key` is that of the dropout."""
        denoise, condition = self.denoiser(params, key), self.condition(batch, key)
        return lambda z, logsnr: denoise(z, logsnr, condition)


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
        `batch["memory"] [batch, height, width, old frames x channel]`."""
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
        """The mean over a batch of clips `batch["x"] [batch, time, height, width, channel]`; of an objective
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


class ObjectiveBase:
    """No teacher, a loss to validate by, any way of sampling, one network that forecasts, and no state."""

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


class _Distillation(ObjectiveBase):
    """Base of few-step students: their segments are the equal steps of a sweep."""

    warmup_share: float

    def __post_init__(self):
        check_share("objective.warmup_share", self.warmup_share)

    def check(self, sampling):
        window = sampling.window
        ends = np.asarray(window.cycle(jnp.asarray([1.0, 0.0])))[:, : window.context]
        if training_frames(window) != window.size or (ends[0] != ends[1]).any():
            raise InputError(
                "a distillation needs a window that is trained on clips of its own size and whose context has"
                f" constant clocks, which {type(window).__name__} is not: distil a run of another window"
            )
        if sampling.noise.memory or not sampling.spacing.even:
            raise InputError(
                "a distillation needs independent noise and even steps: give --noise independent and"
                " --spacing even, and a teacher trained with them"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Consistency(_Distillation):
    """Multistep consistency (arXiv 2403.06807): one DDIM step does what the teacher does in `small_steps`.

    A segment is one solver step of the experiment, so `calls_per_frame` determines their number.
    """

    teacher: str = ""
    """The folder of the run to distil."""
    training: bool = False
    """Consistency training: the data point replaces the teacher's prediction."""
    small_steps: int = 8
    """The teacher's steps per segment."""
    variance: float = 0.75
    """The fraction of the teacher's squared error that aDDIM adds back; 0: plain DDIM."""
    warmup_share: float = 0.1
    """Fraction of the training times in the window's warm-up."""

    def __post_init__(self):
        if self.small_steps < 1:
            raise InputError(
                f"objective.small_steps must be a whole number of at least 1, not {self.small_steps}"
            )
        if not 0 <= self.variance <= 1:
            raise InputError(f"objective.variance is a fraction between 0 and 1, not {self.variance}")
        super().__post_init__()

    @property
    def suited(self) -> dict[str, Any]:
        """The fields of an experiment that go with this method."""
        return {"solver": Ddim()}

    def start(self, fresh, teacher):
        if teacher is None and not self.training:
            raise _no_teacher()
        return _copy(fresh if teacher is None else teacher)

    def loss(self, inputs, params, frozen, batch, key):
        times_key, noise_key, dropout_key = jax.random.split(key, 3)
        x, recipe = batch["x"], inputs.recipe
        segments = sample_segments(
            recipe.window,
            recipe.cycle_steps,
            small_steps(self.small_steps),
            times_key,
            len(x),
            self.warmup_share,
        )
        return consistency_loss(
            inputs.bind(params, batch, dropout_key),
            inputs.bind(params, batch, None),
            None if self.training else inputs.bind(frozen, batch, None),
            x,
            segments,
            noise_key,
            schedule=recipe.schedule,
            weighting=inputs.weighting,
            variance=self.variance,
            mask=inputs.mask,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MomentMatching(_Distillation):
    """Moment matching (arXiv 2406.04103): given the noisy frames, the mean of the student's frames matches
    the teacher's.

    A second network, trained alongside, estimates the student's mean. The two losses are summed, as neither
    has a gradient with respect to the other's parameters.
    """

    teacher: str = ""
    """The folder of the run to distil."""
    warmup_share: float = 0.1
    """Fraction of the training times in the window's warm-up."""

    comparable = False  # a game of two networks: the gradient is right, but the value says nothing

    @property
    def suited(self) -> dict[str, Any]:
        """The fields of an experiment that go with this method.

        The student's gradient is a plain difference of two predictions: with the weights of the v-loss it
        would grow as `1 / sigma` towards the clean end.
        """
        return {"solver": Ancestral(), "weighting": XLoss()}

    def start(self, fresh, teacher):
        if teacher is None:
            raise _no_teacher()
        return {"student": _copy(teacher), "auxiliary": _copy(teacher)}

    def forecasts(self, trained):
        return trained["student"]

    def loss(self, inputs, params, frozen, batch, key):
        times_key, noise_key, *dropout_keys = jax.random.split(key, 4)
        x, recipe = batch["x"], inputs.recipe
        segments = sample_segments(
            recipe.window, recipe.cycle_steps, whole_segment, times_key, len(x), self.warmup_share
        )
        auxiliary, student = moment_matching_losses(
            inputs.bind(params["student"], batch, dropout_keys[0]),
            inputs.bind(params["auxiliary"], batch, dropout_keys[1]),
            inputs.bind(frozen, batch, None),
            x,
            segments,
            noise_key,
            schedule=recipe.schedule,
            weighting=inputs.weighting,
            mask=inputs.mask,
        )
        return auxiliary + student


def _copy(params: Params) -> Params:
    """A copy with its own memory: a training step donates its state's."""
    return jax.tree.map(jax.numpy.copy, params)


def _no_teacher() -> InputError:
    return InputError("a distillation needs a teacher: give --objective.teacher the folder of a trained run")
