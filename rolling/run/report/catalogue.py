"""The measures that a report knows: their titles, how to read them, and where they stand."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
    """A title, one line on how to read it, the section of the report, the best value where there is one.

    `against` names a measure of the same unit: departures from the best value below a tenth of its largest
    value are drawn as small as they are. `reference` is what a score's own reference stands for, `zero`
    whether positive values are drawn above zero.
    """

    title: str
    note: str = ""
    section: str = "more"
    ideal: float | None = None
    against: str = ""
    reference: str = "truth"
    zero: bool = True


FLOOR = "real against real"

CATALOGUE = {
    "psnr": Measure(
        title="Peak signal-to-noise ratio",
        note="Of single members, frame by frame; higher is better.",
        section="skill",
        zero=False,
    ),
    "best_psnr": Measure(
        title="PSNR of the best member",
        note="Of each start the member with the highest mean over all leads; it rises with their number.",
        section="skill",
        zero=False,
    ),
    "ssim": Measure(
        title="Structural similarity",
        note="Of single members; 1 is the same picture.",
        section="skill",
        zero=False,
    ),
    "best_ssim": Measure(
        title="Structural similarity of the best member",
        note="Of each start the member with the highest mean over all leads; it rises with their number.",
        section="skill",
        zero=False,
    ),
    "rmse": Measure(
        title="Root mean square error",
        note="Lower is better. The forecast is the mean of its members.",
        section="skill",
    ),
    "crps": Measure(
        title="Continuous ranked probability score",
        note="Fair CRPS, the error of the ensemble as a whole; lower is better.",
        section="skill",
    ),
    "anomaly_correlation": Measure(
        title="Anomaly correlation",
        note="Of forecast and truth as departures from the climatology; 1 is perfect.",
        section="skill",
    ),
    "vorticity_correlation": Measure(
        title="Correlation of the vorticity",
        note="Of one member with the truth; below 0.8 the match is lost.",
        section="skill",
    ),
    "bias": Measure(
        title="Bias", note="Mean of forecast minus truth.", section="skill", ideal=0.0, against="rmse"
    ),
    "spread_skill_ratio": Measure(
        title="Spread over error",
        note="1 for a calibrated ensemble; below, its members are too sure of themselves.",
        section="calibration",
        ideal=1.0,
    ),
    "spread": Measure(title="Spread", note="Standard deviation of the members.", section="calibration"),
    "rank_histogram": Measure(
        title="Rank histogram",
        note="Flat for a calibrated ensemble, high at both ends where it is too narrow.",
        section="calibration",
    ),
    "fvd": Measure(
        title="Fréchet video distance",
        note="Between features of a network trained on real videos; lower is better.",
        section="realism",
        reference=FLOOR,
    ),
    "kvd": Measure(
        title="Kernel video distance",
        note="As the Fréchet distance, but 0 in the mean for real clips, however few.",
        section="realism",
        reference=FLOOR,
    ),
    "spectral_frechet_distance": Measure(
        title="Spectral Fréchet distance",
        note="How unlike in what happens at each scale and pace; lower is better. Not FVD.",
        section="realism",
        reference=FLOOR,
    ),
    "projection_frechet_distance": Measure(
        title="Projection Fréchet distance",
        note="How unlike in where there is which colour when; lower is better. Not FVD.",
        section="realism",
        reference=FLOOR,
    ),
    "energy_spectrum": Measure(
        title="Energy spectrum",
        note="Of single members and of the truth: how much happens at each scale.",
        section="scales",
    ),
    "energy_ratio": Measure(
        title="Energy over the truth's",
        note="Below 1 a scale has lost energy.",
        section="scales",
        ideal=1.0,
    ),
    "spectrum_log_error": Measure(
        title="Error of the energy spectrum",
        note="Mean over wavenumbers of |log₁₀ (forecast / truth)|; 0.1 is a quarter too much or too little.",
        section="scales",
    ),
    "standard_deviation": Measure(
        title="Standard deviation", note="Over space, starts and members.", section="scales"
    ),
    "divergence": Measure(title="Divergence", note="Root mean square over the area.", section="scales"),
    "energy_drift": Measure(
        title="Drift of the kinetic energy", note="Relative to the last given frame.", section="scales"
    ),
    "vorticity_correlation_time": Measure(title="Lead at which the vorticity correlation falls below"),
    "cumulative_standard_deviation": Measure(title="Standard deviation over all leads"),
    "cumulative_spectrum_log_error": Measure(
        title="Mean |log₁₀| error of the energy spectrum over all leads"
    ),
}


# What is shown of a long rollout, in which no frame can match the truth's.
STATISTICAL = ("scales", "realism", "more")


def measure(name: str) -> Measure:
    """The entry of the catalogue, or one made from the name."""
    return CATALOGUE.get(name) or Measure(title=name.replace("_", " ").capitalize())
