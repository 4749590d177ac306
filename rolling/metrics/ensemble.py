"""Forecast verification, variable by variable: errors, probabilistic scores, calibration.

The colours of a picture are scored together, as one variable `pixel`.

In every equation `x_i` is member `i` of `M`, `m` their mean, `y` the truth, `c` the climatology; `<.>` is the
area mean over cells that hold data (with weights cos(latitude) where there is a latitude) and `E` the mean
over starts. Metrics of flows and spectra are in `rolling.physics.metrics`.
"""

import dataclasses
from typing import ClassVar

import numpy as np

from rolling.common.errors import InputError
from rolling.layout import Variable
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

    Without `fair`, the sum over pairs is divided by `2 M^2`: the score of the members as the whole
    distribution (Gneiting and Raftery 2007, doi 10.1198/016214506000001437), as xskillscore and properscoring
    compute it and DYffusion reports it. It is larger, by half the mean difference of two members over `M`.
    """

    fair: bool = True
    """Whether the members are draws from the distribution that is scored, and not the whole of it."""

    @property
    def name(self) -> str:
        return "crps" if self.fair else "unfair_crps"

    @property
    def about(self) -> About:
        if not self.fair:
            return About(
                title="Unfair continuous ranked probability score",
                note="CRPS of the members as the whole distribution, larger the fewer they are.",
                order=22,
            )
        return About(
            title="Continuous ranked probability score",
            note="Fair CRPS, the error of the ensemble as a whole; lower is better. Of the climatology, that"
            " of training fields of the same phase.",
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
            pairs = members * (members - 1 if self.fair else members)
            weights = (2.0 * np.arange(members) - members + 1) / pairs
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
class FrameSpreadSkillRatio(Calibration):
    """`E sqrt(<<v>> / <<(m - y)^2>>)`, `v = sum_i (x_i - m)^2 / M`, `<<.>>` over cells and variables.

    As DYffusion reports it (Ruehling Cachay et al. 2023, arXiv 2306.01984): the ratio of each frame, of all
    variables in their own units together, without a correction for `M`. Of frames over which the error is the
    same, a reliable ensemble scores `sqrt((M - 1) / (M + 1))`, 0.98 with 50 members.
    """

    name = "frame_spread_skill_ratio"
    about: ClassVar[About] = About(
        title="Spread over error of each frame",
        note="Of all variables together, and of the members as they are: a little below 1 where the ensemble"
        " is calibrated.",
        order=31,
    )

    def terms(self, tools, sample):
        variance = tools.mean(sample.forecast.var(axis=0, dtype=np.float64))
        square = tools.mean((ensemble_mean(sample) - sample.truth) ** 2)
        with np.errstate(divide="ignore", invalid="ignore"):  # of members that are all the truth
            return {"ratio": np.sqrt(variance.mean(axis=1) / square.mean(axis=1))}

    def scores(self, sums):
        return over_leads(sums.setup, (Variable(name="frame"),), sums.mean("ratio")[:, None], units="1")


class Ranked(Calibration):
    """Base of metrics of the truth's rank 1..M+1 among the members: the relative frequency of each.

    A truth equal to some members shares its weight evenly among the ranks that it could take: this needs no
    random numbers and is flat in the mean as well.
    """

    shared: ClassVar[str] = "ranks"

    def terms(self, tools, sample):
        below = (sample.forecast < sample.truth).sum(axis=0)
        equal = (sample.forecast == sample.truth).sum(axis=0)
        share = 1.0 / (equal + 1)
        ranks = range(len(sample.forecast) + 1)
        shares = [tools.mean(np.where((below <= r) & (r <= below + equal), share, 0.0)) for r in ranks]
        return {"share": np.stack(shares, axis=-1)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RankHistogram(Ranked):
    """Relative frequency of the truth's rank 1..M+1 among the members, over cells, starts and leads.

    Flat, `1 / (M + 1)`, for a reliable ensemble (Hamill 2001).
    """

    name = "rank_histogram"
    about: ClassVar[About] = About(
        title="Rank histogram",
        note="Flat for a calibrated ensemble, high at both ends where it is too narrow.",
        section="calibration",
        order=32,
    )

    def scores(self, sums):
        frequencies = sums.overall("share")
        ranks = np.arange(1, sums.setup.members + 2)
        return tuple(
            Score(variable=variable.name, units="1", axis="rank", coordinate=ranks, values=frequencies[i])
            for i, variable in enumerate(averaged(sums.setup.layout))
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coverage(Ranked):
    """The share of the truth inside the central part of the members: `share`, for a reliable ensemble.

    The central interval is that of the ranks of the truth: rank `r` of `M + 1` stands for the probabilities
    from `(r - 1) / (M + 1)` to `r / (M + 1)`, and counts by its part between `(1 - share) / 2` and
    `(1 + share) / 2`. Where these fall on members, at positions `(M + 1) p` (Weibull's), it is the interval
    between two order statistics, in which the truth lies with probability `(j - i) / (M + 1)` if it is
    exchangeable with the members; else the mean of such, weighted so that the expectation is `share` for any
    distribution and any `M`. The interpolated quantiles of `numpy.quantile` make a narrower interval, whose
    expectation is about `share (M - 1) / (M + 1)`.

    A truth beyond all members is outside: that asks for `M >= 2 / (1 - share) - 1`, 3, 9 and 19 members for
    50, 80 and 90 %. With fewer there is no score.

    Raises `InputError` for a share that is not between 0 and 1.
    """

    share: float = 0.9
    """Of the probability that the interval should hold."""
    dimensionless: ClassVar[bool] = True

    def __post_init__(self):
        if not 0 < self.share < 1:
            raise InputError(f"the share that an interval holds is between 0 and 1, not {self.share:g}")

    @property
    def name(self) -> str:
        return f"coverage_{100 * self.share:g}"

    @property
    def about(self) -> About:
        return About(
            title=f"Coverage of the central {100 * self.share:g} %",
            note="Share of the truth in the central part of the members; below its line, they are too sure of"
            " themselves.",
            section="calibration",
            order=33,
            ideal=self.share,
            limits=(0.0, 1.0),
            together="Coverage of central parts",
            label=f"{100 * self.share:g} %",
        )

    def tools(self, setup):
        return super().tools(setup) if setup.members + 1 >= 2 / (1 - self.share) - 1e-9 else None

    def values(self, sums):
        edges = np.linspace(0, 1, sums.setup.members + 2)
        inside = np.clip(edges, (1 - self.share) / 2, (1 + self.share) / 2)
        return sums.mean("share") @ (np.diff(inside) / np.diff(edges))


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
