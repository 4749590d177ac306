"""What an experiment is, and how one is found, changed from the command line, and kept as JSON."""

from rolling.run.experiment.experiment import Experiment, Forecast, Training

__all__ = ["Experiment", "Forecast", "Training"]
