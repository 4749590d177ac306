"""The protocol of The Well (Ohana et al., 2024, arXiv 2412.00568)."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from rolling.data.simulations.archives import TheWell
from rolling.metrics.scaled_errors import Vrmse
from rolling.protocols.archives import OnArchive
from rolling.protocols.protocol import MEAN, MEMBER, Asked, Column, Published

METHODS = ("FNO", "TFNO", "U-net", "CNextU-net")
TITLES = ("one step", "steps 6 to 12", "steps 13 to 30")
SOURCE = "PolymathicAI/the_well, docs/benchmarks.md at 4c5660c"

REPORTED = {
    "acoustic_scattering_maze": "0.5062 0.5057 0.0351 0.0153 | 1.06 1.13 0.56 0.78 | 1.72 1.23 0.92 1.13",
    "active_matter": "0.3691 0.3598 0.2489 0.1034 | >10 7.52 2.53 2.11 | >10 4.72 2.62 2.71",
    "convective_envelope_rsg": "0.0269 0.0283 0.0555 0.0799 | 0.28 0.32 0.76 1.15 | 0.47 0.65 2.16 1.59",
    "euler_multi_quadrants_periodicBC": (
        "0.4081 0.4163 0.1834 0.1531 | 1.13 1.23 1.02 4.98 | 1.37 1.52 1.63 >10"
    ),
    "gray_scott_reaction_diffusion": "0.1365 0.3633 0.2252 0.1761 | 0.89 1.54 0.57 0.29 | >10 >10 >10 7.62",
    "helmholtz_staircase": (
        "0.00046 0.00346 0.01931 0.02758 | 0.002 0.011 0.057 0.110 | 0.003 0.019 0.097 0.194"
    ),
    "MHD_64": "0.3605 0.3561 0.1798 0.1633 | 1.24 1.25 1.65 1.30 | 1.61 1.81 4.66 2.23",
    "planetswe": "0.1727 0.0853 0.3620 0.3724 | 0.81 0.29 1.18 0.42 | 2.96 0.55 1.92 0.52",
    "post_neutron_star_merger": "0.3866 0.3793 – – | 0.76 0.70 – – | 1.05 1.05 – –",
    "rayleigh_benard": "0.8395 0.6566 1.4860 0.6699 | >10 >10 >10 >10 | >10 >10 >10 >10",
    "rayleigh_taylor_instability": ">10 >10 >10 >10 | >10 6.72 >10 >10 | >10 >10 2.84 7.43",
    "shear_flow": "0.1567 0.1348 0.5910 0.2037 | 1.62 1.63 1.22 0.32 | >10 >10 >10 1.91",
    "supernova_explosion_64": "0.3783 0.3785 0.3063 0.3181 | 2.41 1.86 0.94 1.12 | >10 >10 1.69 4.55",
    "turbulence_gravity_cooling": "0.2429 0.2673 0.6753 0.2096 | 3.55 4.49 7.14 1.30 | 5.63 6.95 4.15 2.09",
    "turbulent_radiative_layer_2D": "0.5001 0.5016 0.2418 0.1956 | 1.79 6.01 0.66 0.54 | 3.54 >10 1.04 1.01",
    "turbulent_radiative_layer_3D": "0.5278 0.5187 0.3728 0.3667 | 0.81 >10 0.95 0.77 | 0.94 >10 1.09 0.86",
}
"""By data set: VRMSE of the test part by methods, for each of the columns. `viscoelastic_instability` is not
here: the released U-nets do not have the numbers of the table (issue 49 of that project)."""

SHAPES = {
    "acoustic_scattering_maze": (256, 256),
    "active_matter": (256, 256),
    "convective_envelope_rsg": (128, 256, 256),
    "euler_multi_quadrants_periodicBC": (512, 512),
    "gray_scott_reaction_diffusion": (128, 128),
    "helmholtz_staircase": (256, 1024),
    "MHD_64": (64, 64, 64),
    "planetswe": (256, 512),
    "post_neutron_star_merger": (66, 128, 192),
    "rayleigh_benard": (128, 512),
    "rayleigh_taylor_instability": (128, 128, 128),
    "shear_flow": (128, 256),
    "supernova_explosion_64": (64, 64, 64),
    "turbulence_gravity_cooling": (64, 64, 64),
    "turbulent_radiative_layer_2D": (128, 384),
    "turbulent_radiative_layer_3D": (128, 128, 256),
}
"""Cells of each data set, in whatever order (docs/datasets_overview.md of the same version)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TheWellVrmse(OnArchive):
    """VRMSE on the test part of a data set of The Well, a plain mean over samples, frames and fields.

    One step: forecasts from every frame that has four before it. Roll-outs: from the fifth frame of every
    trajectory, the means over steps 6 to 12 and 13 to 30. That both ends count is our reading: the paper
    writes 6:12 and 13:30.
    """

    title: ClassVar[str] = "The Well: VRMSE of the test part, lower is better"
    given: ClassVar[int] = 4
    archive: ClassVar[type] = TheWell

    def asked(self) -> tuple[Asked, ...]:
        rows = ((MEAN, Vrmse()), (MEMBER, Vrmse(member="each")))
        one, *windows = TITLES
        return (
            Asked(
                name="one-step",
                frames=1,
                every_frame=True,
                columns=tuple(Column(title=one, metric=metric, of=of, last=1) for of, metric in rows),
            ),
            Asked(
                name="roll-outs",
                frames=30,
                columns=tuple(
                    Column(title=title, metric=metric, of=of, first=first, last=last)
                    for title, (first, last) in zip(windows, ((6, 12), (13, 30)), strict=True)
                    for of, metric in rows
                ),
            ),
        )

    def published(self, source: Any) -> tuple[Published, ...]:
        name = data_set(source)
        if name is None:
            return ()
        cells = [[number.replace(">", "> ") for number in part.split()] for part in REPORTED[name].split("|")]
        return tuple(
            Published(name=method, numbers=dict(zip(TITLES, numbers, strict=True)), source=SOURCE)
            for method, *numbers in zip(METHODS, *cells, strict=True)
        )

    def departures(self, source: Any, test: Any) -> Iterator[str]:
        yield from super().departures(source, test)
        name = data_set(source)
        if name is None:
            yield "no published numbers of these data are known here"
        elif sorted(test.layout.space) != sorted(SHAPES[name]):
            sizes = " x ".join(map(str, test.layout.space))
            yield f"frames have {sizes} cells, and those of {name} {' x '.join(map(str, SHAPES[name]))}"


def data_set(source: Any) -> str | None:
    """Which data set the folder's path names; None for one without published numbers."""
    parts = Path(getattr(source, "path", "")).expanduser().resolve().parts
    return next((part for part in reversed(parts) if part in REPORTED), None)
