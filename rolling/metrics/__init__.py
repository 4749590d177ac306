"""Metrics of forecasts: the protocol, and the mechanisms and metrics for frames of any kind."""

from rolling.metrics.protocol import About, EvaluationSetup, Metric, Ranking, Resampled, Sample, Score

__all__ = ["About", "EvaluationSetup", "Metric", "Ranking", "Resampled", "Sample", "Score"]
