"""An experiment with several modalities."""

import dataclasses
from collections.abc import Collection
from typing import cast

from rolling.common.errors import InputError
from rolling.joint_layout import JointLayout
from rolling.layout import Layout
from rolling.metrics.between_modalities import JointMetric
from rolling.run.experiment.experiment import Experiment
from rolling.run.experiment.joint_denoising import JointDenoising
from rolling.run.experiment.objectives import Objective
from rolling.sampling.joint_recipe import JointSampling
from rolling.sampling.recipe import Sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Law:
    """What is made of what."""

    given: tuple[str, ...] = ()
    """Modalities of which all frames are known."""
    absent: tuple[str, ...] = ()
    """Modalities that are left out."""

    def of(self, sampling: JointSampling) -> JointSampling:
        """The way of sampling by this law."""
        still = self.given + self.absent
        couplings = tuple(part for part in sampling.couplings if part.modality not in still)
        return dataclasses.replace(sampling, given=self.given, absent=self.absent, couplings=couplings)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JointExperiment(Experiment, JointSampling):
    """Everything that determines the result of a run of several modalities.

    Its source joins several (`together`), and its network takes them (`joint_u_vi_t`). The window, the calls
    and the lengths of forecasts count ticks. Metrics are those of each modality that they suit.
    """

    objective: Objective = JointDenoising()
    """What is trained, and with which loss."""
    laws: tuple[Law, ...] = ()
    """Other laws than the first by which a run makes its forecasts, too, each in a store of its own."""
    joint_metrics: tuple[JointMetric, ...] = ()
    """Scores of how well the modalities of a rollout agree with each other."""

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.objective, JointDenoising):
            kind = type(self.objective).__name__
            raise InputError(f"{kind} trains one modality: choose --objective joint_denoising for several")
        unsuitable = {
            "augment": self.augment,
            "reference.frames": self.reference.frames,
            "protocols": self.protocols,
            "training.drop_condition": self.training.drop_condition,
        }
        for name, there in unsuitable.items():
            if there:
                raise InputError(f"several modalities cannot be trained with {name} yet: leave it out")

    def check_layout(self, layout: JointLayout | Layout) -> None:
        super().check_layout(layout)
        layout = cast(JointLayout, layout)
        cast(JointDenoising, self.objective).check_layout(layout)
        for law in self.laws:
            law.of(self.recipe).check_layout(layout)
        for name, asked in (("forecast", self.forecast), ("long", self.long)):
            if asked.frames % layout.slot:
                raise InputError(
                    f"{name}.frames counts ticks, in whole slots of {layout.slot}, and {asked.frames} are"
                    f" none: choose {-(-asked.frames // layout.slot) * layout.slot}"
                )

    def check_trained(self, sampling: Sampling) -> None:
        super().check_trained(sampling)
        tasks, asked = cast(JointDenoising, self.objective).tasks, cast(JointSampling, sampling)
        for what in ("given", "absent"):
            names = getattr(asked, what)
            if names and not getattr(tasks, what):
                raise InputError(
                    f"the network was trained without any modality {what}, and is asked with"
                    f" {', '.join(names)} {what}: train it with --objective.tasks.{what} above 0"
                )

    def check_known(self, names: Collection[str]) -> None:
        """Raises `InputError` for frames that are known of some modalities, where the network was never shown
        clean ones beside others that are not."""
        tasks = cast(JointDenoising, self.objective).tasks
        if names and not (tasks.given or tasks.frames or tasks.frames_apart):
            raise InputError(
                "the network was trained neither with a modality given nor with a time for each frame, and"
                f" frames of {', '.join(names)} are to be known: train it with --objective.tasks.given or"
                " --objective.tasks.frames above 0"
            )

    def _try_prediction(self, sampling: Sampling, layout: JointLayout) -> None:
        for name, part in cast(JointSampling, sampling).sampler(layout).parts.items():
            super()._try_prediction(part.recipe, layout.of[name])


def check_one_modality(experiment: Experiment, command: str) -> None:
    """Raises `InputError` for an experiment of several, of which a command knows nothing."""
    if isinstance(experiment, JointExperiment):
        raise InputError(
            f"`rolling {command}` is for runs of one modality, and {experiment.name} has several: their"
            " forecasts are scored, and shown, by `rolling evaluate` and `rolling report`"
        )
