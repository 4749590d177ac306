"""Metrics of forecasts: what one is, and the mechanisms and the metrics that any kind of frame shares."""

from rolling.metrics.metric import About, EvaluationSetup, Metric, Ranking, Resampled, Sample, Score

__all__ = ["About", "EvaluationSetup", "Metric", "Ranking", "Resampled", "Sample", "Score"]
