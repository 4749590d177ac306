"""Anomaly correlation, after the two conventions in use, which differ by 0.1 on hourly temperature.

The notation is that of `rolling.metrics.ensemble`.
"""

import dataclasses
from typing import ClassVar

import numpy as np

from rolling.metrics.ensemble import PerVariable, ensemble_mean
from rolling.metrics.protocol import About, Sample


def _anomalies(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """The ensemble's mean and the truth, as departures from the climatology."""
    return ensemble_mean(sample) - sample.climatology, sample.truth - sample.climatology


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnomalyCorrelation(PerVariable):
    """`E [<(m - c)(y - c)> / sqrt(<(m - c)^2> <(y - c)^2>)]`: uncentred, one correlation for each start.

    The convention of WeatherBench 2 (arXiv 2308.15560). A start without anomalies, as all are of the
    climatology, has no correlation and does not count. See also `PooledAnomalyCorrelation`.
    """

    name = "anomaly_correlation"
    about: ClassVar[About] = About(
        title="Anomaly correlation, mean over starts",
        note="Uncentred correlation of forecast and truth as departures from the climatology, one for each"
        " start, and their mean; 1 is perfect.",
        section="skill",
        order=23,
        higher=True,
    )
    dimensionless: ClassVar[bool] = True

    def terms(self, tools, sample):
        forecast, truth = _anomalies(sample)
        size = np.sqrt(tools.mean(forecast**2) * tools.mean(truth**2))
        there = size > 0
        correlation = tools.mean(forecast * truth) / np.where(there, size, 1.0)
        return {"correlation": np.where(there, correlation, 0.0), "there": there.astype(np.float64)}

    def values(self, sums):
        return sums.mean("correlation") / sums.mean("there")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PooledAnomalyCorrelation(PerVariable):
    """`E C(f, a) / sqrt(E C(f, f) E C(a, a))`, with `f = m - c`, `a = y - c` and the spatial covariance
    `C(f, a) = <f a> - <f> <a>`: centred, one correlation of the sums over all starts.

    The anomaly correlation coefficient of the WMO (Manual on the Global Data-processing and Forecasting
    System, WMO-No. 485) with its sums pooled over starts: a start counts by the size of its anomalies, and an
    offset of the whole field not at all.
    """

    name = "pooled_anomaly_correlation"
    about: ClassVar[About] = About(
        title="Anomaly correlation, centred and pooled",
        note="Of departures from the climatology less their mean over the field, from sums over all starts,"
        " as the WMO defines it; 1 is perfect.",
        section="skill",
        order=24,
        higher=True,
    )
    dimensionless: ClassVar[bool] = True

    def terms(self, tools, sample):
        forecast, truth = _anomalies(sample)

        def covariance(a, b):
            return tools.mean(centred(a) * centred(b))

        def centred(field):
            return field - tools.everywhere(tools.mean(field))

        return {
            "both": covariance(forecast, truth),
            "forecast": covariance(forecast, forecast),
            "truth": covariance(truth, truth),
        }

    def values(self, sums):
        return sums.mean("both") / np.sqrt(sums.mean("forecast") * sums.mean("truth"))
