"""Forecast verification, variable by variable: errors, probabilistic scores, calibration.

The colours of a picture are scored together, as one variable `pixel`.

In every equation `x_i` is member `i` of `M`, `m` their mean, `y` the truth, `c` the climatology; `<.>` is the
area mean over cells that hold data (with weights cos(latitude) where there is a latitude) and `E` the mean
over starts. Metrics of flows and spectra are in `rolling.physics.metrics`.
"""

import dataclasses
from typing import ClassVar

import numpy as np

from rolling.metrics.area import Domain, averaged
from rolling.metrics.protocol import About, EvaluationSetup, Ranking, Sample, Score
from rolling.metrics.sums import Averaged, Sums, over_leads


class PerVariable(Averaged):
    """A curve over lead time for every variable, or for all colours of a picture, from area means."""

    dimensionless: ClassVar[bool] = False

    def tools(self, setup: EvaluationSetup) -> Domain | None:
        return Domain.of(setup)

    def values(self, sums: Sums) -> np.ndarray:
        """`[leads, variable]`."""
        raise NotImplementedError

    def scores(self, sums: Sums) -> tuple[Score, ...]:
        units = "1" if self.dimensionless else None
        return over_leads(sums.setup, averaged(sums.setup.layout), self.values(sums), units=units)


def ensemble_mean(sample: Sample) -> np.ndarray:
    """`[lead, *space, variable]`, float64."""
    return sample.forecast.mean(axis=0, dtype=np.float64)


