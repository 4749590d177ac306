"""An experiment: a value composed of parts from the lower packages, with everything that a run depends on."""

import dataclasses
from typing import Any, cast

import jax
import jax.numpy as jnp

from rolling.common.checks import check_finite, check_least, check_seed
from rolling.common.errors import InputError
from rolling.common.files import check_name
from rolling.data.augment import Augmentation
from rolling.data.clip_past import ClipPast
from rolling.data.set_apart import set_apart
from rolling.data.source import Source, Split
from rolling.denoisers import Architecture, Past, Prediction, V
from rolling.joint_layout import JointLayout
from rolling.losses import VLoss, Weighting
from rolling.metrics import Metric
from rolling.outputs import Output
from rolling.protocols.protocol import PublishedProtocol
from rolling.run.experiment.objectives import Denoising, Objective
from rolling.run.experiment.optimisers import AdamW, Optimiser
from rolling.sampling.joint_recipe import JointSampling
from rolling.sampling.recipe import Sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """Length of the training, its batches, and its learning rate, which rises linearly to the optimiser's
    peak, stays there, and falls linearly to zero."""

    steps: int = 10_000
    """Steps of the optimiser."""
    batch: int = 8
    """Clips per step, over all devices and accumulated parts."""
    accumulate: int = 1
    """Parts into which a batch is split, processed one after another to save memory."""
    warmup: int = 20
    """Steps over which the learning rate rises to its peak."""
    decay: float = 0.5
    """The last fraction of the steps, over which the learning rate falls to zero."""
    clip: float = 1.0
    """Largest global norm of the gradient."""
    ema: float = 0.995
    """Decay of the moving average of the parameters, which makes the forecasts."""
    drop_condition: float = 0.0
    """Fraction of clips trained without their label and tokens, as classifier-free guidance needs."""
    seed: int = 0
    """Of the initial parameters, the clips drawn and their noise."""
    init: str = ""
    """Folder of a run whose averaged parameters are the initial ones, where they fit; by default all are
    random."""
    log_every: int = 20
    """Steps between two lines of the log."""
    checkpoint_every: int = 200
    """Steps between two checkpoints."""
    checkpoint_minutes: float = 10.0
    """A checkpoint is also written after this many minutes without one."""
    keep: int = 2
    """Checkpoints kept."""

    def __post_init__(self):
        for name in ("steps", "batch", "accumulate", "log_every", "checkpoint_every", "keep"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"training.{name} must be a whole number of at least 1, not {getattr(self, name)}"
                )
        check_finite("training", self, "checkpoint_minutes", above=0)
        check_least("training", self, "warmup")
        check_seed("training", self)
        if self.batch % self.accumulate:
            raise InputError(
                f"training.batch, {self.batch}, cannot be split into training.accumulate ="
                f" {self.accumulate} equal parts: choose a divisor"
            )
        if not (0 <= self.decay <= 1 and 0 <= self.ema < 1 and self.clip > 0):
            raise InputError("training needs 0 <= decay <= 1, 0 <= ema < 1 and clip > 0")
        if not 0 <= self.drop_condition <= 1:
            raise InputError(
                f"training.drop_condition is a fraction of the clips, from 0 to 1, not {self.drop_condition}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Validation:
    """The loss on a part of the training data that is set apart, by which the parameters to forecast with are
    chosen: those whose average has the lowest."""

    share: float = 0.0
    """Share of the training data that is set apart, at most 0.5: whole sequences where there are enough, else
    the last frames of long ones; 0: none, and the last parameters forecast."""
    every: int = 200
    """Steps between two evaluations; there is one after the last step, too."""
    clips: int = 64
    """Clips that it is computed on, at fixed places, rounded up to whole batches."""
    patience: int = 0
    """Evaluations in a row without a lower loss after which training ends; 0: it never ends early."""

    def __post_init__(self):
        check_least("validation", self, "share", most=0.5)
        check_least("validation", self, "every", "clips", least=1)
        check_least("validation", self, "patience")
        if self.patience and not self.share:
            raise InputError(
                "validation.patience ends training by a loss on data that are set apart, and none are: give"
                " --validation.share 0.1, say, or --validation.patience 0"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
    """Frames that the network sees beside every window, as more channels of its input: of a rollout the first
    given ones, however long it is.

    What a sequence keeps (the size of an object, its colours, a background) is learnt by one step to the next
    with a small bias, and nothing in the data pulls back once it has gone wrong; with the beginning in sight
    it is known exactly. A picture to be set in motion is shown in the same way (Stable Video Diffusion, arXiv
    2311.15127); the role is that of the anchor frame of StreamingT2V (arXiv 2403.14773) and of attention
    sinks. It is wrong for what should be forgotten, as a scene that is left.
    """

    frames: int = 0
    """How many; 0: none."""
    reach: int = 64
    """In training they begin up to so many frames before the clip."""

    def __post_init__(self):
        check_least("reference", self, "frames", "reach")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forecast:
    """Which forecasts to make of the held-out part."""

    starts: int = 16
    """Initialisation times, spread evenly over the held-out part."""
    members: int = 4
    """Forecasts from each initialisation time: the size of the ensemble."""
    frames: int = 20
    """Frames of each forecast; an experiment with 0 makes none."""
    batch: int = 16
    """Forecasts sampled together; memory grows with it, the result does not depend on it."""
    chunk: int = 32
    """Frames, about, that are sampled before they are written."""
    seed: int = 0
    """Of the noise."""
    from_clip_start: bool = False
    """Start from the first frames of each sequence, as benchmarks of clips do, in place of anywhere."""

    def __post_init__(self):
        for name in ("starts", "members", "batch", "chunk"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"a forecast's {name} must be a whole number of at least 1, not {getattr(self, name)}"
                )
        check_seed("forecast", self)
        if self.frames < 0:
            raise InputError(f"a forecast's frames must be a whole number of at least 0, not {self.frames}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment(Sampling):
    """Everything that determines the result of a run."""

    name: str
    """Name of the run's folder."""
    source: Source
    """Where the sequences come from."""
    network: Architecture
    """The network that is trained."""
    prediction: Prediction = V()
    """What the network's output means."""
    weighting: Weighting = VLoss()
    """Weights of the noise levels in the loss."""
    objective: Objective = Denoising()
    """What is trained, and with which loss."""
    reference: Reference = Reference()
    """Frames of the beginning that the network sees all the time."""
    augment: tuple[Augmentation, ...] = ()
    """Symmetries of the data, applied to training clips."""
    optimiser: Optimiser = AdamW()
    """How the gradient changes the parameters."""
    training: Training = Training()
    """How long training takes, and in which batches."""
    validation: Validation = Validation()
    """What is set apart to choose the parameters by."""
    forecast: Forecast = Forecast()
    """The ensemble that the scores are computed from."""
    long: Forecast = Forecast(frames=0)
    """Long rollouts, for their statistics."""
    metrics: tuple[Metric, ...] = ()
    """Scores of the forecasts."""
    long_metrics: tuple[Metric, ...] = ()
    """Scores of the long rollouts."""
    protocols: tuple[PublishedProtocol, ...] = ()
    """Published protocols by which the run is scored, too."""
    outputs: tuple[Output, ...] = ()
    """Files showing some of the forecasts beside the truth."""

    def __post_init__(self):
        super().__post_init__()
        check_name(self.name, "an experiment's --name")
        self.objective.check(self)
        if self.validation.share and not self.objective.comparable:
            raise InputError(
                f"the loss of {type(self.objective).__name__} does not tell which parameters are better, as"
                " validation needs: choose another objective, or --validation.share 0 (of a teacher, too)"
            )

    @property
    def clip_frames(self) -> int:
        """Frames of the clips that it is trained on."""
        return self.objective.frames(self.window)

    @property
    def clip_past(self) -> ClipPast:
        """The frames of its past that come with such a clip."""
        return ClipPast(
            reference=self.reference.frames,
            reach=self.reference.reach,
            memory=self.objective.past(self),
            start_share=self.memory.start_share,
        )

    def split(self) -> Split:
        """The data, with what is to be validated on, if that is wanted: the part that the source has for it,
        else what is set apart from the training part.

        Raises `InputError` for data that cannot be used, or are too few for both.
        """
        split, share = self.source.open(), self.validation.share
        if not share:
            return dataclasses.replace(split, validation=None)
        if split.validation is not None:
            return split
        rest, apart = set_apart(split.train, share, self.clip_frames)
        return dataclasses.replace(split, train=rest, validation=apart)

    def check_layout(self, layout: Any) -> None:
        if isinstance(layout, JointLayout) and not isinstance(self, JointSampling):
            raise InputError(
                f"these data have several modalities, {', '.join(layout.of)}, and this experiment is of one:"
                " make it a JointExperiment, as the preset lorenz96 is"
            )
        super().check_layout(cast(Any, layout))
        self.check_trained(self)
        self._try_prediction(self, layout)

    def _try_prediction(self, sampling: Sampling, layout: Any) -> None:
        """Raises `InputError` where what the network predicts does not suit the window, or is no frames."""
        count, channels = sampling.partition.frames(sampling.window), len(layout.variables)
        frames = jax.ShapeDtypeStruct((1, count, 1, 1, channels), jnp.float32)
        clocks = jax.ShapeDtypeStruct(frames.shape[:2], jnp.float32)
        past = Past(context=sampling.window.context)
        found = jax.eval_shape(lambda z, logsnr: self.prediction.x(z, logsnr, z, past), frames, clocks)
        if found.shape != frames.shape:
            raise InputError(
                f"{type(self.prediction).__name__} makes {found.shape} of frames of shape {frames.shape}: its"
                " method `x` returns the clean frames, shaped like `z`"
            )

    def check_trained(self, sampling: Sampling) -> None:
        """Raises `InputError` where frames are to be made in a way for which the network is not trained."""
        if self.reference.frames > sampling.given_frames:
            raise InputError(
                f"the network is shown the first {self.reference.frames} frames of a rollout, which is given"
                f" {sampling.given_frames}: choose fewer frames of reference, or a window with more context"
            )
        if sampling.memory.ages != self.memory.ages:
            raise InputError(
                f"the network is trained with old frames of the ages {self.memory.ages} and is asked with"
                f" {sampling.memory.ages}: leave --memory.ages as it was trained"
            )
        for part in sampling.guidance:
            part.check_trained(self.window, self.training.drop_condition)
