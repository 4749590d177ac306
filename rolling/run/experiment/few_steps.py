"""Objectives of few-step students: doing in few steps what a teacher does in many."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from rolling.array_types import Clocks, Frames
from rolling.common.errors import InputError
from rolling.distillation import (
    Places,
    Segments,
    consistency_loss,
    ddim_step,
    diffused_to,
    moment_matching_losses,
    sample_segments,
    segment_index,
    segments_at,
    small_steps,
    whole_segment,
)
from rolling.losses import XLoss
from rolling.noise import expand
from rolling.run.experiment.objectives import Batch, LossInputs, ObjectiveBase, Params, cut
from rolling.run.experiment.own_states import OwnStates
from rolling.solvers import Ancestral, Ddim, step_between
from rolling.windows import check_share, stratified, training_frames

OWN = 2**16
"""Folded into a step's key for what own rollouts draw. `split` gives the keys of small folds, which others
take."""


class _States(NamedTuple):
    """What a distillation learns from: noisy frames `z` at the clocks `at`, and their segments."""

    inputs: LossInputs
    """With the conditions of these frames."""
    x: Frames
    """True frames of the same times; states of a rollout are not made of them."""
    z: Frames
    at: Clocks
    """`segments.t`; of own states the beginning of the segment."""
    segments: Segments


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Distillation(ObjectiveBase):
    """Base of few-step students: their segments are the equal steps of a sweep.

    With `own_share > 0` the states of a share of the clips are those of the student's own rollout in place of
    true frames with noise (Self Forcing, arXiv 2506.08009; Self-Forcing++, 2510.02283): the window is placed
    on the truth and rolled `k ~ U{1 .. cycles}` cycles, and some of the steps of the next one, as the
    experiment samples but without guidance, dropout and gradient. The context is the student's own then,
    with its errors, and so are the noisy frames, each at the clock at which its segment begins. The warm-up
    is trained on the other clips only.
    """

    teacher: str = ""
    """The folder of the run to distil."""
    warmup_share: float = 0.1
    """Fraction of the training times in the window's warm-up."""
    own_share: float = 0.0
    """Share of the clips of a batch that are states of the student's own rollout; 0: none."""
    cycles: int = 1
    """Largest number of cycles that are rolled, where there are own states."""

    def __post_init__(self):
        check_share("objective.warmup_share", self.warmup_share)
        self._own.check("own_share")

    @property
    def _own(self) -> OwnStates:
        return OwnStates(self.own_share, self.cycles)

    def frames(self, window):
        return self._own.frames(window) if self.own_share > 0 else training_frames(window)

    def past(self, sampling):
        return self._own.past(sampling) if self.own_share > 0 else super().past(sampling)

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
        nothing_own = window.context == 0 and sampling.all_enter_at_once and sampling.cycle_steps == 1
        if self.own_share > 0 and nothing_own:
            raise InputError(
                "objective.own_share shows states of a rollout, and this one has no context and begins each"
                " of its single steps with pure noise: leave it out, or take a window with context"
            )

    def _states(
        self,
        inputs: LossInputs,
        student: Params,
        batch: Batch,
        places: Places,
        times_key: Key[Array, ""],
        noise_key: Key[Array, ""],
        key: Key[Array, ""],
    ) -> _States:
        """True frames diffused to the clocks `segments.t`, and own states where the segments begin; `key` is
        that of the training step."""
        x, recipe = batch["x"], inputs.recipe
        window, steps, clips = recipe.window, recipe.cycle_steps, len(x)
        segments = sample_segments(window, steps, places, times_key, clips, self.warmup_share)
        if self.own_share == 0:
            z = diffused_to(segments, x, noise_key, recipe.schedule)
            return _States(inputs, x, z, segments.t, segments)

        roll_key, count_key, place_key = jax.random.split(jax.random.fold_in(key, OWN), 3)
        count = self._own.counts(count_key, clips)
        made, rolled = (count > 0)[:, None], self._own.clips(clips)
        u = jnp.pad(stratified(place_key, rolled), (0, clips - rolled))
        begin = segments_at(window.cycle, steps, u, whole_segment).t
        done = steps - 1 - segment_index(steps, u).astype(count.dtype)
        own = self._own.within_a_cycle(
            inputs,
            student,
            x,
            inputs.condition(batch, None),
            count,
            done,
            recipe.schedule.logsnr(begin),
            roll_key,
        )
        of_cycle = segments_at(window.cycle, steps, u, places)
        segments = jax.tree.map(lambda one, other: jnp.where(made, one, other), of_cycle, segments)
        first = count * window.stride
        x = cut(x, first, window.size)
        diffused = diffused_to(segments, x, noise_key, recipe.schedule)
        z = jnp.where(expand(made, diffused), own.frames, diffused)
        at = jnp.where(made, begin, segments.t)
        return _States(inputs.placed(first, window.size, own.memory), x, z, at, segments)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Consistency(_Distillation):
    """Multistep consistency (arXiv 2403.06807): one DDIM step does what the teacher does in `small_steps`.

    A segment is one solver step of the experiment, so `calls_per_frame` determines their number. Own states
    within a segment lie on the student's own DDIM step across it, which takes one more call.
    """

    training: bool = False
    """Consistency training: the data point replaces the teacher's prediction."""
    small_steps: int = 8
    """The teacher's steps per segment."""
    variance: float = 0.75
    """The fraction of the teacher's squared error that aDDIM adds back; 0: plain DDIM."""

    def __post_init__(self):
        if self.small_steps < 1:
            raise InputError(
                f"objective.small_steps must be a whole number of at least 1, not {self.small_steps}"
            )
        if not 0 <= self.variance <= 1:
            raise InputError(f"objective.variance is a fraction between 0 and 1, not {self.variance}")
        if self.own_share > 0 and self.training:
            raise InputError(
                "objective.own_share needs a teacher's answer, as no data point belongs to a state of the"
                " student's own rollout: leave objective.training out, or objective.own_share"
            )
        if self.own_share > 0 and self.variance > 0:
            raise InputError(
                "objective.variance is a share of the teacher's error, which is measured against true frames,"
                " and states of the student's own rollout have none: with objective.own_share give"
                " --objective.variance 0"
            )
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
        places, schedule = small_steps(self.small_steps), inputs.recipe.schedule
        states = self._states(inputs, params, batch, places, times_key, noise_key, key)
        inputs, z, segments = states.inputs, states.z, states.segments
        target = inputs.bind(params, batch, None)
        if self.own_share > 0:
            on = step_between(schedule, states.at, segments.t)
            z = jax.lax.stop_gradient(ddim_step(z, target(z, on.logsnr_t), on))
        return consistency_loss(
            inputs.bind(params, batch, dropout_key),
            target,
            None if self.training else inputs.bind(frozen, batch, None),
            states.x,
            z,
            segments,
            schedule=schedule,
            weighting=inputs.weighting,
            variance=self.variance,
            mask=inputs.mask,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MomentMatching(_Distillation):
    """Moment matching (arXiv 2406.04103): given the noisy frames, the mean of the student's frames matches
    the teacher's.

    A second network, trained alongside, estimates the student's mean. The two losses are summed, as neither
    has a gradient with respect to the other's parameters. Own states need no true frames: the student's
    prediction there is noised anew, and the teacher answers.
    """

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
        z_key, s_key = jax.random.split(noise_key)
        states = self._states(inputs, params["student"], batch, whole_segment, times_key, z_key, key)
        inputs = states.inputs
        auxiliary, student = moment_matching_losses(
            inputs.bind(params["student"], batch, dropout_keys[0]),
            inputs.bind(params["auxiliary"], batch, dropout_keys[1]),
            inputs.bind(frozen, batch, None),
            states.z,
            states.segments,
            s_key,
            schedule=inputs.recipe.schedule,
            weighting=inputs.weighting,
            mask=inputs.mask,
        )
        return auxiliary + student


def _copy(params: Params) -> Params:
    """A copy with its own memory: a training step donates its state's."""
    return jax.tree.map(jnp.copy, params)


def _no_teacher() -> InputError:
    return InputError("a distillation needs a teacher: give --objective.teacher the folder of a trained run")