def ensemble_variance(sample: Sample) -> np.ndarray:
    """`sum_i (x_i - m)^2 / (M - 1)`: `[lead, *space, variable]`, float64."""
    return sample.forecast.var(axis=0, ddof=1, dtype=np.float64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rmse(PerVariable):
    """Error of the ensemble mean, `sqrt(E <(m - y)^2>)`."""

    name = "rmse"
    about: ClassVar[About] = About(
        title="Root mean square error",
        note="Lower is better. The forecast is the mean of its members.",
        section="skill",
        order=20,
        ranking=Ranking(title="RMSE of the ensemble mean"),
    )

    def terms(self, tools, sample):
        return {"square": tools.mean((ensemble_mean(sample) - sample.truth) ** 2)}

    def values(self, sums):
        return np.sqrt(sums.mean("square"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemberRmse(PerVariable):
    """Error of a single member, `sqrt(E mean_i <(x_i - y)^2>)`."""

    name = "member_rmse"
    about: ClassVar[About] = About(
        title="Root mean square error of one member",
        section="skill",
        order=21,
        column="one member",
    )

    def terms(self, tools, sample):
        return {"square": tools.mean((sample.forecast - sample.truth) ** 2).mean(axis=0)}

    def values(self, sums):
        return np.sqrt(sums.mean("square"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bias(PerVariable):
    """Mean error of the ensemble mean, `E <m - y>`."""

    name = "bias"
    about: ClassVar[About] = About(
        title="Bias",
        note="Mean of forecast minus truth.",
        section="skill",
        order=25,
        ideal=0.0,
        against="rmse",
    )

    def terms(self, tools, sample):
        return {"error": tools.mean(ensemble_mean(sample) - sample.truth)}

    def values(self, sums):
        return sums.mean("error")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crps(PerVariable):
    """Fair continuous ranked probability score, `E <mean_i |x_i - y| - sum_ij |x_i - x_j| / (2 M (M - 1))>`.

    Unbiased for the score of the distribution that the members are drawn from (Ferro 2014,
    doi 10.1002/qj.2270). A single member counts as a deterministic forecast: its score is the mean absolute
    error. The climatology is scored as the distribution that it is, by fields of the training part.
    """

    name = "crps"
    about: ClassVar[About] = About(
        title="Continuous ranked probability score",
        note="Fair CRPS, the error of the ensemble as a whole; lower is better. Of the climatology, that of"
        " training fields of the same phase.",
        section="skill",
        order=22,
        ranking=Ranking(title="CRPS", first=True),
    )

    def terms(self, tools, sample):
        drawn = sample.drawn()
        score = np.abs(drawn - sample.truth).mean(axis=0, dtype=np.float64)
        members = len(drawn)
        if members > 1:
            # With members sorted, half the sum over pairs is sum_i (2 i - M + 1) x_i, i = 0..M-1.
            weights = (2.0 * np.arange(members) - members + 1) / (members * (members - 1))
            score = score - np.tensordot(weights, np.sort(drawn, axis=0), axes=1)
        return {"score": tools.mean(score)}

    def values(self, sums):
        return sums.mean("score")


class Calibration(PerVariable):
    """Base of metrics that need more than one member."""

    def tools(self, setup):
        return super().tools(setup) if setup.members > 1 else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spread(Calibration):
    """`sqrt(E <var>)`, `var` the unbiased variance of the members."""

    name = "spread"
    about: ClassVar[About] = About(
        title="Spread",
        note="Standard deviation of the members.",
        section="calibration",
        order=31,
    )

    def terms(self, tools, sample):
        return {"variance": tools.mean(ensemble_variance(sample))}

    def values(self, sums):
        return np.sqrt(sums.mean("variance"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpreadSkillRatio(Calibration):
    """`sqrt((M + 1) / M) sqrt(E <var>) / sqrt(E <(m - y)^2>)`: one for a reliable ensemble of any size.

    Fortin et al. 2014 (doi 10.1175/JHM-D-14-0008.1); below one the ensemble is over-confident.
    """

    name = "spread_skill_ratio"
    about: ClassVar[About] = About(
        title="Spread over error",
        note="1 for a calibrated ensemble; below, its members are too sure of themselves.",
        section="calibration",
        order=30,
        ideal=1.0,
        column="spread/skill",
        ranking=Ranking(),
    )
    dimensionless: ClassVar[bool] = True

    def terms(self, tools, sample):
        return {
            "variance": tools.mean(ensemble_variance(sample)),
            "square": tools.mean((ensemble_mean(sample) - sample.truth) ** 2),
        }

    def values(self, sums):
        members = sums.setup.members
        return np.sqrt((members + 1) / members * sums.mean("variance") / sums.mean("square"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RankHistogram(Calibration):
    """Relative frequency of the truth's rank 1..M+1 among the members, over cells, starts and leads.

    Flat, `1 / (M + 1)`, for a reliable ensemble (Hamill 2001). A truth equal to some members shares its
    weight evenly among the ranks that it could take: this needs no random numbers and is flat in the mean as
    well.
    """

    name = "rank_histogram"
    about: ClassVar[About] = About(
        title="Rank histogram",
        note="Flat for a calibrated ensemble, high at both ends where it is too narrow.",
        section="calibration",
        order=32,
    )

    def terms(self, tools, sample):
        below = (sample.forecast < sample.truth).sum(axis=0)
        equal = (sample.forecast == sample.truth).sum(axis=0)
        share = 1.0 / (equal + 1)
        ranks = range(len(sample.forecast) + 1)
        shares = [tools.mean(np.where((below <= r) & (r <= below + equal), share, 0.0)) for r in ranks]
        return {"share": np.stack(shares, axis=-1)}

    def scores(self, sums):
        frequencies = sums.overall("share")
        ranks = np.arange(1, sums.setup.members + 2)
        return tuple(
            Score(variable=variable.name, units="1", axis="rank", coordinate=ranks, values=frequencies[i])
            for i, variable in enumerate(averaged(sums.setup.layout))
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class StandardDeviation(PerVariable):
    """`sqrt(E mean_i <x_i^2> - (E mean_i <x_i>)^2)`, over space, starts and members; the reference is the
    truth's.

    `cumulative`: also over all leads up to each one, so that the last value is that of the whole rollout.
    """

    cumulative: bool = False
    """Over all leads up to each one, in place of each alone."""
    shared: ClassVar[str] = "moments"

    @property
    def name(self) -> str:
        return "cumulative_standard_deviation" if self.cumulative else "standard_deviation"

    @property
    def about(self) -> About:
        if self.cumulative:
            return About(
                title="Standard deviation over all leads",
                order=52,
                cumulative=True,
                ranking=Ranking(title="Standard deviation over the truth's", relative=True),
            )
        note = "Over space, starts and members."
        return About(title="Standard deviation", note=note, section="scales", order=52)

    def terms(self, tools, sample):
        # In float32 the squares would lose a small variance beside a large mean, as of a temperature in K.
        forecast, truth = (np.asarray(x, np.float64) for x in (sample.forecast, sample.truth))
        return {
            "forecast": tools.mean(forecast).mean(axis=0),
            "forecast_square": tools.mean(forecast**2).mean(axis=0),
            "truth": tools.mean(truth),
            "truth_square": tools.mean(truth**2),
        }

    def scores(self, sums):
        def deviation(name):
            mean, square = (sums.mean(term, self.cumulative) for term in (name, f"{name}_square"))
            return np.sqrt(np.maximum(square - mean**2, 0.0))

        variables = averaged(sums.setup.layout)
        return over_leads(sums.setup, variables, deviation("forecast"), reference=deviation("truth"))
