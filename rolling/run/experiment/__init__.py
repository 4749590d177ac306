"""Experiments: how one is defined, found, changed from the command line and stored as JSON."""

from rolling.run.experiment.experiment import Experiment, Forecast, Reference, Training, Validation
from rolling.run.experiment.joint_experiment import JointExperiment, Law, check_one_modality

__all__ = [
    "Experiment",
    "Forecast",
    "JointExperiment",
    "Law",
    "Reference",
    "Training",
    "Validation",
    "check_one_modality",
]
