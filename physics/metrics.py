"""Metrics of flows and of the realism of forecasts: spectra, vorticity, divergence, energy.

All are computed on *single members*, not on their mean: an ensemble mean is rightly smooth, and not a flow.
`E` is the mean over starts and members, `<.>` the area mean.
"""

import dataclasses
from typing import ClassVar

import numpy as np

from rolling.layout import Variable
from rolling.metrics.correlation import correlation, fall
from rolling.metrics.protocol import About, EvaluationSetup, Ranking, Score
from rolling.metrics.spectra import spectrum
from rolling.metrics.sums import Averaged, Sums, over_leads
from rolling.physics.quantities import Quantity, divergence_fields, spectral_quantities, vorticity_fields


class PerQuantity(Averaged):
    """Base of metrics whose tools are the quantities that a layout has, at least one."""

    def quantities(self, setup: EvaluationSetup) -> tuple[Quantity, ...]:
        raise NotImplementedError

    def tools(self, setup):
        return self.quantities(setup) or None

    @staticmethod
    def variables(sums: Sums) -> tuple[Variable, ...]:
        return tuple(quantity.variable for quantity in sums.tools)


class Spectral(PerQuantity):
    """Base of metrics of spectra: their terms are `E(k)`, `[lead, quantity, k]`, of the forecast, the truth
    and the last given frame."""

    shared: ClassVar[str] = "spectra"

    def quantities(self, setup):
        return spectral_quantities(setup) if spectrum(setup.layout).resolved > 0 else ()

    def terms(self, tools, sample):
        leads = len(sample.truth)
        return {
            "forecast": np.stack([q.of(sample.forecast).mean(axis=0) for q in tools], axis=1),
            "truth": np.stack([q.of(sample.truth) for q in tools], axis=1),
            "initial": np.stack(
                [np.repeat(q.of(sample.initial)[None], leads, axis=0) for q in tools], axis=1
            ),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnergySpectrum(Spectral):
    """`E(k)`, averaged over starts, members and leads, for k = 1 to the last complete shell; see
    `rolling.metrics.spectra`. The reference is the truth's."""

    leads: tuple[int, int] | None = None
    """The first and the last lead to average over, counted from 1; None for all."""
    about: ClassVar[About] = About(
        title="Energy spectrum",
        note="Of single members and of the truth: how much happens at each scale.",
        section="scales",
        order=50,
    )

    @property
    def name(self) -> str:
        return "energy_spectrum" + ("" if self.leads is None else "_leads_{}_to_{}".format(*self.leads))

    def tools(self, setup):
        return None if self.leads and self.leads[1] > setup.leads else super().tools(setup)

    def scores(self, sums):
        first, last = self.leads or (1, sums.setup.leads)
        shells = np.arange(1, spectrum(sums.setup.layout).resolved + 1)
        forecast, truth = (
            sums.overall(name, slice(first - 1, last))[:, shells] for name in ("forecast", "truth")
        )
        return tuple(
            Score(
                variable=variable.name,
                units=variable.units,
                axis="wavenumber",
                coordinate=shells,
                values=forecast[i],
                reference=truth[i],
            )
            for i, variable in enumerate(self.variables(sums))
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpectrumLogError(Spectral):
    """`mean_k |log10(E_forecast(k) / E_truth(k))|`, k = 1..`maximum` or the last complete shell.

    The energies are first averaged over starts and members; if `cumulative`, also over all leads up to each
    one, so that the last value is the error of the spectrum of the whole rollout.
    """

    cumulative: bool = False
    """Of the spectrum over all leads up to each one, in place of each alone."""
    maximum: int = 10
    """Largest wavenumber that counts."""

    @property
    def name(self) -> str:
        return "cumulative_spectrum_log_error" if self.cumulative else "spectrum_log_error"

    @property
    def about(self) -> About:
        if self.cumulative:
            return About(
                title="Mean |log₁₀| error of the energy spectrum over all leads",
                note="The error of the spectrum is the mean over wavenumbers of |log₁₀ (forecast / truth)|.",
                order=51,
                cumulative=True,
                ranking=Ranking(title="Error of the energy spectrum"),
            )
        return About(
            title="Error of the energy spectrum",
            note="Mean over wavenumbers of |log₁₀ (forecast / truth)|; 0.1 is a quarter too much or too"
            " little.",
            section="scales",
            order=51,
        )

    def scores(self, sums):
        shells = np.arange(1, min(self.maximum, spectrum(sums.setup.layout).resolved) + 1)
        forecast, truth = (sums.mean(name, self.cumulative)[..., shells] for name in ("forecast", "truth"))
        error = np.abs(np.log10(forecast / truth)).mean(axis=-1)
        return over_leads(sums.setup, self.variables(sums), error, units="1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnergyDrift(Spectral):
    """`E[K(lead)] / E[K(0)] - 1`, `K = sum_k E(k)` the mean kinetic energy.

    `K(0)` is that of the last given frame. The reference is the truth's own drift, which is not zero if the
    energy fluctuates.
    """

    name = "energy_drift"
    about: ClassVar[About] = About(
        title="Drift of the kinetic energy",
        note="Relative to the last given frame.",
        section="scales",
        order=54,
    )

    def tools(self, setup):
        found = super().tools(setup)
        return found if found and any(quantity.kinetic for quantity in found) else None

    def scores(self, sums):
        kinetic = [i for i, quantity in enumerate(sums.tools) if quantity.kinetic]
        forecast, truth, initial = (
            sums.mean(name).sum(axis=-1)[:, kinetic] for name in ("forecast", "truth", "initial")
        )
        variables = [self.variables(sums)[i] for i in kinetic]
        return over_leads(
            sums.setup, variables, forecast / initial - 1, reference=truth / initial - 1, units="1"
        )


class Correlation(PerQuantity):
    """Base of metrics of the correlation of vorticity: `E corr(w_i, w)` over space, weighted by area."""

    shared: ClassVar[str] = "vorticity_correlation"

    def quantities(self, setup):
        return vorticity_fields(setup)

    def terms(self, tools, sample):
        found = [correlation(q.of(sample.forecast), q.of(sample.truth), q).mean(axis=0) for q in tools]
        return {"correlation": np.stack(found, axis=-1)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class VorticityCorrelation(Correlation):
    """Spatial correlation of each member's vorticity with the truth's, averaged over members and starts."""

    name = "vorticity_correlation"
    about: ClassVar[About] = About(
        title="Correlation of the vorticity",
        note="Of one member with the truth; below 0.8 the match is lost.",
        section="skill",
        order=24,
        higher=True,
    )

    def scores(self, sums):
        return over_leads(sums.setup, self.variables(sums), sums.mean("correlation"), units="1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VorticityCorrelationTime(Correlation):
    """The lead time at which the vorticity correlation first falls below each of `thresholds`.

    Linear between leads, starting from 1 at lead 0; no value if it stays above until the last lead.
    """

    thresholds: tuple[float, ...] = (0.8,)
    """Correlations below which the vorticity is no longer followed."""
    name = "vorticity_correlation_time"
    about: ClassVar[About] = About(
        title="Lead at which the vorticity correlation falls below",
        order=55,
        higher=True,
        duration=True,
    )

    def scores(self, sums):
        setup, curves = sums.setup, sums.mean("correlation")
        return tuple(
            Score(
                variable=variable.name,
                units=setup.layout.time_units,
                axis="threshold",
                coordinate=np.asarray(self.thresholds),
                values=setup.layout.step * np.array([fall(curves[:, i], t) for t in self.thresholds]),
            )
            for i, variable in enumerate(self.variables(sums))
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Divergence(PerQuantity):
    """`sqrt(E <(du/dx + dv/dy)^2>)`; the reference is the truth's."""

    name = "divergence"
    about: ClassVar[About] = About(
        title="Divergence",
        note="Root mean square over the area.",
        section="scales",
        order=53,
    )

    def quantities(self, setup):
        return divergence_fields(setup)

    def terms(self, tools, sample):
        return {
            "forecast": np.stack([q.mean(q.of(sample.forecast) ** 2).mean(axis=0) for q in tools], axis=-1),
            "truth": np.stack([q.mean(q.of(sample.truth) ** 2) for q in tools], axis=-1),
        }

    def scores(self, sums):
        forecast, truth = (np.sqrt(sums.mean(name)) for name in ("forecast", "truth"))
        return over_leads(sums.setup, self.variables(sums), forecast, reference=truth)
