"""An experiment: a value composed of parts from the lower packages, with everything that a run depends on."""

import dataclasses
from pathlib import Path

from rolling.common.errors import InputError
from rolling.data.augment import Augmentation
from rolling.data.source import Source
from rolling.denoisers import Architecture, Prediction, V
from rolling.losses import VLoss, Weighting
from rolling.metrics import Metric
from rolling.outputs import Output
from rolling.run.experiment.objectives import Denoising, Objective
from rolling.run.experiment.optimisers import AdamW, Optimiser
from rolling.sampling.sampler import Sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """Length of the training, its batches, and its learning rate.

    The rate rises linearly over `warmup` steps, stays at the optimiser's peak, and falls linearly to zero
    over the last fraction `decay` of the steps.
    """

    steps: int = 10_000
    batch: int = 8
    """Clips per step, over all devices and accumulated parts."""
    accumulate: int = 1
    """Parts into which a batch is split, processed one after another to save memory."""
    warmup: int = 20
    decay: float = 0.5
    clip: float = 1.0
    """Largest global norm of the gradient."""
    ema: float = 0.995
    """Decay of the moving average of the parameters, which makes the forecasts."""
    drop_condition: float = 0.0
    """Fraction of clips trained without their label and tokens, as classifier-free guidance needs."""
    seed: int = 0
    log_every: int = 20
    checkpoint_every: int = 200
    keep: int = 2
    """Checkpoints kept."""

    def __post_init__(self):
        for name in ("steps", "batch", "accumulate", "log_every", "checkpoint_every", "keep"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"training.{name} must be a whole number of at least 1, not {getattr(self, name)}"
                )
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
class Forecast:
    """Which forecasts to make of the held-out part: `starts` of them, spread evenly, `members` each.

    With `from_clip_start` each starts from the first frames of a sequence, as is usual in benchmarks of
    clips; otherwise they may start anywhere. `frames = 0` makes no forecast. `batch` forecasts are sampled
    together, in chunks of about `chunk` frames.
    """

    starts: int = 16
    members: int = 4
    frames: int = 20
    batch: int = 16
    chunk: int = 32
    seed: int = 0
    from_clip_start: bool = False

    def __post_init__(self):
        for name in ("starts", "members", "batch", "chunk"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"a forecast's {name} must be a whole number of at least 1, not {getattr(self, name)}"
                )
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
    prediction: Prediction = V()
    """What the network's output means."""
    weighting: Weighting = VLoss()
    """Weights of the noise levels in the loss."""
    objective: Objective = Denoising()
    """What is trained, and with which loss."""
    augment: tuple[Augmentation, ...] = ()
    """Symmetries of the data, applied to training clips."""
    optimiser: Optimiser = AdamW()
    training: Training = Training()
    forecast: Forecast = Forecast()
    """The ensemble that the scores are computed from."""
    long: Forecast = Forecast(frames=0)
    """Long rollouts, for their statistics."""
    metrics: tuple[Metric, ...] = ()
    """Scores of the forecasts."""
    long_metrics: tuple[Metric, ...] = ()
    """Scores of the long rollouts."""
    outputs: tuple[Output, ...] = ()
    """Files showing some of the forecasts beside the truth."""

    def __post_init__(self):
        super().__post_init__()
        if not self.name or self.name != Path(self.name).name:
            raise InputError(
                f"an experiment's name becomes a folder, {self.name!r} cannot: choose another --name"
            )
        self.objective.check(self)
