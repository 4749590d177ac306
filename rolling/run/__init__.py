"""What a person does with an experiment: `load("runs/NAME")` gives the forecaster of a trained run."""

from rolling.run.forecasting.forecaster import Forecaster, load

__all__ = ["Forecaster", "load"]
