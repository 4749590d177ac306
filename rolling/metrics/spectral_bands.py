"""Errors at large, middle and small scales, from Fourier coefficients."""

import dataclasses
from typing import ClassVar, Literal

import numpy as np

from rolling.common.errors import InputError
from rolling.geometry import Axis
from rolling.layout import Layout
from rolling.metrics.area import Domain
from rolling.metrics.members import MeanOrEach
from rolling.metrics.protocol import About, EvaluationSetup, Sample
from rolling.metrics.spectra import Planar
from rolling.metrics.sums import Averaged, over_leads

BANDS = ("low", "middle", "high")
SCALES = {"low": "large scales", "middle": "middle scales", "high": "small scales"}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Bands:
    """The power in each band of the variables `channels`, whose modes are in the bands `place [mode]`."""

    plane: Planar
    place: np.ndarray
    channels: tuple[int, ...]

    @classmethod
    def of(cls, setup: EvaluationSetup) -> "Bands | None":
        """None without a variable that is known everywhere, or on a grid too small for three bands."""
        domain, layout = Domain.of(setup), setup.layout
        channels = tuple(c for c in range(len(layout.variables)) if domain.is_whole(c))
        plane = in_cells(layout)
        place = band_of_modes(plane)
        if layout.is_video or not channels or len(np.unique(place)) < len(BANDS):
            return None
        return cls(plane=plane, place=place, channels=channels)

    def power(self, fields: np.ndarray) -> np.ndarray:
        """The sums of `|f_k|^2` over bands: `[..., *space, variable]` to `[..., channel, band]`."""
        member = self.place[:, None] == np.arange(len(BANDS))
        return 2 * np.stack([self.plane.energy(fields[..., c]) @ member for c in self.channels], axis=-2)


def in_cells(layout: Layout) -> Planar:
    """Fourier transforms along all axes, periodic or not, with lengths in cells."""
    axes = tuple(Axis(name=axis.name, values=axis.values, boundary="periodic") for axis in layout.axes)
    return Planar(axes=axes, lengths=tuple(float(len(axis)) for axis in axes))


def band_of_modes(plane: Planar) -> np.ndarray:
    """`[mode]`: the place of each mode's band in `BANDS`."""
    wavenumber = 2 * np.pi * plane.modulus / plane.longest
    largest = np.pi * np.sqrt(len(plane.axes)) + 1e-6
    edges = np.geomspace(2 * np.pi / plane.longest, largest, len(BANDS) + 1)
    return np.searchsorted(edges[1:-1], wavenumber, side="right")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpectralBandError(MeanOrEach, Averaged):
    """`E [sum_k |X_k - Y_k|^2 / (sum_k |Y_k|^2 + 1e-7)]`, the sums over the wavenumbers of one band.

    `x` is the mean of the members or one of them, `y` the truth, and `E` the mean over starts and, with
    `member="each"`, over members. `X` and `Y` are the Fourier coefficients of `x` and `y` over the cells of a
    frame, whether axes are periodic or not, such that `sum_k |Y_k|^2 = <y^2>`. Wavenumbers `|k|` are in
    radians per cell. From `2 pi / N`, `N` the longest axis, to `pi sqrt(d)` in `d` dimensions there are three
    bands, equal on a logarithmic scale; the first also has what is below, the mean of the frame. 0 is
    perfect, 1 the error of a forecast of 0, and 2 that of one as rich as the truth and independent of it.
    This is `spectral_error_nmse` of The Well (Ohana et al., 2024), in physical units. Variables with masked
    cells are left out.

    Raises `InputError` for a band that there is not.
    """

    band: Literal["low", "middle", "high"] = "low"
    """Of wavenumbers: low ones are large scales."""
    member: Literal["mean", "each"] = "mean"
    """Whether the mean of the members is scored, or each of them."""
    offset: ClassVar[float] = 1e-7

    def __post_init__(self):
        super().__post_init__()
        if self.band not in BANDS:
            raise InputError(f"a band is one of {', '.join(BANDS)}, not {self.band!r}")

    @property
    def name(self) -> str:
        return self.named(f"spectral_error_{self.band}")

    @property
    def shared(self) -> str:
        return f"spectral_bands_of_{self.member}"

    @property
    def about(self) -> About:
        return About(
            title=self.titled(f"Spectral error at {SCALES[self.band]}"),
            note="Power of the error over the truth's in a band of wavenumbers; a forecast of 0 scores 1.",
            order=60 + BANDS.index(self.band),
            together=self.titled("Spectral error by scale"),
            label=SCALES[self.band],
        )

    def tools(self, setup: EvaluationSetup):
        return Bands.of(setup)

    def terms(self, tools: Bands, sample: Sample):
        error = tools.power(self.scored(sample) - np.asarray(sample.truth, np.float64))
        return {"error": (error / (tools.power(sample.truth) + self.offset)).mean(axis=0)}

    def scores(self, sums):
        variables = [sums.setup.layout.variables[c] for c in sums.tools.channels]
        values = sums.mean("error")[..., BANDS.index(self.band)]
        return over_leads(sums.setup, variables, values, units="1")
