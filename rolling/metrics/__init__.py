"""Metrics of forecasts: the protocol, and the mechanisms and metrics for frames of any kind."""

from rolling.metrics.metric import EvaluationSetup, Metric, Resampled, Sample, Score

__all__ = ["EvaluationSetup", "Metric", "Resampled", "Sample", "Score"]
