"""Flows: finds velocities and vorticities among variables; the vorticity and divergence of a velocity.

On a plane `vorticity = dv/dx - du/dy` and `divergence = du/dx + dv/dy`. On the sphere of radius `a`, with
longitude `l` and latitude `p`,
`vorticity = (dv/dl - d(u cos p)/dp) / (a cos p)`, `divergence = (du/dl + d(v cos p)/dp) / (a cos p)`.

A periodic axis is differentiated in Fourier space, exactly for all resolved wavenumbers; a bounded axis, or a
field with holes, by second-order differences.
"""

import dataclasses
import re

import numpy as np

from rolling.geometry import EARTH_RADIUS, Axis, LatLon
from rolling.layout import Layout

# Standard names of the CF conventions: u to v.
VELOCITY_STANDARD_NAMES = {
    "eastward_wind": "northward_wind",
    "x_wind": "y_wind",
    "eastward_sea_water_velocity": "northward_sea_water_velocity",
    "sea_water_x_velocity": "sea_water_y_velocity",
}
VORTICITY_STANDARD_NAMES = ("atmosphere_relative_vorticity", "ocean_relative_vorticity")
# Common names: `#` stands for `u` or `v`; a level or a height may follow (u10, u_500).
VELOCITY_NAMES = (
    "#",
    "#o",
    "#a",
    "#_component_of_wind",
    "10m_#_component_of_wind",
    "velocity_#",
    "#_velocity",
)
LEVEL = r"(?P<level>_?\d+)?"
VORTICITY_NAME = re.compile(rf"(?:relative_)?(?:vorticity|vor|vo|zeta){LEVEL}", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Velocity:
    """The channels of the x and y components of one velocity, such as the wind at a level."""

    u: int
    v: int


def velocities(layout: Layout) -> tuple[Velocity, ...]:
    """The pairs of variables that are velocities, by standard name or by common name.

    Components belong together if their names differ only in `u` and `v`; a pair that is the only one with its
    standard names may have any names.
    """
    names = {variable.name.lower(): channel for channel, variable in enumerate(layout.variables)}
    found = []
    for channel, variable in enumerate(layout.variables):
        partner = _partner_by_name(variable.name.lower(), names)
        if partner is None:
            partner = _partner_by_standard_name(variable.standard_name, layout)
        if partner is not None:
            found.append(Velocity(u=channel, v=partner))
    return tuple(found)


def _partner_by_name(name: str, names: dict[str, int]) -> int | None:
    for pattern in VELOCITY_NAMES:
        first, last = pattern.split("#")
        match = re.fullmatch(rf"{first}u{last}{LEVEL}", name)
        if match:
            return names.get(f"{first}v{last}{match['level'] or ''}")
    return None


def _partner_by_standard_name(standard_name: str, layout: Layout) -> int | None:
    partner = VELOCITY_STANDARD_NAMES.get(standard_name)
    standard_names = [variable.standard_name for variable in layout.variables]
    if partner and standard_names.count(standard_name) == standard_names.count(partner) == 1:
        return standard_names.index(partner)
    return None


def vorticities(layout: Layout) -> tuple[int, ...]:
    """The channels that are relative vorticities; `vo` is a velocity of the sea if there is `uo`."""
    partners = {velocity.v for velocity in velocities(layout)}
    return tuple(
        channel
        for channel, variable in enumerate(layout.variables)
        if channel not in partners
        and (variable.standard_name in VORTICITY_STANDARD_NAMES or VORTICITY_NAME.fullmatch(variable.name))
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kinematics:
    """Vorticity and divergence of `u, v [..., height, width]` on the grid of a layout, at least 2 x 2 cells.

    With `holes`, a NaN cell makes its neighbours NaN and no other cells.
    """

    layout: Layout
    holes: bool = False

    def vorticity(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        metric, cosine, inverse = self._metric()
        return (self._along_x(v) - self._along_y(u * cosine)) * inverse / metric

    def divergence(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        metric, cosine, inverse = self._metric()
        return (self._along_x(u) + self._along_y(v * cosine)) * inverse / metric

    def _metric(self) -> tuple[float, np.ndarray, np.ndarray]:
        """Length of one unit of `y`, `cos p` and `1 / cos p` `[height, 1]`; ones on a plane."""
        y = self.layout.y
        if not isinstance(self.layout.grid, LatLon):
            return 1.0, np.ones((len(y), 1)), np.ones((len(y), 1))
        cosine = np.cos(np.deg2rad(np.asarray(y.values)))[:, None]
        # The quotient has a limit at a pole; a quarter of a cell away is as close as the grid resolves.
        nearest = np.sin(np.deg2rad(y.spacing / 4))
        return EARTH_RADIUS * np.pi / 180, cosine, 1 / np.maximum(cosine, nearest)

    def _along_y(self, field: np.ndarray) -> np.ndarray:
        return np.swapaxes(self._derivative(np.swapaxes(field, -1, -2), self.layout.y), -1, -2)

    def _along_x(self, field: np.ndarray) -> np.ndarray:
        return self._derivative(field, self.layout.x)

    def _derivative(self, field: np.ndarray, axis: Axis) -> np.ndarray:
        """Along the last axis of `field`."""
        field = np.asarray(field, np.float64)
        count = len(axis)
        if not axis.periodic:
            return np.gradient(field, np.asarray(axis.values), axis=-1, edge_order=2 if count > 2 else 1)
        spacing = (axis.values[-1] - axis.values[0]) / (count - 1)  # negative where the axis descends
        if self.holes:
            return (np.roll(field, -1, axis=-1) - np.roll(field, 1, axis=-1)) / (2 * spacing)
        wavenumber = 2 * np.pi * np.fft.rfftfreq(count, spacing)
        if count % 2 == 0:
            wavenumber[-1] = 0.0  # the derivative of the Nyquist mode is invisible on the grid
        return np.fft.irfft(1j * wavenumber * np.fft.rfft(field, axis=-1), n=count, axis=-1)
