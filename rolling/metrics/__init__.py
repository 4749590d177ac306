"""Metrics of forecasts: what one is, and the mechanisms and the metrics that any kind of frame shares."""

from rolling.metrics.metric import EvaluationSetup, Metric, Resampled, Sample, Score

__all__ = ["EvaluationSetup", "Metric", "Resampled", "Sample", "Score"]
