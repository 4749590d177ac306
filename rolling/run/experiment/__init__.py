"""Experiments: how one is defined, found, changed from the command line and stored as JSON."""

from rolling.run.experiment.experiment import Experiment, Forecast, Reference, Training, Validation

__all__ = ["Experiment", "Forecast", "Reference", "Training", "Validation"]
